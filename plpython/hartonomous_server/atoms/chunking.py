"""Content-defined chunks: an edit changes the chunks it touches, all others stay (FastCDC; Xia et al. 2016).

The gear hash of the 32 bytes before a position decides whether a chunk may end there. It is computed for all positions
at once by doubling its window. Up to NORMAL bytes fewer positions qualify than after it, so that lengths vary little.
"""

from __future__ import annotations

import hashlib
from bisect import bisect_left
from collections.abc import Iterator
from functools import cache
from typing import TYPE_CHECKING

from hartonomous_server.blas import numpy

if TYPE_CHECKING:
    import numpy as np

MIN, NORMAL, MAX = 2 * 1024, 8 * 1024, 64 * 1024
HARD_BITS, EASY_BITS = 13, 12  # leading zero bits asked before and after NORMAL
WINDOW = 32
SEGMENT = 64 * 1024  # positions hashed at once: what fits the processor's cache


@cache
def _gear() -> np.ndarray:
    """A random number for each byte, the same everywhere."""
    np = numpy()
    return np.frombuffer(b"".join(hashlib.sha256(bytes([byte])).digest()[:4] for byte in range(256)), "<u4").copy()


def gear_hashes(data: np.ndarray) -> np.ndarray:
    """Gear hash (uint32) at every position of data (uint8): the sum of gear[byte] << age over up to 32 bytes before."""
    np = numpy()
    hashes, shifted = _gear()[data], np.empty(len(data), np.uint32)
    for span in (1, 2, 4, 8, 16):  # hashes of 2 * span bytes from those of span bytes
        shifted[:span] = 0
        np.left_shift(hashes[:-span], span, out=shifted[span:])
        hashes += shifted
    return hashes


def _candidates(data: bytes) -> tuple[list[int], list[int]]:
    """Ends of chunks that are allowed before and after NORMAL; the former are among the latter."""
    np = numpy()
    whole = np.frombuffer(data, np.uint8)
    hard, easy = [], []
    for at in range(0, len(whole), SEGMENT):
        before = min(at, WINDOW - 1)
        hashes = gear_hashes(whole[at - before : at + SEGMENT])[before:]
        ends = np.flatnonzero(hashes < 1 << (32 - EASY_BITS))
        easy.append(ends + (at + 1))
        hard.append(ends[hashes[ends] < 1 << (32 - HARD_BITS)] + (at + 1))
    return np.concatenate(hard).tolist(), np.concatenate(easy).tolist()


def ends(data: bytes, final: bool = True) -> Iterator[int]:
    """Where the chunks of data end. Not final: only those that stay whatever follows."""
    if len(data) <= MIN:
        yield from [len(data)] if final and data else []
        return
    hard, easy = _candidates(data)
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

    def __init__(self) -> None:
        self._tail = b""

    def feed(self, data: bytes, final: bool = False) -> Iterator[memoryview]:
        whole, start = self._tail + data if self._tail else data, 0
        view = memoryview(whole)
        for end in ends(whole, final):
            yield view[start:end]
            start = end
        self._tail = bytes(view[start:])
