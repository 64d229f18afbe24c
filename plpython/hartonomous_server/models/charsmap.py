"""The table by which sentencepiece replaces characters: a double-array trie, and the replacements it points to.

The tokenizers library trusts it. A table that came with a model is looked at first: whatever text it is applied to, no
step leads out of it, and no character becomes a long text.
"""

from __future__ import annotations

import base64
import binascii

from hartonomous_server import blas, errors

LONGEST = 64  # bytes of a replacement; Unicode's longest has 33


def check(encoded: object) -> None:
    """Refuses a table, in base64, that is not whole or could make a text explode."""
    try:
        table = base64.b64decode(str(encoded), validate=True)
    except binascii.Error as error:
        raise errors.TokenizerInvalid(f"precompiled_charsmap is not base64: {error}") from error
    size = int.from_bytes(table[:4], "little")
    trie, texts = table[4 : 4 + size], table[4 + size :]
    if not size or size % 1024 or len(trie) != size:  # its states are blocks of 256 units of 4 bytes
        raise errors.TokenizerInvalid(f"precompiled_charsmap has {len(table)} bytes, expected a trie and its texts")
    if not _leads_inside(trie, texts):
        raise errors.TokenizerInvalid("precompiled_charsmap leads out of its own table")
    longest = max(map(len, texts.split(b"\0")))
    if longest > LONGEST:
        raise errors.TokenizerInvalid(f"precompiled_charsmap replaces by {longest} bytes, expected at most {LONGEST}")


def _leads_inside(trie: bytes, texts: bytes) -> bool:
    """Whether all steps, and all replacements, of units that a text could reach are there."""
    np = blas.numpy()
    units = np.frombuffer(trie, "<u4").astype(np.int64)
    states = np.flatnonzero(units < 1 << 31)  # the others hold values
    steps = units[states]
    reached = states ^ (steps >> 10 << ((steps & 512) >> 6))
    if (reached >= len(units)).any():
        return False
    starts = np.unique(units[reached[(steps & 256) > 0]] & ~(1 << 31)).tolist()
    try:
        texts.decode()
    except UnicodeDecodeError:
        return False
    return all(start < len(texts) and texts[start] & 0xC0 != 0x80 for start in starts)
