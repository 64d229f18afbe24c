"""Pairs of embeddings that are nearly the same, by comparing each with each."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from hartonomous_server import errors
from hartonomous_server.blas import numpy
from hartonomous_server.db import interrupts

if TYPE_CHECKING:
    import numpy as np

ROWS_A_FETCH = 2000
BLOCK = 1024  # rows by rows, four bytes each, is what a block of similarities takes
MOST_PAIRS = 1_000_000


def near(db: Any, tenant: int, model_id: int, threshold: float) -> list[tuple[int, int, float]]:
    """(a, b, similarity), a < b, of live artifacts of a tenant whose embeddings have at least that cosine."""
    ids, vectors = read(db, tenant, model_id)
    cancel = interrupts(db)
    found: list[tuple[int, int, float]] = []
    for a, b, similarity in pairs(vectors, threshold, cancel):
        found += zip(ids[a].tolist(), ids[b].tolist(), similarity.tolist(), strict=True)
        if len(found) > MOST_PAIRS:
            raise errors.InvalidParameter(f"more than {MOST_PAIRS} pairs are as near as {threshold:g}",
                                          hint="give a higher threshold to hartonomous.duplicates")  # fmt: skip
    return found


def read(db: Any, tenant: int, model_id: int) -> tuple[np.ndarray, np.ndarray]:
    """Ids in ascending order (rows), unit vectors (rows, dimensions)."""
    np = numpy()
    plan = db.prepare("select artifact_id, image from hartonomous._embedding_images($1, $2)", ["int", "bigint"])
    cursor = db.cursor(plan, [tenant, model_id])
    ids, parts = [], []
    while rows := cursor.fetch(ROWS_A_FETCH):
        ids += [row["artifact_id"] for row in rows]
        images = b"".join([row["image"][4:] for row in rows])
        parts.append(np.frombuffer(images, ">f4").reshape(len(rows), -1).astype(np.float32))
    cursor.close()
    vectors = np.concatenate(parts) if parts else np.empty((0, 1), np.float32)
    vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
    return np.array(ids, np.int64), vectors


def pairs(vectors: np.ndarray, threshold: float, cancel: Any) -> Any:
    """Places of two rows, the first before the second, and their similarity, block by block."""
    np = numpy()
    slack = 1e-6  # of products of single precision
    for first in range(0, len(vectors), BLOCK):
        for second in range(first, len(vectors), BLOCK):
            cancel()
            similarity = vectors[first : first + BLOCK] @ vectors[second : second + BLOCK].T
            if first == second:
                similarity[np.tril_indices(len(similarity))] = -2
            a, b = np.nonzero(similarity >= threshold - slack)
            yield a + first, b + second, np.minimum(similarity[a, b], 1)
