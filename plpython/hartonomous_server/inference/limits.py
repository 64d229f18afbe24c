"""Settings that bound what inference takes: memory and threads."""

from __future__ import annotations

import os
from typing import Any

from hartonomous_server import errors
from hartonomous_server.db import query

MEMORY = "hartonomous.inference_memory"  # the setting
SMALL = 32 << 20  # bytes of which nobody is asked: it costs a short text too much time
THREADS = 2  # as many as a query of PostgreSQL takes for itself and its workers on a small machine


def memory(db: Any) -> int:
    """Bytes that texts may take while they are read and continued, together."""
    return query(
        db, "select pg_size_bytes(coalesce(nullif(current_setting($1, true), ''), '512MB')) as bytes",
        ("text", MEMORY),
    )[0]["bytes"]  # fmt: skip


def fitting(db: Any, size: int, what: str) -> int:
    """How many times so many bytes fit; MemoryExceeded when not once."""
    most = memory(db)
    if size > most:
        raise errors.MemoryExceeded(
            f"{what} {size >> 10} kB, expected at most the {most >> 10} kB of {MEMORY}",
            hint=f"shorten the text, or raise {MEMORY}",
        )
    return most // size


def threads(db: Any) -> int:
    """Threads that may work for a batch: the setting hartonomous.inference_threads, at most one for each processor."""
    stated = query(db, "select current_setting('hartonomous.inference_threads', true) as threads")[0]["threads"]
    if not stated:
        stated = str(THREADS)
    if not stated.isdecimal() or int(stated) < 1:
        raise errors.InvalidParameter(f'hartonomous.inference_threads is "{stated}", expected a number of 1 or more')
    return min(int(stated), len(os.sched_getaffinity(0)))
