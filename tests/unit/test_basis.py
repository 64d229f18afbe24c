"""The three directions of places."""

import numpy as np
import pytest
from hartonomous_server.search import basis


def manifold(n, dimensions, noise=0.0, seed=0):
    """Points that vary along three directions by far the most."""
    chance = np.random.default_rng(seed)
    axes = np.linalg.qr(chance.standard_normal((dimensions, 4)))[0].T
    along = chance.standard_normal((n, 3)) * [0.5, 0.3, 0.2]
    return axes[3] * 5 + along @ axes[:3] + noise * chance.standard_normal((n, dimensions)), axes[:3]


@pytest.mark.parametrize(("n", "dimensions"), [(500, 20), (20, 500), (50, 50)])
def test_principal_directions_are_those_of_a_singular_value_decomposition(n, dimensions):
    given, _ = manifold(n, dimensions, noise=0.02)
    axes, variance = basis.principal(given.astype(np.float32))
    unit = given / np.linalg.norm(given, axis=1, keepdims=True)
    _, sizes, right = np.linalg.svd(unit - unit.mean(axis=0), full_matrices=False)
    assert np.abs(np.abs(np.sum(axes * right[:3], axis=1)) - 1).max() < 1e-3
    assert variance == pytest.approx((sizes[:3] ** 2).sum() / (sizes**2).sum(), rel=1e-4)
    assert np.abs(axes @ axes.T - np.eye(3)).max() < 1e-5


def test_length_does_not_count():
    given, _ = manifold(300, 10, noise=0.1)
    lengths = np.random.default_rng(1).uniform(0.1, 10, (300, 1))
    assert np.allclose(basis.principal(given)[0], basis.principal(given * lengths)[0], atol=1e-6)


def test_all_of_a_flat_world_is_held():
    given, planted = manifold(400, 64)
    axes, variance = basis.principal(given)
    assert variance > 0.99
    assert np.linalg.norm(planted @ axes.T, axis=1).min() > 0.98


@pytest.mark.parametrize("given", [np.ones((10, 5)), np.array([[1.0, 2.0]]), np.eye(2)])
def test_what_varies_along_fewer_directions_has_zero_for_the_rest(given):
    axes, variance = basis.principal(given)
    assert axes.shape == (3, given.shape[1]) and np.isfinite(axes).all() and 0 <= variance <= 1 + 1e-9
    lengths = np.linalg.norm(axes, axis=1)
    assert np.all(np.isclose(lengths, 1) | (lengths == 0)) and lengths[-1] == 0


def test_random_directions_follow_from_the_state_alone():
    first, other = (basis.directions(bytes([seed]) * 32, 40) for seed in (1, 2))
    assert np.array_equal(first, basis.directions(bytes([1]) * 32, 40)) and not np.allclose(first, other)
    assert np.abs(first @ first.T - np.eye(3)).max() < 1e-12
    assert basis.directions(bytes(32), 2).shape == (3, 2) and not basis.directions(bytes(32), 2)[2].any()
