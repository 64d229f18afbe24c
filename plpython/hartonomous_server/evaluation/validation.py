"""Two models on one evaluation set."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hartonomous_server import blas, errors
from hartonomous_server.db import interrupts, query
from hartonomous_server.evaluation import comparison, heads, perplexity
from hartonomous_server.inference import engine

if TYPE_CHECKING:
    import numpy as np

VECTORS_A_FETCH = 2000


def compare(
    db: Any, tenant: int, models: Sequence[int], evaluation: tuple[int, str, str], k: int, resamples: int, seed: int
) -> str:
    """The result of model_validate, as JSON; evaluation is (tenant, name, kind)."""
    owner, name, kind = evaluation
    sql = "select input, expected from hartonomous.evaluation_item where tenant_id = $1 and name = $2 order by ordinal"
    items = [(row["input"], row["expected"]) for row in query(db, sql, ("int", owner), ("text", name))]
    result: dict[str, Any] = {"evaluation": name, "kind": kind, "resamples": resamples, "seed": seed}
    sql = "select name, version, state_hash from hartonomous.model where model_id = $1"
    for side, model_id in zip("ab", models, strict=True):
        row = query(db, sql, ("bigint", model_id))[0]
        result[side] = {"model": f"{row['name']}@{row['version']}", "state_hash": row["state_hash"].hex()}
    if kind == "classification":
        texts, labels = zip(*items, strict=True)
        found = [_classification(db, model_id, texts, labels) for model_id in models]
        count = len(texts)
    elif kind == "text":
        found = [perplexity.measure(db, model_id, [text for text, _ in items]) for model_id in models]
        count = len(items)
    else:
        found, count, artifacts = _retrieval(db, tenant, models, items, k)
        result |= {"k": k, "artifacts": artifacts}
    result |= {"items": count, "metrics": comparison.compare(found[0], found[1], resamples, seed, interrupts(db))}
    return json.dumps(result)


def _classification(
    db: Any, model_id: int, texts: Sequence[str], labels: Sequence[str]
) -> dict[str, comparison.Metric]:
    known, batch = heads.log_probabilities(db, model_id, texts)
    place = {label: at for at, label in enumerate(known)}
    expected = blas.numpy().array([place.get(label, -1) for label in labels])
    return comparison.classification(batch.vectors, expected)


def _retrieval(
    db: Any, tenant: int, models: Sequence[int], items: Sequence[tuple[str, str]], k: int
) -> tuple[list[dict[str, comparison.Metric]], int, int]:
    wanted: dict[str, list[str]] = {}
    for question, uri in items:
        wanted.setdefault(question, [])
        if uri not in wanted[question]:
            wanted[question].append(uri)
    uris = {uri for _, uri in items}
    places = _places(db, tenant, sorted(uris))
    unknown = sorted(uris.difference(*places.values()))
    if unknown:
        raise errors.InvalidParameter(
            f"evaluation set expects {len(unknown)} of {len(uris)} sources that no artifact has, such as {unknown[0]}",
            hint="compare its uris with source_uri and document_uri of hartonomous.artifact_source, and store it anew",
        )
    found = []
    for model_id, other in (models, models[::-1]):
        ranked, artifacts = _nearest(db, tenant, (model_id, other), list(wanted), k)
        if not artifacts:
            raise errors.InvalidParameter(
                "no artifact has embeddings by the present weights of both models",
                hint="hartonomous.embed_artifacts(ids, model) stores them",
            )
        sources = [
            [next((at for at, uri in enumerate(uris) if uri in places.get(artifact, ())), -1) for artifact in row]
            for row, uris in zip(ranked, wanted.values(), strict=True)
        ]
        found.append(comparison.retrieval(sources, [len(uris) for uris in wanted.values()], k))
    return found, len(wanted), artifacts


def _places(db: Any, tenant: int, uris: Sequence[str]) -> dict[int, set[str]]:
    """Which of the uris each artifact stands at, as a passage or in a document."""
    rows = query(
        db,
        "select s.artifact_id, u.uri from hartonomous.artifact_source as s"
        " join hartonomous.artifact as a on a.tenant_id = s.tenant_id and a.artifact_id = s.artifact_id"
        " join unnest($2) as u (uri) on u.uri in (s.source_uri, s.document_uri)"
        " where s.tenant_id in (0, $1) and a.deleted_at is null",
        ("int", tenant), ("text[]", list(uris)),
    )  # fmt: skip
    found: dict[int, set[str]] = {}
    for row in rows:
        found.setdefault(row["artifact_id"], set()).add(row["uri"])
    return found


def _nearest(
    db: Any, tenant: int, models: tuple[int, int], questions: Sequence[str], k: int
) -> tuple[list[list[int]], int]:
    """The k artifacts nearest to each question by the first model, among those that both have, and how many."""
    np = blas.numpy()
    check = interrupts(db)
    asked = _unit(engine.embed(db, models[0], questions, role="query").vectors)
    scores = np.full((len(questions), k), -np.inf, np.float32)
    nearest = np.full((len(questions), k), -1, np.int64)
    sql = "select artifact_id, image from hartonomous._vectors_of_both($1, $2, $3)"
    plan = db.prepare(sql, ["int", "bigint", "bigint"])
    cursor = db.cursor(plan, [tenant, *models])
    count = 0
    while rows := cursor.fetch(VECTORS_A_FETCH):
        check()
        count += len(rows)
        data = b"".join([row["image"][4:] for row in rows])
        vectors = _unit(np.frombuffer(data, ">f4").reshape(len(rows), -1).astype(np.float32))
        ids = np.array([row["artifact_id"] for row in rows])
        all_scores = np.concatenate([scores, asked @ vectors.T], axis=1)
        all_ids = np.concatenate([nearest, np.broadcast_to(ids, (len(questions), len(ids)))], axis=1)
        best = np.argsort(-all_scores, axis=1, kind="stable")[:, :k]
        scores, nearest = np.take_along_axis(all_scores, best, 1), np.take_along_axis(all_ids, best, 1)
    cursor.close()
    return [[int(artifact) for artifact in row if artifact >= 0] for row in nearest], count


def _unit(vectors: np.ndarray) -> np.ndarray:
    np = blas.numpy()
    return vectors / np.maximum(np.sqrt(np.sum(vectors * vectors, axis=1, keepdims=True)), np.float32(1e-12))
