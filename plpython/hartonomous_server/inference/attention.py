"""Multi-head scaled dot-product attention of arrays of SQL (Vaswani et al. 2017, section 3.2)."""

from __future__ import annotations

import math
import struct
from typing import TYPE_CHECKING, Any

from hartonomous_server import errors
from hartonomous_server.blas import numpy

if TYPE_CHECKING:
    import numpy as np

HEAD = struct.Struct(">iiI")  # of an array as sent: dimensions, whether an element is NULL, type
EXTENT = struct.Struct(">ii")  # of a dimension: length, lower bound
SCORES = 1 << 24  # attention weights held at once: 64 MiB


def of_arrays(queries: bytes, keys: bytes, values: bytes, heads: int, causal: bool) -> list[Any]:
    """Rows of attention() over arrays in PostgreSQL's binary form; one row when queries is one."""
    q, k, v = (_matrix(data, name) for data, name in ((queries, "q"), (keys, "k"), (values, "v")))
    found: Any = attention(q, k, v, heads, causal).tolist()
    return found[0] if _dimensions(queries) == 1 else found


def attention(q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int, causal: bool = False) -> np.ndarray:
    """softmax(q k^T / sqrt(d / heads)) v, head by head: q (n, d), k (m, d), v (m, e) -> (n, e) float32.

    causal: query i of n sees the first m - n + i + 1 keys, so the last query sees all.
    """
    np = numpy()
    _check(q, k, v, heads, causal)
    (n, d), m, e = q.shape, len(k), v.shape[1]
    q, k, v = (x.reshape(len(x), heads, -1).swapaxes(0, 1) for x in (q, k, v))  # (heads, rows, features of a head)
    out = np.empty((heads, n, e // heads), np.float32)
    step = max(1, SCORES // max(1, heads * m))
    for at in range(0, n, step):
        scores = q[:, at : at + step] @ k.swapaxes(1, 2) * np.float32(1 / math.sqrt(d // heads))  # (heads, step, m)
        if causal:
            unseen = np.arange(m) > np.arange(at, at + scores.shape[1])[:, None] + (m - n)
            scores[:, unseen] = -np.inf
        scores -= scores.max(axis=2, keepdims=True)
        np.exp(scores, out=scores)
        scores /= scores.sum(axis=2, keepdims=True)
        np.matmul(scores, v, out=out[:, at : at + step])
    return out.swapaxes(0, 1).reshape(n, e)


def _check(q: np.ndarray, k: np.ndarray, v: np.ndarray, heads: int, causal: bool) -> None:
    np = numpy()
    if q.shape[1] != k.shape[1]:
        raise errors.InvalidParameter(f"q has rows of {q.shape[1]} and k of {k.shape[1]}, expected the same")
    if len(k) != len(v):
        raise errors.InvalidParameter(f"there are {len(k)} keys and {len(v)} values, expected one for each")
    if heads < 1 or q.shape[1] % heads or v.shape[1] % heads:
        raise errors.InvalidParameter(
            f"{heads} heads do not divide rows of {q.shape[1]} and {v.shape[1]}", hint="each head takes an equal part"
        )
    if causal and len(q) > len(k):
        raise errors.InvalidParameter(f"there are {len(q)} queries and {len(k)} keys, expected no fewer keys")
    for name, x in (("q", q), ("k", k), ("v", v)):
        if not np.isfinite(x).all():
            raise errors.InvalidParameter(f"{name} holds a value that is not finite")


def _dimensions(data: bytes) -> int:
    return HEAD.unpack_from(data)[0]


def _matrix(data: bytes, name: str) -> np.ndarray:
    """(rows, features) of a real[] as array_send gives it; one dimension is one row."""
    np = numpy()
    dimensions, has_null, _ = HEAD.unpack_from(data)
    if dimensions not in (1, 2):
        found = "is empty" if dimensions == 0 else f"has {dimensions} dimensions"
        raise errors.InvalidParameter(f"{name} {found}, expected one row or an array of rows")
    if has_null:
        raise errors.InvalidParameter(f"{name} holds a NULL")
    extents = [EXTENT.unpack_from(data, HEAD.size + i * EXTENT.size)[0] for i in range(dimensions)]
    elements = np.frombuffer(data, [("bytes", ">i4"), ("value", ">f4")], offset=HEAD.size + dimensions * EXTENT.size)
    return elements["value"].astype(np.float32).reshape(-1, extents[-1])
