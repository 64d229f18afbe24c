"""Linear heads on embeddings: multinomial logistic regression by L-BFGS, ridge regression in closed form."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

from hartonomous_server import blas, errors

blas.numpy()
import numpy as np  # noqa: E402

Array = np.ndarray
Check = Callable[[], Any]

METHODS = ("logistic", "ridge")
PENALTIES = (1e-2, 1e-3, 1e-4, 1e-5, 1e-6)  # of which the best on rows held out is taken
HELD_OUT = 5  # one row in so many chooses the penalty, another measures
MEMORY = 10  # pairs of steps that L-BFGS keeps
STEPS = 200
TOLERANCE = 1e-5  # of the gradient


class Head(NamedTuple):
    weight: Array  # (classes, dimensions) float32
    bias: Array  # (classes,) float32

    def log_probabilities(self, x: Array) -> Array:
        """(rows, classes) of vectors (rows, dimensions)."""
        return _log_softmax((x @ self.weight.T + self.bias).astype(np.float64))


class Quality(NamedTuple):
    """On rows that took no part in fitting."""

    rows: int
    accuracy: float
    log_loss: float
    majority: float  # accuracy of always naming the most frequent class


def train(
    x: Array, y: Array, classes: int, method: str, penalty: float | None, start: Head | None, check: Check
) -> tuple[Head, float, Quality]:
    """A head on all rows, the penalty it was fitted with, and how one fitted without the rows held out did on these."""
    place = np.random.default_rng(0).permutation(len(y)) % HELD_OUT
    chosen = penalty
    if chosen is None:
        part, other = place > 1, place == 0
        if len(np.unique(y[part])) < 2 or not other.any():
            chosen = 1e-3
        else:
            losses = []
            head = start
            for tried in PENALTIES:  # from the strongest on, each from where the one before ended
                head = fit(x[part], y[part], classes, method, tried, head, check)
                losses.append(score(head, x[other], y[other]).log_loss)
            chosen = PENALTIES[int(np.argmin(losses))]
    part, other = place != 1, place == 1
    quality = score(fit(x[part], y[part], classes, method, chosen, start, check), x[other], y[other], y[part])
    return fit(x, y, classes, method, chosen, start, check), chosen, quality


def score(head: Head, x: Array, y: Array, fitted: Array | None = None) -> Quality:
    if not len(y):
        return Quality(0, float("nan"), float("nan"), float("nan"))
    log_p = head.log_probabilities(x)
    most = np.bincount(y if fitted is None else fitted).argmax()
    return Quality(
        len(y), float(np.mean(log_p.argmax(axis=1) == y)), float(-np.mean(log_p[np.arange(len(y)), y])),
        float(np.mean(y == most)),
    )  # fmt: skip


def fit(x: Array, y: Array, classes: int, method: str, penalty: float, start: Head | None, check: Check) -> Head:
    """Least mean loss plus penalty / 2 times the squared weights; the bias is free."""
    if method == "ridge":
        return _ridge(x, y, classes, penalty, check)
    first = np.zeros((classes, x.shape[1] + 1))
    if start is not None:
        first[:, :-1], first[:, -1] = start.weight, start.bias

    def loss(flat: Array) -> tuple[float, Array]:
        check()
        w = flat.reshape(first.shape)
        log_p = _log_softmax((x @ w[:, :-1].T.astype(np.float32)).astype(np.float64) + w[:, -1])
        value = -log_p[np.arange(len(y)), y].mean() + penalty / 2 * np.sum(w[:, :-1] ** 2)
        delta = np.exp(log_p, out=log_p)
        delta[np.arange(len(y)), y] -= 1
        delta /= len(y)
        gradient = np.empty_like(w)
        gradient[:, :-1] = delta.astype(np.float32).T @ x + penalty * w[:, :-1]
        gradient[:, -1] = delta.sum(axis=0)
        return float(value), gradient.ravel()

    found = minimize(loss, first.ravel()).reshape(first.shape).astype(np.float32)
    return Head(np.ascontiguousarray(found[:, :-1]), np.ascontiguousarray(found[:, -1]))


def minimize(function: Callable[[Array], tuple[float, Array]], x: Array) -> Array:
    """L-BFGS (Nocedal and Wright, algorithm 7.5), backtracking to the Armijo condition, for smooth convex functions."""
    value, gradient = function(x)
    steps: list[tuple[Array, Array]] = []
    for _ in range(STEPS):
        if np.abs(gradient).max() < TOLERANCE:
            break
        direction = _two_loops(gradient, steps)
        slope = float(direction @ gradient)
        length = 1.0 if steps else 1 / max(1.0, float(np.sqrt(gradient @ gradient)))
        for _ in range(30):
            tried = x + length * direction
            new_value, new_gradient = function(tried)
            if new_value <= value + 1e-4 * length * slope:
                break
            length /= 2
        else:
            break  # no descent that float32 could see
        s, y = tried - x, new_gradient - gradient
        if s @ y > 1e-12 * float(y @ y):
            steps = [*steps[-MEMORY + 1 :], (s, y)]
        x, value, gradient = tried, new_value, new_gradient
    return x


def _two_loops(gradient: Array, steps: list[tuple[Array, Array]]) -> Array:
    direction = -gradient
    weights = []
    for s, y in reversed(steps):
        weights.append(float(s @ direction) / float(s @ y))
        direction = direction - weights[-1] * y
    if steps:
        s, y = steps[-1]
        direction = direction * (float(s @ y) / float(y @ y))
    for (s, y), weight in zip(steps, reversed(weights), strict=True):
        direction = direction + (weight - float(y @ direction) / float(s @ y)) * s
    return direction


def _ridge(x: Array, y: Array, classes: int, penalty: float, check: Check) -> Head:
    """Least squares to the one-hot classes; a scale that fits the rows makes probabilities of the scores."""
    mean = x.mean(axis=0, dtype=np.float64)
    centred = x - mean.astype(np.float32)
    target = np.eye(classes)[y]
    shares = target.mean(axis=0)
    gram = (centred.T @ centred).astype(np.float64) / len(y)
    check()
    moment = (centred.T @ (target - shares).astype(np.float32)).astype(np.float64) / len(y)
    weight = np.linalg.solve(gram + penalty * np.eye(len(gram)), moment).T
    check()
    scores = centred @ weight.T.astype(np.float32) + shares

    def loss(at: float) -> float:
        return float(-_log_softmax(scores * np.exp(at))[np.arange(len(y)), y].mean())

    scale = float(np.exp(_least(loss, -2.0, 6.0)))
    bias = (shares - weight @ mean) * scale
    return Head((weight * scale).astype(np.float32), bias.astype(np.float32))


def _least(function: Callable[[float], float], low: float, high: float) -> float:
    """Where a function with one valley is least, by golden section."""
    ratio = (5**0.5 - 1) / 2
    for _ in range(25):
        a, b = high - ratio * (high - low), low + ratio * (high - low)
        low, high = (low, b) if function(a) < function(b) else (a, high)
    return (low + high) / 2


def _log_softmax(scores: Array) -> Array:
    scores = scores - scores.max(axis=1, keepdims=True)
    return scores - np.log(np.exp(scores).sum(axis=1, keepdims=True))


def checked(labels: list[str]) -> None:
    """Refuses what no head can be fitted to."""
    kinds = len(set(labels))
    if kinds < 2:
        raise errors.InvalidParameter(f"rows have {kinds} different labels, expected at least 2")
    if kinds > len(labels) // 2:
        raise errors.InvalidParameter(f"{len(labels)} rows have {kinds} different labels, expected 2 rows a label")
