"""Pairs by a product of matrices, block by block."""

import numpy as np
import pytest
from hartonomous_server.search import duplicates


@pytest.mark.parametrize("rows", [0, 1, 5, 40, 41])
def test_all_pairs_are_found_once(monkeypatch, rows):
    monkeypatch.setattr(duplicates, "BLOCK", 8)
    vectors = np.random.default_rng(rows).standard_normal((rows, 3)).astype(np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    found = []
    for a, b, similarity in duplicates.pairs(vectors, 0.5, lambda: None):
        found += list(zip(a.tolist(), b.tolist(), similarity.tolist(), strict=True))
    right = {(i, j) for i in range(rows) for j in range(i + 1, rows) if vectors[i] @ vectors[j] >= 0.5}
    assert {(a, b) for a, b, _ in found} == right and len(found) == len(right)
    assert all(similarity == pytest.approx(vectors[a] @ vectors[b], abs=1e-5) for a, b, similarity in found)
