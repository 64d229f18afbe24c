"""What the modality decides: where chunks and leaves may end, and the features that give close values close places.

Features are 29 bits each. Content longer than a leaf: x is its first 29 bits (common prefixes are near), y its length
on a log scale (a float32's bits). Leaves, by modality:

audio           int16 samples: x their mean, y their root mean square
image           bytes: x their mean, y their standard deviation
tensor          float32 values: x their mean, y their norm, each v as v / (1 + |v|)
all others      as longer content

All numbers are little-endian; what follows the last whole one is passed over, and so is what is not finite. Only sums
of integers and operations that IEEE 754 defines to the bit are used: a place is the same wherever it is computed.
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from typing import TYPE_CHECKING

from hartonomous_server.blas import numpy

if TYPE_CHECKING:
    import numpy as np

LEAF_BYTES = 64
FEATURE_BITS = 29
TOP = (1 << FEATURE_BITS) - 1
HEAD = 4  # bytes of longer content that its features depend on
TEXT, CODE, IMAGE, AUDIO, SENSOR, GRAPH, TENSOR = 1, 2, 3, 4, 6, 7, 8
LINES = (TEXT, CODE, SENSOR, GRAPH)  # what is written in lines
GRAINS = {AUDIO: 4, TENSOR: 4}  # chunks end at multiples of so many bytes, so that samples stay whole


def grain(modality: int) -> int:
    return GRAINS.get(modality, 1)


def features(contents: Sequence[bytes | memoryview], modality: int) -> bytes:
    """x and y (uint32) of contents."""
    np = numpy()
    sizes = np.array([len(content) for content in contents])
    heads = b"".join(bytes(content[:HEAD]).ljust(HEAD, b"\0") for content in contents)
    found = _by_head(np.frombuffer(heads, ">u4"), sizes)
    leaves = np.flatnonzero(sizes <= LEAF_BYTES)
    if modality in _LEAVES and len(leaves):
        data = b"".join(bytes(contents[i]).ljust(LEAF_BYTES, b"\0") for i in leaves.tolist())
        rows = np.frombuffer(data, np.uint8).reshape(-1, LEAF_BYTES)
        found[leaves] = _LEAVES[modality](rows, sizes[leaves])
    return found.tobytes()


def prefix(content: bytes | memoryview) -> int:
    return int.from_bytes(content[:HEAD]) >> 3


def longer(x: int, size: int) -> bytes:
    """Features of content that is longer than a leaf: x is that of its first part."""
    return struct.pack("<II", x, struct.unpack("<I", struct.pack("<f", size))[0] >> 2)


def _by_head(heads: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    np = numpy()
    return np.stack([heads.astype(np.uint32) >> 3, sizes.astype("<f4").view("<u4") >> 2], axis=1).astype("<u4")


def _whole(rows: np.ndarray, sizes: np.ndarray, dtype: str) -> tuple[np.ndarray, np.ndarray]:
    """Numbers in rows of leaves, zero after the last whole one, and how many there are."""
    np = numpy()
    count = sizes // np.dtype(dtype).itemsize
    numbers = rows.view(dtype)
    return np.where(np.arange(numbers.shape[1]) < count[:, None], numbers, 0), np.maximum(count, 1)


def _samples(rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    np = numpy()
    samples, count = _whole(rows, sizes, "<i2")
    samples = samples.astype(np.int64)
    mean, square = samples.sum(axis=1) / count, (samples * samples).sum(axis=1) / count
    return _bits((mean + (1 << 15)) / (1 << 16), np.sqrt(square) / (1 << 15))


def _pixels(rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    np = numpy()
    pixels, count = _whole(rows, sizes, "u1")
    pixels = pixels.astype(np.int64)
    total, square = pixels.sum(axis=1), (pixels * pixels).sum(axis=1)
    return _bits(total / count / 256, np.sqrt(count * square - total * total) / count / 128)


def _values(rows: np.ndarray, sizes: np.ndarray) -> np.ndarray:
    np = numpy()
    numbers, count = _whole(rows, sizes, "<f4")
    numbers = np.where(np.isfinite(numbers), numbers, 0).astype(np.float64)
    total, square = np.zeros(len(rows)), np.zeros(len(rows))
    for column in numbers.T:  # in this order, whatever the processor
        total += column
        square += column * column
    mean, norm = total / count, np.sqrt(square)
    return _bits((mean / (1 + np.abs(mean)) + 1) / 2, norm / (1 + norm))


def _bits(x: np.ndarray, y: np.ndarray) -> np.ndarray:
    """Two numbers of 0 .. 1 as features."""
    np = numpy()
    return np.minimum(np.floor(np.stack([x, y], axis=1) * (TOP + 1)), TOP).astype("<u4")


_LEAVES = {AUDIO: _samples, IMAGE: _pixels, TENSOR: _values}


def leaf_ends(block: bytes, modality: int) -> list[int]:
    """Where the leaves of a block end: what has lines after as many as fit, else words, else characters, if any end."""
    if modality not in LINES:
        return [*range(LEAF_BYTES, len(block), LEAF_BYTES), len(block)]
    ends, start = [], 0
    while len(block) - start > LEAF_BYTES:
        start = _cut(block, start)
        ends.append(start)
    return [*ends, len(block)]


def _cut(block: bytes, start: int) -> int:
    last = start + LEAF_BYTES
    for separator in (b"\n", b" "):
        at = block.rfind(separator, start, last)
        if at >= 0:
            return at + 1
    end = last
    while end > last - 3 and block[end] & 0xC0 == 0x80:  # a continuation byte of UTF-8
        end -= 1
    return end if block[end] & 0xC0 != 0x80 else last
