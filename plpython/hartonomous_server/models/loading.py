"""Accepting a model: its configuration when it begins, its tensors and tokenizer when it is complete."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from itertools import chain, groupby
from operator import itemgetter
from typing import Any

from hartonomous_server import dtypes, errors
from hartonomous_server.blas import numpy
from hartonomous_server.db import interrupts, query
from hartonomous_server.models import architecture, assembly, footprint
from hartonomous_server.models import tokenizer as tokenizers

TILES_A_FETCH = 4  # 1 MiB: few enough rows that a backend stays small


def facts(name: str, config: str) -> dict[str, Any]:
    """kind, dimensions and max_tokens that a configuration states; refuses what no engine here can run."""
    files = json.loads(config)
    return architecture.facts(name, files)


def finish(db: Any, model_id: int) -> None:
    """Checks a complete model against its architecture and tokenizer; records tensor hashes and the state hash."""
    row = source(db, model_id)
    files = json.loads(row["config"])
    shapes, digests = hash_tensors(db, model_id)
    name = row["architecture"]
    found = {architecture.canonical(name, tensor): facts for tensor, facts in shapes.items()}
    if len(found) < len(shapes):
        raise errors.TensorMismatch("a tensor is there twice, with and without the prefix of its architecture")
    architecture.check_tensors(found, *architecture.expected_tensors(architecture.parse(name, files)))
    if row["tokenizer"] is None:
        raise errors.TokenizerInvalid("model has no tokenizer", hint="pass it to hartonomous.model_begin")
    tokenizers.check(json.loads(row["tokenizer"]), name, files)
    _record(db, model_id, digests, shapes, row)


def source(db: Any, model_id: int) -> Any:
    """architecture, kind, config and tokenizer of a model, also of one that is gone."""
    rows = query(db, "select * from hartonomous._model_source($1)", ("bigint", model_id))
    if not rows:
        raise errors.ModelNotFound(f"no model with id {model_id}", hint="it was dropped meanwhile, and its history too")
    return rows[0]


def seal(db: Any, model_id: int) -> None:
    """Records tensor hashes and the state hash of a model that needs no check against an architecture."""
    shapes, digests = hash_tensors(db, model_id)
    _record(db, model_id, digests, shapes, source(db, model_id))


def rehash(db: Any, model_id: int, tensor: str) -> None:
    """Records the hash of a tensor that has changed and the state hash that follows; refuses one that is not finite."""
    known = query(
        db,
        "select model_tensor_id, name, dtype, shape, byte_length, content_hash from hartonomous.model_tensor"
        " where model_id = $1", ("bigint", model_id),
    )
    shapes = {row["name"]: (row["dtype"], tuple(row["shape"])) for row in known}
    digests = {row["name"]: row["content_hash"] for row in known}
    (changed,) = (row for row in known if row["name"] == tensor)
    data = tensor_bytes(db, changed["model_tensor_id"], 0, changed["byte_length"])
    if not numpy().isfinite(dtypes.to_float32(data, *shapes[tensor])).all():
        raise errors.TensorMismatch(f"tensor {tensor} would have elements that are not finite in {changed['dtype']}")
    digests[tensor] = hashlib.sha256(data).digest()
    bare = query(db, "select * from hartonomous._tensor_parts_bare($1)", ("bigint", changed["model_tensor_id"]))
    footprint.put(db, map(footprint.of, bare))
    _record(db, model_id, digests, shapes, source(db, model_id))


def _record(db: Any, model_id: int, digests: dict[str, bytes], shapes: dict[str, tuple[str, Any]], files: Any) -> None:
    state = hashlib.sha256()
    for part in (files["config"], files["tokenizer"] or ""):
        state.update(hashlib.sha256(part.encode()).digest())
    for name in sorted(digests):
        dtype, shape = shapes[name]
        state.update(json.dumps([name, dtype, shape]).encode() + digests[name])
    query(db, "select hartonomous._model_hashes($1, $2, $3, $4)", ("bigint", model_id), ("text[]", list(digests)),
          ("bytea[]", list(digests.values())), ("bytea", state.digest()))


def hash_tensors(db: Any, model_id: int) -> tuple[dict[str, tuple[str, tuple[int, ...]]], dict[str, bytes]]:
    """dtype and shape, and SHA-256, of every tensor of a model, read as a stream; stores footprints of its parts."""
    shapes: dict[str, tuple[str, tuple[int, ...]]] = {}
    hashes: dict[str, bytes] = {}
    footprints: list[footprint.Footprint] = []

    def seen() -> Iterator[Any]:
        for row in parts(db, model_id):
            if row["data"]:
                footprints.append(footprint.of(row))
            yield row

    for name, rows in groupby(seen(), itemgetter("name")):
        first, whole = _peek(rows)
        shapes[name] = first["dtype"], tuple(first["shape"])
        digest = hashlib.sha256()
        for data in (row["data"] or b"" for row in whole) if first["plain"] else [_sum(db, first, whole)]:
            digest.update(data)
        hashes[name] = digest.digest()
    footprint.put(db, footprints)
    return shapes, hashes


def parts(db: Any, model_id: int, as_of: str | None = None) -> Any:
    """What the tensors of a model are the sum of, as rows of _tensor_parts, a few at a time."""
    plan = db.prepare("select * from hartonomous._tensor_parts($1, $2)", ["bigint", "timestamptz"])
    cursor = db.cursor(plan, [model_id, as_of])
    while rows := cursor.fetch(TILES_A_FETCH):
        yield from rows
    cursor.close()


def tensors(db: Any, model_id: int, as_of: str | None = None) -> dict[str, Any]:
    """Every tensor of a model as a float32 array, each read into one buffer."""
    return {name: dtypes.to_float32(data, dtype, shape) for name, dtype, shape, data in stream(db, model_id, as_of)}


def stream(db: Any, model_id: int, as_of: str | None = None) -> Iterator[tuple[str, str, list[int], bytearray]]:
    """Name, dtype, shape and bytes of every tensor of a model, one after the other."""
    for name, rows in groupby(parts(db, model_id, as_of), itemgetter("name")):
        first, whole = _peek(rows)
        if first["plain"]:
            buffer = bytearray(dtypes.byte_length(first["dtype"], first["shape"]))
            for row in whole:
                if row["data"]:
                    buffer[row["start"] : row["start"] + len(row["data"])] = row["data"]
        else:
            buffer = bytearray(_sum(db, first, whole))
        yield name, first["dtype"], first["shape"], buffer


def _peek(rows: Any) -> tuple[Any, Any]:
    first = next(rows)
    return first, chain([first], rows)


def _sum(db: Any, tensor: Any, rows: Any, part: slice = slice(None)) -> bytes:
    found = [assembly.Part(row["start"], row["data"], row["coefficient"], row["rank"]) for row in rows if row["data"]]
    return assembly.assemble(tensor["dtype"], tensor["shape"], found, part, interrupts(db))


def tensor_bytes(db: Any, model_tensor_id: int, start: int, until: int, as_of: str | None = None) -> bytes:
    """Bytes of a tensor from start until there; of its tiles only those that lie in these rows are read."""
    sql = ("select dtype, shape from hartonomous.model_tensor where model_tensor_id = $1 union all"
           " select dtype, shape from hartonomous.model_tensor_history where model_tensor_id = $1 limit 1")
    described = query(db, sql, ("bigint", model_tensor_id))[0]
    row_bytes = dtypes.byte_length(described["dtype"], assembly.grid(described["shape"])[1:])
    if start >= until:
        return b""
    rows = slice(start // row_bytes, -(-until // row_bytes))
    found = query(
        db,
        "select c.start, a.data, c.coefficient, c.rank from hartonomous._tensor_terms($1, $4) as c"
        " join hartonomous.tensor_atom as a using (tensor_atom_id)"
        " where c.ordinal > 0 or c.start < $3 and c.start + c.byte_length > $2"
        " order by c.ordinal, c.start",
        ("bigint", model_tensor_id), ("bigint", rows.start * row_bytes), ("bigint", rows.stop * row_bytes),
        ("timestamptz", as_of),
    )
    data = _sum(db, described, found, rows)
    return data[start - rows.start * row_bytes : until - rows.start * row_bytes]
