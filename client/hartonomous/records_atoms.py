"""Rows about atoms, their places, and what was deleted."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class DeletedArtifact:
    """content_length None: masked."""

    artifact_id: int
    modality: str
    subtype: str | None
    source_uri: str | None
    content_length: int | None
    deleted_at: datetime


@dataclass(frozen=True)
class AtomFault:
    h_xy: int
    h_yz: int
    h_zm: int
    fault: str


@dataclass(frozen=True)
class AtomIdentity:
    h_xy: int
    h_yz: int
    h_zm: int
    content_hash: bytes
    x: int
    y: int
    z: int
    m: int


@dataclass(frozen=True)
class NearAtom:
    """A leaf, how far it is in the plane of x and y, and the artifact of which it is the whole."""

    h_xy: int
    h_yz: int
    h_zm: int
    distance: float
    value: bytes
    artifact_id: int | None


@dataclass(frozen=True)
class AtomPart:
    """An atom at some bytes of an artifact; place as EWKB."""

    start: int
    length: int
    h_xy: int
    h_yz: int
    h_zm: int
    place: bytes


@dataclass(frozen=True)
class PathStep:
    """An artifact on the way, after step edges that are cost long together; None when masked."""

    step: int
    artifact_id: int
    cost: float | None


@dataclass(frozen=True)
class SpatialSummary:
    """Atoms of a modality, the tenant's or public ones; bbox as hexadecimal EWKB."""

    modality: str
    public: bool
    bbox: str | None
    atom_count: int
    total_refs: int | None
    avg_complexity: float
    refreshed_at: datetime
