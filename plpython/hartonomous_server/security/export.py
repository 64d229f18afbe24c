"""A tenant's data as lines of JSON, made one by one."""

from __future__ import annotations

import hashlib
import json
from base64 import b64encode
from collections.abc import Iterator
from typing import Any

from hartonomous_server import errors
from hartonomous_server.atoms import block, content
from hartonomous_server.db import query

ROWS_A_FETCH = 16  # a tensor's tile has 350 kB in JSON

Piece = tuple[int, int, bytes]  # of what, from which byte, the bytes


def lines(db: Any, tenant: int | None) -> Iterator[str]:
    """Lines of an export, without line feeds. Whatever is wrong with the arguments is raised before the first."""
    digits = query(db, "select current_setting('extra_float_digits')::int as n")[0]["n"]
    if digits < 1:
        raise errors.InvalidParameter(
            f"extra_float_digits is {digits}, which rounds numbers", hint="set extra_float_digits = 1")
    found = query(db, "select hartonomous._export_header($1) as header", ("int", tenant))[0]["header"]
    if found is None:
        unknown = "NULL" if tenant is None else tenant
        raise errors.InvalidParameter(f"tenant {unknown} does not exist", hint="select * from hartonomous.tenant")
    query(db, "select hartonomous._audit_spooled('tenant_export', $1)", ("int", tenant))
    header = json.loads(found)
    tables = query(db, "select relation, columns, statement from hartonomous._export_tables($1)", ("int", tenant))
    header["tables"] = {table["relation"]: json.loads(table["columns"]) for table in tables}
    return _sealed(json.dumps(header), db, tenant, [(table["relation"], table["statement"]) for table in tables])


def _sealed(header: str, db: Any, tenant: int | None, tables: list[tuple[str, str]]) -> Iterator[str]:
    """All lines, and a last one by which a reader knows that it has them all."""
    digest = hashlib.sha256(header.encode() + b"\n")
    counts = dict.fromkeys((relation for relation, _ in tables), 0)
    yield header
    for relation, statement in tables:
        for row in _rows(db, statement):
            counts[relation] += 1
            line = f'{{"table": {json.dumps(relation)}, "row": {row["row"]}}}'
            digest.update(line.encode() + b"\n")
            yield line
        key, bytes_of = CONTENTS.get(relation, ("", _none))
        for owner, start, piece in bytes_of(db, tenant):
            data = b64encode(piece).decode()
            where = f'"{key}": {owner}, "start": {start}'
            line = f'{{"table": {json.dumps(relation)}, "content": {{{where}, "data": "{data}"}}}}'
            digest.update(line.encode() + b"\n")
            yield line
    yield json.dumps({"rows": counts, "sha256": digest.hexdigest()})


def _rows(db: Any, statement: str, *arguments: tuple[str, Any]) -> Iterator[Any]:
    cursor = db.cursor(db.prepare(statement, [name for name, _ in arguments]), [value for _, value in arguments])
    while rows := cursor.fetch(ROWS_A_FETCH):
        yield from rows
    cursor.close()


def _none(db: Any, tenant: int | None) -> Iterator[Piece]:
    return iter(())


def _artifacts(db: Any, tenant: int | None) -> Iterator[Piece]:
    """Bytes of all artifacts, verified; at least one piece of each."""
    statement = "select artifact_id, h_xy, h_yz, h_zm, content_hash, data, packed from hartonomous._export_contents($1)"
    for row in _rows(db, statement, ("int", tenant)):
        start = 0
        for piece in _pieces(db, row):
            yield row["artifact_id"], start, piece
            start += len(piece)


def _pieces(db: Any, row: Any) -> Iterator[bytes]:
    if row["data"] is None:
        yield from content.pieces(db, row["h_xy"], row["h_yz"], row["h_zm"], row["content_hash"])
        return
    data = block.data(row)
    if hashlib.sha256(data).digest() != row["content_hash"]:
        raise errors.AtomMissing(f"content of artifact {row['artifact_id']} is damaged")
    yield data


def _uploads(db: Any, tenant: int | None) -> Iterator[Piece]:
    statement = "select upload_id, start, data from hartonomous._export_parts($1)"
    for row in _rows(db, statement, ("int", tenant)):
        yield row["upload_id"], row["start"], row["data"]


# After the rows of these tables come bytes, under the name of what they are of.
CONTENTS = {"hartonomous.artifact": ("artifact_id", _artifacts), "hartonomous.upload_part": ("upload_id", _uploads)}
