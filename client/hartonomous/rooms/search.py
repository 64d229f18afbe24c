from __future__ import annotations

from collections.abc import Iterable, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray

from hartonomous.calls import Caller
from hartonomous.records import SearchResult
from hartonomous.records_search import (
    Duplicate,
    EmbeddingIndex,
    KeyPhrase,
    RecallAction,
    RecallAudit,
    RecallStatus,
    Suggestion,
    Synonyms,
)
from hartonomous.rooms.atoms import Json, jsonb
from hartonomous.vectors import MatrixLike, VectorLike, Vectors, as_vector, decode_point


def _real(value: float | None) -> np.float32 | None:
    return None if value is None else np.float32(value)


def _after(score: float | None, artifact_id: int | None) -> dict[str, Any]:
    return {"after_score": _real(score), "after_id": artifact_id}


class Search(Caller):
    def embedding_pending(
        self, model: str | None = None, batch: int | None = None, worker: int | None = None, workers: int | None = None
    ) -> list[int]:
        return self._value("embedding_pending", {}, model=model, batch=batch, worker=worker, workers=workers)

    def embed_artifacts(self, artifact_ids: Sequence[int], model: str | None = None) -> int:
        return self._value("embed_artifacts", {"artifact_ids": list(artifact_ids)}, model=model)

    def embedding_model_register(self, name: str, dimensions: int) -> int:
        return self._value("embedding_model_register", {"name": name, "dimensions": dimensions})

    def embedding_put_many(
        self, artifact_ids: Sequence[int], vectors: MatrixLike | Iterable[VectorLike], model: str
    ) -> int:
        given = {"artifact_ids": list(artifact_ids), "vectors": Vectors(map(as_vector, vectors)), "model": model}
        return self._value("embedding_put_many", given)

    def embedding_model_analyze(self, model: str | None = None) -> None:
        self._run("embedding_model_analyze", {}, model=model)

    def embedding_basis_refresh(self, model: str | None = None, batch: int | None = None) -> int:
        return self._value("embedding_basis_refresh", {}, model=model, batch=batch)

    def embedding_index_add(
        self,
        tenant_id: int,
        model: str,
        m: int | None = None,
        ef_construction: int | None = None,
        type: str | None = None,
    ) -> None:
        given = {"tenant_id": tenant_id, "model": model}
        self._run("embedding_index_add", given, m=m, ef_construction=ef_construction, type=type)

    def embedding_index_drop(self, tenant_id: int, model: str) -> None:
        self._run("embedding_index_drop", {"tenant_id": tenant_id, "model": model})

    def embedding_index_list(self) -> list[EmbeddingIndex]:
        return self._rows(EmbeddingIndex, "embedding_index_list", {})

    def project(self, v: VectorLike, model: str | None = None) -> NDArray[np.float64]:
        """Place of a vector: x, y, z."""
        return decode_point(self._value("project", {"v": as_vector(v)}, model=model))

    def search(
        self,
        query: str,
        k: int | None = None,
        model: str | None = None,
        filter: Json | None = None,
        as_of: datetime | None = None,
        recall: float | None = None,
        after_score: float | None = None,
        after_id: int | None = None,
    ) -> list[SearchResult]:
        """after_score and after_id: of the last row of the page before."""
        options = {"k": k, "model": model, "filter": jsonb(filter), "as_of": as_of, "recall": _real(recall)}
        return self._rows(SearchResult, "search", {"query": query}, **options, **_after(after_score, after_id))

    def search_vector(
        self,
        query: VectorLike,
        k: int | None = None,
        model: str | None = None,
        filter: Json | None = None,
        as_of: datetime | None = None,
        recall: float | None = None,
        snippets: bool | None = None,
        after_score: float | None = None,
        after_id: int | None = None,
    ) -> list[SearchResult]:
        """after_score and after_id: of the last row of the page before."""
        options = {"k": k, "model": model, "filter": jsonb(filter), "as_of": as_of, "recall": _real(recall)}
        given = {"query": as_vector(query)}
        return self._rows(
            SearchResult, "search_vector", given, snippets=snippets, **options, **_after(after_score, after_id)
        )

    def search_spatial(
        self,
        query: VectorLike,
        center: str | bytes,
        radius: float,
        k: int | None = None,
        model: str | None = None,
        filter: Json | None = None,
        as_of: datetime | None = None,
        recall: float | None = None,
    ) -> list[SearchResult]:
        """center: WKT, EWKB or its hexadecimal form."""
        given = {"query": as_vector(query), "center": center, "radius": float(radius)}
        options = {"k": k, "model": model, "filter": jsonb(filter), "as_of": as_of, "recall": _real(recall)}
        return self._rows(SearchResult, "search_spatial", given, **options)

    def search_ensemble(
        self,
        query: str,
        models: Sequence[str],
        weights: Sequence[float] | None = None,
        k: int | None = None,
        filter: Json | None = None,
        as_of: datetime | None = None,
        recall: float | None = None,
        after_score: float | None = None,
        after_id: int | None = None,
    ) -> list[SearchResult]:
        """after_score and after_id: of the last row of the page before."""
        given = {"query": query, "models": list(models)}
        options = {"k": k, "filter": jsonb(filter), "as_of": as_of, "recall": _real(recall)}
        parts = None if weights is None else list(map(float, weights))
        after = _after(after_score, after_id)
        return self._rows(SearchResult, "search_ensemble", given, weights=parts, **options, **after)

    def search_keyword(
        self,
        query: str,
        k: int | None = None,
        model: str | None = None,
        filter: Json | None = None,
        as_of: datetime | None = None,
        recall: float | None = None,
        after_score: float | None = None,
        after_id: int | None = None,
    ) -> list[SearchResult]:
        """after_score and after_id: of the last row of the page before."""
        options = {"k": k, "model": model, "filter": jsonb(filter), "as_of": as_of, "recall": _real(recall)}
        return self._rows(SearchResult, "search_keyword", {"query": query}, **options, **_after(after_score, after_id))

    def search_hybrid(
        self,
        query: str,
        region: str | bytes | None = None,
        weights: Json | None = None,
        k: int | None = None,
        model: str | None = None,
        filter: Json | None = None,
        as_of: datetime | None = None,
        recall: float | None = None,
        after_score: float | None = None,
        after_id: int | None = None,
    ) -> list[SearchResult]:
        """region: WKT, EWKB or its hexadecimal form. after_score and after_id: of the last row of the page before."""
        options = {"k": k, "model": model, "filter": jsonb(filter), "as_of": as_of, "recall": _real(recall)}
        given = {"region": region, "weights": jsonb(weights)}
        after = _after(after_score, after_id)
        return self._rows(SearchResult, "search_hybrid", {"query": query}, **given, **options, **after)

    def search_suggest(self, prefix: str, k: int | None = None) -> list[Suggestion]:
        return self._rows(Suggestion, "search_suggest", {"prefix": prefix}, k=k)

    def related(
        self,
        artifact_id: int,
        k: int | None = None,
        model: str | None = None,
        filter: Json | None = None,
        as_of: datetime | None = None,
        recall: float | None = None,
    ) -> list[SearchResult]:
        options = {"k": k, "model": model, "filter": jsonb(filter), "as_of": as_of, "recall": _real(recall)}
        return self._rows(SearchResult, "related", {"artifact_id": artifact_id}, **options)

    def key_phrases(self, artifact_id: int, k: int | None = None) -> list[KeyPhrase]:
        return self._rows(KeyPhrase, "key_phrases", {"artifact_id": artifact_id}, k=k)

    def duplicates(self, threshold: float | None = None, model: str | None = None) -> list[Duplicate]:
        return self._rows(Duplicate, "duplicates", {}, threshold=_real(threshold), model=model)

    def synonym_put(self, term: str, synonyms: Sequence[str] | None = None) -> None:
        self._run("synonym_put", {"term": term}, synonyms=None if synonyms is None else list(synonyms))

    def synonym_drop(self, term: str) -> None:
        self._run("synonym_drop", {"term": term})

    def synonym_list(self) -> list[Synonyms]:
        return self._rows(Synonyms, "synonym_list", {})

    def search_explain(
        self,
        query: VectorLike,
        k: int | None = None,
        model: str | None = None,
        filter: Json | None = None,
        as_of: datetime | None = None,
        recall: float | None = None,
    ) -> dict[str, Any]:
        given = {"k": k, "model": model, "filter": jsonb(filter), "as_of": as_of, "recall": _real(recall)}
        return self._value("search_explain", {"query": as_vector(query)}, **given)

    def recall_audit(self, model: str | None = None, sample: int | None = None) -> list[RecallAudit]:
        return self._rows(RecallAudit, "recall_audit", {}, model=model, sample=sample)

    def recall_status(self) -> list[RecallStatus]:
        return self._rows(RecallStatus, "recall_status", {})

    def recall_watch(self) -> list[RecallAction]:
        return self._rows(RecallAction, "recall_watch", {})
