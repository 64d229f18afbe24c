from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np
from numpy.typing import NDArray

from hartonomous.calls import Caller
from hartonomous.records import SearchResult
from hartonomous.rooms.atoms import Json, jsonb
from hartonomous.vectors import VectorLike, as_vector, decode_point


def _real(value: float | None) -> np.float32 | None:
    return None if value is None else np.float32(value)


class Search(Caller):
    def embedding_pending(
        self, model: str | None = None, batch: int | None = None, worker: int | None = None, workers: int | None = None
    ) -> list[int]:
        return self._value("embedding_pending", {}, model=model, batch=batch, worker=worker, workers=workers)

    def embed_artifacts(self, artifact_ids: Sequence[int], model: str | None = None) -> int:
        return self._value("embed_artifacts", {"artifact_ids": list(artifact_ids)}, model=model)

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
    ) -> list[SearchResult]:
        return self._rows(
            SearchResult,
            "search",
            {"query": query},
            k=k,
            model=model,
            filter=jsonb(filter),
            as_of=as_of,
            recall=_real(recall),
        )

    def search_vector(
        self,
        query: VectorLike,
        k: int | None = None,
        model: str | None = None,
        filter: Json | None = None,
        as_of: datetime | None = None,
        recall: float | None = None,
    ) -> list[SearchResult]:
        return self._rows(
            SearchResult,
            "search_vector",
            {"query": as_vector(query)},
            k=k,
            model=model,
            filter=jsonb(filter),
            as_of=as_of,
            recall=_real(recall),
        )
