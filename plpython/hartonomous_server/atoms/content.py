"""Content as atoms: cut into leaves, blocks and composites on the way in, put together and verified on the way out."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from typing import Any

from hartonomous_server import errors
from hartonomous_server.atoms import identity
from hartonomous_server.blas import numpy
from hartonomous_server.db import query

LEAF_BYTES = 64
BLOCK_BYTES = 64 * 1024
ATOMS_A_QUERY = 64  # 4 MiB of blocks


def put(db: Any, tenant: int, modality: int, contents: Sequence[bytes], ids: identity.Identities) -> int:
    """Stores the atoms of contents whose roots are ids, counts one reference to each, returns how many were new.

    Everything goes in one call, which takes its rows in the order of their keys: callers with common atoms cannot
    deadlock.
    """
    pieces: list[bytes | None] = [content if len(content) <= BLOCK_BYTES else None for content in contents]
    hashes, keys = list(ids.hashes), [ids.h]
    points = [ids.xyzm[i : i + 1] for i in range(len(contents))]
    large = [i for i, piece in enumerate(pieces) if piece is None]
    present = _present(db, ids.h[large]) if large else []
    for i, there in zip(large, present, strict=True):
        parts = [contents[i][at : at + BLOCK_BYTES] for at in range(0, len(contents[i]), BLOCK_BYTES)]
        children = identity.identify(parts, modality, tenant)
        points[i] = children.xyzm
        if not there:  # a composite that is there already holds its references to its children
            pieces += parts
            hashes += children.hashes
            keys.append(children.h)
            points += [children.xyzm[j : j + 1] for j in range(len(parts))]
    return _insert(db, tenant, modality, pieces, hashes, numpy().concatenate(keys), points)


def _present(db: Any, h: Any) -> list[bool]:
    """Which atoms are there. Only the creator of an artifact stores its root, so the answer stays true."""
    rows = query(db, "select data, children from hartonomous._atom_get($1, $2, $3) order by ord",
                 *(("bigint[]", column.tolist()) for column in h.T))
    return [row["data"] is not None or row["children"] is not None for row in rows]


def _insert(db: Any, tenant: int, modality: int, pieces: Sequence[bytes | None], hashes: Sequence[bytes], h: Any,
            points: Sequence[Any]) -> int:
    """Inserts atoms or adds references; points[i] are the points of atom i's geometry. Piece None: a composite."""
    leaves = [piece if piece is not None and len(piece) <= LEAF_BYTES else None for piece in pieces]
    blocks = [piece if piece is not None and len(piece) > LEAF_BYTES else None for piece in pieces]
    row = query(
        db, "select hartonomous._atom_put($1, $2, $3, $4, $5, $6, $7, $8, $9) as added",
        ("int", tenant), ("smallint", modality), ("bytea[]", list(hashes)),
        *(("bigint[]", column.tolist()) for column in h.T),
        ("bytea[]", [identity.to_ewkb(places) for places in points]), ("bytea[]", leaves), ("bytea[]", blocks),
    )
    return row[0]["added"]


def read(db: Any, h_xy: int, h_yz: int, h_zm: int, content_hash: bytes) -> bytes:
    """Bytes of the atom at a place, put together from its children; AtomMissing unless they hash to content_hash."""
    return b"".join(pieces(db, h_xy, h_yz, h_zm, content_hash))


def pieces(db: Any, h_xy: int, h_yz: int, h_zm: int, content_hash: bytes) -> Iterator[bytes]:
    """What read gives, block by block; AtomMissing comes at the end."""
    digest = hashlib.sha256()
    for piece in _pieces(db, [(h_xy, h_yz, h_zm)]):
        digest.update(piece)
        yield piece
    if digest.digest() != content_hash:
        raise errors.AtomMissing(f"content of atom ({h_xy}, {h_yz}, {h_zm}) does not hash to {content_hash.hex()}")


def _pieces(db: Any, places: Sequence[Sequence[int]]) -> Iterator[bytes]:
    for at in range(0, len(places), ATOMS_A_QUERY):
        some = places[at : at + ATOMS_A_QUERY]
        rows = query(db, "select data, children from hartonomous._atom_get($1, $2, $3) order by ord",
                     *(("bigint[]", list(column)) for column in zip(*some, strict=True)))
        for row, place in zip(rows, some, strict=True):
            if row["data"] is not None:
                yield row["data"]
            elif row["children"] is not None:
                children: Any = identity.keys_of(identity.from_ewkb(row["children"]))
                yield from _pieces(db, children.tolist())
            else:
                raise errors.AtomMissing(f"atom {tuple(place)} is missing")
