"""The lowest atoms of a content: which there are, and where each stands."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any

from hartonomous_server import errors
from hartonomous_server.atoms import content, hilbert, identity, locality
from hartonomous_server.blas import numpy
from hartonomous_server.db import query

Place = tuple[int, int, int]


@dataclass(frozen=True, slots=True)
class Part:
    place: Place
    start: int
    length: int


def parts(db: Any, root: Place, length: int, low: int, high: int) -> Iterator[tuple[Any, ...]]:
    """Columns of the lowest atoms that hold bytes low to high: start, length, three keys, x, y, z and m."""
    np = numpy()
    if low >= high and (low or length):  # an empty content has one part, of no bytes
        return
    for run in _lowest(db, _holding([Part(root, 0, length)], low, high), low, high):
        keys = np.array([part.place for part in run])
        (x, y), (z, m) = hilbert.decode(keys[:, 0]), hilbert.decode(keys[:, 2])
        places = [axis.astype(float).tolist() for axis in (x, y, z, m)]
        yield ([part.start for part in run], [part.length for part in run], *keys.T.tolist(), *places)


def _holding(siblings: Sequence[Part], low: int, high: int) -> list[Part]:
    return [part for part in siblings if part.start < high and part.start + part.length > low or not part.length]


def _lowest(db: Any, siblings: Sequence[Part], low: int, high: int) -> Iterator[list[Part]]:
    """Runs of parts that are no composites, in the order of their bytes."""
    below = _composites(db, [part for part in siblings if part.length > locality.LEAF_BYTES])
    run: list[Part] = []
    for part in siblings:
        if part.place not in below:
            run.append(part)
            continue
        if run:
            yield run
            run = []
        row, start, children = below[part.place], part.start, []
        for place, size in zip(identity.children([row["children"]]), content.sizes(row), strict=True):
            children.append(Part(place, start, size))
            start += size
        yield from _lowest(db, _holding(children, low, high), low, high)
    if run:
        yield run


def _composites(db: Any, large: Sequence[Part]) -> dict[Place, Any]:
    found = {}
    for at in range(0, len(large), content.READ_ATOMS):
        some = [part.place for part in large[at : at + content.READ_ATOMS]]
        rows = query(db, "select * from hartonomous._atom_shape($1, $2, $3)", *identity.as_arguments(some))
        if len(rows) < len(some):
            raise errors.AtomMissing(f"{len(some) - len(rows)} of {len(some)} atoms of the content are missing")
        found.update({some[row["ord"] - 1]: row for row in rows if row["children"] is not None})
    return found
