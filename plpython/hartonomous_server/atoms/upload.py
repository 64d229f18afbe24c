"""Uploads: parts become one content, read twice in order and by pieces, so that memory does not grow with the parts."""

from __future__ import annotations

from collections.abc import Sequence
from itertools import accumulate, pairwise
from operator import sub
from typing import Any

from hartonomous_server import errors
from hartonomous_server.atoms import content, ingest, tree
from hartonomous_server.db import query


def commit(db: Any, tenant: int, modality: int, upload: int, uri: str | None, metadata: str | None,
           sha256: bytes | None) -> int:
    """Artifact id of the content that the parts of an upload make, which follow each other."""
    root = _tree(db, modality, upload)
    if sha256 is not None and root.digest != sha256:
        raise errors.UploadIncomplete(
            f"the parts have the SHA-256 {root.digest.hex()}, expected {sha256.hex()}",
            hint="the source changed meanwhile: give the upload up with hartonomous.ingest_abort and begin anew",
        )

    def fetch(sources: Sequence[int], starts: Sequence[int], ends: Sequence[int]) -> list[content.Piece]:
        rows = query(db, "select hartonomous._upload_pieces($1, $2, $3) as data",
                     ("bigint", upload), ("bigint[]", starts), ("bigint[]", ends))
        view, stops = memoryview(rows[0]["data"]), [0, *accumulate(map(sub, ends, starts))]
        return [view[low:high] for low, high in pairwise(stops)]

    return ingest.ingest_tree(db, tenant, modality, root, uri, metadata, fetch)


def _tree(db: Any, modality: int, upload: int) -> tree.Node:
    builder, at = tree.Builder(modality), 0
    sql = "select data from hartonomous.upload_part where upload_id = $1 and start = $2"
    while rows := query(db, sql, ("bigint", upload), ("bigint", at)):
        builder.feed(rows[0]["data"])
        at += len(rows[0]["data"])
    return builder.finish()
