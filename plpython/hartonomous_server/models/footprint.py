"""Footprints: which rows and columns of its matrix a part of a tensor covers, and how much weight it has."""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence
from typing import Any, NamedTuple

from hartonomous_server import dtypes
from hartonomous_server.blas import numpy
from hartonomous_server.db import query

RUN = 1024
LEAST, MOST = 1e-20, 1e30

COMPUTED = (*dtypes.FLOATS, "I64", "I32", "I16", "I8", "U8", "BOOL")


class Footprint(NamedTuple):
    """box: first and last column, first and last row, the last ones excluded; numbers are None of what is no number."""

    coefficient_id: int
    box: tuple[int, int, int, int]
    norm: float | None
    mean: float | None
    largest: float | None


def of(row: Any) -> Footprint:
    """Of a row of _tensor_parts that has data. A tensor's rows are all its dimensions but the last."""
    shape, dtype = row["shape"], row["dtype"]
    columns = shape[-1] if shape else 1
    if row["rank"]:
        return Footprint(row["coefficient_id"], (0, columns, 0, shape[0]), *_pairs(row["data"], row["rank"], shape))
    size = dtypes.byte_length(dtype, ())
    first, last = row["start"] // size, (row["start"] + len(row["data"]) - 1) // size
    top, bottom = first // columns, last // columns
    left, right = (first % columns, last % columns) if top == bottom else (0, columns - 1)
    aligned = (row["start"] % size, len(row["data"]) % size) == (0, 0)
    numbers = _values(row["data"], dtype) if aligned and dtype in COMPUTED else (None, None, None)
    return Footprint(row["coefficient_id"], (left, right + 1, top, bottom + 1), *numbers)


def _values(data: bytes, dtype: str) -> tuple[float, float, float]:
    """Norm, mean and largest; runs are added up in float32, these sums in float64."""
    np = numpy()
    values = dtypes.to_float32(data, dtype, (-1,))
    whole = len(values) // RUN * RUN
    runs, rest = values[:whole].reshape(-1, RUN), values[whole:].astype(np.float64)
    with np.errstate(over="ignore", invalid="ignore"):
        square = np.vecdot(runs, runs).sum(dtype=np.float64) + rest @ rest
    if not LEAST < square < MOST:  # of numbers whose squares leave float32, or that are none
        exact = values.astype(np.float64)
        return math.sqrt(exact @ exact), float(exact.mean()), float(np.abs(exact).max())
    total = np.add.reduce(runs, axis=1).sum(dtype=np.float64) + rest.sum()
    return math.sqrt(square), float(total / len(values)), float(max(values.max(), -values.min()))


def _pairs(data: bytes, rank: int, shape: Sequence[int]) -> tuple[float, float, None]:
    """Of the sum of u v^T, which is not written out."""
    np = numpy()
    floats = len(data) == 4 * rank * sum(shape)
    both = np.frombuffer(data, "<f4" if floats else "<i2").reshape(rank, -1).astype(np.float64)
    u, v = both[:, : shape[0]], both[:, shape[0] :]
    square = float(((u @ u.T) * (v @ v.T)).sum())
    return math.sqrt(max(square, 0)), float((u.mean(axis=1) * v.mean(axis=1)).sum()), None


def put(db: Any, footprints: Iterable[Footprint]) -> None:
    """Stores footprints of parts that have none."""
    found = list(footprints)
    columns = zip(*(footprint.box for footprint in found), strict=True) if found else [()] * 4
    query(
        db, "select hartonomous._footprint_put($1, $2, $3, $4, $5, $6, $7, $8)",
        ("bigint[]", [footprint.coefficient_id for footprint in found]),
        *(("bigint[]", list(column)) for column in columns),
        *(("double precision[]", [getattr(footprint, name) for footprint in found])
          for name in ("norm", "mean", "largest")),
    )  # fmt: skip
