"""Rows that the server returns."""

from __future__ import annotations

import builtins
from collections.abc import Callable
from dataclasses import dataclass, fields
from datetime import datetime, timedelta
from typing import Any, TypeVar

T = TypeVar("T")


def row_of(cls: type[T]) -> Callable[[Any], Callable[[Any], T]]:
    """A psycopg row factory; columns that a newer server adds are passed over."""

    def factory(cursor: Any) -> Callable[[Any], T]:
        columns = [column.name for column in cursor.description or ()]
        places = [columns.index(field.name) for field in fields(cls) if field.name in columns]  # type: ignore[arg-type]
        names = [columns[place] for place in places]
        return lambda values: cls(**{name: values[place] for name, place in zip(names, places, strict=True)})

    return factory


@dataclass(frozen=True)
class SearchResult:
    artifact_id: int
    score: float | None
    source_uri: str | None
    snippet: str | None
    verdict: str


@dataclass(frozen=True)
class LineageNode:
    depth: int
    node_type: str
    node_id: int
    relation: str | None
    via: int | None
    detail: dict[str, Any] | None


@dataclass(frozen=True)
class Occurrence:
    """An artifact at one of the places where it was found."""

    artifact_id: int
    modality: str
    subtype: str | None
    source_uri: str | None
    metadata: dict[str, Any] | None
    content_hash: bytes
    canonical_text: str | None
    semantics: dict[str, Any] | None = None


@dataclass(frozen=True)
class MetadataIndex:
    field: str
    built: bool
    bytes: int
    created_at: datetime


@dataclass(frozen=True)
class MetadataSchema:
    modality: str
    schema: dict[str, Any] | bool
    updated_at: datetime


@dataclass(frozen=True)
class Place:
    x: int
    y: int


@dataclass(frozen=True)
class Range:
    """Bytes of an upload; length None: all that follow."""

    start: int
    length: int | None


@dataclass(frozen=True)
class Shape:
    kind: str
    ordinal: int
    geom: bytes
    properties: dict[str, Any]


@dataclass(frozen=True)
class Overlap:
    a_kind: str
    a_ordinal: int
    b_kind: str
    b_ordinal: int
    distance: float


@dataclass(frozen=True)
class Pixel:
    x: int
    y: int
    channels: list[float]
    geom: bytes


@dataclass(frozen=True)
class Sample:
    channel: int
    at_time: float
    amplitude: float
    geom: bytes


@dataclass(frozen=True)
class Reading:
    series: str
    at_time: float
    value: float
    geom: bytes


@dataclass(frozen=True)
class Line:
    line: int
    body: str
    geom: bytes


@dataclass(frozen=True)
class ApiKey:
    key_id: int
    label: str
    scopes: list[str]
    created_at: datetime
    expires_at: datetime | None
    last_used_at: datetime | None
    revoked_at: datetime | None


@dataclass(frozen=True)
class AuditEntry:
    audit_id: int
    at: datetime
    tenant_id: int | None
    operation: str
    result: str
    sqlstate: str | None
    role_name: str | None
    session_name: str | None
    key_id: int | None
    client_addr: Any
    backend_pid: int | None
    application_name: str | None
    detail: Any


@dataclass(frozen=True)
class AuditFault:
    audit_id: int | None
    seal_id: int | None
    fault: str


@dataclass(frozen=True)
class AuditHead:
    """Head of the chain of seals, and how many entries were sealed just now; keep the head elsewhere."""

    seal_id: int | None
    entries: int
    head: str | None


@dataclass(frozen=True)
class AccessPolicy:
    """tenant_id None: of all tenants; condition None: always."""

    policy_id: int
    tenant_id: int | None
    ordinal: int
    effect: str
    operation: str
    condition: Any
    label: str
    created_at: datetime


@dataclass(frozen=True)
class JwtIssuer:
    issuer: str
    audience: str
    tenant_claim: str
    scopes: list[str]
    keys: int
    updated_at: datetime


@dataclass(frozen=True)
class RateLimit:
    """Units per interval; tenant_id None is each tenant for itself."""

    rate_limit_id: int
    tenant_id: int | None
    operation: str
    per_key: bool
    units: int
    per: timedelta
    burst: int
    created_at: datetime


@dataclass(frozen=True)
class SecretInfo:
    name: str
    key_version: int
    created_at: datetime
    updated_at: datetime


@dataclass(frozen=True)
class ModelInfo:
    model_id: int
    name: str
    version: str
    kind: str
    architecture: str
    status: str
    parameters: int | None
    dimensions: int | None
    max_tokens: int | None
    deployed_at: datetime | None
    created_at: datetime
    state_hash: bytes | None
    tenant_id: int
    share: float | None = None


@dataclass(frozen=True)
class TensorInfo:
    name: str
    dtype: str
    shape: list[int]
    bytes: int
    content_hash: builtins.bytes | None = None


@dataclass(frozen=True)
class TensorFootprint:
    coefficient_id: int
    layer: str
    tensor: str
    energy: float | None
    norm: float | None
    mean: float | None
    largest: float | None
    geom: builtins.bytes  # EWKB


@dataclass(frozen=True)
class PartialTensor:
    name: str
    bytes_present: int


@dataclass(frozen=True)
class ModelStorage:
    raw_bytes: int
    stored_bytes: int
    shared_bytes: int


@dataclass(frozen=True)
class Student:
    model_id: int
    raw_bytes: int
    stored_bytes: int
    quality: dict[str, Any]


@dataclass(frozen=True)
class TrainedHead:
    """A version of a head, how many rows it was fitted to, and what it gets right of rows held out."""

    model_id: int
    version: str
    rows: int
    quality: dict[str, Any]


@dataclass(frozen=True)
class Prediction:
    label: str
    probability: float


@dataclass(frozen=True)
class TextPrediction:
    """item counts from 1."""

    item: int
    label: str
    probability: float


@dataclass(frozen=True)
class EvaluationInfo:
    name: str
    kind: str
    items: int
    created_at: datetime
    tenant_id: int


@dataclass(frozen=True)
class Tenant:
    tenant_id: int
    name: str
    created_at: datetime
    roles: list[str]


@dataclass(frozen=True)
class Check:
    item: str
    ok: bool
    found: str
    expected: str
    hint: str
    required: bool = True
