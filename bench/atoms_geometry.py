"""Geometry of atoms: nearest leaves and shortest ways among 1,000,000 leaves and artifacts, for bench/atoms.py.

Half of the leaves are random bytes of 8 to 64, half are texts that begin alike, so that very many share few places.
"""

from __future__ import annotations

import math
import random
import statistics
import time
from typing import Any

import lib
from hartonomous_server.atoms import identity

BATCH = 10_000
LEAVES = 1_000_000
QUERIES = 300
HOPS = 10


def measure(owner: Any, tenant: int, connection: Any) -> list[dict[str, Any]]:
    """owner: a superuser's connection; connection: a tenant's role's."""
    artifacts = fill(connection)
    owner.execute("analyze hartonomous.atom, hartonomous.artifact")
    return [
        lib.row(f"{what} among {LEAVES:,}, p95", "ms", {"p95": statistics.quantiles(taken, n=20)[-1],
                                                        "median": statistics.median(taken)}, 1,
                most=100 if "way" in what else 10)
        for what, taken in figures(connection, owner, tenant, artifacts).items()
    ]  # fmt: skip


def fill(connection: Any) -> list[int]:
    """Stores leaves; returns the artifacts of those that are random."""
    chance = random.Random(4)
    found: list[int] = []
    for first in range(0, LEAVES // 2, BATCH):
        noise = [chance.randbytes(8 + chance.randrange(57)) for _ in range(BATCH)]
        texts = [b"reading %d of the meter" % number for number in range(first, first + BATCH)]
        store = "select hartonomous.ingest_many(%b, %s)"
        found += connection.execute(store, [noise, "binary"]).fetchone()[0]
        connection.execute(f"{store[:-1]}, canonical_texts => %s)", [texts, "text", [""] * BATCH])  # leaves only
    return found


def figures(connection: Any, owner: Any, tenant: int, artifacts: list[int]) -> dict[str, list[float]]:
    """What is measured, and how many ms each query took; the connection is a tenant's, owner a superuser's."""
    chance = random.Random(5)
    taken: dict[str, list[float]] = {}

    def timed(what: str, query: str, *arguments: Any) -> list[Any]:
        started = time.perf_counter()
        rows = connection.execute(query, arguments).fetchall()
        taken.setdefault(what, []).append(1000 * (time.perf_counter() - started))
        return rows

    near = "select * from hartonomous.atom_nearest(%s, 10, %s)"
    path = "select step, artifact_id from hartonomous.atom_path(%s, %s, %s)"
    for number in range(QUERIES):
        noise = chance.randbytes(8 + chance.randrange(57))
        alike = b"reading %d of the meter" % chance.randrange(10**9)
        timed("10 nearest leaves, random", near, _point(noise, 0, chance), None)
        timed("10 nearest leaves, one of many at a place", near, _point(alike, 1, chance), None)
        timed("10 nearest leaves of a modality", near, _point(noise, 0, chance), "binary")
        if number < QUERIES // 3:
            start = chance.choice(artifacts)
            goal = _walk(owner, tenant, start, chance)
            found = timed(f"way of up to {HOPS} hops", path, start, goal, HOPS)
            assert found and found[-1][1] == goal
    return taken


def _point(content: bytes, modality: int, chance: random.Random) -> str:
    """A place near that of a content."""
    x, y = identity.identify([content], modality, 0).xyzm[0, :2].tolist()
    return f"POINT({x + chance.randrange(-999, 999)} {y + chance.randrange(-999, 999)})"


def _walk(owner: Any, tenant: int, start: int, chance: random.Random) -> int:
    """Where one comes by HOPS edges that all lead the same way."""
    angle = chance.random() * 2 * math.pi
    (place,) = owner.execute("select x, y from hartonomous.artifact where (tenant_id, artifact_id) = (%s, %s)",
                             [tenant, start])  # fmt: skip
    at = (start, *place)
    for _ in range(HOPS):
        (near,) = owner.execute(
            "select artifact_ids, xs, ys"
            " from hartonomous._artifact_nearest(%s, array[%s::bigint], array[%s], array[%s], 8)",
            [tenant, *at],
        )
        at = max(zip(*near, strict=True), key=lambda one: math.cos(angle) * one[1] + math.sin(angle) * one[2])
    return at[0]
