"""Leaves: how fast a content becomes rows of at most 64 bytes, beside a bare COPY of these rows into the same table."""

from __future__ import annotations

import random
import statistics
import time
from typing import Any

from lib import row

CONTENT = 6_400_000
ROUNDS = 3


def measure(owner: Any, connection: Any) -> list[dict[str, Any]]:
    """The connection is a tenant's; the owner's COPY meets no row security and the same indexes."""
    chance = random.Random(6)
    exploded, copied = [], []
    for _ in range(ROUNDS):
        query = "select hartonomous.ingest(%b)"
        artifact = connection.cursor(binary=True).execute(query, [chance.randbytes(CONTENT)]).fetchone()[0]
        started = time.perf_counter()
        connection.execute("select hartonomous.atom_explode(%s)", [artifact])
        seconds = time.perf_counter() - started
        leaves = "from hartonomous.atom where value is not null"
        count = owner.execute(f"select count(*) {leaves}").fetchone()[0]
        exploded.append(count / seconds)
        with owner.cursor().copy(f"copy (select * {leaves}) to stdout (format binary)") as copy:
            rows = [bytes(block) for block in copy]
        owner.execute("truncate hartonomous.atom")
        started = time.perf_counter()
        with owner.cursor().copy("copy hartonomous.atom from stdin (format binary)") as copy:
            copy.write(b"".join(rows))
        copied.append(count / (time.perf_counter() - started))
        owner.execute("truncate hartonomous.atom")
    rates = {"atoms": statistics.median(exploded), "COPY": statistics.median(copied)}
    ratio = statistics.median(a / b for a, b in zip(exploded, copied, strict=True))
    return [
        row("leaves of a content, atom_explode", "/s", rates, least=30_000),
        row("to COPY", "ratio", {"atoms": ratio, "COPY": 1.0}, 2, least=0.4),
    ]
