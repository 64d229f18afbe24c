"""Computing what does not ask the server by itself whether it was cancelled."""

from __future__ import annotations

import ctypes
import threading
from collections.abc import Callable
from typing import Any

from hartonomous_server import blas
from hartonomous_server.db import interrupts

SECONDS = 0.05  # between two questions


class _Abandoned(BaseException):
    """nobody waits for the result"""


def interruptible[T](db: Any, work: Callable[[], T]) -> T:
    """What ``work`` returns, which uses no database: it runs in a thread, and is ended by what ends the statement."""
    found: list[T] = []
    failed: list[BaseException] = []

    def run() -> None:
        try:
            found.append(work())
        except BaseException as error:  # handed to the caller
            failed.append(error)

    worker = threading.Thread(target=run, daemon=True)
    with blas.signals_blocked():
        worker.start()
    ask = interrupts(db)
    try:
        while worker.is_alive():
            worker.join(SECONDS)
            ask()
    finally:
        while worker.is_alive():  # the exception arrives between two steps of the interpreter
            thread, exception = ctypes.c_ulong(worker.ident or 0), ctypes.py_object(_Abandoned)
            ctypes.pythonapi.PyThreadState_SetAsyncExc(thread, exception)
            worker.join(SECONDS)
    if failed:
        raise failed[0]
    return found[0]
