"""Heads: fitting them to stored embeddings, and labels of texts."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hartonomous_server import blas, errors
from hartonomous_server.db import interrupts, query
from hartonomous_server.inference import engine
from hartonomous_server.models import loading

if TYPE_CHECKING:
    import numpy as np

    from hartonomous_server.evaluation.linear import Head

MOST_ROWS = 500_000
MOST_LABELS = 1000
ROWS_A_FETCH = 1000
WEIGHT, BIAS = "classifier.weight", "classifier.bias"


def train(db: Any, tenant: int, model_id: int, method: str, penalty: float | None, start: int | None) -> str:
    """Fits a head to its training rows and stores it; returns its quality as JSON."""
    from hartonomous_server.evaluation import linear

    x, given = training_rows(db, tenant, model_id)
    linear.checked(given)
    labels = sorted(set(given))
    if len(labels) > MOST_LABELS:
        raise errors.InvalidParameter(f"rows have {len(labels)} different labels, expected at most {MOST_LABELS}")
    place = {label: at for at, label in enumerate(labels)}
    y = blas.numpy().array([place[label] for label in given])
    before = None if start is None else _widened(db, start, labels)
    head, chosen, quality = linear.train(x, y, len(labels), method, penalty, before, interrupts(db))
    _store(db, tenant, model_id, head)
    base = query(db, "select b.name, b.version, b.state_hash from hartonomous.model as m"
                     " join hartonomous.model as b on b.model_id = m.base_model_id where m.model_id = $1",
                 ("bigint", model_id))[0]  # fmt: skip
    measured = {name: _number(value) for name, value in quality._asdict().items()}
    config = {
        "labels": labels, "method": method, "penalty": penalty, "rows": len(y), "quality": measured,
        "fitted_penalty": chosen, "base": f"{base['name']}@{base['version']}", "base_state": base["state_hash"].hex(),
    }  # fmt: skip
    query(db, "select hartonomous._head_configure($1, $2, $3)",
          ("bigint", model_id), ("jsonb", json.dumps(config)), ("int", len(labels)))  # fmt: skip
    loading.seal(db, model_id)
    return json.dumps({**measured, "penalty": chosen, "labels": len(labels)})


def training_rows(db: Any, tenant: int, model_id: int) -> tuple[np.ndarray, list[str]]:
    """Embeddings (rows, dimensions) by the base model, and labels."""
    np = blas.numpy()
    sql = "select count(*) as n from hartonomous.training_row where tenant_id = $1 and model_id = $2"
    count = query(db, sql, ("int", tenant), ("bigint", model_id))[0]["n"]
    if count > MOST_ROWS:
        raise errors.InvalidParameter(f"{count} rows to train on, expected at most {MOST_ROWS}")
    plan = db.prepare("select image, label from hartonomous._training_vectors($1, $2)", ["int", "bigint"])
    cursor = db.cursor(plan, [tenant, model_id])
    parts, labels = [], []
    while rows := cursor.fetch(ROWS_A_FETCH):
        data = b"".join([row["image"][4:] for row in rows])
        parts.append(np.frombuffer(data, ">f4").reshape(len(rows), -1).astype(np.float32))
        labels += [row["label"] for row in rows]
    cursor.close()
    return np.concatenate(parts) if parts else np.empty((0, 1), np.float32), labels


def predict(db: Any, tenant: int, model_id: int, texts: Sequence[str]) -> Any:
    """Rows (item, label, probability) of every label of each text; recorded as a request of the head."""
    labels, batch = log_probabilities(db, model_id, texts)
    batch = batch._replace(vectors=blas.numpy().exp(batch.vectors).astype("<f4"))
    batch.record(db, tenant, "predict")
    for item, row in enumerate(batch.vectors.tolist(), 1):
        for label, probability in zip(labels, row, strict=True):
            yield item, label, probability


def log_probabilities(db: Any, model_id: int, texts: Sequence[str]) -> tuple[list[str], engine.Batch]:
    """Labels, and the batch of texts of which the vectors are logarithms of their probabilities."""
    sql = "select config, base_model_id, state_hash from hartonomous.model where model_id = $1"
    row = query(db, sql, ("bigint", model_id))[0]
    batch = engine.embed(db, row["base_model_id"], texts, role="document")
    log_p = _load(db, model_id).log_probabilities(batch.vectors)
    found = batch._replace(model_id=model_id, state_hash=row["state_hash"], vectors=log_p)
    return json.loads(row["config"])["labels"], found


def _load(db: Any, model_id: int) -> Head:
    from hartonomous_server.evaluation.linear import Head

    tensors = loading.tensors(db, model_id)
    return Head(tensors[WEIGHT], tensors[BIAS])


def _widened(db: Any, model_id: int, labels: list[str]) -> Head:
    """A head to begin at, with rows of zeros for labels that it does not know."""
    np = blas.numpy()
    head = _load(db, model_id)
    sql = "select config from hartonomous.model where model_id = $1"
    known = json.loads(query(db, sql, ("bigint", model_id))[0]["config"])["labels"]
    weight, bias = np.zeros((len(labels), head.weight.shape[1]), np.float32), np.zeros(len(labels), np.float32)
    for at, label in enumerate(known):
        if label in labels:
            weight[labels.index(label)], bias[labels.index(label)] = head.weight[at], head.bias[at]
    return type(head)(weight, bias)


def _store(db: Any, tenant: int, model_id: int, head: Head) -> None:
    for name, array in ((WEIGHT, head.weight), (BIAS, head.bias)):
        query(
            db, "select hartonomous._tensor_store($1, $2, $3, 'F32', $4, 0, $5)", ("int", tenant),
            ("bigint", model_id), ("text", name), ("int[]", list(array.shape)),
            ("bytea", array.astype("<f4").tobytes()),
        )  # fmt: skip


def _number(value: float) -> float | None:
    return value if value == value else None
