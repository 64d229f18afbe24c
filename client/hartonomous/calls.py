"""How a method becomes a statement: bound parameters, one round trip, binary results, errors as classes."""

from __future__ import annotations

from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager
from typing import Any, TypeVar

import psycopg
from psycopg import Connection, Cursor, IsolationLevel
from psycopg.pq import TransactionStatus
from psycopg.rows import tuple_row

from hartonomous.errors import translated
from hartonomous.records import row_of

T = TypeVar("T")
ROWS_A_FETCH = 32  # of a stream


def statement(function: str, required: Mapping[str, Any], optional: Mapping[str, Any]) -> tuple[str, dict[str, Any]]:
    """Text and parameters of a call; an optional argument that is None is left to the server's default."""
    arguments = {**required, **{name: value for name, value in optional.items() if value is not None}}
    listed = ", ".join(f"{name} => %({name})s" for name in arguments)
    return f"select * from hartonomous.{function}({listed})", arguments


class Caller:
    """A connection in autocommit mode: each call is a transaction unless `transaction` is open."""

    def __init__(self, connection: Connection[Any], api_key: str | None = None) -> None:
        self.connection = connection
        self._api_key = api_key
        self._depth = 0

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several calls as one transaction; may be nested (savepoints)."""
        with translated(), self.connection.transaction():
            if not self._depth:
                self._authenticate()
            self._depth += 1
            try:
                yield
            finally:
                self._depth -= 1

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """A transaction in which every call sees the same state of the database."""
        level = self.connection.isolation_level
        self.connection.isolation_level = IsolationLevel.REPEATABLE_READ
        try:
            with self.transaction():
                yield
        finally:
            self.connection.isolation_level = level

    @contextmanager
    def pipeline(self) -> Iterator[None]:
        """Calls that return nothing are sent without waiting; their errors are raised when the block ends."""
        with translated(), self.connection.pipeline():
            yield

    def _authenticate(self) -> None:
        if self._api_key is not None:
            self.connection.execute(*statement("authenticate", {"api_key": self._api_key}, {}))

    def _run(self, function: str, required: Mapping[str, Any], **optional: Any) -> None:
        self._execute(function, required, optional, tuple_row)

    def _value(self, function: str, required: Mapping[str, Any], **optional: Any) -> Any:
        return self._fetch(function, required, optional, tuple_row)[0][0]

    def _row(self, cls: type[T], function: str, required: Mapping[str, Any], **optional: Any) -> T:
        return self._fetch(function, required, optional, row_of(cls))[0]

    def _rows(self, cls: type[T], function: str, required: Mapping[str, Any], **optional: Any) -> list[T]:
        return self._fetch(function, required, optional, row_of(cls))

    def _fetch(self, function: str, required: Mapping[str, Any], optional: Mapping[str, Any], rows: Any) -> list[Any]:
        with translated():
            return self._execute(function, required, optional, rows).fetchall()

    def _execute(
        self, function: str, required: Mapping[str, Any], optional: Mapping[str, Any], rows: Any
    ) -> Cursor[Any]:
        text, arguments = statement(function, required, optional)
        return self.query(text, arguments, rows)

    def _stream(
        self, function: str, required: Mapping[str, Any], rows: int = ROWS_A_FETCH, **optional: Any
    ) -> Generator[Any, None, None]:
        """Values of a function, fetched as the server makes them, in a transaction that ends with the last one."""
        text, arguments = statement(function, required, optional)
        with self.transaction(), self.connection.cursor("hartonomous_stream") as cursor:
            cursor.itersize = rows
            cursor.execute(text.replace("* from ", "", 1), arguments)  # in FROM the server would collect them first
            for (value,) in cursor:
                yield value

    def query(self, text: str, arguments: Mapping[str, Any] | None = None, rows: Any = tuple_row) -> Cursor[Any]:
        """Any statement, with the rights that the calls have."""
        with translated():
            cursor = self.connection.cursor(binary=True, row_factory=rows)
            if self._api_key is None or self._depth:
                return cursor.execute(text, arguments)
            try:
                with self.connection.pipeline():  # up to its end one implicit transaction, sent at once
                    self._authenticate()
                    cursor.execute(text, arguments)
            except psycopg.Error:
                self._forget_prepared()
                raise
            return cursor

    def _forget_prepared(self) -> None:
        """After an error the server skips what follows in a pipeline, and has not prepared what psycopg thinks it has.

        A rolled back transaction makes psycopg forget.
        """
        if self.connection.info.transaction_status == TransactionStatus.IDLE:
            with self.connection.transaction(force_rollback=True):
                pass
