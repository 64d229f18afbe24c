"""Settings of inference: what it may take, memory and threads, and what it computes with."""

from __future__ import annotations

import os
from typing import Any

from hartonomous_server import blas, errors
from hartonomous_server.db import query
from hartonomous_server.inference import device as devices

MEMORY = "hartonomous.inference_memory"  # the setting
SMALL = 32 << 20  # bytes of which nobody is asked: it costs a short text too much time
THREADS_SETTING = "hartonomous.inference_threads"
DEVICE = "hartonomous.inference_device"  # the setting
THREADS = 2  # as many as a query of PostgreSQL takes for itself and its workers on a small machine


def memory(db: Any) -> int:
    """Bytes that texts may take while they are read and continued, together."""
    return query(
        db, "select least(pg_size_bytes(nullif(current_setting($1, true), '')), pg_size_bytes(g.most)) as bytes"
            " from (select coalesce(hartonomous._setting_given($1), '512MB')) as g (most)",
        ("text", MEMORY),
    )[0]["bytes"]  # fmt: skip


def fitting(db: Any, size: int, what: str) -> int:
    """How many times so many bytes fit; MemoryExceeded when not once."""
    most = memory(db)
    if size > most:
        raise errors.MemoryExceeded(
            f"{what} {size >> 10} kB, expected at most the {most >> 10} kB of {MEMORY}",
            hint=f"shorten the text, or have an administrator raise {MEMORY}",
        )
    return most // size


def threads(db: Any) -> int:
    """Threads that may work for a batch, at most one for each processor."""
    row = query(db, "select current_setting($1, true) as stated, hartonomous._setting_given($1) as given",
                ("text", THREADS_SETTING))[0]  # fmt: skip
    most = _count(row["given"] or str(THREADS))
    return min(_count(row["stated"]) if row["stated"] else most, most, len(os.sched_getaffinity(0)))


def _count(stated: str) -> int:
    if not stated.isdecimal() or int(stated) < 1:
        raise errors.InvalidParameter(f'{THREADS_SETTING} is "{stated}", expected a number of 1 or more')
    return int(stated)


_device: devices.Processor | None = None


def device(db: Any) -> devices.Processor:
    """What this backend computes with, decided once; a notice tells when the GPU that is asked for is not there."""
    global _device
    if _device is None:
        row = query(db, "select coalesce(hartonomous._setting_given($1), 'cpu') as given", ("text", DEVICE))[0]
        if row["given"] not in ("cpu", "gpu"):
            raise errors.InvalidParameter(f'{DEVICE} is "{row["given"]}", expected cpu or gpu')
        _device = devices.PROCESSOR if row["given"] == "cpu" else _gpu(db)
    return _device


def _gpu(db: Any) -> devices.Processor:
    try:
        with blas.signals_blocked():
            return devices.found()
    except Exception as error:  # whatever the library or the driver lacks
        reason = (str(error).splitlines() or [type(error).__name__])[0]
        db.notice(f"no GPU is used: {reason}", hint=f"install CuPy for the server's Python, or set {DEVICE} to cpu")
        return devices.PROCESSOR
