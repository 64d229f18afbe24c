"""Bytes of a block as they lie in the table: a zstd frame where that is shorter, else as they are.

What lies there and begins like a frame is one; bytes that themselves begin so are always made a frame.
"""

from __future__ import annotations

from functools import cache
from typing import Any

import zstandard

from hartonomous_server import errors

LEVEL = 3
MAGIC = zstandard.FRAME_HEADER


@cache
def _compressor() -> Any:
    return zstandard.ZstdCompressor(level=LEVEL, write_checksum=False)


@cache
def _decompressor() -> Any:
    return zstandard.ZstdDecompressor()


def data(row: Any) -> bytes:
    """Bytes of a leaf or a block (packed), of which data is what lies in the table."""
    return unpack(row["data"]) if row["packed"] else row["data"]


def pack(data: bytes | memoryview) -> bytes | memoryview:
    frame = _compressor().compress(data)
    return frame if len(frame) < len(data) or data[:4] == MAGIC else data


def unpack(block: bytes) -> bytes:
    """AtomMissing when a frame is damaged so that nothing comes out of it."""
    if block[:4] != MAGIC:
        return block
    try:
        return _decompressor().decompress(block)
    except (zstandard.ZstdError, MemoryError) as error:
        raise errors.AtomMissing(f"a block is damaged: {error}") from None
