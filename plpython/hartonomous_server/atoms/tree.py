"""The tree of composites over content: nodes, too, end where content says so, and equal parts are equal nodes.

A chunk may be the last child of its node when its SHA-256 begins with FANOUT_BITS zero bits; the same holds for nodes
and the nodes above them. A group of one child is that child itself. So a tree is a function of its bytes alone: a part
that is a node in some content has the same tree when it is stored by itself.
"""

from __future__ import annotations

import hashlib
from array import array
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from hartonomous_server.atoms import locality
from hartonomous_server.atoms.chunking import Cutter

FANOUT_BITS = 5
MIN_CHILDREN, MAX_CHILDREN = 8, 256
PART_BYTES = 64 << 20  # of content that is there as a whole


@dataclass(slots=True)
class Node:
    """Content from start to end. Of each child its end, SHA-256 and features; nodes: those that are composites."""

    start: int
    end: int
    digest: bytes
    feature: bytes
    height: int = 0  # 0: a chunk
    ends: array[int] = field(default_factory=lambda: array("q"))
    digests: bytes = b""
    features: bytes = b""
    nodes: list[Node] = field(default_factory=list)

    def starts(self) -> array[int]:
        return array("q", [self.start, *self.ends[:-1]])


class Builder:
    """The tree of content that is fed in parts; holds one part and 80 bytes a chunk.

    Who has the whole content gives a function to hash bytes start to end of it: faster than each level's running hash.
    """

    def __init__(self, modality: int, sha256: Callable[[int, int], bytes] | None = None) -> None:
        self._modality = modality
        self._cutter = Cutter(locality.grain(modality))
        self._size = 0
        self._sha256 = sha256
        self._whole = hashlib.sha256()
        self._groups: list[list[Node]] = [[]]  # children of the node that is open at each level
        self._hashes: list[Any] = [None]  # SHA-256 of the node that is open at each level; None: it began at byte 0

    def feed(self, data: bytes | memoryview, final: bool = False) -> None:
        chunks = list(self._cutter.feed(data, final))
        features = locality.features(chunks, self._modality)
        for i, chunk in enumerate(chunks):
            digest, start = hashlib.sha256(chunk).digest(), self._size
            self._size += len(chunk)
            if self._sha256 is None:
                for running in (self._whole, *self._hashes):
                    if running is not None:
                        running.update(chunk)
            self._add(0, Node(start, self._size, digest, features[8 * i : 8 * i + 8]))

    def finish(self) -> Node:
        """The root, after everything was fed."""
        self.feed(b"", final=True)
        if not self._size:
            return Node(0, 0, self._whole.digest(), locality.features([b""], self._modality))
        level = 0
        while level < len(self._groups) - 1 or len(self._groups[level]) > 1:
            self._close(level)
            level += 1
        return self._groups[level][0]

    def _add(self, level: int, node: Node) -> None:
        group = self._groups[level]
        group.append(node)
        ends_here = node.digest[0] < 1 << (8 - FANOUT_BITS)
        if len(group) == MAX_CHILDREN or (ends_here and len(group) >= MIN_CHILDREN):
            self._close(level)

    def _close(self, level: int) -> None:
        group = self._groups[level]
        if not group:
            return
        running = self._hashes[level] or self._whole
        self._groups[level], self._hashes[level] = [], hashlib.sha256()
        if level + 1 == len(self._groups):
            self._groups.append([])
            self._hashes.append(None)
        self._add(level + 1, _join(group, self._sha256 or (lambda start, end: running.digest())))


def _join(group: list[Node], sha256: Callable[[int, int], bytes]) -> Node:
    if len(group) == 1:
        return group[0]
    start, end = group[0].start, group[-1].end
    feature = locality.longer(int.from_bytes(group[0].feature[:4], "little"), end - start)
    return Node(
        start, end, sha256(start, end), feature, 1 + max(node.height for node in group),
        array("q", [node.end for node in group]), b"".join(node.digest for node in group),
        b"".join(node.feature for node in group), [node for node in group if node.height],
    )  # fmt: skip


def build(content: bytes, modality: int = 0, digest: bytes | None = None,
          pause: Callable[[], Any] = lambda: None) -> Node:
    """digest: its SHA-256, when that is known; pause is called now and then."""
    view = memoryview(content)

    def sha256(start: int, end: int) -> bytes:
        known = digest if end - start == len(view) else None
        return known or hashlib.sha256(view[start:end]).digest()

    builder = Builder(modality, sha256)
    for at in range(0, len(view), PART_BYTES):
        builder.feed(view[at : at + PART_BYTES])
        pause()
    return builder.finish()
