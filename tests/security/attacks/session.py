"""The two parties: an attacker's session, as a role of a tenant or with an API key, and the victim."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo

PASSWORD = "of a test"


@dataclass
class Victim:
    role: str
    tenant: int
    key: str
    canary: str  # stands in the text of an artifact of the victim, and nowhere else
    document: str  # uri of the document it stands in
    artifact: int


@dataclass
class Session:
    """An attacker's login; the superuser's hand is used for what operators and the victim do anyway."""

    dsn: str
    role: str
    tenant: int
    key: str | None
    victim: Victim
    connection: psycopg.Connection[Any] = field(init=False)
    messages: list[str] = field(default_factory=list)

    def __enter__(self) -> Session:
        self.connection = self.connect()
        self.operator(f'create schema attack authorization "{self.role}"')
        return self

    def __exit__(self, *_: object) -> None:
        self.connection.close()
        self.operator("drop schema attack cascade")

    def connect(self, **parameters: str) -> psycopg.Connection[Any]:
        opened = psycopg.connect(
            make_conninfo(self.dsn, **{"user": self.role, "password": PASSWORD, **parameters}), autocommit=True
        )
        opened.add_notice_handler(
            lambda message: self.messages.append(f"{message.message_primary} {message.message_detail}")
        )
        return opened

    @contextmanager
    def acting(self, connection: psycopg.Connection[Any] | None = None) -> Iterator[psycopg.Connection[Any]]:
        """A transaction of the attacker's own tenant."""
        connection = connection or self.connection
        with connection.transaction():
            if self.key:
                connection.execute("select hartonomous.authenticate(%s)", [self.key])
            yield connection

    def rows(self, query: str, parameters: Any = None) -> list[Any]:
        """Of a query in a transaction of the attacker's own tenant."""
        with self.acting() as connection:
            return connection.execute(query, parameters).fetchall()

    def value(self, query: str, parameters: Any = None) -> Any:
        return self.rows(query, parameters)[0][0]

    def plain(self, *statements: str) -> None:
        """Statements outside of any tenant's transaction."""
        for statement in statements:
            self.connection.execute(statement)

    def tries(self, *statements: str) -> bool:
        """Whether any of the statements is let through."""
        passed = False
        for statement in statements:
            try:
                self.connection.execute(statement)
                passed = True
            except psycopg.Error:
                pass
        return passed

    def rename_model(self, tenant: int, old: str, new: str) -> None:
        self.operator(f"update hartonomous.model set name = '{new}' where tenant_id = {tenant} and name = '{old}'")

    def operator(self, *statements: str, parameters: Any = None) -> list[Any]:
        """As the superuser; rows of the last statement. An error is the test's, not a wall the attacker met."""
        with psycopg.connect(self.dsn, autocommit=True) as connection:
            try:
                for statement in statements:
                    cursor = connection.execute(statement, parameters)
                return cursor.fetchall() if cursor.description else []
            except psycopg.Error as error:
                raise RuntimeError(f"{statement}: {error}") from error

    @contextmanager
    def as_victim(self) -> Iterator[psycopg.Connection[Any]]:
        """A session of the victim's own."""
        dsn = make_conninfo(self.dsn, user=self.victim.role, password=PASSWORD)
        with psycopg.connect(dsn, autocommit=True) as connection:
            yield connection

    def victim_ingests(self, text: str) -> int:
        with self.as_victim() as connection:
            return connection.execute("select hartonomous.ingest_text(%s)", [text]).fetchone()[0]

    @contextmanager
    def pooled(self) -> Iterator[tuple[Callable[..., Any], Callable[..., Any]]]:
        """One backend that serves the victim and then the attacker: functions that run a query as either."""
        with self.connect() if self.key else psycopg.connect(self.dsn, autocommit=True) as connection:

            def run(role: str, key: str, query: str, parameters: Any = None) -> Any:
                with connection.transaction():
                    if self.key:
                        connection.execute("select hartonomous.authenticate(%s)", [key])
                    else:
                        connection.execute(f'set local role "{role}"')
                    cursor = connection.execute(query, parameters)
                    return cursor.fetchall() if cursor.description else []

            yield (
                lambda query, parameters=None: run(self.victim.role, self.victim.key, query, parameters),
                lambda query, parameters=None: run(self.role, self.key or "", query, parameters),
            )

    def sees(self, found: Any) -> bool:
        """Whether the victim's text is in what was found."""
        return self.victim.canary in str(found)
