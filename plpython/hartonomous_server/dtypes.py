"""Tensor dtypes of the safetensors format as numpy sees them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hartonomous_server.blas import numpy

if TYPE_CHECKING:
    import numpy as np

# BF16 is the upper half of a float32; numpy has no name for it and holds it as its bits
NUMPY = {"F64": "<f8", "F32": "<f4", "F16": "<f2", "BF16": "<u2", "I64": "<i8", "I32": "<i4", "I16": "<i2", "I8": "i1",
         "U64": "<u8", "U32": "<u4", "U16": "<u2", "U8": "u1", "BOOL": "?", "F8_E4M3": "u1", "F8_E5M2": "u1"}
BYTES = ("F8_E4M3", "F8_E5M2")  # that are stored only
FLOATS = ("F64", "F32", "F16", "BF16")  # that can be computed with


def byte_length(dtype: str, shape: Sequence[int]) -> int:
    """Bytes of a tensor."""
    return numpy().dtype(NUMPY[dtype]).itemsize * math.prod(shape)


def to_float32(data: Any, dtype: str, shape: Sequence[int]) -> np.ndarray:
    """A tensor's bytes as a float32 array; a float32 tensor is not copied."""
    np = numpy()
    array = np.frombuffer(data, NUMPY[dtype]).reshape(shape)
    if dtype == "BF16":
        return (array.astype(np.uint32) << 16).view(np.float32)
    return array.astype(np.float32, copy=False)


def from_float32(array: np.ndarray, dtype: str) -> bytes:
    """Bytes of an array in one of FLOATS, rounded to nearest even."""
    np = numpy()
    if dtype != "BF16":
        with np.errstate(over="ignore"):
            return array.astype(NUMPY[dtype]).tobytes()
    bits = array.astype(np.float32).view(np.uint32)
    rounded = (bits + (0x7FFF + (bits >> 16 & 1))) >> 16
    return np.where(np.isnan(array), bits >> 16 | 0x40, rounded).astype("<u2").tobytes()
