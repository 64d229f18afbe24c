from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb

from hartonomous.calls import Caller
from hartonomous.records import MetadataIndex, MetadataSchema


class Metadata(Caller):
    def metadata_schema_put(self, modality: str, schema: Mapping[str, Any] | bool) -> None:
        self._run("metadata_schema_put", {"modality": modality, "schema": Jsonb(schema)})

    def metadata_schema_drop(self, modality: str) -> None:
        self._run("metadata_schema_drop", {"modality": modality})

    def metadata_schema_list(self) -> list[MetadataSchema]:
        return self._rows(MetadataSchema, "metadata_schema_list", {})

    def ingestion_log_error(self, source_uri: str | None, error: str, duration: timedelta | None = None) -> None:
        self._run("ingestion_log_error", {"source_uri": source_uri, "error": error}, duration=duration)

    def metadata_index_add(self, field: str) -> None:
        self._run("metadata_index_add", {"field": field})

    def metadata_index_drop(self, field: str) -> None:
        self._run("metadata_index_drop", {"field": field})

    def metadata_index_list(self) -> list[MetadataIndex]:
        return self._rows(MetadataIndex, "metadata_index_list", {})

    def semantics_pending(
        self, batch: int | None = None, worker: int | None = None, workers: int | None = None
    ) -> list[int]:
        return self._value("semantics_pending", {}, batch=batch, worker=worker, workers=workers)

    def semantics_extract(self, artifact_ids: Sequence[int]) -> int:
        return self._value("semantics_extract", {"artifact_ids": list(artifact_ids)})
