"""Elementwise kernels against the textbook, in float64."""

from __future__ import annotations

import math
from collections.abc import Callable

import numpy as np
import pytest
from hartonomous_server.inference import kernels


def applied(name: str, x: np.ndarray) -> np.ndarray:
    result = x.copy()
    kernels.activation(name)(result, np.empty((2, *x.shape), np.float32))
    return result * np.float32(kernels.output_factor(name))


def erf_gelu(x: float) -> float:
    return 0.5 * x * math.erfc(-x / math.sqrt(2))


def tanh_gelu(x: float) -> float:
    return 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))


GELUS = [("gelu", erf_gelu), ("gelu_new", tanh_gelu), ("gelu_pytorch_tanh", tanh_gelu)]


@pytest.mark.parametrize(("name", "exact"), GELUS)
def test_gelu_is_exact_to_float32(name: str, exact: Callable[[float], float]) -> None:
    x = np.concatenate([np.linspace(-12, 12, 100_001), [-500.0, 500.0, 0.0]]).astype(np.float32)
    expected = np.array([exact(float(value)) for value in x])
    error = np.abs(applied(name, x) - expected) / np.maximum(1, np.abs(expected))
    assert error.max() < 2.5e-7


def test_relu() -> None:
    assert applied("relu", np.array([-1, 0, 2], np.float32)).tolist() == [0, 0, 2]


@pytest.mark.parametrize("features", [24, 384, 7])
def test_layer_norm(features: int) -> None:
    random = np.random.default_rng(1)
    x = random.normal(3, 2, (features, 32)).astype(np.float32)
    scale, shift = random.normal(size=(2, features, 1)).astype(np.float32)
    wide = x.astype(np.float64)
    expected = (wide - wide.mean(0)) / np.sqrt(wide.var(0) + 1e-12) * scale + shift
    kernels.layer_norm(x, scale, shift, 1e-12, np.empty_like(x))
    assert np.abs(x - expected).max() < 3e-6


def test_softmax_survives_large_scores() -> None:
    scores = np.array([[[1000, -1000], [999, -1000]]], np.float32)
    sums = kernels.softmax_parts(scores)
    weights = scores / sums
    assert np.allclose(weights[0, :, 0], [1 / (1 + math.exp(-1)), 1 / (1 + math.e)])
    assert weights[0, :, 1].tolist() == [0.5, 0.5]
