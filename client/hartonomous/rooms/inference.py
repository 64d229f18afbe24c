from __future__ import annotations

from collections.abc import Generator, Mapping, Sequence
from datetime import datetime
from typing import Any

import numpy as np
from psycopg.types.numeric import Float4

from hartonomous.calls import Caller
from hartonomous.vectors import MatrixLike, Vector


class Inference(Caller):
    def tokenize(self, content: str, model: str | None = None) -> list[int]:
        return self._value("tokenize", {"content": content}, model=model)

    def detokenize(self, tokens: Sequence[int], model: str | None = None) -> str:
        return self._value("detokenize", {"tokens": list(tokens)}, model=model)

    def embed(self, content: str, model: str | None = None, as_of: datetime | None = None) -> Vector:
        return self._value("embed", {"content": content}, model=model, as_of=as_of)

    def embed_many(self, contents: Sequence[str], model: str | None = None) -> Vector:
        """One row per text."""
        found = self._value("embed_many", {"contents": list(contents)}, model=model)
        return np.stack(found) if found else np.empty((0, 0), dtype=np.float32)

    def generate(
        self, prompt: str, model: str | None = None, max_tokens: int | None = None, temperature: float | None = None,
        top_k: int | None = None, top_p: float | None = None, seed: int | None = None, as_of: datetime | None = None,
        repetition_penalty: float | None = None, stop: Sequence[str] | None = None,
    ) -> str:  # fmt: skip
        return self._value("generate", {"prompt": prompt}, **_options(locals()))

    def generate_many(
        self, prompts: Sequence[str], model: str | None = None, max_tokens: int | None = None,
        temperature: float | None = None, top_k: int | None = None, top_p: float | None = None, seed: int | None = None,
        as_of: datetime | None = None, repetition_penalty: float | None = None, stop: Sequence[str] | None = None,
    ) -> list[str]:  # fmt: skip
        return self._value("generate_many", {"prompts": list(prompts)}, **_options(locals()))

    def generate_stream(
        self, prompt: str, model: str | None = None, max_tokens: int | None = None, temperature: float | None = None,
        top_k: int | None = None, top_p: float | None = None, seed: int | None = None, as_of: datetime | None = None,
        repetition_penalty: float | None = None, stop: Sequence[str] | None = None,
    ) -> Generator[str, None, None]:  # fmt: skip
        """Pieces as the server makes them, in a transaction that ends with the last one."""
        return self._stream("generate_stream", {"prompt": prompt}, rows=1, **_options(locals()))

    def attention(self, q: MatrixLike, k: MatrixLike, v: MatrixLike, heads: int = 1, causal: bool = False) -> Vector:
        """Arrays of rows; one row for one query."""
        arrays = {name: np.asarray(x, np.float32).tolist() for name, x in (("q", q), ("k", k), ("v", v))}
        found = self._value("attention", arrays, heads=heads, causal=causal)
        return np.asarray(found, np.float32)


def _options(given: Mapping[str, Any]) -> dict[str, Any]:
    """Arguments of generate but for the prompt, as the server takes them: it has no double precision for a real."""
    found = {name: value for name, value in given.items() if name not in ("self", "prompt", "prompts")}
    reals = {name: Float4(value) for name, value in found.items() if isinstance(value, float)}
    return found | reals | {"stop": None if given["stop"] is None else list(given["stop"])}
