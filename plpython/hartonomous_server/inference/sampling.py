"""Which token comes next: the greatest, or one drawn from what temperature, top_k and top_p leave.

A draw depends on the seed, on how many were drawn before it and on the logits, and on nothing else.
"""

from __future__ import annotations

import math
import os
import random
from collections.abc import Mapping, Sequence
from typing import Any, NamedTuple

from hartonomous_server import blas, errors

blas.numpy()
import numpy as np  # noqa: E402

Array = np.ndarray

MAX_STOPS, LONGEST_STOP = 16, 1000


class Options(NamedTuple):
    """How a text goes on, checked."""

    max_tokens: int
    temperature: float
    top_k: int
    top_p: float
    repetition_penalty: float
    stop: tuple[str, ...]
    seed: int | None

    @classmethod
    def parse(cls, stated: Mapping[str, Any]) -> Options:
        unknown = sorted(set(stated) - set(cls._fields))
        if unknown:
            raise errors.InvalidParameter(
                f"option {unknown[0]} is unknown, expected one of {', '.join(cls._fields)}"
            )
        for name in cls._fields:
            if stated.get(name) is None and name not in ("stop", "seed"):
                raise errors.InvalidParameter(f"{name} is NULL, expected a number")
        return cls(
            _checked("max_tokens", stated["max_tokens"], lambda n: n >= 1, "at least 1"),
            _checked("temperature", stated["temperature"], lambda t: 0 <= t < math.inf, "0 (the likeliest) or more"),
            _checked("top_k", stated["top_k"], lambda k: k >= 0, "0 (all tokens) or more"),
            _checked("top_p", stated["top_p"], lambda p: 0 < p <= 1, "more than 0 and at most 1"),
            _checked("repetition_penalty", stated["repetition_penalty"], lambda p: 0 < p < math.inf, "more than 0"),
            _stops(stated.get("stop") or ()),
            stated.get("seed"),
        )

    def seeded(self) -> Options:
        """With a seed, should one be needed: what was drawn can be drawn again."""
        if self.temperature == 0 or self.seed is not None:
            return self
        return self._replace(seed=int.from_bytes(os.urandom(8), "little", signed=True))


def _checked(name: str, value: Any, fits: Any, expected: str) -> Any:
    if isinstance(value, str) or not fits(value):  # NaN and infinity come as text
        raise errors.InvalidParameter(f"{name} is {value}, expected {expected}")
    return value


def _stops(stated: Sequence[Any]) -> tuple[str, ...]:
    if len(stated) > MAX_STOPS:
        raise errors.InvalidParameter(f"stop has {len(stated)} texts, expected at most {MAX_STOPS}")
    for stop in stated:
        if not isinstance(stop, str) or not 1 <= len(stop) <= LONGEST_STOP:
            found = f"of {len(stop)} characters" if isinstance(stop, str) else "NULL"
            raise errors.InvalidParameter(f"stop has a text {found}, expected 1 to {LONGEST_STOP} characters")
    return tuple(stated)


class Sampler:
    """Chooses the tokens of one text, whose prompt it is given."""

    def __init__(self, options: Options, prompt: Sequence[int], vocabulary: int) -> None:
        self._options = options
        self._random = None if options.seed is None else random.Random(options.seed % 2**64)
        self._seen = np.zeros(vocabulary, bool)
        self._seen[list(prompt)] = True

    def choose(self, logits: Array) -> int:
        """A token, given the logits (vocabulary) of all."""
        if self._options.repetition_penalty != 1:
            logits = self._penalized(logits)
        token = int(np.argmax(logits))
        if not np.isfinite(logits[token]):
            raise errors.PredictionInvalid(
                f"the model's prediction is {logits[token]}, expected a finite number",
                hint="weights that are NaN or so large that they overflow make it so: load the model anew",
            )
        if self._options.temperature > 0:
            token = self._drawn(logits)
        self._seen[token] = True
        return token

    def _penalized(self, logits: Array) -> Array:
        """Logits of tokens that were there are divided by the penalty, or multiplied where they are negative."""
        penalty = np.float32(self._options.repetition_penalty)
        lowered = np.where(logits < 0, logits * penalty, logits / penalty)
        return np.where(self._seen, lowered, logits)

    def _drawn(self, logits: Array) -> int:
        assert self._random is not None
        tokens, chances = candidates(logits, self._options)
        sums = np.cumsum(chances)
        at = np.searchsorted(sums, self._random.random() * sums[-1], side="right")
        return int(tokens[min(at, len(tokens) - 1)])


def candidates(logits: Array, options: Options) -> tuple[Array, Array]:
    """Tokens that may be drawn and their chances, the likeliest first, equal ones by id."""
    scores = logits.astype(np.float64)
    tokens: Array = np.arange(len(scores))
    if 0 < options.top_k < len(scores):
        least = np.partition(scores, -options.top_k)[-options.top_k]
        tokens = np.flatnonzero(scores >= least)
    tokens = tokens[np.argsort(-scores[tokens], kind="stable")]
    with np.errstate(all="ignore"):  # a tiny temperature makes all but the greatest impossible
        chances = np.exp((scores[tokens] - scores[tokens[0]]) / options.temperature)
    chances /= chances.sum()
    before = np.cumsum(chances) - chances
    kept = max(1, int(np.count_nonzero(before < options.top_p)))
    return tokens[:kept], chances[:kept]
