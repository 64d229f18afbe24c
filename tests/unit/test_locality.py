"""Leaves: all bytes in order, cut where it makes sense; close values get close features, the same everywhere."""

import random

import pytest
from hartonomous_server.atoms import identity, locality
from hartonomous_server.blas import numpy
from hypothesis import given
from hypothesis import strategies as st

np = numpy()
MODALITIES = range(16)


def xy(content, modality):
    return np.frombuffer(locality.features([content], modality), "<u4").astype(int)


def leaves(block, modality):
    ends = locality.leaf_ends(block, modality)
    return [block[start:end] for start, end in zip([0, *ends], ends, strict=False)]


@given(st.binary(min_size=65, max_size=3000), st.sampled_from(MODALITIES))
def test_leaves_are_all_bytes_in_order(block, modality):
    found = leaves(block, modality)
    assert b"".join(found) == block and len(found) >= 2
    assert all(0 < len(leaf) <= locality.LEAF_BYTES for leaf in found)


@given(st.text(min_size=100, max_size=500), st.sampled_from(locality.LINES))
def test_text_is_cut_between_characters(text, modality):
    for leaf in leaves(text.encode() + b"." * 65, modality):
        leaf.decode()


def test_text_is_cut_after_lines_then_words():
    line, words = b"x = 1\n", b"some words and " * 7
    assert leaves(line * 12 + words, locality.CODE)[:2] == [line * 10, line * 2]
    assert all(leaf.endswith(b" ") for leaf in leaves(words, locality.TEXT))
    assert [len(leaf) for leaf in leaves(bytes(130), locality.IMAGE)] == [64, 64, 2]


@given(st.lists(st.binary(max_size=80), min_size=1, max_size=9), st.sampled_from(MODALITIES))
def test_features_are_those_of_each_content(contents, modality):
    together = locality.features(contents, modality)
    assert together == b"".join(locality.features([content], modality) for content in contents)
    assert max(np.frombuffer(together, "<u4")) <= locality.TOP
    places = identity.identify(contents, modality, 7)
    assert (places.h[:, 0] >> 58 == modality).all()


def slow(content, modality):
    """The definitions, in Python's own arithmetic."""
    def numbers(dtype):
        size = np.dtype(dtype).itemsize
        return np.frombuffer(content[: len(content) // size * size], dtype).tolist()

    if modality == locality.AUDIO:
        v = numbers("<i2") or [0]
        pair = (sum(v) / len(v) + 32768) / 65536, (sum(x * x for x in v) / len(v)) ** 0.5 / 32768
    elif modality == locality.IMAGE:
        v = numbers("u1") or [0]
        pair = sum(v) / len(v) / 256, (len(v) * sum(x * x for x in v) - sum(v) ** 2) ** 0.5 / len(v) / 128
    else:
        v = [x if np.isfinite(x) else 0 for x in numbers("<f4")] or [0]
        mean, norm = sum(v) / len(v), sum(x * x for x in v) ** 0.5
        pair = (mean / (1 + abs(mean)) + 1) / 2, norm / (1 + norm)
    return [min(int(part * 2**29), 2**29 - 1) for part in pair]


@given(st.binary(max_size=64), st.sampled_from([locality.AUDIO, locality.IMAGE, locality.TENSOR]))
def test_features_are_what_they_say(content, modality):
    assert abs(xy(content, modality) - slow(content, modality)).max() <= 1  # of 2^29


@pytest.mark.parametrize("modality, dtype, scale", [
    (locality.AUDIO, "<i2", 3000), (locality.IMAGE, "u1", 30), (locality.TENSOR, "<f4", 10),
    (locality.TENSOR, "<f4", 0.05),
])  # fmt: skip
def test_close_values_are_close(modality, dtype, scale):
    """Of 200 leaves, the nearest to one with a little noise is that one without, far more often than by chance."""
    chance = np.random.default_rng(1)
    count = 64 // np.dtype(dtype).itemsize
    level = chance.uniform(3, 7, (200, 1)) if dtype == "u1" else chance.normal(0, 1, (200, 1))
    values = scale * (level + chance.uniform(0, 1, (200, 1)) * chance.normal(0, 1, (200, count)))
    noisy = values + scale / 100 * chance.normal(0, 1, values.shape)
    before, after = (np.array([xy(row.astype(dtype).tobytes(), modality) for row in some]) for some in (values, noisy))
    nearest = ((after[:, None] - before[None]) ** 2).sum(axis=2).argmin(axis=1)
    assert (nearest == np.arange(200)).mean() > 0.5


def test_numbers_that_are_none_are_passed_over():
    clean = np.array([1.5, 2.5], "<f4").tobytes()
    none = np.array([np.nan, np.inf], "<f4").tobytes()
    assert xy(clean + none, locality.TENSOR)[1] == xy(clean, locality.TENSOR)[1]
    assert (xy(clean + b"\x7f", locality.TENSOR) == xy(clean, locality.TENSOR)).all()
    assert (xy(b"\1\0\xff", locality.AUDIO) == xy(b"\1\0", locality.AUDIO)).all()
    huge = np.full(16, np.finfo("f4").max, "<f4")
    assert xy(huge.tobytes(), locality.TENSOR).tolist() == [locality.TOP] * 2
    assert xy((-huge).tobytes(), locality.TENSOR)[0] == 0


def test_prefixes_and_lengths_are_near():
    chance = random.Random(2)
    base = chance.randbytes(40)
    near, far = xy(base[:20] + chance.randbytes(21), locality.TEXT), xy(chance.randbytes(4000), locality.TEXT)
    assert abs(near - xy(base, locality.TEXT)).max() < abs(far - xy(base, locality.TEXT)).max()
