"""The one place that loads numpy, and the handle on the OpenBLAS library it brings.

A backend handles its signals in its main thread only: threads that a library starts must start with every signal
blocked, or a cancel could be delivered to one of them.
"""

from __future__ import annotations

import ctypes
import importlib
import os
import signal
import sys
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from functools import cache
from types import ModuleType
from typing import Any

# Plain builds, builds with 64-bit integers, and the renamed library inside numpy's own wheels.
_SYMBOL_FORMS = ("openblas_{}", "openblas_{}64_", "scipy_openblas_{}", "scipy_openblas_{}64_")

# What numpy imports for help() and for type checkers: 0.6 MB and 40 ms of each backend.
_UNUSED = ("numpy._core._add_newdocs", "numpy._core._add_newdocs_scalars", "numpy._typing")


@contextmanager
def signals_blocked() -> Iterator[None]:
    """Threads started inside inherit a mask that blocks every signal."""
    before = signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)


@contextmanager
def _replaced(names: Sequence[str]) -> Iterator[None]:
    """Modules of these names are empty inside: every name in them is a type with a parameter."""
    for name in names:
        module = sys.modules[name] = ModuleType(name)
        module.__getattr__ = lambda wanted: list  # type: ignore[method-assign]
    try:
        yield
    finally:
        for name in names:
            sys.modules.pop(name, None)


def numpy() -> ModuleType:
    """numpy, with OpenBLAS limited to the calling thread: idle ones spin, and each backend would have its own."""
    if "numpy" not in sys.modules:
        os.environ["OPENBLAS_NUM_THREADS"] = "1"
        with signals_blocked(), _replaced(_UNUSED):
            import numpy  # noqa: F401
    module = sys.modules["numpy"]
    _limit_once()
    return module


@cache
def _limit_once() -> None:
    set_threads(1)


@cache
def _library() -> ctypes.CDLL:
    extension = importlib.import_module("numpy._core._multiarray_umath")
    # Symbols are looked up through the extension's own dependencies, so this finds the BLAS numpy uses and no other.
    return ctypes.CDLL(extension.__file__)


def _function(name: str) -> Any:
    for form in _SYMBOL_FORMS:
        found = getattr(_library(), form.format(name), None)
        if found is not None:
            return found
    return None


def kernel(name: str, arguments: Sequence[Any]) -> Any:
    """A function of the library outside its interface, which takes arguments of these types; None when absent."""
    found = getattr(_library(), name, None)
    if found is not None:
        found.argtypes, found.restype = arguments, None
    return found


@cache
def core_name() -> str:
    """The processor core OpenBLAS chose its kernels for, which decides the last bits of a result; else "unknown"."""
    numpy()
    function = _function("get_corename")
    if function is None:
        return "unknown"
    function.restype = ctypes.c_char_p
    return function().decode()


@cache
def version() -> str:
    """Version of OpenBLAS; else "unknown"."""
    numpy()
    function = _function("get_config")
    if function is None:
        return "unknown"
    function.restype = ctypes.c_char_p
    return function().decode().split()[1]  # OpenBLAS 0.3.29 DYNAMIC_ARCH ...


def set_threads(count: int) -> None:
    """Let one matrix product use this many threads."""
    function = _function("set_num_threads")
    if function is not None:
        with signals_blocked():
            function(ctypes.c_int(count))


def threads() -> int:
    """How many threads one matrix product may use."""
    function = _function("get_num_threads")
    return function() if function is not None else 1
