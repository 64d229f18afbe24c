"""Hilbert curve over a 2^31 x 2^31 grid (Hilbert 1891): all points at once, four levels by one look in a table."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING

from hartonomous_server.blas import numpy

if TYPE_CHECKING:
    import numpy as np

ORDER = 31
LEVELS = 4  # of one step: a table has 4 orientations x 256 entries


def encode(x: np.ndarray, y: np.ndarray, order: int = ORDER) -> np.ndarray:
    """Indices (int64) of points given as integer arrays of one shape, each coordinate in 0 .. 2^order - 1."""
    np = numpy()
    x, y = x.astype(np.int64), y.astype(np.int64)
    steps, found = _start(order)
    h = np.zeros_like(x)
    for shift in range(LEVELS * (steps - 1), -1, -LEVELS):
        found = _tables()[0][(found & ~255) | ((x >> shift & 15) << 4) | (y >> shift & 15)]
        h = h << 8 | (found & 255)
    return h


def decode(h: np.ndarray, order: int = ORDER) -> tuple[np.ndarray, np.ndarray]:
    """Points (x, y) as int64 arrays of the indices' shape: the inverse of encode."""
    np = numpy()
    h = h.astype(np.int64)
    steps, found = _start(order)
    x, y = np.zeros_like(h), np.zeros_like(h)
    for shift in range(2 * LEVELS * (steps - 1), -1, -2 * LEVELS):
        found = _tables()[1][(found & ~255) | (h >> shift & 255)]
        x, y = x << 4 | (found >> 4 & 15), y << 4 | (found & 15)
    return x, y


def _start(order: int) -> tuple[int, int]:
    """Steps, and the orientation before the first: it has levels above the grid, each of which swaps x and y."""
    steps = -(-order // LEVELS)
    return steps, (LEVELS * steps - order) % 2 << 8


@cache
def _tables() -> tuple[np.ndarray, np.ndarray]:
    """The index of a point in one step, and back; above 8 bits the orientation of the next (1: swapped, 2: flipped)."""
    np = numpy()
    orientation, x, y = np.indices((4, 16, 16)).reshape(3, -1)
    swapped, flipped, index = orientation & 1, orientation >> 1, np.zeros_like(x)
    for level in range(LEVELS - 1, -1, -1):
        one, other = x >> level & 1, y >> level & 1
        rx, ry = flipped ^ np.where(swapped, other, one), flipped ^ np.where(swapped, one, other)
        index = index << 2 | (3 * rx) ^ ry
        swapped, flipped = swapped ^ 1 ^ ry, flipped ^ (rx & (1 ^ ry))
    onward = (2 * flipped + swapped) << 8
    back = np.empty_like(index)
    back[orientation << 8 | index] = onward | x << 4 | y
    return onward | index, back
