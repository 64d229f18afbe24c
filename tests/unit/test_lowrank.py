"""Truncation of matrices: ranks by energy, nearest elements, nearest outputs, pairs of int16."""

import numpy as np
import pytest
from hartonomous_server.evaluation import lowrank

RANDOM = np.random.default_rng(0)


def low(rows, columns, ranks=20):
    matrix = RANDOM.standard_normal((rows, ranks)) * 0.7 ** np.arange(ranks) @ RANDOM.standard_normal((ranks, columns))
    return matrix + 0.001 * RANDOM.standard_normal((rows, columns))


@pytest.mark.parametrize("shape", [(40, 60), (60, 40)])
@pytest.mark.parametrize("energy", [0.3, 0.9, 0.99])
def test_the_rank_is_the_least_that_keeps_the_energy(shape, energy):
    matrix = low(*shape)
    squares = np.linalg.svd(matrix, compute_uv=False) ** 2
    rank = lowrank.rank(matrix, energy)
    assert squares[:rank].sum() >= energy * squares.sum() > squares[: rank - 1].sum()
    assert lowrank.rank(matrix, 1) == 40


@pytest.mark.parametrize("shape", [(40, 60), (60, 40)])
def test_without_inputs_elements_are_nearest(shape):
    matrix = low(*shape)
    u, v = lowrank.truncate(matrix, 5)
    left, sizes, right = np.linalg.svd(matrix, full_matrices=False)
    assert np.allclose(u.T @ v, left[:, :5] * sizes[:5] @ right[:5])


@pytest.mark.parametrize("shape", [(40, 60), (60, 40)])
def test_with_inputs_outputs_are_nearest(shape):
    matrix = low(*shape)
    inputs = RANDOM.standard_normal((shape[1], 500)) * np.logspace(0, -2, shape[1])[:, None] + 3
    spread = np.cov(inputs, bias=True)
    change = [
        np.mean(((u.T @ v - matrix) @ (inputs - inputs.mean(axis=1, keepdims=True))) ** 2)
        for u, v in (lowrank.truncate(matrix, 5, spread), lowrank.truncate(matrix, 5))
    ]
    sizes = np.linalg.svd(matrix @ np.linalg.cholesky(spread), compute_uv=False)
    assert change[0] < change[1] and change[0] == pytest.approx(np.sum(sizes[5:] ** 2) / shape[0], rel=0.05)


@pytest.mark.parametrize("spread", [np.zeros((30, 30)), np.diag([1.0] + [0.0] * 28 + [-1e-9])])
def test_inputs_that_hardly_differ_are_no_error(spread):
    u, v = lowrank.truncate(low(40, 30), 4, spread)
    assert np.isfinite(u).all() and np.isfinite(v).all()


def test_pairs_lose_little():
    u, v = lowrank.truncate(low(50, 40), 8)
    pairs = lowrank.quantized(u, v)
    assert pairs.u.dtype == pairs.v.dtype == np.dtype("<i2") and np.log2(pairs.coefficient) % 1 == 0
    assert max(np.abs(pairs.u).max(), np.abs(pairs.v).max()) <= lowrank.LARGEST
    assert np.linalg.norm(pairs.matrix() - u.T @ v) < 1e-3 * np.linalg.norm(u.T @ v)
