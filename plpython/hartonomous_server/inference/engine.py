"""Running models from their rows: an encoder is loaded once per backend and state; embeds and records requests."""

from __future__ import annotations

import ctypes
import hashlib
import json
import time
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any, NamedTuple

from hartonomous_server import blas, errors
from hartonomous_server.db import interrupts, query
from hartonomous_server.inference import batching, limits, packing
from hartonomous_server.inference.bert import Bert
from hartonomous_server.inference.device import PROCESSOR, Processor
from hartonomous_server.inference.encoder import Encoder
from hartonomous_server.models import architecture, running
from hartonomous_server.models.decoders import DecoderConfig
from hartonomous_server.models.tokenizer import Tokenizer

if TYPE_CHECKING:
    import numpy as np

    from hartonomous_server.inference.decoder import Decoder

# Keyed by the hash of the state, which callers reach only through a model they may read; the last few stay loaded.
KEPT = 2
TEXTS_A_SLICE = 64
_running: dict[bytes, Running] = {}


class Past(NamedTuple):
    """A state that a model had at a time."""

    as_of: str
    state_hash: bytes


class Batch(NamedTuple):
    """Texts embedded in one call: vectors (n, dimensions) float32."""

    model_id: int
    state_hash: bytes
    texts: Sequence[str]
    tokens: int
    vectors: np.ndarray
    threads: int
    seconds: float

    def images(self) -> list[bytes]:
        return images(self.vectors)

    def record(self, db: Any, tenant: int, operation: str) -> int:
        """Writes the request of this batch and returns its id."""
        inputs = hashlib.sha256(b"".join(hashlib.sha256(text.encode()).digest() for text in self.texts)).digest()
        return query(
            db, "select hartonomous._request_put($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) as id",
            ("int", tenant), ("text", operation), ("bigint", self.model_id), ("bytea", self.state_hash),
            ("bytea", inputs), ("bytea", hashlib.sha256(self.vectors.tobytes()).digest()),
            ("int", len(self.texts)), ("bigint", self.tokens),
            ("text", libraries(db)), ("text", blas.core_name()), ("int", self.threads),
            ("double precision", self.seconds),
        )[0]["id"]


def images(vectors: np.ndarray) -> list[bytes]:
    """Memory images of vectors (n, dimensions): int16 dimensions, int16 0, float32 components."""
    np = blas.numpy()
    count, dimensions = vectors.shape
    layout = [("dimensions", "=i2"), ("zero", "=i2"), ("components", "=f4", (dimensions,))]
    image = np.zeros(count, np.dtype(layout))
    image["dimensions"], image["components"] = dimensions, vectors
    return [row.tobytes() for row in image]


def libraries(db: Any) -> str:
    """Names and versions of the libraries that decide a result, and the GPU if one computes."""
    from importlib import metadata  # only here: it imports much

    names = [f"{name} {metadata.version(name)}" for name in ("numpy", "tokenizers")]
    return ", ".join([*names, *filter(None, [limits.device(db).name])])


def embed(db: Any, model_id: int, texts: Sequence[str], past: Past | None = None, role: str = "") -> Batch:
    """Embeds texts with a model that can embed. role: one of architecture.ROLES."""
    started = time.perf_counter()
    state = past.state_hash if past else state_hash(db, model_id)
    model = load(db, model_id, state, past)
    check = interrupts(db)
    ids: list[list[int]] = []
    prompt = architecture.prompt(model.files, role)
    for start in range(0, len(texts), TEXTS_A_SLICE):
        check()
        ids += model.tokenizer.encode_batch([prompt + text for text in texts[start : start + TEXTS_A_SLICE]])
    tokens = sum(map(len, ids))
    count = limits.threads(db) if tokens > 2 * batching.WIDTH and limits.device(db) is PROCESSOR else 1
    longest = max(map(len, ids), default=1)
    needed = model.encoder.bytes_of(longest)
    if count * needed > limits.SMALL:
        count = min(count, limits.fitting(db, needed, f"a text of {longest} tokens takes"))
    vectors = model.encoder.encode(ids, check, count)
    return Batch(model_id, state, texts, tokens, vectors, count, time.perf_counter() - started)


