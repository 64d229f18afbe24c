"""What a tenant may ask for: all its data, and that they go."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from hartonomous import files
from hartonomous.client import Client
from hartonomous.errors import Error, ExportIncomplete
from hartonomous.progress import Progress, silent


@dataclass(frozen=True)
class TenantExport:
    tenant_id: int
    file: str
    lines: int
    bytes: int
    rows: dict[str, int]
    sha256: str


def verified(lines: Iterable[str]) -> Iterator[str]:
    """The lines of an export as they come; ExportIncomplete at the end unless the last vouches for the others."""
    digest = hashlib.sha256()
    last = None
    for line in lines:
        if last is not None:
            digest.update(last.encode() + b"\n")
            yield last
        last = line
    if last is None or _sha256(last) != digest.hexdigest():
        raise ExportIncomplete(hint="export the tenant again")
    yield last


def _sha256(line: str) -> str | None:
    try:
        trailer = json.loads(line)
    except ValueError:
        return None
    return trailer.get("sha256") if isinstance(trailer, dict) else None


def export(client: Client, tenant_id: int, file: str | Path, progress: Progress = silent) -> TenantExport:
    """Writes all data of a tenant as lines of JSON; an interrupted run leaves no file."""
    file = Path(file)
    lines = done = size = 0
    total = None
    record: dict[str, Any] = {}
    with files.replacing(file, 0o600) as stream:
        for line in verified(client.tenant_export(tenant_id)):
            record = json.loads(line)
            total = record["content_bytes"] if total is None else total
            done += len(record["content"]["data"]) * 3 // 4 if "content" in record else 0
            progress(min(done, total), total)
            lines, size = lines + 1, size + stream.write(line.encode() + b"\n")
    return TenantExport(tenant_id, str(file), lines, size, record["rows"], record["sha256"])


def erase(client: Client, tenant_id: int) -> dict[str, Any]:
    """Closes a tenant, so that erasing does not wait for ever new calls of it, and erases it; rows per table."""
    closed = client.tenant_close(tenant_id)
    try:
        counts = client.tenant_erase(tenant_id)
    except BaseException:  # an interrupt too
        if closed:  # not by whoever meant it to stay closed
            with suppress(Error):
                client.tenant_close(tenant_id, False)
        raise
    for _ in ("append", "remove"):  # the file of refusals names the tenant until what it holds is seen in the log
        client.audit_collect()
    return counts


def rewriting(tables: Iterable[str]) -> list[str]:
    """Statements after which no file of a table or index has bytes of deleted rows, nor have the planner's samples."""
    ours = "select oid from pg_class where relnamespace = 'hartonomous'::regnamespace"
    return [
        f"delete from pg_statistic where starelid in ({ours})",  # analyze keeps those of a table that is empty now
        f"vacuum (full, analyze) {', '.join(sorted(tables))}",
        "vacuum full pg_statistic",
        "checkpoint",
    ]
