"""Large files in parts: an upload that was interrupted goes on where it was, and no more than a part is in memory."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Sequence
from pathlib import Path

from hartonomous.client import Client
from hartonomous.errors import ContentMalformed, UploadIncomplete
from hartonomous.progress import Progress, silent
from hartonomous.records import Range
from hartonomous.rooms.atoms import Json

PART = 8 << 20


def ingest(
    client: Client,
    path: str | Path,
    modality: str = "binary",
    source_uri: str | None = None,
    metadata: Json | None = None,
    progress: Progress = silent,
) -> int:
    """Artifact id of a file that is sent in parts, each a transaction of its own.

    The same call after an interruption sends what is missing; parts of a file that has changed since are given up.
    """
    uri = Path(path).resolve().as_uri() if source_uri is None else source_uri
    upload_id = client.ingest_begin(modality, uri, metadata)
    try:
        return client.ingest_commit(upload_id, _send(client, upload_id, path, progress))
    except UploadIncomplete:  # of an earlier state of the file, or longer than it is now
        client.ingest_abort(upload_id)
    except ContentMalformed:
        client.ingest_abort(upload_id)
        raise
    upload_id = client.ingest_begin(modality, uri, metadata)
    return client.ingest_commit(upload_id, _send(client, upload_id, path, progress))


def _send(client: Client, upload_id: int, path: str | Path, progress: Progress) -> bytes:
    """Puts what the server lacks; returns the file's SHA-256."""
    digest, start = hashlib.sha256(), 0
    with open(path, "rb") as file:
        size = os.fstat(file.fileno()).st_size
        missing = client.ingest_missing(upload_id, size)
        while data := file.read(PART):
            digest.update(data)
            for low, high in _inside(missing, start, start + len(data)):
                client.ingest_part(upload_id, low, data[low - start : high - start])
            start += len(data)
            progress(start, size)
    return digest.digest()


def _inside(ranges: Sequence[Range], start: int, end: int) -> list[tuple[int, int]]:
    """The pieces of start to end that lie in ranges."""
    pieces = [(max(start, r.start), min(end, r.start + (r.length or 0))) for r in ranges]
    return [(low, high) for low, high in pieces if low < high]
