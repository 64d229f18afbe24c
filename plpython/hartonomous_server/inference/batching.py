"""How texts of many lengths are laid side by side: sorted by length, packed without padding between them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import NamedTuple

WIDTH = 512  # tokens of a chunk: matrix products reach full speed, buffers stay near the processor
STEP = 16  # widths are multiples of it: others reach edge kernels of the BLAS, which may round differently


class Group(NamedTuple):
    """Texts of equal length, one after the other."""

    start: int
    length: int
    texts: Sequence[int]

    @property
    def end(self) -> int:
        return self.start + self.length * len(self.texts)


class Chunk(NamedTuple):
    """What goes through the network at once."""

    groups: Sequence[Group]
    step: int = STEP

    @property
    def used(self) -> int:
        return self.groups[-1].end

    @property
    def width(self) -> int:
        return -(-self.used // self.step) * self.step


def plan(lengths: Sequence[int], packed: bool, step: int = STEP) -> list[Chunk]:
    """Chunks that cover all texts, given their lengths; unless ``packed``, each text has a chunk of its own."""
    order = sorted(range(len(lengths)), key=lambda text: lengths[text])
    if not packed:
        return [Chunk([Group(0, lengths[text], [text])], step) for text in order]
    return [Chunk(list(_groups(lengths, members)), step) for members in _fill(lengths, order)]


def _fill(lengths: Sequence[int], order: Sequence[int]) -> Iterator[list[int]]:
    members: list[int] = []
    used = 0
    for text in order:
        if members and used + lengths[text] > WIDTH:
            yield members
            members, used = [], 0
        members.append(text)
        used += lengths[text]
    if members:
        yield members


def _groups(lengths: Sequence[int], members: Sequence[int]) -> Iterator[Group]:
    start = first = 0
    for place in range(1, len(members) + 1):
        if place == len(members) or lengths[members[place]] != lengths[members[first]]:
            group = Group(start, lengths[members[first]], members[first:place])
            yield group
            start, first = group.end, place
