"""Where the network's arrays lie and are computed: with numpy, or on a GPU with CuPy, whose functions are numpy's.

The network calls the functions of ``xp`` and nothing else on its arrays; what goes in and comes out passes ``put`` and
``get``. CuPy is no part of the installation: it is used where the server's Python has it and the setting asks for it.
"""

from __future__ import annotations

from typing import Any

from hartonomous_server import blas
from hartonomous_server.inference import panels
from hartonomous_server.inference.batching import STEP, WIDTH

blas.numpy()
import numpy as np  # noqa: E402
from numpy.lib.stride_tricks import as_strided  # noqa: E402

Array = Any

ALIGNMENT = 64  # bytes; vector instructions run at half speed on arrays that straddle cache lines


class Processor:
    """numpy, in blocks that stay in the processor's caches."""

    xp: Any = np
    name = ""  # of what computes; the processor goes by its BLAS
    step = STEP
    layout = "rows"  # of matrices that were arranged

    def arrange(self, weights: Array) -> None:
        """Lays a matrix of numpy out for products, in its place."""

    def project(self, weights: Array, bias: Array, x: Array, out: Array, scratch: Array) -> None:
        """out = arranged weights x x + bias, which the last rows may lack; scratch: as large as x or out"""
        self.xp.matmul(weights, x, out=out)
        self.xp.add(out[: len(bias)], bias, out=out[: len(bias)])

    def project_onto(self, weights: Array, bias: Array, x: Array, out: Array, scratch: Array) -> None:
        """out += arranged weights x x + bias"""
        product = scratch[: len(out)]
        self.project(weights, bias, x, product, scratch)
        self.xp.add(out, product, out=out)

    def block(self, elements: int) -> int:
        """How many elements a chain of steps works on at a time, where so many stay in a cache."""
        return elements

    def zeros(self, size: int) -> Array:
        """Zeroed float32 buffer."""
        return aligned(size)

    def put(self, array: Array) -> Array:
        return array

    def get(self, array: Array) -> Array:
        return array

    def rows(self, table: Array, ids: Array, out: Array = None) -> Array:
        """Rows of a table; ids are within it."""
        return table.take(ids, axis=0, out=out, mode="clip")

    def by_distance(self, table: Array, none: int, length: int) -> Array:
        """View (rows, keys, queries) of a table's columns; ``none`` is the column of distance query - key = 0."""
        row, column = table.strides
        strides = row, -column, column
        return as_strided(table[:, none:], (len(table), length, length), strides, writeable=False)


class Panelled(Processor):
    """numpy, and kernels of OpenBLAS for products."""

    step = 4
    layout = "panels"

    def __init__(self, functions: panels.Panels) -> None:
        self._panels = functions

    def arrange(self, weights: Array) -> None:
        self._panels.arrange(weights)

    def project(self, weights: Array, bias: Array, x: Array, out: Array, scratch: Array) -> None:
        out[: len(bias)] = bias
        out[len(bias) :] = 0
        self._panels.add_product(weights, x, out, scratch)

    def project_onto(self, weights: Array, bias: Array, x: Array, out: Array, scratch: Array) -> None:
        np.add(out, bias, out=out)
        self._panels.add_product(weights, x, out, scratch)


class Gpu(Processor):
    """A GPU, given the module of its arrays."""

    step = WIDTH  # one width for nearly all chunks: its BLAS chooses kernels by the width

    def __init__(self, xp: Any, name: str) -> None:
        self.xp = xp
        self.name = name

    def block(self, elements: int) -> int:
        return 1 << 62

    def zeros(self, size: int) -> Array:
        return self.xp.zeros(size, np.float32)

    def put(self, array: Array) -> Array:
        return self.xp.asarray(array)

    def get(self, array: Array) -> Array:
        return self.xp.asnumpy(array)

    def rows(self, table: Array, ids: Array, out: Array = None) -> Array:
        return self.xp.take(table, ids, axis=0, out=out)

    def by_distance(self, table: Array, none: int, length: int) -> Array:
        places = np.arange(length)
        return self.xp.take(table, self.put(none + places - places[:, None]), axis=1)


def _processor() -> Processor:
    functions = panels.found()
    return Processor() if functions is None else Panelled(functions)


PROCESSOR = _processor()


def aligned(size: int) -> Array:
    """Zeroed float32 buffer on a cache line; pages cost memory only once they are touched."""
    room = np.zeros(size * 4 + ALIGNMENT, np.uint8)
    start = -room.ctypes.data % ALIGNMENT
    return room[start : start + size * 4].view(np.float32)


def found() -> Gpu:
    """The first GPU; an error says what is missing."""
    import cupy

    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    cupy.zeros(1, np.float32).get()  # the library and the driver may not fit together
    return Gpu(cupy, f"cupy {cupy.__version__} on {name}")
