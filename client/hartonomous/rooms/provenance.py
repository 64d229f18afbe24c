from __future__ import annotations

from datetime import datetime

from hartonomous.calls import Caller
from hartonomous.records import LineageNode


class Provenance(Caller):
    def lineage(
        self, artifact_id: int, max_depth: int | None = None, as_of: datetime | None = None
    ) -> list[LineageNode]:
        return self._rows(LineageNode, "lineage", {"artifact_id": artifact_id}, max_depth=max_depth, as_of=as_of)

    def impact(
        self, artifact_id: int, max_depth: int | None = None, as_of: datetime | None = None
    ) -> list[LineageNode]:
        return self._rows(LineageNode, "impact", {"artifact_id": artifact_id}, max_depth=max_depth, as_of=as_of)
