"""What two models got right on the same items, compared: metrics for each item, means, a paired bootstrap interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from hartonomous_server import blas

blas.numpy()
import numpy as np  # noqa: E402

Array = np.ndarray

RESAMPLES_A_STEP = 100
LEVEL = 0.95


class Metric(NamedTuple):
    """A sum over items by another: a mean where each counts 1, or of what items have many of."""

    sums: Array
    counts: Array
    exponential: bool = False

    def mean(self, items: Any = slice(None)) -> float:
        found = float(np.sum(self.sums[items]) / np.sum(self.counts[items]))
        return float(np.exp(found)) if self.exponential else found


def each(values: Array) -> Metric:
    return Metric(values, np.ones(len(values)))


def retrieval(ranked: list[list[int]], wanted: list[int], k: int) -> dict[str, Metric]:
    """hit@k and nDCG@k of each question: ranked has, per result, which expected source it is
    (-1: none), wanted how many there are."""
    hit, gain = np.zeros((2, len(ranked)))
    for item, found in enumerate(ranked):
        firsts = [at for at, source in enumerate(found[:k]) if source >= 0 and source not in found[:at]]
        hit[item] = bool(firsts)
        ideal = sum(1 / np.log2(2 + at) for at in range(min(k, wanted[item])))
        gain[item] = sum(1 / np.log2(2 + at) for at in firsts) / ideal
    return {f"hit@{k}": each(hit), f"ndcg@{k}": each(gain)}


def classification(log_p: Array, expected: Array) -> dict[str, Metric]:
    """accuracy and log loss of each item; expected -1: a label that the head does not know, of probability 0.

    log_p is (items, labels). No item costs more than that of a probability of 1e-15.
    """
    known = expected >= 0
    own = np.where(known, log_p[np.arange(len(expected)), np.maximum(expected, 0)], -np.inf)
    right = known & (log_p.argmax(axis=1) == expected)
    return {"accuracy": each(right.astype(np.float64)), "log_loss": each(-np.maximum(own, np.log(1e-15)))}


def likelihood(losses: Array, tokens: Array, size: Array) -> dict[str, Metric]:
    """Of each text: the sum of -log p of its tokens, how many these are, and the bytes of the text."""
    perplexity = Metric(losses, tokens, exponential=True)
    return {"perplexity": perplexity, "bits_per_byte": Metric(losses / np.log(2), size)}


def compare(
    a: Mapping[str, Metric], b: Mapping[str, Metric], resamples: int, seed: int, check: Callable[[], Any]
) -> dict[str, Any]:
    """For each metric both means, their difference b - a and its interval over items drawn again, for both the same."""
    random = np.random.default_rng(seed)
    items = len(next(iter(a.values())).sums)
    drawn = np.empty((len(a), resamples))
    for at in range(resamples):
        if at % RESAMPLES_A_STEP == 0:
            check()
        some = random.integers(items, size=items)
        drawn[:, at] = [b[name].mean(some) - a[name].mean(some) for name in a]
    low, high = np.quantile(drawn, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return {
        name: {
            "a": a[name].mean(), "b": b[name].mean(), "difference": b[name].mean() - a[name].mean(),
            "interval": [float(low[i]), float(high[i])],
            "better": None if low[i] <= 0 <= high[i] else "b" if (low[i] > 0) != (name in LESS_IS_BETTER) else "a",
        }
        for i, name in enumerate(a)
    }  # fmt: skip


LESS_IS_BETTER = ("log_loss", "perplexity", "bits_per_byte")
