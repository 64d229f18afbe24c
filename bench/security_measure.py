"""Samples of two things that take turns, and what they say of each other."""

from __future__ import annotations

import math
import random
import statistics
import time
from collections.abc import Callable, Sequence
from typing import Any

import lib

np = lib.np


def turns(works: Sequence[Callable[[], Any]], n: int, warm: int = 5) -> list[list[float]]:
    """Milliseconds of n calls of each work; in every round each has one turn, in random order."""
    for work in works:
        for _ in range(warm):
            work()
    samples: list[list[float]] = [[] for _ in works]
    order = list(range(len(works)))
    for _ in range(n):
        random.shuffle(order)
        for i in order:
            started = time.perf_counter()
            works[i]()
            samples[i].append((time.perf_counter() - started) * 1000)
    return samples


def ratio(a: Sequence[float], b: Sequence[float], rounds: int = 500) -> dict[str, Any]:
    """Median of a over that of b, with the 95 % interval of the bootstrap."""
    random_state = np.random.default_rng(1)
    x, y = np.asarray(a), np.asarray(b)
    drawn = sorted(
        float(np.median(random_state.choice(x, len(x))) / np.median(random_state.choice(y, len(y))))
        for _ in range(rounds)
    )
    return {
        "ratio": float(np.median(x) / np.median(y)), "95 %": [drawn[rounds // 40], drawn[-rounds // 40]],
        "ms": [statistics.median(a), statistics.median(b)], "quartiles": [quartiles(a), quartiles(b)], "n": len(a),
    }  # fmt: skip


def quartiles(a: Sequence[float]) -> list[float]:
    return [float(np.percentile(a, 25)), float(np.percentile(a, 75))]


def rank_sum(a: Sequence[float], b: Sequence[float]) -> tuple[float, float]:
    """Mann-Whitney: probability that one of a exceeds one of b, ties halved, and two-sided p for one half."""
    joined = np.concatenate([a, b])
    _, place, count = np.unique(joined, return_inverse=True, return_counts=True)
    ranks = (np.cumsum(count) - (count - 1) / 2)[place]
    n, m = len(a), len(b)
    above = (ranks[:n].sum() - n * (n + 1) / 2) / (n * m)
    tied = (count.astype(float) ** 3 - count).sum() / ((n + m) * (n + m - 1))
    z = (above - 0.5) / math.sqrt((n + m + 1 - tied) / (12 * n * m))
    return float(above), math.erfc(abs(z) / math.sqrt(2))
