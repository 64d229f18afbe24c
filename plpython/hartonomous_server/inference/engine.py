"""Running models from their rows: an encoder is loaded once per backend and state; embeds and records requests."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Sequence
from dataclasses import dataclass
from importlib import metadata
from typing import TYPE_CHECKING, Any

from hartonomous_server import blas, errors
from hartonomous_server.db import interrupts, query
from hartonomous_server.inference import packing
from hartonomous_server.inference.encoder import Encoder
from hartonomous_server.models import loading
from hartonomous_server.models.architecture import BertConfig
from hartonomous_server.models.tokenizer import Tokenizer

if TYPE_CHECKING:
    import numpy as np

# Keyed by the hash of the state, which callers reach only through a model they may read; the last few stay loaded.
KEPT = 2
TEXTS_A_SLICE = 64
_encoders: dict[bytes, Encoder] = {}
_tokenizers: dict[bytes, Tokenizer] = {}


@dataclass
class Batch:
    """Texts embedded in one call: vectors (n, dimensions) float32."""

    model_id: int
    state_hash: bytes
    texts: Sequence[str]
    tokens: int
    vectors: np.ndarray
    seconds: float

    def images(self) -> list[bytes]:
        """Memory images of the vectors: int16 dimensions, int16 0, float32 components."""
        np = blas.numpy()
        count, dimensions = self.vectors.shape
        layout = [("dimensions", "=i2"), ("zero", "=i2"), ("components", "=f4", (dimensions,))]
        image = np.zeros(count, np.dtype(layout))
        image["dimensions"], image["components"] = dimensions, self.vectors
        return [row.tobytes() for row in image]

    def record(self, db: Any, tenant: int, operation: str) -> int:
        """Writes the request of this batch and returns its id."""
        inputs = hashlib.sha256(b"".join(hashlib.sha256(text.encode()).digest() for text in self.texts)).digest()
        return query(
            db, "select hartonomous._request_put($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) as id",
            ("int", tenant), ("text", operation), ("bigint", self.model_id), ("bytea", self.state_hash),
            ("bytea", inputs), ("bytea", hashlib.sha256(self.vectors.tobytes()).digest()),
            ("int", len(self.texts)), ("bigint", self.tokens),
            ("text", _libraries()), ("text", blas.core_name()), ("int", 1), ("double precision", self.seconds),
        )[0]["id"]


def _libraries() -> str:
    return ", ".join(f"{name} {metadata.version(name)}" for name in ("numpy", "tokenizers"))


def embed(db: Any, model_id: int, texts: Sequence[str]) -> Batch:
    """Embeds texts with a model that can embed."""
    started = time.perf_counter()
    state = state_hash(db, model_id)
    encoder = _cached(db, model_id, state, _encoders, _load_encoder)
    tokens = _cached(db, model_id, state, _tokenizers, _load_tokenizer)
    check = interrupts(db)
    ids: list[list[int]] = []
    for start in range(0, len(texts), TEXTS_A_SLICE):
        check()
        ids += tokens.encode_batch(texts[start : start + TEXTS_A_SLICE])
    vectors = encoder.encode(ids, check=check)
    return Batch(model_id, state, texts, sum(map(len, ids)), vectors, time.perf_counter() - started)


def tokenizer(db: Any, model_id: int) -> Tokenizer:
    """The tokenizer of a model, loaded once per backend."""
    return _cached(db, model_id, state_hash(db, model_id), _tokenizers, _load_tokenizer)


def _cached(db: Any, model_id: int, state: bytes, kept: dict[bytes, Any], load: Any) -> Any:
    loaded = kept.pop(state, None) or load(db, model_id)
    kept[state] = loaded
    while len(kept) > KEPT:
        kept.pop(next(iter(kept)))
    return loaded


def state_hash(db: Any, model_id: int) -> bytes:
    """Hash of a ready model's state."""
    sql = "select state_hash from hartonomous.model where model_id = $1 and status = 'ready'"
    rows = query(db, sql, ("bigint", model_id))
    if not rows:
        raise errors.ModelNotFound(f"no model with id {model_id}", hint="it may have been dropped meanwhile")
    return rows[0]["state_hash"]


def _files(db: Any, model_id: int) -> tuple[dict[str, Any], dict[str, Any]]:
    row = query(db, "select config, tokenizer from hartonomous.model where model_id = $1", ("bigint", model_id))[0]
    return json.loads(row["config"]), json.loads(row["tokenizer"])


def _load_tokenizer(db: Any, model_id: int) -> Tokenizer:
    config, files = _files(db, model_id)
    return Tokenizer.from_files(files, config)


def _load_encoder(db: Any, model_id: int) -> Encoder:
    config, _ = _files(db, model_id)
    weights = loading.tensors(db, model_id)
    return Encoder(config, packing.pack(BertConfig.parse(config["config"]), weights.pop))
