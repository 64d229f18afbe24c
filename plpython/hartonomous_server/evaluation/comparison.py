"""What two models got right on the same items, compared: metrics for each item, means, a paired bootstrap interval."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from hartonomous_server import blas

blas.numpy()
import numpy as np  # noqa: E402

Array = np.ndarray

RESAMPLES_A_STEP = 100
LEVEL = 0.95


def retrieval(ranked: list[list[int]], wanted: list[int], k: int) -> dict[str, Array]:
    """hit@k and nDCG@k of each question: ranked has, per result, which expected source it is
    (-1: none), wanted how many there are."""
    hit, gain = np.zeros((2, len(ranked)))
    for item, found in enumerate(ranked):
        firsts = [at for at, source in enumerate(found[:k]) if source >= 0 and source not in found[:at]]
        hit[item] = bool(firsts)
        ideal = sum(1 / np.log2(2 + at) for at in range(min(k, wanted[item])))
        gain[item] = sum(1 / np.log2(2 + at) for at in firsts) / ideal
    return {f"hit@{k}": hit, f"ndcg@{k}": gain}


def classification(log_p: Array, expected: Array) -> dict[str, Array]:
    """accuracy and log loss of each item; expected -1: a label that the head does not know, of probability 0.

    log_p is (items, labels). No item costs more than that of a probability of 1e-15.
    """
    known = expected >= 0
    own = np.where(known, log_p[np.arange(len(expected)), np.maximum(expected, 0)], -np.inf)
    right = known & (log_p.argmax(axis=1) == expected)
    return {"accuracy": right.astype(np.float64), "log_loss": -np.maximum(own, np.log(1e-15))}


def compare(
    a: Mapping[str, Array], b: Mapping[str, Array], resamples: int, seed: int, check: Callable[[], Any]
) -> dict[str, Any]:
    """For each metric the means, their difference b - a and its interval over items drawn again, for both the same."""
    random = np.random.default_rng(seed)
    names = list(a)
    items = len(a[names[0]])
    differences = np.stack([b[name] - a[name] for name in names])  # (metrics, items)
    means = np.empty((len(names), resamples))
    for at in range(0, resamples, RESAMPLES_A_STEP):
        check()
        count = min(RESAMPLES_A_STEP, resamples - at)
        for draw in range(count):
            means[:, at + draw] = differences[:, random.integers(items, size=items)].mean(axis=1)
    low, high = np.quantile(means, [(1 - LEVEL) / 2, (1 + LEVEL) / 2], axis=1)
    return {
        name: {
            "a": float(a[name].mean()), "b": float(b[name].mean()), "difference": float(differences[i].mean()),
            "interval": [float(low[i]), float(high[i])],
            "better": None if low[i] <= 0 <= high[i] else "b" if (low[i] > 0) != (name in LESS_IS_BETTER) else "a",
        }
        for i, name in enumerate(names)
    }  # fmt: skip


LESS_IS_BETTER = ("log_loss", "perplexity")
