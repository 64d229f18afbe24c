"""Several sessions at once."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any, TypeVar

import hartonomous
import psycopg
import waiting
from hartonomous import Client

T = TypeVar("T")


def together(dsn: str, works: Sequence[Callable[[Client], T]]) -> list[T]:
    """What each work returns, each in a session of its own, all beginning at once; the first error is raised."""
    barrier = threading.Barrier(len(works))

    def session(work: Callable[[Client], T]) -> T:
        with hartonomous.connect(dsn) as client:
            client.current_tenant()
            barrier.wait(waiting.PATIENCE)
            return work(client)

    with ThreadPoolExecutor(len(works)) as pool:
        return [future.result() for future in [pool.submit(session, work) for work in works]]


@contextmanager
def meanwhile(dsn: str, work: Callable[[Client], T]) -> Iterator[Future[T]]:
    """Runs work in another session; the block begins when the work has ended or waits for a lock."""
    with (
        hartonomous.connect(dsn) as client,
        psycopg.connect(dsn, autocommit=True) as watch,
        ThreadPoolExecutor(1) as pool,
    ):
        pid = client.connection.info.backend_pid
        running = pool.submit(work, client)
        waiting.until("the other session ends or waits", lambda: running.done() or _waits(watch, pid))
        yield running


def _waits(connection: psycopg.Connection[Any], pid: int) -> bool:
    return connection.execute("select cardinality(pg_blocking_pids(%s)) > 0", [pid]).fetchone() == (True,)
