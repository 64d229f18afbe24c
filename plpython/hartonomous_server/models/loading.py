"""Accepting a model: its configuration when it begins, its tensors and tokenizer when it is complete."""

from __future__ import annotations

import hashlib
import json
from typing import Any

from hartonomous_server import errors
from hartonomous_server.db import query
from hartonomous_server.models import architecture, dtypes
from hartonomous_server.models import tokenizer as tokenizers

TILES_A_FETCH = 4  # 1 MiB: few enough rows that a backend stays small


def facts(name: str, config: str) -> dict[str, Any]:
    """kind, dimensions and max_tokens that a configuration states; refuses what no engine here can run."""
    files = json.loads(config)
    return architecture.facts(name, files)


def finish(db: Any, model_id: int) -> None:
    """Checks a complete model against its architecture and tokenizer; records tensor hashes and the state hash."""
    sql = "select architecture, config, tokenizer from hartonomous.model where model_id = $1"
    row = query(db, sql, ("bigint", model_id))[0]
    files = json.loads(row["config"])
    shapes, digests = hash_tensors(db, model_id)
    expected = architecture.expected_tensors(row["architecture"], files["config"])
    architecture.check_tensors(shapes, expected)
    if row["tokenizer"] is None:
        raise errors.TokenizerInvalid("model has no tokenizer", hint="pass it to hartonomous.model_begin")
    tokenizers.check(json.loads(row["tokenizer"]), files)
    state = hashlib.sha256()
    for part in (row["config"], row["tokenizer"]):
        state.update(hashlib.sha256(part.encode()).digest())
    for name in sorted(digests):
        dtype, shape = shapes[name]
        state.update(json.dumps([name, dtype, shape]).encode() + digests[name])
    query(db, "select hartonomous._model_hashes($1, $2, $3, $4)", ("bigint", model_id), ("text[]", list(digests)),
          ("bytea[]", list(digests.values())), ("bytea", state.digest()))


def hash_tensors(db: Any, model_id: int) -> tuple[dict[str, tuple[str, tuple[int, ...]]], dict[str, bytes]]:
    """dtype and shape, and SHA-256, of every tensor of a model, read as a stream."""
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {}
    hashes: dict[str, Any] = {}
    for tile in tiles(db, model_id):
        shapes[tile["name"]] = tile["dtype"], tuple(tile["shape"])
        hashes.setdefault(tile["name"], hashlib.sha256()).update(tile["data"] or b"")
    return shapes, {name: digest.digest() for name, digest in hashes.items()}


def tiles(db: Any, model_id: int) -> Any:
    """Rows (name, dtype, shape, start, data) of a model's tiles, tensor by tensor, a few at a time."""
    plan = db.prepare("select name, dtype, shape, start, data from hartonomous._tensor_tiles($1)", ["bigint"])
    cursor = db.cursor(plan, [model_id])
    while rows := cursor.fetch(TILES_A_FETCH):
        yield from rows
    cursor.close()


def tensors(db: Any, model_id: int) -> dict[str, Any]:
    """Every tensor of a model as a float32 array, each read into one buffer."""
    buffers: dict[str, bytearray] = {}
    described: dict[str, tuple[str, Any]] = {}
    for tile in tiles(db, model_id):
        name = tile["name"]
        if name not in buffers:
            described[name] = tile["dtype"], tile["shape"]
            buffers[name] = bytearray(dtypes.byte_length(*described[name]))
        if tile["data"]:
            buffers[name][tile["start"] : tile["start"] + len(tile["data"])] = tile["data"]
    return {name: dtypes.to_float32(buffer, *described[name]) for name, buffer in buffers.items()}
