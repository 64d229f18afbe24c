"""Rows that functions about search return, beside what it finds."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime


@dataclass(frozen=True)
class EmbeddingIndex:
    tenant_id: int
    model: str
    type: str
    bytes: int
    options: list[str] | None


@dataclass(frozen=True)
class RecallAudit:
    path: str
    filter_class: str
    recall: float
    lower_bound: float
    p50_ms: float


@dataclass(frozen=True)
class RecallStatus:
    model: str
    filter_class: str | None
    queries: int
    asked: float | None
    recall: float | None
    lower_bound: float | None
    exact: bool | None
    newer: float | None
    analyzed_at: datetime


@dataclass(frozen=True)
class RecallAction:
    tenant_id: int
    model: str
    filter_class: str | None
    action: str
    reason: str
    recall_before: float | None
    recall_after: float | None


@dataclass(frozen=True)
class Synonyms:
    """What else a term, as stemmed words, stands for; nothing: it is passed over."""

    term: str
    synonyms: list[str]
    created_at: datetime


@dataclass(frozen=True)
class Suggestion:
    suggestion: str
    score: float


@dataclass(frozen=True)
class KeyPhrase:
    phrase: str
    score: float


@dataclass(frozen=True)
class Duplicate:
    """Two artifacts, a < b; similarity None when masked."""

    a: int
    b: int
    similarity: float | None
