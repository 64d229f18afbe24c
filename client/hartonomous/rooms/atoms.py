from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import timedelta
from typing import Any

from psycopg.types.json import Jsonb

from hartonomous.calls import Caller
from hartonomous.errors import InvalidParameter
from hartonomous.records import Occurrence, Place, Range
from hartonomous.records_atoms import (
    AtomFault,
    AtomIdentity,
    AtomPart,
    DeletedArtifact,
    NearAtom,
    PathStep,
    SpatialSummary,
)

Json = Mapping[str, Any]


def jsonb(value: Json | None) -> Jsonb | None:
    return None if value is None else Jsonb(value)


def octets(content: bytes) -> bytes:
    """Content as it is; a str would be sent as text, of which the server takes \\x and other escapes for bytes."""
    if isinstance(content, str):
        raise InvalidParameter("content is a str, expected bytes", hint="give it to ingest_text, or give text.encode()")
    return content


class Atoms(Caller):
    def ingest(
        self,
        content: bytes,
        modality: str | None = None,
        subtype: str | None = None,
        source_uri: str | None = None,
        canonical_text: str | None = None,
        metadata: Json | None = None,
    ) -> int:
        return self._value(
            "ingest",
            {"content": octets(content)},
            modality=modality,
            subtype=subtype,
            source_uri=source_uri,
            canonical_text=canonical_text,
            metadata=jsonb(metadata),
        )

    def ingest_text(
        self, content: str, source_uri: str | None = None, metadata: Json | None = None, modality: str | None = None
    ) -> int:
        return self._value(
            "ingest_text", {"content": content}, source_uri=source_uri, metadata=jsonb(metadata), modality=modality
        )

    def ingest_many(
        self,
        contents: Sequence[bytes],
        modality: str,
        source_uris: Sequence[str | None] | None = None,
        metadata: Sequence[Json | None] | None = None,
        subtype: str | None = None,
        canonical_texts: Sequence[str | None] | None = None,
    ) -> list[int]:
        return self._value(
            "ingest_many",
            {"contents": list(map(octets, contents)), "modality": modality},
            source_uris=None if source_uris is None else list(source_uris),
            metadata=None if metadata is None else [jsonb(item) for item in metadata],
            subtype=subtype,
            canonical_texts=None if canonical_texts is None else list(canonical_texts),
        )

    def ingest_document(
        self, source_uri: str, content: str, format: str | None = None, metadata: Json | None = None
    ) -> int:
        return self._value(
            "ingest_document", {"source_uri": source_uri, "content": content}, format=format, metadata=jsonb(metadata)
        )

    def ingest_begin(self, modality: str, source_uri: str | None = None, metadata: Json | None = None) -> int:
        return self._value("ingest_begin", {"modality": modality}, source_uri=source_uri, metadata=jsonb(metadata))

    def ingest_part(self, upload_id: int, start: int, data: bytes) -> None:
        self._run("ingest_part", {"upload_id": upload_id, "start": start, "data": octets(data)})

    def ingest_missing(self, upload_id: int, size: int | None = None) -> list[Range]:
        return self._rows(Range, "ingest_missing", {"upload_id": upload_id}, size=size)

    def ingest_commit(self, upload_id: int, sha256: bytes | None = None) -> int:
        return self._value("ingest_commit", {"upload_id": upload_id}, sha256=sha256)

    def ingest_abort(self, upload_id: int) -> None:
        self._run("ingest_abort", {"upload_id": upload_id})

    def upload_expire(self, idle: timedelta | None = None) -> int:
        return self._value("upload_expire", {}, idle=idle)

    def content(self, artifact_id: int) -> bytes:
        return self._value("content", {"artifact_id": artifact_id})

    def content_slice(self, artifact_id: int, start: int, length: int) -> bytes:
        return self._value("content_slice", {"artifact_id": artifact_id, "start": start, "length": length})

    def artifact_show(self, artifact_ids: Sequence[int]) -> list[Occurrence]:
        return self._rows(Occurrence, "artifact_show", {"artifact_ids": list(artifact_ids)})

    def artifact_deleted(self, source_uri_prefix: str | None = None, k: int | None = None) -> list[DeletedArtifact]:
        return self._rows(DeletedArtifact, "artifact_deleted", {}, source_uri_prefix=source_uri_prefix, k=k)

    def artifact_delete(self, artifact_id: int) -> None:
        self._run("artifact_delete", {"artifact_id": artifact_id})

    def artifact_restore(self, artifact_id: int) -> None:
        self._run("artifact_restore", {"artifact_id": artifact_id})

    def artifact_purge(self, artifact_id: int) -> None:
        self._run("artifact_purge", {"artifact_id": artifact_id})

    def atom_explode(self, artifact_id: int) -> int:
        return self._value("atom_explode", {"artifact_id": artifact_id})

    def atom_collect_garbage(self, batch: int | None = None) -> int:
        return self._value("atom_collect_garbage", {}, batch=batch)

    def atom_verify(self, batch: int | None = None) -> list[AtomFault]:
        return self._rows(AtomFault, "atom_verify", {}, batch=batch)

    def hilbert_encode(self, x: int, y: int) -> int:
        return self._value("hilbert_encode", {"x": x, "y": y})

    def hilbert_decode(self, h: int) -> tuple[int, int]:
        place = self._row(Place, "hilbert_decode", {"h": h})
        return place.x, place.y

    def atom_identity(self, content: bytes, modality: str | None = None, tenant_id: int | None = None) -> AtomIdentity:
        return self._row(AtomIdentity, "atom_identity", {"content": content}, modality=modality, tenant_id=tenant_id)

    def atom_nearest(self, place: str, k: int | None = None, modality: str | None = None) -> list[NearAtom]:
        """place: a point as text, such as POINT(1 2)."""
        return self._rows(NearAtom, "atom_nearest", {"place": place}, k=k, modality=modality)

    def atom_parts(self, artifact_id: int, from_byte: int | None = None, to_byte: int | None = None) -> list[AtomPart]:
        return self._rows(AtomPart, "atom_parts", {"artifact_id": artifact_id}, from_byte=from_byte, to_byte=to_byte)

    def atom_path(
        self,
        from_artifact: int,
        to_artifact: int,
        max_hops: int | None = None,
        edges: str | None = None,
        neighbours: int | None = None,
    ) -> list[PathStep]:
        ends = {"from_artifact": from_artifact, "to_artifact": to_artifact}
        return self._rows(PathStep, "atom_path", ends, max_hops=max_hops, edges=edges, neighbours=neighbours)

    def spatial_summary(self) -> list[SpatialSummary]:
        return self._rows(SpatialSummary, "spatial_summary", {})

    def spatial_summary_refresh(self) -> None:
        self._run("spatial_summary_refresh", {})
