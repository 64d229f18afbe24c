"""Content-defined chunks: an edit changes the chunks it touches, all others stay (FastCDC; Xia et al. 2016).

A hash of the 32 bytes before a position decides whether a chunk may end there. It is computed for all positions at once
by doubling its window. Up to NORMAL bytes fewer positions qualify than after it, so that lengths vary little.
"""

from __future__ import annotations

from bisect import bisect_left
from collections.abc import Iterator
from typing import TYPE_CHECKING

from hartonomous_server.blas import numpy

if TYPE_CHECKING:
    import numpy as np

MIN, NORMAL, MAX = 2 * 1024, 8 * 1024, 64 * 1024
HARD_BITS, EASY_BITS = 13, 12  # leading zero bits asked before and after NORMAL
WINDOW = 32
FACTOR = 0x9E3779B1  # 2^32 over the golden ratio: spreads a sum over the leading bits (Knuth 6.4)
SEGMENT = 64 * 1024  # positions hashed at once: what fits the processor's cache


def hashes(data: np.ndarray) -> np.ndarray:
    """Hash (uint32) at every position of data (uint8): FACTOR times the sum of byte << age over 32 bytes back.

    Narrow integers are as fast as they are narrow, and sums of 8 bytes fit 16 bits.
    """
    np = numpy()
    sums = _doubled(data.astype(np.uint16), 1, 2, 4)
    sums = _doubled(sums.astype(np.uint32), 8, 16)
    sums *= np.uint32(FACTOR)
    return sums


def _doubled(sums: np.ndarray, *spans: int) -> np.ndarray:
    """Sums over twice as many bytes for each span."""
    np = numpy()
    shifted = np.empty_like(sums)
    for span in spans:
        shifted[:span] = 0
        np.left_shift(sums[:-span], span, out=shifted[span:])
        sums += shifted
    return sums


def _candidates(data: bytes | memoryview, grain: int) -> tuple[list[int], list[int]]:
    """Ends of chunks that are allowed before and after NORMAL; the former are among the latter."""
    np = numpy()
    whole = np.frombuffer(data, np.uint8)
    hard, easy = [], []
    for at in range(0, len(whole), SEGMENT):
        before = min(at, WINDOW - 1)
        found = hashes(whole[at - before : at + SEGMENT])[before:]
        found = found[grain - 1 :: grain]
        ends = np.flatnonzero(found < grain << (32 - EASY_BITS))
        easy.append(grain * (ends + 1) + at)
        hard.append(grain * (ends[found[ends] < grain << (32 - HARD_BITS)] + 1) + at)
    return np.concatenate(hard).tolist(), np.concatenate(easy).tolist()


def ends(data: bytes | memoryview, final: bool = True, grain: int = 1) -> Iterator[int]:
    """Where chunks of data end: at multiples of grain, a power of two. Not final: those that stay whatever follows."""
    if len(data) <= MIN:
        yield from [len(data)] if final and data else []
        return
    hard, easy = _candidates(data, grain)
    start = 0
    while start < len(data) if final else start + MAX <= len(data):
        end = min(_next(hard, start + MIN), start + MAX)
        if end > start + NORMAL:
            end = min(_next(easy, start + NORMAL), start + MAX)
        start = min(end, len(data))
        yield start


def _next(positions: list[int], least: int) -> int:
    at = bisect_left(positions, least)
    return positions[at] if at < len(positions) else 1 << 62


class Cutter:
    """Chunks of bytes that arrive in parts: the same chunks whatever the parts."""

    def __init__(self, grain: int = 1) -> None:
        self._tail, self._grain = b"", grain

    def feed(self, data: bytes | memoryview, final: bool = False) -> Iterator[memoryview]:
        whole, start = self._tail + data if self._tail else data, 0
        view = memoryview(whole)
        for end in ends(whole, final, self._grain):
            yield view[start:end]
            start = end
        self._tail = bytes(view[start:])
