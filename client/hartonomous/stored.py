"""Files that were stored: listed and read back."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime

from hartonomous.client import Client
from hartonomous.errors import ArtifactNotFound, AtomMissing, InvalidParameter, NotPermitted
from hartonomous.progress import Progress, silent
from hartonomous.records import row_of

PART = 4 << 20
NAMED = 10  # artifacts that an error names

# an anchor names a passage; of a document and its passages under one uri, the document is meant
_FOUND = """
select artifact_id, source_uri, modality, content_length, stored_at, content_hash
from (select a.artifact_id, s.source_uri, m.name as modality, a.content_length, a.created_at as stored_at,
             a.content_hash, s.position is null as whole, bool_or(s.position is null) over () as any_whole
      from hartonomous.artifact_source as s join hartonomous.artifact as a using (tenant_id, artifact_id)
      join hartonomous.modality as m using (modality)
      where s.tenant_id = hartonomous.current_tenant() and s.source_uri = %(uri)s and a.deleted_at is null) as f
where f.whole or not f.any_whole
order by f.stored_at desc, f.artifact_id
"""
_BY_ID = """
select a.artifact_id, null as source_uri, m.name as modality, a.content_length, a.created_at as stored_at,
       a.content_hash
from hartonomous.artifact as a join hartonomous.modality as m using (modality)
where a.tenant_id in (0, hartonomous.current_tenant()) and a.artifact_id = %(artifact_id)s and a.deleted_at is null
"""
_LISTED = """
select a.artifact_id, s.source_uri, m.name as modality, a.content_length, a.created_at as stored_at
from hartonomous.artifact as a join hartonomous.artifact_source as s using (tenant_id, artifact_id)
join hartonomous.modality as m using (modality)
where a.tenant_id = hartonomous.current_tenant() and a.deleted_at is null and s.position is null
  and (%(prefix)s::text is null or s.source_uri ^@ %(prefix)s)
order by a.created_at desc, a.artifact_id, s.source_uri limit %(k)s
"""


@dataclass(frozen=True)
class StoredFile:
    artifact_id: int
    source_uri: str | None
    modality: str
    content_length: int
    stored_at: datetime
    content_hash: bytes | None = None


def listed(client: Client, uri_prefix: str | None = None, k: int = 100) -> list[StoredFile]:
    """The live artifacts that are no passages, by each source uri, the last stored first."""
    return client.query(_LISTED, {"prefix": uri_prefix, "k": k}, row_of(StoredFile)).fetchall()


def find(client: Client, name: str) -> StoredFile:
    """The live artifact of an id, or of a source uri that has one."""
    id = int(name) if name.removeprefix("-").isdecimal() and len(name) <= 20 else None
    if id is not None and -(2**63) <= id < 2**63:
        found = client.query(_BY_ID, {"artifact_id": id}, row_of(StoredFile)).fetchall()
    else:
        found = client.query(_FOUND, {"uri": name}, row_of(StoredFile)).fetchall()
    if not found:
        raise ArtifactNotFound(f"no artifact {name}", hint="hartonomous artifacts list shows ids and source uris")
    if len(found) > 1:
        lines = [
            f"{one.artifact_id}, {one.modality}, {one.content_length:,} bytes, {one.stored_at}" for one in found[:NAMED]
        ]
        raise InvalidParameter(
            f"{name} is the source uri of {len(found)} live artifacts, expected one",
            detail="; ".join([*lines, *(["and more"] if len(found) > NAMED else [])]),
            hint="give the id of one; hartonomous artifacts delete ID takes those away that are not wanted",
        )
    return found[0]


def read(client: Client, file: StoredFile, progress: Progress = silent) -> Iterator[bytes]:
    """The bytes of an artifact, part by part; AtomMissing at the end unless they have its SHA-256."""
    digest, at = hashlib.sha256(), 0
    while at < file.content_length:
        data = client.content_slice(file.artifact_id, at, PART)
        if not data:
            raise NotPermitted(f"no bytes come of artifact {file.artifact_id} from {at} on", hint="a policy masks it")
        digest.update(data)
        at += len(data)
        yield data
        progress(at, file.content_length)
    if digest.digest() != file.content_hash:
        raise AtomMissing(
            f"the bytes of artifact {file.artifact_id} do not have its SHA-256",
            hint="a policy masks them, or they are damaged: hartonomous.atom_verify tells which",
        )
