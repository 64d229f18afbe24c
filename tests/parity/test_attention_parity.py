"""attention against torch's scaled_dot_product_attention in float64."""

import numpy as np
import pytest
import torch
from hartonomous_server.inference import attention


def of_torch(q, k, v, heads, causal):
    parts = [torch.tensor(x, dtype=torch.float64).reshape(len(x), heads, -1).transpose(0, 1) for x in (q, k, v)]
    mask = torch.ones(len(q), len(k), dtype=torch.bool).tril(len(k) - len(q)) if causal else None
    found = torch.nn.functional.scaled_dot_product_attention(*parts, attn_mask=mask)
    return found.transpose(0, 1).reshape(len(q), -1).numpy()


@pytest.mark.parametrize("heads", [1, 4])
@pytest.mark.parametrize("causal", [False, True])
@pytest.mark.parametrize(("queries", "keys"), [(1, 1), (3, 7), (40, 40), (2, 900)])
def test_equals_torch(queries, keys, heads, causal, monkeypatch):
    chance = np.random.default_rng(queries * keys + heads)
    q, k, v = (chance.normal(size=(n, d)).astype(np.float32) * 3 for n, d in ((queries, 32), (keys, 32), (keys, 8)))
    expected = of_torch(q, k, v, heads, causal)
    assert np.abs(attention.attention(q, k, v, heads, causal) - expected).max() < 2e-5
    monkeypatch.setattr(attention, "SCORES", 5 * keys * heads)  # a few queries at a time
    assert np.abs(attention.attention(q, k, v, heads, causal) - expected).max() < 2e-5


def test_large_scores_do_not_overflow():
    q = np.full((1, 4), 1e18, np.float32)
    k = np.array([[1e18] * 4, [-1e18] * 4], np.float32)
    assert np.array_equal(attention.attention(q, k, np.eye(2, dtype=np.float32), 1), [[1, 0]])
