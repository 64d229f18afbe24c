"""Truncated singular value decomposition of a matrix, as pairs of int16 vectors."""

from __future__ import annotations

from typing import NamedTuple

from hartonomous_server import blas

blas.numpy()
import numpy as np  # noqa: E402

Array = np.ndarray

LARGEST = 2**15 - 1
RIDGE = 1e-4  # of the mean variance, added to all: directions in which nothing was seen count a little


class Pairs(NamedTuple):
    """coefficient x u^T v, with a power of two as coefficient."""

    u: Array  # (rank, rows) int16
    v: Array  # (rank, columns) int16
    coefficient: float

    def matrix(self) -> Array:
        return self.coefficient * (self.u.astype(np.float64).T @ self.v.astype(np.float64))


def rank(matrix: Array, energy: float) -> int:
    """The least rank whose best approximation keeps a share of the sum of squares."""
    squares = np.linalg.eigvalsh(_gram(matrix))[::-1]
    kept = np.cumsum(np.maximum(squares, 0))
    return min(int(np.searchsorted(kept, energy * kept[-1])) + 1, len(kept)) if energy < 1 else len(kept)


def truncate(matrix: Array, count: int, spread: Array | None = None) -> tuple[Array, Array]:
    """Factors (count, rows) and (count, columns) whose product is nearest to a matrix.

    spread: covariance of what it is applied to; nearest then means that the outputs are, rather than the elements.
    """
    seen = matrix
    if spread is not None:
        variances, directions = np.linalg.eigh(spread)
        variances = np.maximum(variances, 0)  # rounding makes some negative
        seen = matrix @ (directions * np.sqrt(variances + RIDGE * variances.mean() + 1e-30))
    if spread is not None or matrix.shape[0] <= matrix.shape[1]:
        left = np.linalg.eigh(seen @ seen.T)[1][:, ::-1][:, :count].T  # (count, rows)
        return left, left @ matrix
    right = np.linalg.eigh(matrix.T @ matrix)[1][:, ::-1][:, :count].T  # (count, columns)
    return (matrix @ right.T).T, right


def quantized(u: Array, v: Array) -> Pairs:
    """Factors in int16, the length of each pair shared evenly between its two."""
    sizes = np.sqrt(np.linalg.norm(v, axis=1) / np.maximum(np.linalg.norm(u, axis=1), 1e-300))[:, None]
    u, v = u * sizes, v / np.maximum(sizes, 1e-300)
    scales = [2.0 ** np.ceil(np.log2(max(np.abs(part).max(), 1e-30) / LARGEST)) for part in (u, v)]
    u, v = (np.rint(part / scale).astype("<i2") for part, scale in zip((u, v), scales, strict=True))
    return Pairs(u, v, float(scales[0] * scales[1]))


def _gram(matrix: Array) -> Array:
    return matrix @ matrix.T if matrix.shape[0] <= matrix.shape[1] else matrix.T @ matrix