def tokenizer(db: Any, model_id: int) -> Tokenizer:
    """The tokenizer of a model, loaded once per backend."""
    return load(db, model_id, state_hash(db, model_id)).tokenizer


def encoder(db: Any, model_id: int) -> Running | None:
    """A model that can embed, loaded once per backend; None for any other."""
    kind = query(db, "select kind from hartonomous.model where model_id = $1", ("bigint", model_id))[0]["kind"]
    loaded = load(db, model_id, state_hash(db, model_id)) if kind == "embedding" else None
    return loaded if loaded is not None and architecture.pooling_modes(loaded.files) else None


class Running:
    """A model from its running form."""

    def __init__(self, form: running.Form, device: Processor) -> None:
        self._form = form
        self._device = device
        self.files = form.facts["files"]
        self._architecture = form.facts["architecture"]
        self.tokenizer = Tokenizer.from_prepared(form.tokenizer, self.files, self._architecture)

    @cached_property
    def encoder(self) -> Encoder:
        packs = self._form.facts["tokens_independent"] if self._device is PROCESSOR else None
        return Encoder(self._architecture, self.files, self._form.weights, packs, self._device)

    @cached_property
    def decoder(self) -> Decoder:
        from hartonomous_server.inference.decoder import Decoder

        return Decoder(DecoderConfig.parse(self._architecture, self.files), self._form.weights, self._device)


def load(db: Any, model_id: int, state: bytes, past: Past | None = None) -> Running:
    """A model of this state, loaded once per backend."""
    loaded = _running.pop(state, None)
    if loaded is None:
        device = limits.device(db)
        loaded = Running(_form(db, model_id, state, past.as_of if past else None, device), device)
        _trim()
    _running[state] = loaded
    while len(_running) > KEPT:
        _running.pop(next(iter(_running)))
    return loaded


def _trim() -> None:
    """Gives what loading has freed back to the system, where the C library can."""
    trim = getattr(ctypes.CDLL(None), "malloc_trim", None)
    if trim is not None:
        trim(0)


def state_hash(db: Any, model_id: int) -> bytes:
    """Hash of a finished model's state."""
    sql = "select state_hash from hartonomous.model where model_id = $1 and status <> 'loading'"
    rows = query(db, sql, ("bigint", model_id))
    if not rows:
        raise errors.ModelNotFound(f"no model with id {model_id}", hint="it may have been dropped meanwhile")
    return rows[0]["state_hash"]


def _form(db: Any, model_id: int, state: bytes, as_of: str | None, device: Processor) -> running.Form:
    def make() -> running.Form:
        from hartonomous_server.inference import decoder_packing  # only here: most backends find the file
        from hartonomous_server.models import loading

        row = loading.source(db, model_id)
        if row["architecture"] == "external":
            raise errors.EmbeddingUnsupported(
                "model has no weights: its vectors come from outside",
                hint="store them with hartonomous.embedding_put_many, search with hartonomous.search_vector",
            )
        if row["tokenizer"] is None:
            raise errors.TokenizerInvalid("model has no tokenizer", hint="name one that reads texts")
        name, files = row["architecture"], json.loads(row["config"])
        tokenizer = Tokenizer.from_files(json.loads(row["tokenizer"]), files, name)
        found = loading.tensors(db, model_id, as_of)
        tensors = {architecture.canonical(name, tensor): array for tensor, array in found.items()}
        config = architecture.parse(name, files)
        facts = {"architecture": name, "files": files}
        if isinstance(config, DecoderConfig):
            weights = decoder_packing.pack(config, tensors.pop)
        else:
            weights = packing.pack(config, tensors.pop, device=device)
            if device is PROCESSOR:
                facts["tokens_independent"] = Bert(config, packing.unpack(config, weights)).tokens_independent()
        return running.Form(weights, tokenizer.prepared(), facts)

    # the kernels that fold weights decide their last bits, and whether tokens are independent
    layout = f"{packing.VERSION}-{blas.version()}-{blas.core_name()}-{device.layout}"
    return running.load(db, state, layout, make)
