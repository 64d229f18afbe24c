"""Elementwise pieces of a transformer, in place on float32 arrays of shape (features, tokens); xp: whose arrays."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hartonomous_server import blas

blas.numpy()
import numpy as np  # noqa: E402

Array = Any
Activation = Callable[[Array, Array, Any], None]

BLOCK = 65536  # elements a chain of steps works on at a time: block and scratch stay in the second-level cache
_SUM_RUN = 16  # rows added up one after the other; short runs, added up again, keep rounding errors small

# gelu(x) = x/2 (1 + tanh(x P(x^2))), P in ascending powers. For the erf form P was fitted to atanh(erf(x / sqrt 2)) / x
# by minimax on the result, at most 6.8e-8 off; beyond the fit, at |x| > 5.25, P grows and tanh is 1.
_ERF = (
    0.7978842161216645,
    0.03633428351152688,
    -3.312999555534044e-05,
    -5.524015730381612e-05,
    3.969109237901516e-06,
    -1.334463924995453e-07,
    1.805615965752441e-09,
)
_TANH = (0.7978845608028654, 0.035677408136300125)


def activation(name: str) -> Activation:
    """The activation, up to the factor ``output_factor`` that is folded into the weights after it."""
    known: dict[str, Activation] = {"gelu": _gelu(_ERF), "relu": _relu}
    return known.get(name, _gelu(_TANH))


def output_factor(name: str) -> float:
    return 1.0 if name == "relu" else 0.5


def _relu(x: Array, scratch: Array, xp: Any = np) -> None:
    xp.maximum(x, np.float32(0), out=x)


def _gelu(coefficients: tuple[float, ...]) -> Activation:
    """2 gelu"""
    constant, *inner, leading = (np.float32(coefficient) for coefficient in coefficients)
    one = np.float32(1)

    def gelu(x: Array, scratch: Array, xp: Any = np) -> None:
        square, t = scratch[0], scratch[1]
        xp.multiply(x, x, out=square)
        xp.multiply(square, leading, out=t)
        for coefficient in reversed(inner):
            xp.add(t, coefficient, out=t)
            xp.multiply(t, square, out=t)
        xp.add(t, constant, out=t)
        xp.multiply(t, x, out=t)
        xp.tanh(t, out=t)
        xp.add(t, one, out=t)
        xp.multiply(x, t, out=x)

    return gelu


def swiglu(gate: Array, up: Array, scratch: Array, xp: Any = np) -> None:
    """gate = 2 silu(gate) up, where silu(x) = x / (1 + exp(-x)), which overflows nowhere when written with tanh."""
    xp.multiply(gate, np.float32(0.5), out=scratch)
    xp.tanh(scratch, out=scratch)
    xp.add(scratch, np.float32(1), out=scratch)
    xp.multiply(gate, scratch, out=gate)
    xp.multiply(gate, up, out=gate)


def normalize(x: Array, y: Array, epsilon: float, axis: int, centre: bool, xp: Any = np) -> Array:
    """y = x, each column (axis 0) or row (axis 1) of mean square 1, when centred of mean 0. Returns the factors."""
    features = np.float32(x.shape[axis])
    if centre:
        xp.subtract(x, _sums(x, axis, xp) / features, out=y)
        x = y
    squares = xp.multiply(x, x)
    scale = xp.divide(np.float32(1), xp.sqrt(_sums(squares, axis, xp) / features + np.float32(epsilon)))
    xp.multiply(x, scale, out=y)
    return scale


def _sums(x: Array, axis: int, xp: Any) -> Array:
    return column_sums(x, xp)[None] if axis == 0 else xp.add.reduce(x, axis=1, keepdims=True)


def layer_norm(x: Array, scale: Array, shift: Array, epsilon: float, scratch: Array, xp: Any = np) -> None:
    """Each column to mean 0 and variance 1, then times ``scale`` plus ``shift``, both (features, 1)."""
    features = np.float32(len(x))
    mean = column_sums(x, xp) / features  # (tokens)
    xp.subtract(x, mean, out=x)
    xp.multiply(x, x, out=scratch)
    deviation = xp.sqrt(column_sums(scratch, xp) / features + np.float32(epsilon))  # (tokens)
    xp.multiply(x, xp.divide(np.float32(1), deviation), out=x)
    xp.multiply(x, scale, out=x)
    xp.add(x, shift, out=x)


def column_sums(x: Array, xp: Any = np) -> Array:
    """Sum of each column of (features, tokens)."""
    run = math.gcd(len(x), _SUM_RUN)
    partial = xp.add.reduce(x.reshape(len(x) // run, run, -1), axis=1)  # (features / run, tokens)
    return xp.add.reduce(partial, axis=0)


def softmax_parts(scores: Array, xp: Any = np) -> Array:
    """exp(scores - maximum) in place and its sums, both over the last axis but one; dividing is left to the caller."""
    xp.subtract(scores, scores.max(axis=-2, keepdims=True), out=scores)
    xp.exp(scores, out=scores)
    return xp.add.reduce(scores, axis=-2, keepdims=True)
