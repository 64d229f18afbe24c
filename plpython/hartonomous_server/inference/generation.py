"""Generating in the caller's transaction: prompts in, texts or pieces of one out, each call recorded as a request."""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator, Sequence
from typing import Any

from hartonomous_server import blas
from hartonomous_server.db import interrupts, query
from hartonomous_server.inference import continuation, engine, limits
from hartonomous_server.inference.continuation import Piece
from hartonomous_server.inference.engine import Past
from hartonomous_server.inference.sampling import Options


def generate(db: Any, tenant: int, operation: str, model_id: int, prompts: Sequence[str], options: str,
             past: Past | None) -> list[str]:
    """The text that follows each prompt."""
    run = _Run(db, model_id, prompts, json.loads(options), past)
    for _ in run.pieces():
        pass
    run.record(tenant, operation)
    return run.texts


def stream(db: Any, tenant: int, model_id: int, prompt: str, options: str, masked: bool,
           past: Past | None) -> Iterator[str]:
    """Pieces of the text that follows a prompt, as they come; masked: one without text, when all are made."""
    run = _Run(db, model_id, [prompt], json.loads(options), past)
    request, pieces = run.record(tenant, "generate_stream"), run.pieces()  # now: nobody may read on to the end

    def texts() -> Iterator[str]:
        for piece in pieces:
            if piece.text and not masked:
                yield piece.text
        run.finish(request)
        if masked:
            yield ""

    return texts()


class _Run:
    """A call: its prompts, what became of them, and the record of it."""

    def __init__(self, db: Any, model_id: int, prompts: Sequence[str], options: dict[str, Any],
                 past: Past | None) -> None:
        self._db, self._model_id, self._prompts = db, model_id, prompts
        self._started = time.perf_counter()
        self._options = Options.parse(options).seeded()
        self._state = past.state_hash if past else engine.state_hash(db, model_id)
        self._model = engine.load(db, model_id, self._state, past)
        self._check = interrupts(db)
        self._ids = []
        for prompt in prompts:
            self._check()
            ids = self._model.tokenizer.encode_whole(prompt)
            self._ids.append(continuation.begin(self._model.decoder.config, ids, self._options.max_tokens))
        self._tokens = sum(map(len, self._ids))
        self._finished: list[str | None] = [None] * len(prompts)
        self.texts = [""] * len(prompts)

    def pieces(self) -> Iterator[Piece]:
        memory = limits.memory(self._db)
        pieces = continuation.continued(
            self._model.decoder, self._model.tokenizer.decode, self._ids, self._options, memory, self._check
        )
        return map(self._noted, pieces)

    def _noted(self, piece: Piece) -> Piece:
        self._tokens += piece.tokens
        self.texts[piece.prompt] += piece.text
        self._finished[piece.prompt] = piece.finish
        return piece

    def record(self, tenant: int, operation: str) -> int:
        """Writes the request and returns its id."""
        return query(
            self._db,
            "select hartonomous._request_put($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13) as id",
            ("int", tenant), ("text", operation), ("bigint", self._model_id), ("bytea", self._state),
            ("bytea", _hash(self._prompts)), ("bytea", _hash(self.texts)), ("int", len(self._prompts)),
            ("bigint", self._tokens), ("text", engine.libraries(self._db)), ("text", blas.core_name()), ("int", 1),
            ("double precision", time.perf_counter() - self._started), ("jsonb", self._parameters()),
        )[0]["id"]  # fmt: skip

    def finish(self, request: int) -> None:
        """Completes a request that was written when it began."""
        query(
            self._db, "select hartonomous._request_finish($1, $2, $3, $4, $5)", ("bigint", request),
            ("bytea", _hash(self.texts)), ("bigint", self._tokens),
            ("double precision", time.perf_counter() - self._started), ("jsonb", self._parameters()),
        )  # fmt: skip

    def _parameters(self) -> str:
        return json.dumps({**self._options._asdict(), "finish": self._finished})


def _hash(texts: Sequence[str]) -> bytes:
    return hashlib.sha256(b"".join(hashlib.sha256(text.encode()).digest() for text in texts)).digest()
