"""Structured deterministic identity: an atom's place follows from its modality, its bytes and, if private, its tenant.

x, y: two top bits carry the modality (so the top four bits of h_xy are the modality), 29 bits locality (see locality).
z, m: 31 bits each of SHA-256 of the content, mixed with the tenant unless the tenant is 0 (public, portable).
Where other content lies there already, z and m are those of the next probe that is free.
"""

from __future__ import annotations

import hashlib
import struct
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from hartonomous_server.atoms import hilbert, locality
from hartonomous_server.blas import numpy

if TYPE_CHECKING:
    import numpy as np

PROBES = 16  # places of one content
COLLECTION_ZM, POINT_ZM = 7 | 0xC0000000, 1 | 0xC0000000  # EWKB type codes with Z and M flags


@dataclass
class Identities:
    """Places of n atoms: hashes (n of 32 bytes), xyzm (n, 4) int64, h (n, 3) int64 = h_xy, h_yz, h_zm."""

    hashes: list[bytes]
    xyzm: np.ndarray
    h: np.ndarray


def identify(contents: Sequence[bytes], modality: int, tenant: int) -> Identities:
    """Identities of contents of one modality (0 .. 15) for a tenant."""
    hashes = [hashlib.sha256(content).digest() for content in contents]
    xyzm = Space(tenant, modality).places(b"".join(hashes), locality.features(contents, modality))
    return Identities(hashes, xyzm, keys_of(xyzm))


@dataclass
class Space:
    """Where contents of one modality of a tenant lie. probes: of those that do not lie at their first place."""

    tenant: int
    modality: int
    probes: dict[bytes, int] = field(default_factory=dict)

    def places(self, hashes: bytes, features: bytes) -> np.ndarray:
        """Places (n, 4) of contents: their SHA-256 and features, each in a row."""
        np = numpy()
        if self.tenant or self.probes:
            each = (hashes[at : at + 32] for at in range(0, len(hashes), 32))
            hashes = b"".join(mixed(self.tenant, one, self.probes.get(one, 0)) for one in each)
        zone = np.array(hilbert.decode(np.array([self.modality]), order=2)).T << locality.FEATURE_BITS
        digest = np.frombuffer(hashes, ">u4").reshape(-1, 8)[:, :2].astype(np.int64)
        return np.hstack([zone | np.frombuffer(features, "<u4").reshape(-1, 2).astype(np.int64), digest >> 1])


def mixed(tenant: int, digest: bytes, probe: int) -> bytes:
    """What decides z and m."""
    if probe:
        return hashlib.sha256(struct.pack(">iB", tenant, probe) + digest).digest()
    return hashlib.sha256(struct.pack(">i", tenant) + digest).digest() if tenant else digest


def keys_of(xyzm: np.ndarray) -> np.ndarray:
    """Hilbert keys (n, 3) of places (n, 4)."""
    return hilbert.encode(xyzm[:, :3], xyzm[:, 1:])


def as_arguments(keys: np.ndarray | Sequence[tuple[int, int, int]]) -> list[tuple[str, list[int]]]:
    """Keys (n, 3) as three arguments of a query."""
    return [("bigint[]", column) for column in numpy().asarray(keys, "i8").reshape(-1, 3).T.tolist()]


def _point_type() -> np.dtype:
    np = numpy()
    return np.dtype([("order", "u1"), ("type", "<u4"), ("xyzm", "<f8", 4)])


def to_ewkb(places: np.ndarray) -> bytes:
    """GEOMETRYCOLLECTION ZM of the points places (n, 4), in order, as EWKB."""
    return struct.pack("<BII", 1, COLLECTION_ZM, len(places)) + _points(places).tobytes()


def to_ewkb_each(places: np.ndarray) -> list[bytes]:
    """A GEOMETRYCOLLECTION ZM of one point for each of places (n, 4)."""
    head, points = struct.pack("<BII", 1, COLLECTION_ZM, 1), _points(places)
    data, size = points.tobytes(), points.itemsize
    return [head + data[at : at + size] for at in range(0, len(data), size)]


def _points(places: np.ndarray) -> np.ndarray:
    np = numpy()
    points = np.empty(len(places), _point_type())
    points["order"], points["type"], points["xyzm"] = 1, POINT_ZM, places
    return points


def children(images: Sequence[bytes]) -> list[tuple[int, int, int]]:
    """Keys of the atoms that composites name, whose geometries are given in EWKB."""
    columns = keys_of(numpy().concatenate([from_ewkb(image) for image in images])).T.tolist()
    return list(zip(*columns, strict=True))


def from_ewkb(image: bytes) -> np.ndarray:
    """Places (n, 4) int64 of the points of a GEOMETRYCOLLECTION ZM in EWKB."""
    np = numpy()
    return np.frombuffer(image, _point_type(), offset=9)["xyzm"].astype(np.int64)
