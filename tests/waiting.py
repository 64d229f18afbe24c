"""Waiting for what another process does in the server, by asking the server; never for a time to pass."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import psycopg

PATIENCE = 60.0  # seconds until a test that waits in vain fails
PAUSE = 0.01


def until(what: str, holds: Callable[[], Any]) -> Any:
    """The first true value of holds()."""
    end = time.monotonic() + PATIENCE
    while time.monotonic() < end:
        if found := holds():
            return found
        time.sleep(PAUSE)
    raise AssertionError(f"waited in vain until {what}")


@contextmanager
def locked(dsn: str, table: str, mode: str = "share") -> Iterator[None]:
    """Nobody can write to a table meanwhile; nor read it, in mode access exclusive."""
    with psycopg.connect(dsn) as connection, connection.transaction():
        connection.execute(f"lock table hartonomous.{table} in {mode} mode")
        yield


def until_blocked(connection: psycopg.Connection[Any], table: str, sessions: int = 1) -> None:
    """Until sessions wait for the lock on a table."""
    query = (
        "select count(*) from pg_locks where not granted and relation = to_regclass('hartonomous.' || %s)"
        " and database = (select oid from pg_database where datname = current_database())"
    )
    until(f"{sessions} sessions wait for {table}", lambda: _value(connection, query, table) >= sessions)


def until_gone(connection: psycopg.Connection[Any]) -> None:
    """Until no command line's backend runs a statement in the connection's database."""
    query = (
        "select count(*) = 0 from pg_stat_activity where datname = current_database()"
        " and application_name = 'hartonomous' and state <> 'idle'"
    )
    until("the client's backends are idle or gone", lambda: _value(connection, query))


def backends(connection: psycopg.Connection[Any], database: str) -> list[int]:
    """Process ids of the command line's backends in a database."""
    rows = connection.execute(
        "select pid from pg_stat_activity where datname = %s and application_name = 'hartonomous' order by pid",
        [database],
    )
    return [pid for (pid,) in rows]


def _value(connection: psycopg.Connection[Any], query: str, *arguments: Any) -> Any:
    row = connection.execute(query, arguments).fetchone()
    assert row is not None
    return row[0]
