"""Content as atoms: cut into leaves, blocks and composites on the way in, put together and verified on the way out."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from typing import Any

from hartonomous_server import errors
from hartonomous_server.atoms import identity
from hartonomous_server.db import query

LEAF_BYTES = 64
BLOCK_BYTES = 64 * 1024


def put(db: Any, tenant: int, modality: int, contents: Sequence[bytes], ids: identity.Identities) -> int:
    """Stores the atoms of contents whose roots are ids, and counts one reference to each; returns how many were new."""
    stored = 0
    single = [i for i, content in enumerate(contents) if len(content) <= BLOCK_BYTES]
    if single:
        stored += _insert(db, tenant, modality, [contents[i] for i in single],
                          [ids.hashes[i] for i in single], ids.h[single], [ids.xyzm[i : i + 1] for i in single])
    for i, content in enumerate(contents):
        if len(content) > BLOCK_BYTES:
            parts = [content[at : at + BLOCK_BYTES] for at in range(0, len(content), BLOCK_BYTES)]
            children = identity.identify(parts, modality, tenant)
            new = _insert(db, tenant, modality, [None], ids.hashes[i : i + 1], ids.h[i : i + 1], [children.xyzm])
            stored += new
            if new:  # a composite that was there already holds its references to the children
                stored += put(db, tenant, modality, parts, children)
    return stored


def _insert(db: Any, tenant: int, modality: int, contents: Sequence[bytes | None], hashes: Sequence[bytes], h: Any,
            places: Sequence[Any]) -> int:
    """Inserts atoms or adds a reference; places[i] are the points of atom i's geometry. Content None: a composite."""
    leaves = [c if c is not None and len(c) <= LEAF_BYTES else None for c in contents]
    blocks = [c if c is not None and len(c) > LEAF_BYTES else None for c in contents]
    row = query(
        db, "select hartonomous._atom_put($1, $2, $3, $4, $5, $6, $7, $8, $9) as added",
        ("int", tenant), ("smallint", modality), ("bytea[]", list(hashes)),
        ("bigint[]", h[:, 0].tolist()), ("bigint[]", h[:, 1].tolist()), ("bigint[]", h[:, 2].tolist()),
        ("bytea[]", [identity.to_ewkb(p) for p in places]), ("bytea[]", leaves), ("bytea[]", blocks),
    )
    return row[0]["added"]


def read(db: Any, h_xy: int, h_yz: int, h_zm: int, content_hash: bytes) -> bytes:
    """Bytes of the atom at a place, put together from its children; AtomMissing unless they hash to content_hash."""
    content = b"".join(_pieces(db, [h_xy], [h_yz], [h_zm]))
    if hashlib.sha256(content).digest() != content_hash:
        raise errors.AtomMissing(f"content of atom ({h_xy}, {h_yz}, {h_zm}) does not hash to {content_hash.hex()}")
    return content


def _pieces(db: Any, h_xy: list[int], h_yz: list[int], h_zm: list[int]) -> list[bytes]:
    rows = query(db, "select data, children from hartonomous._atom_get($1, $2, $3) order by ord",
                 ("bigint[]", h_xy), ("bigint[]", h_yz), ("bigint[]", h_zm))
    pieces: list[bytes] = []
    for row, *place in zip(rows, h_xy, h_yz, h_zm, strict=True):
        if row["data"] is not None:
            pieces.append(row["data"])
        elif row["children"] is not None:
            pieces.extend(_pieces(db, *identity.keys_of(identity.from_ewkb(row["children"])).T.tolist()))
        else:
            raise errors.AtomMissing(f"atom {tuple(place)} is missing")
    return pieces
