"""Arrays of a device that has none of its own: numpy's behind a wall, as CuPy's lie in another memory.

Nothing of numpy takes such an array, and the functions of ``Module`` take no array of numpy: what passes over to the
other side without ``put`` and ``get`` fails. ``Module`` has what CuPy has of what the network uses, and no more.
"""

from __future__ import annotations

import math
import operator
from collections import Counter
from collections.abc import Callable, Iterator
from types import SimpleNamespace
from typing import Any

import numpy as np


class Array:
    """An array of the device."""

    __slots__ = ("_host",)
    __array_ufunc__ = None  # numpy's functions refuse it

    def __init__(self, host: np.ndarray) -> None:
        self._host = host

    def __array__(self, *_: Any, **__: Any) -> Any:
        raise TypeError("an array of the device became one of numpy")

    def __array_function__(self, function: Callable[..., Any], *_: Any) -> Any:
        raise TypeError(f"numpy's {function.__name__} was given an array of the device")

    def __len__(self) -> int:
        return len(self._host)

    def __iter__(self) -> Iterator[Array]:
        return (Array(self._host[place]) for place in range(len(self._host)))

    def __getitem__(self, key: Any) -> Array:
        found = self._host[_key(key)]
        return Array(found if isinstance(found, np.ndarray) else np.array(found))

    def __setitem__(self, key: Any, value: Any) -> None:
        self._host[_key(key)] = inside(value)

    shape = property(lambda self: self._host.shape)
    size = property(lambda self: self._host.size)
    nbytes = property(lambda self: self._host.nbytes)
    dtype = property(lambda self: self._host.dtype)
    T = property(lambda self: Array(self._host.T))


def _key(key: Any) -> Any:
    parts = key if isinstance(key, tuple) else (key,)
    for part in parts:
        assert not isinstance(part, (np.ndarray, list)), "an index of the host"
    inner = tuple(part._host if isinstance(part, Array) else part for part in parts)
    return inner if isinstance(key, tuple) else inner[0]


def inside(value: Any) -> Any:
    """What numpy computes with: arrays of the device and numbers, but no arrays of numpy."""
    if isinstance(value, Array):
        return value._host
    if isinstance(value, (int, float, np.generic)):
        return value
    raise TypeError(f"the device was given {type(value)}")


def _method(name: str) -> Callable[..., Array]:
    return lambda self, *arguments, **named: Array(np.asarray(getattr(self._host, name)(*arguments, **named)))


def _operator(function: Callable[..., Any], swapped: bool = False) -> Callable[..., Array]:
    def apply(self: Array, other: Any) -> Array:
        return Array(function(inside(other), self._host) if swapped else function(self._host, inside(other)))

    return apply


for _name in ("reshape", "swapaxes", "transpose", "copy", "astype", "max"):
    setattr(Array, _name, _method(_name))
for _name in ("add", "sub", "mul", "truediv", "eq"):
    setattr(Array, f"__{_name}__", _operator(getattr(operator, _name)))
    if _name != "eq":
        setattr(Array, f"__r{_name}__", _operator(getattr(operator, _name), swapped=True))


class Module:
    """The functions of the device; calls: how often each was called, and the largest array that came from the host."""

    __version__ = "of a test"
    cuda = SimpleNamespace(runtime=SimpleNamespace(getDeviceProperties=lambda number: {"name": b"a test's device"}))

    def __init__(self) -> None:
        self.calls: Counter[str] = Counter()
        self.taken: list[int] = []
        for name in ("add", "subtract", "multiply", "divide", "maximum", "tanh", "exp", "sqrt", "log", "matmul"):
            setattr(self, name, self._function(getattr(np, name)))
        self.add.reduce = self._function(np.add.reduce)  # type: ignore[attr-defined]  # of no other function in CuPy

    def _function(self, function: Callable[..., Any]) -> Callable[..., Array]:
        def call(*arguments: Any, out: Any = None, **named: Any) -> Array:
            self.calls[function.__name__] += 1
            if out is not None:
                named["out"] = inside(out)
            return Array(np.asarray(function(*map(inside, arguments), **named)))

        return call

    def asarray(self, host: np.ndarray) -> Array:
        assert isinstance(host, np.ndarray)
        self.taken.append(host.size)
        return Array(host.copy())

    def asnumpy(self, array: Array) -> np.ndarray:
        assert isinstance(array, Array)
        return array._host.copy()

    def zeros(self, shape: Any, dtype: Any) -> Array:
        return Array(np.zeros(shape, dtype))

    def empty(self, shape: Any, dtype: Any) -> Array:
        return Array(np.full(shape, math.nan, dtype))

    def dot(self, a: Array, b: Array, out: Array) -> Array:
        assert inside(out).flags.c_contiguous, "as CuPy's asks"
        self.calls["dot"] += 1
        np.dot(inside(a), inside(b), out=inside(out))
        return out

    def take(self, array: Array, places: Array, axis: int, out: Array | None = None) -> Array:
        found = np.take(inside(array), inside(places), axis=axis)
        if out is None:
            return Array(found)
        inside(out)[...] = found
        return out

    def tile(self, array: Array, count: int) -> Array:
        return Array(np.tile(inside(array), count))

    def split(self, array: Array, parts: int, axis: int) -> list[Array]:
        return [Array(part) for part in np.split(inside(array), parts, axis)]

    def ascontiguousarray(self, array: Array) -> Array:
        return Array(np.ascontiguousarray(inside(array)))
