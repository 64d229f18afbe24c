"""Embeddings of artifacts: from their texts to stored vectors, places and provenance."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hartonomous_server.blas import numpy
from hartonomous_server.db import query
from hartonomous_server.inference import engine

if TYPE_CHECKING:
    import numpy as np


def embed_artifacts(db: Any, tenant: int, model_id: int, artifact_ids: Sequence[int]) -> int:
    """Embeds what has no current embedding among artifacts of a tenant; returns how many were stored."""
    rows = query(db, "select artifact_id, input from hartonomous._embedding_stale($1, $2) where artifact_id = any ($3)"
                     " order by artifact_id", ("int", tenant), ("bigint", model_id), ("bigint[]", list(artifact_ids)))
    if not rows:
        return 0
    batch = engine.embed(db, model_id, [row["input"] for row in rows], role="document")
    request = batch.record(db, tenant, "embed_artifacts")
    places = _places(batch.vectors, batch.state_hash)
    return query(
        db, "select hartonomous._embedding_put($1, $2, $3, $4, $5, array(select hartonomous._vector(i.image)"
            " from unnest($6) with ordinality as i (image, position) order by i.position), $7, $8, $9, $10) as n",
        ("int", tenant), ("bigint", model_id), ("bytea", batch.state_hash), ("bigint", request),
        ("bigint[]", [row["artifact_id"] for row in rows]),
        ("bytea[]", batch.images()), ("bytea[]", [hashlib.sha256(text.encode()).digest() for text in batch.texts]),
        *(("double precision[]", places[:, axis].tolist()) for axis in range(3)),
    )[0]["n"]


def project(db: Any, model_id: int, images: Sequence[bytes]) -> dict[str, list[float]]:
    """Places of vectors, each given in binary form: int16 dimensions, int16 0, float32 components, all big-endian."""
    if not images:
        return {axis: [] for axis in "xyz"}
    vectors = numpy().stack([numpy().frombuffer(image, ">f4", offset=4) for image in images])
    places = _places(vectors, engine.state_hash(db, model_id))
    return {axis: list(map(float, places[:, number])) for number, axis in enumerate("xyz")}


def _places(vectors: np.ndarray, state_hash: bytes) -> np.ndarray:
    """(texts, dimensions) -> (texts, 3). Not a matrix product: its last bits would depend on the other texts."""
    np = numpy()
    wide = vectors.astype(float)
    axes = basis(state_hash, vectors.shape[1]).T
    return np.stack([np.add.reduce(wide * axis, axis=1) for axis in axes], axis=1)


def basis(state_hash: bytes, dimensions: int) -> np.ndarray:
    """Three orthonormal directions (dimensions, 3), a function of the model's state alone.

    Distances to four landmarks place a vector in three dimensions exactly as an orthogonal projection does; these
    directions are random, so that places do not depend on the order in which artifacts were embedded.
    """
    np = numpy()
    seed = np.random.RandomState(np.frombuffer(state_hash, "<u4"))  # the legacy generator's stream never changes
    directions, triangle = np.linalg.qr(seed.standard_normal((dimensions, min(3, dimensions))))
    directions *= np.sign(np.diag(triangle))
    return np.pad(directions, ((0, 0), (0, 3 - directions.shape[1])))
