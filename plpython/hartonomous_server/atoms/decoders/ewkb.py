"""Geometries as EWKB, many at a time, little-endian, without SRID."""

from __future__ import annotations

import struct
from typing import Any

from hartonomous_server.blas import numpy

POINT, LINE, POLYGON, MULTIPOINT = 1, 2, 3, 4
Z, M = 0x80000000, 0x40000000


def boxes(corners: Any) -> list[bytes]:
    """A POLYGON for each of corners (n, 4): x0, y0, x1, y1."""
    np = numpy()
    corners = np.asarray(corners, "<f8").reshape(-1, 4)
    rings = corners[:, [0, 1, 2, 1, 2, 3, 0, 3, 0, 1]]
    head = struct.pack("<BIII", 1, POLYGON, 1, 5)
    return [head + ring.tobytes() for ring in rings]


def line(points: Any, flags: int = 0) -> bytes:
    """A LINESTRING of points (n, 2 .. 4), n at least 2; flags: Z, M."""
    points = numpy().ascontiguousarray(points, "<f8")
    return struct.pack("<BII", 1, LINE | flags, len(points)) + points.tobytes()


def point(x: float, y: float) -> bytes:
    return struct.pack("<BIdd", 1, POINT, x, y)


def multipoint(points: Any, flags: int = 0) -> bytes:
    """A MULTIPOINT of points (n, 2 .. 4); flags: Z, M."""
    np = numpy()
    points = np.asarray(points, "<f8")
    rows = np.empty(len(points), [("order", "u1"), ("type", "<u4"), ("xyzm", "<f8", points.shape[1])])
    rows["order"], rows["type"], rows["xyzm"] = 1, POINT | flags, points
    return struct.pack("<BII", 1, MULTIPOINT | flags, len(points)) + rows.tobytes()
