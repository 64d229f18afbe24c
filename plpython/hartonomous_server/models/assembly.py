"""A tensor as the sum of its parts: tiles of bytes and low-rank parts, each with a coefficient.

Every machine computes the same bytes. Float32 pairs are added one by one, elementwise; int16 pairs are multiplied by a
matrix product, which is exact in float64 because all of its sums are integers below 2**53, and rounded once.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Sequence
from typing import TYPE_CHECKING, Any, NamedTuple

from hartonomous_server import dtypes, errors
from hartonomous_server.blas import numpy

if TYPE_CHECKING:
    import numpy as np

ROWS_A_STEP = 2048  # bounds the memory of float64 sums


class Part(NamedTuple):
    """A tile at byte ``start``, or with ``rank`` > 0 so many pairs of vectors."""

    start: int
    data: bytes
    coefficient: float
    rank: int


def grid(shape: Sequence[int]) -> tuple[int, int]:
    """Rows and columns that low-rank parts have; of what is no matrix, every element is a row."""
    return (shape[0], shape[1]) if len(shape) == 2 else (math.prod(shape), 1)


def assemble(
    dtype: str, shape: Sequence[int], parts: Iterable[Part], rows: slice, check: Callable[[], Any] = lambda: None
) -> bytes:
    """Bytes of some rows of a tensor."""
    np = numpy()
    if dtype not in dtypes.FLOATS:
        raise errors.TensorMismatch(f"a tensor of {dtype} cannot be scaled or added to")
    height, width = grid(shape)
    start, stop, _ = rows.indices(height)
    total = np.zeros((stop - start, width), np.float32)
    pairs = [part for part in parts if _place_tile(part, dtype, total.reshape(-1), start * width)]
    factors = _joined([(part.coefficient, *_pairs(part, height, width, start, stop)) for part in pairs])
    for at in range(0, stop - start, ROWS_A_STEP):
        step = slice(at, at + ROWS_A_STEP)
        exact = np.zeros(total[step].shape)
        for coefficient, u, v in factors:
            check()
            if u.dtype != np.float32:
                exact += np.float64(coefficient) * (u[:, step].astype(np.float64).T @ v.astype(np.float64))
        total[step] += exact.astype(np.float32)
        for coefficient, u, v in factors:
            if u.dtype == np.float32:
                _add_pairs(total[step], np.float32(coefficient), u[:, step], v)
    return dtypes.from_float32(total, dtype)


def _place_tile(part: Part, dtype: str, total: np.ndarray, first: int) -> bool:
    """Puts the elements of a tile where they belong; whether the part is none."""
    if part.rank:
        return True
    values = dtypes.to_float32(part.data, dtype, (-1,))
    at = part.start // dtypes.byte_length(dtype, ()) - first
    lower, upper = max(at, 0), min(at + len(values), len(total))
    if lower < upper:
        scale = numpy().float32(part.coefficient)
        total[lower:upper] = values[lower - at : upper - at] * scale if scale != 1 else values[lower - at : upper - at]
    return False


def _pairs(part: Part, height: int, width: int, start: int, stop: int) -> tuple[np.ndarray, np.ndarray]:
    """u (rank, rows) and v (rank, columns) of a low-rank part."""
    np = numpy()
    size = len(part.data) // (part.rank * (height + width))
    if size not in (2, 4) or size * part.rank * (height + width) != len(part.data):
        raise errors.TensorMismatch(f"{len(part.data)} bytes are no {part.rank} pairs of {height} and {width} elements")
    both = np.frombuffer(part.data, "<f4" if size == 4 else "<i2").reshape(part.rank, height + width)
    return both[:, start:stop], both[:, height:]


def _joined(factors: list[tuple[float, Any, Any]]) -> list[tuple[float, Any, Any]]:
    """Exact parts of one coefficient as one part: larger products, and exactness makes them equal."""
    np = numpy()
    exact: dict[float, list[tuple[Any, Any]]] = {}
    for coefficient, u, v in factors:
        if u.dtype != np.float32:
            exact.setdefault(coefficient, []).append((u, v))
    merged = [(c, *(np.concatenate(both) for both in zip(*pairs, strict=True))) for c, pairs in exact.items()]
    return merged + [factor for factor in factors if factor[1].dtype == np.float32]


def _add_pairs(total: np.ndarray, coefficient: Any, u: np.ndarray, v: np.ndarray) -> None:
    np = numpy()
    with np.errstate(over="ignore", invalid="ignore"):  # the caller looks at what comes out
        for i in range(len(u)):
            total += coefficient * np.multiply.outer(u[i], v[i])
