"""Products by OpenBLAS's kernels: right for every shape, and each column the same at every width."""

from __future__ import annotations

import numpy as np
import pytest
from hartonomous_server import blas
from hartonomous_server.inference import panels


@pytest.fixture(scope="module")
def functions() -> panels.Panels:
    found = panels.found()
    if found is None:
        pytest.skip(f"nothing was tried of OpenBLAS {blas.version()} for {blas.core_name()}")
    return found


def product(functions: panels.Panels, arranged: np.ndarray, x: np.ndarray) -> np.ndarray:
    out = np.zeros((len(arranged), x.shape[1]), np.float32)
    functions.add_product(arranged, x, out, np.empty((panels.RUN, x.shape[1]), np.float32))
    return out


@pytest.mark.parametrize("shape", [(1, 1), (3, 7), (8, 32), (31, 383), (384, 384), (50, 385), (96, 1536), (1536, 384)])
def test_products_are_right_and_columns_alike(functions: panels.Panels, shape: tuple[int, int]) -> None:
    random = np.random.default_rng(6)
    weights = random.standard_normal(shape, np.float32)
    x = random.standard_normal((shape[1], 512), np.float32)
    arranged = weights.copy()
    functions.arrange(arranged)
    wide = product(functions, arranged, x)
    exact = weights.astype(np.float64) @ x
    assert np.abs(wide - exact).max() <= 1e-5 * np.abs(weights).sum(axis=1).max()
    for width in (*range(1, 100), 256, 511):
        for start in (0, 5, 512 - width):
            some = np.ascontiguousarray(x[:, start : start + width][:, :width])
            at = slice(start, start + some.shape[1])
            assert np.array_equal(product(functions, arranged, some), wide[:, at]), width


def test_nothing_is_written_past_the_panels(functions: panels.Panels) -> None:
    buffer = np.full(385 * 7 + 64, 9, np.float32)
    functions.arrange(buffer[: 385 * 7].reshape(7, 385))
    assert (buffer[385 * 7 :] == 9).all()
    scratch, out = np.full(panels.RUN * 5 + 64, 9, np.float32), np.full(7 * 5 + 64, 9, np.float32)
    x = np.ones((385, 5), np.float32)
    functions.add_product(buffer[: 385 * 7].reshape(7, 385), x, out[:35].reshape(7, 5), scratch[: panels.RUN * 5])
    assert (scratch[panels.RUN * 5 :] == 9).all() and (out[35:] == 9).all()


def test_other_arrays_are_refused(functions: panels.Panels) -> None:
    weights = np.ones((4, 4), np.float32)
    for wrong in (np.ones((4, 8), np.float32)[:, ::2], np.ones((4, 4))):
        with pytest.raises(ValueError, match="not of float32 in C order"):
            product(functions, weights, wrong)


def test_what_was_not_tried_is_not_called(monkeypatch: pytest.MonkeyPatch) -> None:
    for name, value in (("version", "0.3.30"), ("core_name", "Haswell")):
        with monkeypatch.context() as patch:
            patch.setattr(blas, name, lambda value=value: value)
            assert panels.found() is None
