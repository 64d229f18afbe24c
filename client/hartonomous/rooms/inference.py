from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime

import numpy as np

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

    def attention(self, q: MatrixLike, k: MatrixLike, v: MatrixLike, heads: int = 1, causal: bool = False) -> Vector:
        """Arrays of rows; one row for one query."""
        arrays = {name: np.asarray(x, np.float32).tolist() for name, x in (("q", q), ("k", k), ("v", v))}
        found = self._value("attention", arrays, heads=heads, causal=causal)
        return np.asarray(found, np.float32)
