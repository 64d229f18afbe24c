"""Smaller models: matrices truncated to the ranks that keep their energy."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from hartonomous_server import blas, dtypes
from hartonomous_server.db import interrupts, query
from hartonomous_server.inference import engine
from hartonomous_server.models import architecture, loading

if TYPE_CHECKING:
    import numpy as np

    from hartonomous_server.evaluation.lowrank import Pairs

ATOM_BYTES = 256 * 1024
LEAST = 16  # rows and columns of a matrix worth truncating
SAMPLE = 340  # stored texts: a quarter to compare by, the others to see what matrices are applied to
NEIGHBOURS = 5


def extract(db: Any, tenant: int, parent: int, target: int, energy: float) -> str:
    """Fills the target with a truncated copy of the parent; returns what was truncated, as JSON."""
    check = interrupts(db)
    seen = _inputs(db, tenant, parent)
    names = query(db, "select name, dtype, shape, byte_length from hartonomous.model_tensor where model_id = $1"
                      " order by position, name", ("bigint", parent))  # fmt: skip
    ids = {row["name"]: _declare(db, tenant, target, row) for row in names}
    ranks, shifts, kept = [], {}, {}
    for name, dtype, shape, data in loading.stream(db, parent):
        check()
        module = name.rpartition(".")[0]
        if name.endswith(".bias") and module in seen:
            kept[name] = dtype, shape, dtypes.to_float32(data, dtype, shape)
            continue
        parts = None
        if len(shape) == 2 and min(shape) >= LEAST and dtype in dtypes.FLOATS:
            parts, shift = _truncated(dtypes.to_float32(data, dtype, shape), dtype, energy, seen.get(module))
        if parts is None:
            query(db, "select hartonomous._tensor_copy($1, $2, $3, $4)",
                  ("int", tenant), ("bigint", parent), ("bigint", target), ("text", name))  # fmt: skip
            continue
        _store(db, tenant, ids[name], parts)
        ranks.append(len(parts[0].u))
        if module in seen:
            shifts[f"{module}.bias"] = shift
    for name, (dtype, shape, bias) in kept.items():
        moved = bias + shifts[name].astype("f4") if name in shifts else bias
        query(db, "select hartonomous._tensor_store($1, $2, $3, $4, $5, 0, $6)", ("int", tenant), ("bigint", target),
              ("text", name), ("text", dtype), ("int[]", list(shape)), ("bytea", dtypes.from_float32(moved, dtype)))
    loading.seal(db, target)
    mean = sum(ranks) / len(ranks) if ranks else None
    return json.dumps({"energy": round(energy, 6), "matrices": len(ranks), "mean_rank": mean})


def _truncated(
    array: np.ndarray, dtype: str, energy: float, seen: tuple[np.ndarray, np.ndarray] | None
) -> tuple[list[Pairs] | None, Any]:
    """Low-rank parts of a matrix, and what they take off the mean of its outputs; no parts where they are no smaller.

    Rows of a table, such as word embeddings, share their mean: it is a part of its own, and energy is counted from it.
    """
    from hartonomous_server.evaluation import lowrank

    np = blas.numpy()
    matrix = array.astype(np.float64)
    rows, columns = matrix.shape
    mean = matrix.mean(axis=0) if seen is None else np.zeros(columns)
    rank = lowrank.rank(matrix - mean, energy)
    pairs = rank + (seen is None)
    if rank == min(rows, columns) or 2 * pairs * (rows + columns) >= dtypes.byte_length(dtype, matrix.shape):
        return None, None
    parts = [lowrank.quantized(*lowrank.truncate(matrix - mean, rank, None if seen is None else seen[1]))]
    if seen is None:
        parts.append(lowrank.quantized(np.ones((1, rows)), mean[None]))
        return parts, None
    return parts, (matrix - parts[0].matrix()) @ seen[0]


def _declare(db: Any, tenant: int, target: int, tensor: Mapping[str, Any]) -> int:
    return query(
        db, "select hartonomous._tensor_declare($1, $2, $3, $4, $5, $6) as id", ("int", tenant), ("bigint", target),
        ("text", tensor["name"]), ("text", tensor["dtype"]), ("int[]", tensor["shape"]),
        ("bigint", tensor["byte_length"]),
    )[0]["id"]  # fmt: skip


def _store(db: Any, tenant: int, tensor_id: int, parts: list[Pairs]) -> None:
    np = blas.numpy()
    for part in parts:
        both = np.concatenate([part.u, part.v], axis=1)
        step = max(1, ATOM_BYTES // (2 * both.shape[1]))
        for at in range(0, len(both), step):
            some = both[at : at + step]
            query(db, "select hartonomous._tensor_factors_put($1, $2, $3, $4, $5)", ("int", tenant),
                  ("bigint", tensor_id), ("real", part.coefficient), ("int", len(some)), ("bytea", some.tobytes()))


def _inputs(db: Any, tenant: int, model_id: int) -> dict[str, tuple[np.ndarray, np.ndarray]]:
    """What an encoder's matrices are applied to, over stored texts; nothing for other models and without texts."""
    texts = _sample(db, tenant)[1]
    model = engine.encoder(db, model_id) if texts else None
    if model is None:
        return {}
    from hartonomous_server.evaluation import observed

    found = observed.inputs(model.encoder, model.tokenizer.encode_batch(texts), interrupts(db))
    config = model.encoder.config
    outs = {layer.value: layer.out for layer in map(config.layer, range(config.num_hidden_layers))}
    stored = {}
    for name, dtype, shape, data in loading.stream(db, model_id):
        module, _, part = architecture.canonical(config.architecture, name).rpartition(".")
        if module in outs and part == "bias":  # the engine adds the bias of values after the attention
            out = outs[module]
            found[out] = found[out][0] + dtypes.to_float32(data, dtype, shape), found[out][1]
        stored[name.rpartition(".")[0]] = module
    return {name: found[module] for name, module in stored.items() if module in found}


def _sample(db: Any, tenant: int) -> tuple[list[str], list[str]]:
    """Texts to compare by, and others."""
    rows = query(db, "select t as text from hartonomous._text_sample($1, $2) as t", ("int", tenant), ("int", SAMPLE))
    texts = [row["text"] for row in rows]
    return texts[: len(texts) // 4], texts[len(texts) // 4 :]


def quality(db: Any, tenant: int, parent: int, student: int) -> str:
    """How close the student's embeddings of stored texts are to the parent's, as JSON."""
    np = blas.numpy()
    texts = _sample(db, tenant)[0]
    if len(texts) <= NEIGHBOURS or engine.encoder(db, parent) is None:
        return json.dumps({"texts": 0})
    both = []
    for model_id in (parent, student):
        vectors = engine.embed(db, model_id, texts).vectors
        both.append(vectors / np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), 1e-12))
    cosine = np.sum(both[0] * both[1], axis=1)
    near = [vectors @ vectors.T - 2 * np.eye(len(texts), dtype=np.float32) for vectors in both]
    wanted = near[0].argmax(axis=1)
    agreed = np.any(np.argsort(-near[1], axis=1)[:, :NEIGHBOURS] == wanted[:, None], axis=1)
    return json.dumps({"texts": len(texts), "cosine": float(cosine.mean()), "least_cosine": float(cosine.min()),
                       f"agreement@{NEIGHBOURS}": float(agreed.mean())})
