"""Vectors in pgvector's binary format."""

import struct

import numpy as np
import pytest
from hartonomous import vectors
from hartonomous.errors import VectorInvalid
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra.numpy import arrays

FINITE = st.floats(allow_nan=False, allow_infinity=False, width=32)


def test_the_format_is_pgvectors():
    assert vectors.encode([1.0, -2.5]) == b"\0\2\0\0" + struct.pack(">ff", 1.0, -2.5)


@given(arrays(np.float32, st.integers(1, 50), elements=FINITE))
def test_what_is_encoded_is_decoded(vector):
    decoded = vectors.decode(vectors.encode(vector))
    assert decoded.dtype == np.float32
    assert decoded.tobytes() == vector.tobytes()


def test_any_numeric_array_is_taken():
    assert np.array_equal(vectors.as_vector(np.arange(3)), [0, 1, 2])


@pytest.mark.parametrize(
    ("value", "message"),
    [
        ([1.0, float("nan")], "component 1 is nan"),
        ([float("-inf")], "component 0 is -inf"),
        ([1e39], "component 0 is inf"),
        ([], "found 0 components"),
        (np.zeros((2, 2)), "found an array of 2 dimensions, expected 1"),
        (np.zeros(16001), "found 16001 components, expected 1 to 16000"),
    ],
)
@pytest.mark.filterwarnings("ignore:overflow")
def test_refuses(value, message):
    with pytest.raises(VectorInvalid, match=message):
        vectors.encode(value)


@pytest.mark.parametrize("order", "<>")
def test_points(order):
    flag = b"\1" if order == "<" else b"\0"
    plain = flag + struct.pack(order + "I", 0x80000001) + struct.pack(order + "3d", 1.0, 2.0, -3.0)
    with_srid = flag + struct.pack(order + "II", 0xA0000001, 4326) + struct.pack(order + "3d", 1.0, 2.0, -3.0)
    assert vectors.decode_point(plain).tolist() == vectors.decode_point(with_srid).tolist() == [1.0, 2.0, -3.0]
    with pytest.raises(VectorInvalid, match="expected a point"):
        vectors.decode_point(flag + struct.pack(order + "II", 0x80000002, 0))
