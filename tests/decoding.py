"""Decoders called without a server."""

from __future__ import annotations

from typing import Any

import numpy as np
from hartonomous_server.atoms.decoders.source import Found, Gate, Source


def decode(decoder: Any, content: bytes, patience: float = 60.0) -> Found:
    source, found = Source(len(content), lambda start, end: content[start:end]), Found()
    decoder.decode(source, found, Gate(source, lambda: None, patience))
    return found


def line(geom: bytes, dimensions: int) -> np.ndarray:
    """Points of a LINESTRING in EWKB."""
    return np.frombuffer(geom[9:], "<f8").reshape(-1, dimensions)


def box(geom: bytes) -> tuple[float, ...]:
    """x0, y0, x1, y1 of a POLYGON in EWKB that is one."""
    ring = np.frombuffer(geom[13:], "<f8").reshape(5, 2)
    return (*ring.min(0).tolist(), *ring.max(0).tolist())
