"""Elementwise pieces of a transformer, in place on float32 arrays of shape (features, tokens)."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from hartonomous_server import blas

blas.numpy()
import numpy as np  # noqa: E402

Array = np.ndarray[Any, np.dtype[np.float32]]
Activation = Callable[[Array, Array], None]

BLOCK = 65536  # elements a chain of elementwise steps works on at a time: block and scratch stay in the second-level cache
_SUM_RUN = 16  # rows added up one after the other; short runs, added up again, keep rounding errors small

# gelu(x) = x/2 (1 + tanh(x P(min(x^2, LIMIT)))). For the erf form P was fitted to atanh(erf(x / sqrt 2)) / x by minimax on
# the result: at most 6.1e-7 off anywhere. Ascending powers of x^2.
_ERF_LIMIT = 27.5625
_ERF = (0.797872731665364, 0.03636541683603053, -5.771242179262018e-05, -4.729964006339309e-05, 2.801428584174602e-06, -5.66911144709821e-08)
_TANH = (0.7978845608028654, 0.035677408136300125)


def activation(name: str) -> Activation:
    """The activation, up to the factor ``output_factor`` that is folded into the weights after it."""
    return {"gelu": _gelu_erf, "relu": _relu}.get(name, _gelu_tanh)


def output_factor(name: str) -> float:
    return 1.0 if name == "relu" else 0.5


def _relu(x: Array, scratch: Array) -> None:
    np.maximum(x, np.float32(0), out=x)


def _gelu_erf(x: Array, scratch: Array) -> None:
    np.multiply(x, x, out=scratch[0])
    np.clip(scratch[0], np.float32(0), np.float32(_ERF_LIMIT), out=scratch[0])
    _gelu(x, scratch, _ERF)


def _gelu_tanh(x: Array, scratch: Array) -> None:
    np.multiply(x, x, out=scratch[0])
    _gelu(x, scratch, _TANH)


def _gelu(x: Array, scratch: Array, coefficients: tuple[float, ...]) -> None:
    """2 gelu(x), given x^2 in scratch[0]."""
    square, t = scratch
    np.multiply(square, np.float32(coefficients[-1]), out=t)
    for coefficient in coefficients[-2:0:-1]:
        np.add(t, np.float32(coefficient), out=t)
        np.multiply(t, square, out=t)
    np.add(t, np.float32(coefficients[0]), out=t)
    np.multiply(t, x, out=t)
    np.tanh(t, out=t)
    np.add(t, np.float32(1), out=t)
    np.multiply(x, t, out=x)


def layer_norm(x: Array, scale: Array, shift: Array, epsilon: float, scratch: Array) -> None:
    """Each column to mean 0 and variance 1, then times ``scale`` plus ``shift``, both (features, 1)."""
    features = np.float32(len(x))
    mean = column_sums(x) / features  # (tokens)
    np.subtract(x, mean, out=x)
    np.multiply(x, x, out=scratch)
    deviation = np.sqrt(column_sums(scratch) / features + np.float32(epsilon))  # (tokens)
    np.multiply(x, np.float32(1) / deviation, out=x)
    np.multiply(x, scale, out=x)
    np.add(x, shift, out=x)


def column_sums(x: Array) -> Array:
    """Sum of each column of (features, tokens)."""
    run = math.gcd(len(x), _SUM_RUN)
    partial = np.add.reduce(x.reshape(len(x) // run, run, -1), axis=1)  # (features / run, tokens)
    return np.add.reduce(partial, axis=0)


def softmax_parts(scores: Array) -> Array:
    """exp(scores - maximum) in place and its sums, both over the last axis but one; dividing is left to the caller."""
    np.subtract(scores, np.maximum.reduce(scores, axis=-2, keepdims=True), out=scores)
    np.exp(scores, out=scores)
    return np.add.reduce(scores, axis=-2, keepdims=True)
