"""Statistics of parts of tensors, whatever their length and size."""

from __future__ import annotations

import math

import numpy as np
import pytest
from hartonomous_server.models import footprint

SIZES = [(1, 0), (0.05, 0.001), (1e-25, 0), (1e25, 0), (1, 100), (1, -100), (0, 0)]  # scale, offset


def of(values: np.ndarray, dtype: str = "F32") -> footprint.Footprint:
    data = values.tobytes()
    row = {"coefficient_id": 1, "shape": [len(values)], "dtype": dtype, "rank": 0, "start": 0, "data": data}
    return footprint.of(row)


@pytest.mark.parametrize("length", [1, 5, footprint.RUN - 1, footprint.RUN, footprint.RUN + 1, 65536])
@pytest.mark.parametrize(("scale", "offset"), SIZES)
def test_numbers_are_those_of_float64(length: int, scale: float, offset: float) -> None:
    values = (np.random.default_rng(1).standard_normal(length) * scale + offset).astype(np.float32)
    exact, found = values.astype(np.float64), of(values)
    norm = math.sqrt(exact @ exact)
    assert found.norm == pytest.approx(norm, rel=1e-7, abs=0)
    assert found.mean == pytest.approx(exact.mean(), rel=1e-7, abs=1e-7 * norm / math.sqrt(length))
    assert found.largest == np.abs(exact).max()


def test_half_floats_and_integers_too() -> None:
    assert of(np.array([3, -4], "<f2"), "F16")[2:] == (5, -0.5, 4)
    assert of(np.array([3, -4], "<i8"), "I64")[2:] == (5, -0.5, 4)


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize("length", [3, 2 * footprint.RUN])
def test_what_is_no_number_is_told(length: int) -> None:
    values = np.ones(length, np.float32)
    values[1] = np.nan
    assert all(map(math.isnan, of(values)[2:]))
    values[1] = np.inf
    assert of(values)[2:] == (math.inf, math.inf, math.inf)
