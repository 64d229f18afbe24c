"""Blocks as they lie in the table come back as they were, whatever their bytes look like."""

import random

import pytest
from hartonomous_server.atoms import block
from hartonomous_server.errors import AtomMissing
from hypothesis import given
from hypothesis import strategies as st

NOISE = random.Random(1).randbytes(5000)


@given(st.one_of(st.binary(), st.binary().map(lambda tail: block.MAGIC + tail), st.binary().map(block.pack)))
def test_any_bytes_come_back(data):
    packed = block.pack(data)
    assert block.unpack(packed) == data
    assert len(packed) <= len(data) or data.startswith(block.MAGIC)


def test_what_does_not_compress_lies_as_it_is():
    assert block.pack(NOISE) == NOISE


def test_what_compresses_is_a_frame():
    assert len(block.pack(NOISE[:50] * 100)) < 100


def test_a_file_of_zstd_is_kept_as_bytes():
    frame = block.pack(bytes(5000))
    assert block.unpack(block.pack(frame)) == frame


@pytest.mark.parametrize("damage", [
    lambda frame: frame[:40],
    lambda frame: frame[:4],
    lambda frame: block.MAGIC + b"\xe0" + b"\x7f" * 8 + frame[5:],  # says that it holds more than memory does
], ids=["cut", "magic", "size"])  # fmt: skip
def test_a_damaged_frame_is_said_to_be_damaged(damage):
    frame = block.pack(bytes(range(256)) * 4 + NOISE[:500] + bytes(range(256)) * 4)
    assert frame.startswith(block.MAGIC)
    with pytest.raises(AtomMissing, match="damaged"):
        block.unpack(damage(frame))
