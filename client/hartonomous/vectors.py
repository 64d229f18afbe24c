"""Vectors and points in PostgreSQL's binary format, as numpy arrays."""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray
from psycopg import Connection
from psycopg.adapt import Dumper, Loader
from psycopg.pq import Format
from psycopg.types import TypeInfo
from psycopg.types.array import ListBinaryDumper

from hartonomous.errors import VectorInvalid

Vector = NDArray[np.float32]
VectorLike = NDArray[Any] | Sequence[float]
MatrixLike = NDArray[Any] | Sequence[Sequence[float]]
MAX_DIMENSIONS = 16000


def as_vector(value: VectorLike) -> Vector:
    """A finite one-dimensional float32 array, or VectorInvalid."""
    vector = np.asarray(value, dtype=np.float32)
    if vector.ndim != 1:
        raise VectorInvalid(f"found an array of {vector.ndim} dimensions, expected 1")
    if not 1 <= vector.size <= MAX_DIMENSIONS:
        raise VectorInvalid(f"found {vector.size} components, expected 1 to {MAX_DIMENSIONS}")
    if not np.isfinite(vector).all():
        at = int(np.flatnonzero(~np.isfinite(vector))[0])
        raise VectorInvalid(f"component {at} is {vector[at]}, expected a finite number")
    return vector


class Vectors(list[Vector]):
    """Vectors to pass as one array."""


def encode(value: VectorLike) -> bytes:
    vector = as_vector(value)
    return struct.pack(">HH", vector.size, 0) + vector.astype(">f4").tobytes()


def decode(data: bytes | memoryview) -> Vector:
    return np.frombuffer(data, dtype=">f4", offset=4).astype(np.float32)


def decode_point(data: bytes) -> NDArray[np.float64]:
    """Coordinates of a point in PostGIS's EWKB."""
    order = "<" if data[0] else ">"
    (kind,) = struct.unpack_from(order + "I", data, 1)
    if kind & 0xFF != 1:
        raise VectorInvalid(f"found a geometry of type {kind & 0xFF}, expected a point")
    skip = 9 if kind & 0x20000000 else 5
    return np.frombuffer(data, dtype=order + "f8", offset=skip).astype(np.float64)


class _VectorLoader(Loader):
    format = Format.BINARY

    def load(self, data: Any) -> Vector:
        return decode(bytes(data))


class _VectorDumper(Dumper):
    format = Format.BINARY

    def dump(self, obj: Any) -> bytes:
        return encode(obj)


def register(connection: Connection[Any], oid: int, array_oid: int) -> None:
    """Lets numpy arrays pass as values of the type vector, whose oid differs from database to database."""
    TypeInfo("vector", oid, array_oid).register(connection)
    connection.adapters.register_loader(oid, _VectorLoader)
    connection.adapters.register_dumper(Vectors, ListBinaryDumper)  # of plain lists psycopg makes text
    connection.adapters.register_dumper(np.ndarray, type("VectorDumper", (_VectorDumper,), {"oid": oid}))
