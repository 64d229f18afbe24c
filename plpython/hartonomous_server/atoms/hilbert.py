"""Hilbert curve over a 2^31 x 2^31 grid, vectorised (Hilbert 1891; Wikipedia's xy2d and d2xy, all points at once)."""

from __future__ import annotations

from typing import TYPE_CHECKING

from hartonomous_server.blas import numpy

if TYPE_CHECKING:
    import numpy as np

ORDER = 31


def encode(x: np.ndarray, y: np.ndarray, order: int = ORDER) -> np.ndarray:
    """Indices (int64) of points given as integer arrays of one shape, each coordinate in 0 .. 2^order - 1."""
    np = numpy()
    x, y = x.astype(np.int64), y.astype(np.int64)
    side = np.int64((1 << order) - 1)
    h = np.zeros_like(x)
    for level in range(order - 1, -1, -1):
        rx, ry = (x >> level) & 1, (y >> level) & 1
        h |= ((3 * rx) ^ ry) << (2 * level)
        flip = (ry == 0) & (rx == 1)
        x, y = np.where(flip, side - x, x), np.where(flip, side - y, y)
        swap = ry == 0
        x, y = np.where(swap, y, x), np.where(swap, x, y)
    return h


def decode(h: np.ndarray, order: int = ORDER) -> tuple[np.ndarray, np.ndarray]:
    """Points (x, y) as int64 arrays of the indices' shape: the inverse of encode."""
    np = numpy()
    rest = h.astype(np.int64)
    x, y = np.zeros_like(rest), np.zeros_like(rest)
    for level in range(order):
        rx = (rest >> 1) & 1
        ry = (rest ^ rx) & 1
        top = np.int64((1 << level) - 1)
        flip = (ry == 0) & (rx == 1)
        x, y = np.where(flip, top - x, x), np.where(flip, top - y, y)
        swap = ry == 0
        x, y = np.where(swap, y, x), np.where(swap, x, y)
        x, y = x + (rx << level), y + (ry << level)
        rest = rest >> 2
    return x, y
