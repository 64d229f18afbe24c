"""Embeddings of artifacts: from their texts to stored vectors and provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from hartonomous_server.db import query
from hartonomous_server.inference import engine


def embed_artifacts(db: Any, tenant: int, model_id: int, artifact_ids: Sequence[int]) -> int:
    """Embeds what has no current embedding among artifacts of a tenant; returns how many were stored."""
    rows = query(db, "select artifact_id, input from hartonomous._embedding_stale($1, $2) where artifact_id = any ($3)"
                     " order by artifact_id", ("int", tenant), ("bigint", model_id), ("bigint[]", list(artifact_ids)))
    if not rows:
        return 0
    batch = engine.embed(db, model_id, [row["input"] for row in rows], role="document")
    request = batch.record(db, tenant, "embed_artifacts")
    return query(
        db, "select hartonomous._embedding_put($1, $2, $3, $4, $5, array(select hartonomous._vector(i.image)"
            " from unnest($6) with ordinality as i (image, position) order by i.position), $7) as n",
        ("int", tenant), ("bigint", model_id), ("bytea", batch.state_hash), ("bigint", request),
        ("bigint[]", [row["artifact_id"] for row in rows]),
        ("bytea[]", batch.images()), ("bytea[]", [hashlib.sha256(text.encode()).digest() for text in batch.texts]),
    )[0]["n"]
