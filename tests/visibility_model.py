"""A model of who may see what, in plain Python: it is told what succeeded and says what each caller must be answered.

How a document is split is none of its business: it is told the occurrences, and knows their fate from then on.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple


class Place(NamedTuple):
    """The document of an occurrence and the position there; the document itself has none, other content neither."""

    document: str | None = None
    position: int | None = None


@dataclass
class Artifact:
    artifact_id: int
    content: bytes
    text: str | None
    places: dict[str, Place] = field(default_factory=dict)
    deleted: int | None = None  # the event that deleted it


class Removed(NamedTuple):
    """An occurrence that an event took away."""

    event: int
    artifact_id: int
    uri: str
    place: Place


@dataclass
class Tenant:
    tenant_id: int
    roles: set[str] = field(default_factory=set)
    keys: dict[str, tuple[str, ...]] = field(default_factory=dict)  # and their scopes
    dead_keys: list[str] = field(default_factory=list)
    model_id: int = 0  # what embeds for it: its own model, or the public one
    artifacts: dict[int, Artifact] = field(default_factory=dict)
    removed: list[Removed] = field(default_factory=list)
    embedded: set[tuple[int, int]] = field(default_factory=set)  # artifact, model
    events: int = 0

    def live(self) -> list[Artifact]:
        return [artifact for artifact in self.artifacts.values() if artifact.deleted is None]

    def holds(self, content: bytes) -> Artifact | None:
        return next((artifact for artifact in self.live() if artifact.content == content), None)

    def ingested(self, artifact_id: int, content: bytes, text: str | None, uri: str | None) -> bool:
        """False when the id is not the one that the content must have."""
        fits = self._stored(artifact_id, content, text)
        at = uri or f"urn:sha256:{hashlib.sha256(content).hexdigest()}"
        self.artifacts[artifact_id].places.setdefault(at, Place())
        return fits

    def document_ingested(self, uri: str, found: Sequence[tuple[int, str, int | None, bytes, str | None]]) -> bool:
        """found: artifact, uri, position, content and text of each occurrence that the document now has."""
        fits = [self._stored(artifact_id, content, text) for artifact_id, _, _, content, text in found]
        for artifact_id, at, position, _, _ in found:
            self.artifacts[artifact_id].places[at] = Place(uri, position)
        self.events += 1
        self._retire(uri, {(artifact_id, at) for artifact_id, at, _, _, _ in found})
        return all(fits)

    def _stored(self, artifact_id: int, content: bytes, text: str | None) -> bool:
        held = self.holds(content)
        fits = held.artifact_id == artifact_id if held else artifact_id not in self.artifacts
        artifact = self.artifacts.setdefault(artifact_id, Artifact(artifact_id, content, text))
        artifact.text = artifact.text or text
        return fits

    def _retire(self, document: str, kept: Iterable[tuple[int, str]] = ()) -> None:
        """An event takes a document's occurrences away, and with their last one those artifacts."""
        gone = set()
        for artifact in self.artifacts.values():
            for at, place in list(artifact.places.items()):
                if place.document == document and (artifact.artifact_id, at) not in kept:
                    self.removed.append(Removed(self.events, artifact.artifact_id, at, artifact.places.pop(at)))
                    gone.add(artifact.artifact_id)
        for artifact in self.live():
            if artifact.artifact_id in gone and not artifact.places:
                artifact.deleted = self.events

    def delete(self, artifact_id: int) -> None:
        self.events += 1
        artifact = self.artifacts[artifact_id]
        artifact.deleted = self.events
        for document in {p.document for p in artifact.places.values() if p.document and p.position is None}:
            self._retire(document)

    def restore(self, artifact_id: int) -> bool:
        """False, and nothing has changed, when its content came again meanwhile, or a newer version of its document."""
        mine = self.artifacts[artifact_id]
        event = mine.deleted
        if event is None:
            return True
        of_event = [row for row in self.removed if row.event == event]
        documents = {
            row.place.document for row in of_event
            if row.artifact_id == artifact_id and row.place.document and row.place.position is None
        }  # fmt: skip
        now = (place for other in self.live() if other.content != mine.content for place in other.places.values())
        if self.holds(mine.content) or any(p.document in documents and p.position is None for p in now):
            return False
        back = [row for row in of_event if row.artifact_id == artifact_id or row.place.document in documents]
        self.removed = [row for row in self.removed if row not in back]
        stands = {artifact_id}
        for row in back:  # what came again has the occurrence now
            gone = self.artifacts[row.artifact_id]
            holder = self.holds(gone.content) or gone
            if row.uri not in holder.places:
                holder.places[row.uri] = row.place
                stands.add(holder.artifact_id)
        for artifact in self.artifacts.values():
            if artifact.artifact_id in stands and artifact.deleted is not None and artifact.deleted >= event:
                artifact.deleted = None
        return True

    def own_embeddings(self, model_id: int) -> set[int]:
        """Live artifacts with an embedding by a model."""
        return {a.artifact_id for a in self.live() if (a.artifact_id, model_id) in self.embedded}
