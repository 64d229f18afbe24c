"""What a new connection's first vector takes, in time and memory, beside sessions that have the model loaded."""

from __future__ import annotations

import statistics
import time
from contextlib import ExitStack
from typing import Any

import hartonomous
from lib import row
from place import Place

SESSIONS, FIRST = 8, 9
MIB = 1 << 20
TEXT = "Which file decides who may come in and from where?"


def measure(place: Place, model: str) -> list[dict[str, Any]]:
    """Sessions stay alive meanwhile; those that are timed come and go."""
    with ExitStack() as stack:
        alive = [stack.enter_context(hartonomous.connect(place.dsn)) for _ in range(SESSIONS)]
        for client in alive:
            client.embed(TEXT, model)
        seconds = [first(place, model) for _ in range(FIRST)]
        private = [memory(place, client.query("select pg_backend_pid()").fetchone()[0]) for client in alive]
    median = statistics.median(seconds) * 1000
    return [
        row("first embed of a new connection", "ms",
            {"median": median, "least": min(seconds) * 1000, "most": max(seconds) * 1000}, most=300),
        row(f"private memory of {SESSIONS} backends", "MiB",
            {"most": max(private) / MIB, "median": statistics.median(private) / MIB}, 1, most=25),
    ]  # fmt: skip


def first(place: Place, model: str) -> float:
    with hartonomous.connect(place.dsn) as client:
        started = time.perf_counter()
        client.embed(TEXT, model)
        return time.perf_counter() - started


def memory(place: Place, backend: int) -> int:
    """Bytes that no other process has mapped, as the server's system counts them."""
    file = f"/proc/{backend}/smaps_rollup"
    content = place.owner.execute("select pg_read_file(%s)", [file]).fetchone()[0]
    found = dict(line.split(":") for line in content.splitlines()[1:])
    return sum(int(found[name].split()[0]) * 1024 for name in ("Private_Clean", "Private_Dirty"))
