from __future__ import annotations

from collections.abc import Mapping
from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb

from hartonomous.calls import Caller
from hartonomous.records import MetadataSchema


class Metadata(Caller):
    def metadata_schema_put(self, modality: str, schema: Mapping[str, Any] | bool) -> None:
        self._run("metadata_schema_put", {"modality": modality, "schema": Jsonb(schema)})

    def metadata_schema_drop(self, modality: str) -> None:
        self._run("metadata_schema_drop", {"modality": modality})

    def metadata_schema_list(self) -> list[MetadataSchema]:
        return self._rows(MetadataSchema, "metadata_schema_list", {})

    def ingestion_log_error(self, source_uri: str | None, error: str, duration: timedelta | None = None) -> None:
        self._run("ingestion_log_error", {"source_uri": source_uri, "error": error}, duration=duration)
