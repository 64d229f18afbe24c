"""Blocks become composites of leaves, each at its place: the bytes are the same, and points that can be looked for."""

from __future__ import annotations

import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

from hartonomous_server.atoms import content, identity, locality
from hartonomous_server.blas import numpy
from hartonomous_server.db import query

WINDOW_BLOCKS = 512  # whose leaves are put in the order of their keys: 4 MiB

Place = tuple[int, int, int]


def explode(db: Any, space: identity.Space, root: Place) -> int:
    """Leaves that the atom at a place is made of afterwards, each as often as it stands there.

    All blocks are locked first, in the order of their keys; one that another session has exploded is counted only.
    """
    leaves, blocks = _walk(db, [root])
    places = sorted(blocks)
    rows = query(db, "select hartonomous._atom_block_lock($1, $2, $3) as ord", *identity.as_arguments(places))
    held = [places[row["ord"] - 1] for row in rows]
    for at in range(0, len(held), WINDOW_BLOCKS):
        window = held[at : at + WINDOW_BLOCKS]
        made = _explode(db, space, window)
        leaves += sum(blocks[place] * size for place, size in zip(window, made, strict=True))
    for place in set(places) - set(held):
        leaves += blocks[place] * _walk(db, [place])[0]
    return leaves


def _walk(db: Any, places: list[Place]) -> tuple[int, Counter[Place]]:
    """How many leaves stand below atoms, and which blocks how often."""
    leaves, blocks = 0, Counter[Place]()
    while places:
        below = []
        for place, row in _shapes(db, places):
            if row["children"] is not None:
                for child, size in zip(content.children(row), content.sizes(row), strict=True):
                    if size > locality.LEAF_BYTES:
                        below.append(child.place)
                    else:
                        leaves += 1
            elif row["leaf"]:
                leaves += 1
            else:
                blocks[place] += 1
        places = below
    return leaves, blocks


def _shapes(db: Any, places: Sequence[Place]) -> Iterator[tuple[Place, Any]]:
    for at in range(0, len(places), content.READ_ATOMS):
        some = places[at : at + content.READ_ATOMS]
        for row in query(db, "select * from hartonomous._atom_shape($1, $2, $3)", *identity.as_arguments(some)):
            yield some[row["ord"] - 1], row


def _explode(db: Any, space: identity.Space, places: Sequence[Place]) -> list[int]:
    """Numbers of leaves of blocks that are locked."""
    np = numpy()
    pieces: list[bytes] = []
    sizes, ends = [], []
    for block in content.read_spans(db, [content.Span(place) for place in places]):
        stops = locality.leaf_ends(block, space.modality)
        pieces += [block[start:stop] for start, stop in zip([0, *stops], stops, strict=False)]
        sizes.append(len(stops))
        ends.append(content.as_array(stops))
    hashes = [hashlib.sha256(piece).digest() for piece in pieces]
    _, first, inverse, refs = np.unique(
        np.frombuffer(b"".join(hashes), "S32"), return_index=True, return_inverse=True, return_counts=True
    )
    some = [pieces[i] for i in first.tolist()]
    digests = b"".join(hashes[i] for i in first.tolist())
    features = locality.features(some, space.modality)
    xyzm = content.put_leaves(db, space, some, digests, features, refs)
    stops = np.cumsum(sizes).tolist()
    geoms = [identity.to_ewkb(xyzm[inverse[stop - size : stop]]) for stop, size in zip(stops, sizes, strict=True)]
    query(db, "select hartonomous._atom_block_explode($1, $2, $3, $4, $5)", *identity.as_arguments(places),
          ("bytea[]", geoms), ("text[]", ends))
    return sizes
