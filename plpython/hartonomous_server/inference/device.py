"""Where the network's arrays lie and are computed: with numpy, or on a GPU with CuPy, whose functions are numpy's.

The network calls the functions of ``xp`` and nothing else on its arrays; what goes in and comes out passes ``put`` and
``get``. CuPy is no part of the installation: it is used where the server's Python has it and the setting asks for it.
"""

from __future__ import annotations

from typing import Any

from hartonomous_server import blas
from hartonomous_server.inference.batching import STEP, WIDTH
from hartonomous_server.inference.packing import aligned

blas.numpy()
import numpy as np  # noqa: E402
from numpy.lib.stride_tricks import as_strided  # noqa: E402

Array = Any


class Processor:
    """numpy, in blocks that stay in the processor's caches."""

    xp: Any = np
    name = ""  # of what computes; the processor goes by its BLAS
    step = STEP

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


PROCESSOR = Processor()


def found() -> Gpu:
    """The first GPU; an error says what is missing."""
    import cupy

    name = cupy.cuda.runtime.getDeviceProperties(0)["name"].decode()
    cupy.zeros(1, np.float32).get()  # the library and the driver may not fit together
    return Gpu(cupy, f"cupy {cupy.__version__} on {name}")
