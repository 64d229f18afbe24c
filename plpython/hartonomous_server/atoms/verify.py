"""Atoms read again: is every byte, place and child what it was?"""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from itertools import accumulate
from typing import Any

from hartonomous_server import errors
from hartonomous_server.atoms import block, content, identity, locality
from hartonomous_server.db import query

PAGE_ATOMS = 256  # in memory at once

Fault = tuple[int, int, int, str]


def damage(db: Any, batch: int) -> Iterator[Fault]:
    """Key and fault of each damaged atom."""
    sql = "select * from hartonomous._atom_page($1, $2, $3, $4)"
    last = (-1, -1, -1)
    while rows := query(db, sql, *(("bigint", part) for part in last), ("int", min(batch, PAGE_ATOMS))):
        for row in rows:
            last = (row["h_xy"], row["h_yz"], row["h_zm"])
            fault = _fault(db, row, last)
            if fault:
                yield *last, fault


def mistakes(db: Any, batch: int) -> Iterator[Fault]:
    """Key of the root and fault of each artifact that says of its root what is not so."""
    sql = "select * from hartonomous._artifact_page($1, $2, $3)"
    tenant, artifact = -1, -1
    while rows := query(db, sql, ("int", tenant), ("bigint", artifact), ("int", min(batch, PAGE_ATOMS))):
        for row in rows:
            tenant, artifact = row["tenant_id"], row["artifact_id"]
            wrong = row["wrong"] + (["length"] if _length(row) not in (None, row["content_length"]) else [])
            if wrong:
                fault = f"artifact {artifact} has another {' and '.join(wrong)} than its root"
                yield row["h_xy"], row["h_yz"], row["h_zm"], fault


def _length(row: Any) -> int | None:
    """Of a root's bytes, where they are there and not damaged."""
    if row["block"] is None:
        return row["found_length"]
    try:
        return len(block.unpack(row["block"]))
    except errors.AtomMissing:
        return None


def _fault(db: Any, row: Any, key: tuple[int, int, int]) -> str | None:
    digest, head, size = hashlib.sha256(), b"", 0
    below = [] if row["children"] is None else [content.Span(span.place) for span in content.children(row)]
    try:
        for piece in content.read_spans(db, below) if below else [block.data(row)]:
            digest.update(piece)
            head, size = head if len(head) > locality.LEAF_BYTES else head + piece[:256], size + len(piece)
    except errors.AtomMissing as error:
        return str(error)
    if digest.digest() != row["content_hash"]:
        return f"bytes do not hash to {row['content_hash'].hex()}"
    if size <= locality.LEAF_BYTES:
        feature = locality.features([head], row["modality"])
    else:
        feature = locality.longer(locality.prefix(head), size)
    if not _is_place(row, feature, key):
        return "place is not that of its bytes"
    if below and _ends(db, below) != row["ends"]:
        return "ends are not those of its children"
    return None


def _is_place(row: Any, feature: bytes, key: tuple[int, int, int]) -> bool:
    digest = row["content_hash"]
    for probe in range(identity.PROBES):
        place = identity.Space(row["tenant_id"], row["modality"], {digest: probe}).places(digest, feature)
        if tuple(identity.keys_of(place)[0].tolist()) == key:
            return True
    return False


def _ends(db: Any, below: Sequence[content.Span]) -> list[int]:
    rows = query(db, "select data, packed, ends from hartonomous._atom_get($1, $2, $3) order by ord",
                 *identity.as_arguments([span.place for span in below]))
    return list(accumulate(child["ends"][-1] if child["ends"] else len(block.data(child)) for child in rows))
