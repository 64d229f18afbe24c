"""Contents of megabytes: speed, stored bytes, the cost of edits."""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable
from typing import Any

from atoms_systems import Atoms, Bytea, LargeObject, System
from lib import MB, row

ROUNDS = 5
LARGE = 10 * MB
PARTS = 64 * MB


def measure(connection: Any) -> list[dict[str, Any]]:
    systems: list[System] = [Atoms(connection), Bytea(connection), LargeObject(connection)]
    for system in systems:
        system.read(system.write(random.randbytes(MB)))  # loads what a backend loads once
    return [*speeds(systems), *sizes(systems), *only_ours(systems[0])]


def speeds(systems: list[System]) -> list[dict[str, Any]]:
    """Rounds in which the systems take turns; medians."""
    chance = random.Random(1)
    seconds: dict[tuple[str, str], list[float]] = {}

    def timed(what: str, system: System, work: Callable[[], Any]) -> Any:
        started = time.perf_counter()
        result = work()
        seconds.setdefault((what, system.name), []).append(time.perf_counter() - started)
        return result

    for _ in range(ROUNDS):
        large, small = chance.randbytes(LARGE), chance.randbytes(MB)
        start = chance.randrange(LARGE - 4096)
        for system in chance.sample(systems, len(systems)):
            key = timed("write", system, lambda system=system, large=large: system.write(large))
            one = system.write(small)
            system.read(key)
            assert timed("read", system, lambda system=system, key=key: system.read(key)) == large
            assert timed("1 MB", system, lambda system=system, one=one: system.read(one)) == small
            part = timed("slice", system, lambda system=system, key=key, start=start: system.slice(key, start, 4096))
            assert part == large[start : start + 4096]
    middle = {key: statistics.median(some) for key, some in seconds.items()}

    def figures(key: str, figure: Callable[[float], float]) -> dict[str, float]:
        return {system.name: figure(middle[key, system.name]) for system in systems}

    return [
        row("store 10 MB that nobody has", "MB/s", figures("write", lambda t: LARGE / MB / t), least=50),
        row("read 10 MB", "MB/s", figures("read", lambda t: LARGE / MB / t), least=100),
        row("read 1 MB", "ms", figures("1 MB", lambda t: t * 1000), 1, most=50),
        row("read 4 KB inside 10 MB", "ms", figures("slice", lambda t: t * 1000), 2),
    ]


def sizes(systems: list[System]) -> list[dict[str, Any]]:
    """What is stored for contents, and for their edited versions, as a share of the contents."""
    chance = random.Random(2)
    small = [chance.randbytes(MB) for _ in range(10)]
    large = chance.randbytes(LARGE)
    text = b"".join(b"%d bottles of beer on the wall, take %d down\n" % (i, i % 7) for i in range(200_000))
    versions, current = [], large
    for number in range(20):
        current = edited(current, number, chance)
        versions.append(current)
    steps: list[tuple[str, list[bytes], int, float | None]] = [
        ("10 contents of 1 MB", small, 10 * MB, 115), ("10 MB", [large], LARGE, 115),
        ("20 edits of 5 KB in 10 MB, one version", [current], LARGE, 5),
        ("the versions between, 19", versions[:-1], LARGE, None), ("text", [text], len(text), None),
        ("the same again", [*small, large], 20 * MB, None),
    ]  # fmt: skip
    rows = []
    for what, contents, whole, most in steps:
        figures = {}
        for system in systems:
            before = system.size()
            for content in contents:
                system.write(content)
            figures[system.name] = 100 * (system.size() - before) / whole
        rows.append(row(f"stored bytes: {what}", "%", figures, 2, most=most))
    return rows


def edited(content: bytes, number: int, chance: random.Random) -> bytes:
    at, new = chance.randrange(len(content) - 5000), chance.randbytes(5000)
    if number % 3 == 0:
        return content[:at] + new + content[at:]
    if number % 3 == 1:
        return content[:at] + content[at + 5000 :]
    return content[:at] + new + content[at + 5000 :]


def only_ours(atoms: System) -> list[dict[str, Any]]:
    chance = random.Random(3)
    upload = atoms.value("select hartonomous.ingest_begin('binary')")
    started = time.perf_counter()
    for at in range(0, PARTS, 8 * MB):
        atoms.value("select hartonomous.ingest_part(%s, %s, %b)", upload, at, chance.randbytes(8 * MB))
    atoms.value("select hartonomous.ingest_commit(%s)", upload)
    parts = PARTS / MB / (time.perf_counter() - started)
    leaves = [[chance.randbytes(40) for _ in range(10_000)] for _ in range(3)]
    started = time.perf_counter()
    for some in leaves:
        atoms.value("select cardinality(hartonomous.ingest_many(%b, 'binary'))", some)
    rate = sum(map(len, leaves)) / (time.perf_counter() - started)
    return [
        row("store 64 MB in parts of 8", "MB/s", {atoms.name: parts}),
        row("artifacts of 40 bytes, 10,000 a call", "/s", {atoms.name: rate}),
    ]
