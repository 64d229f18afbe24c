"""Content store: speed, size and the cost of edits, beside a bytea column and large objects, as a tenant's role.

In a database of its own, which goes afterwards. See METHODOLOGY.md.
"""

from __future__ import annotations

import random
import statistics
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import lib
import psycopg
from psycopg.conninfo import make_conninfo

DATABASE, ROLE = "bench_atoms", "bench_atoms_writer"
MB = 1_000_000
ROUNDS = 5
LARGE = 10 * MB
PARTS = 64 * MB


def main() -> None:
    machine = lib.calibrate()
    print("machine:", ", ".join(f"{key} {value}" for key, value in machine.items()))
    with database() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"set role {ROLE}")
        systems: list[System] = [Atoms(connection), Bytea(connection), LargeObject(connection)]
        for system in systems:
            system.read(system.write(random.randbytes(MB)))  # loads what a backend loads once
        rows = [*speeds(systems), *sizes(systems), *only_ours(systems[0])]
    width = max(len(row["what"]) for row in rows)
    for row in rows:
        figures = "  ".join(f"{name} {value:>8,.{row['digits']}f}" for name, value in row["figures"].items())
        print(f"{row['what']:{width}}  {row['unit']:4}  {figures}")
    print("written to", lib.write("atoms", {"machine": machine, "rows": rows}))


@contextmanager
def database() -> Iterator[str]:
    with psycopg.connect(lib.dsn(), autocommit=True) as server:
        server.execute(f"drop database if exists {DATABASE} with (force)")
        server.execute(f"drop role if exists {ROLE}")
        server.execute(f"create role {ROLE} in role hartonomous_writer")
        server.execute(f"create database {DATABASE}")
        dsn = make_conninfo(lib.dsn(), dbname=DATABASE)
        try:
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute("set client_min_messages = warning")
                connection.execute("create extension hartonomous cascade")
                connection.execute("select hartonomous.tenant_role_add(hartonomous.tenant_create('bench'), %s)", [ROLE])
                connection.execute(f"create schema plain authorization {ROLE}")
            yield dsn
        finally:
            server.execute(f"drop database {DATABASE} with (force)")
            server.execute(f"drop role {ROLE}")


# --- the systems ---


class System:
    name = ""
    relations = ""  # condition on pg_class: what holds its bytes

    def __init__(self, connection: Any) -> None:
        self.connection = connection

    def value(self, query: str, *arguments: Any) -> Any:
        return self.connection.cursor(binary=True).execute(query, arguments).fetchone()[0]

    def write(self, content: bytes) -> int:
        raise NotImplementedError

    def read(self, key: int) -> bytes:
        raise NotImplementedError

    def slice(self, key: int, start: int, length: int) -> bytes:
        raise NotImplementedError

    def size(self) -> int:
        """Heap, TOAST and indexes."""
        return self.value(f"select sum(pg_total_relation_size(oid))::bigint from pg_class where {self.relations}")


class Atoms(System):
    name = "atoms"
    relations = "relnamespace = 'hartonomous'::regnamespace and relkind = 'r'"

    def write(self, content: bytes) -> int:
        return self.value("select hartonomous.ingest(%b)", content)

    def read(self, key: int) -> bytes:
        return self.value("select hartonomous.content(%s)", key)

    def slice(self, key: int, start: int, length: int) -> bytes:
        return self.value("select hartonomous.content_slice(%s, %s, %s)", key, start, length)


class Bytea(System):
    name = "bytea"
    relations = "oid = 'plain.content'::regclass"

    def __init__(self, connection: Any) -> None:
        super().__init__(connection)
        key = "id bigint generated always as identity primary key"
        connection.execute(f"create table plain.content ({key}, data bytea)")

    def write(self, content: bytes) -> int:
        return self.value("insert into plain.content (data) values (%b) returning id", content)

    def read(self, key: int) -> bytes:
        return self.value("select data from plain.content where id = %s", key)

    def slice(self, key: int, start: int, length: int) -> bytes:
        return self.value("select substr(data, %s, %s) from plain.content where id = %s", start + 1, length, key)


class LargeObject(System):
    name = "large object"
    relations = "oid = 'pg_largeobject'::regclass"

    def write(self, content: bytes) -> int:
        return self.value("select lo_from_bytea(0, %b)", content)

    def read(self, key: int) -> bytes:
        return self.value("select lo_get(%s::oid)", key)

    def slice(self, key: int, start: int, length: int) -> bytes:
        return self.value("select lo_get(%s::oid, %s, %s)", key, start, length)


# --- figures ---


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

    def row(what: str, key: str, unit: str, figure: Callable[[float], float], digits: int) -> dict[str, Any]:
        return line(what, unit, {system.name: figure(middle[key, system.name]) for system in systems}, digits)

    return [
        row("store 10 MB that nobody has", "write", "MB/s", lambda t: LARGE / MB / t, 0),
        row("read 10 MB", "read", "MB/s", lambda t: LARGE / MB / t, 0),
        row("read 1 MB", "1 MB", "ms", lambda t: t * 1000, 1),
        row("read 4 KB inside 10 MB", "slice", "ms", lambda t: t * 1000, 2),
    ]


def sizes(systems: list[System]) -> list[dict[str, Any]]:
    """What is stored for contents, and for their edited versions, as a share of the contents."""
    chance = random.Random(2)
    small = [chance.randbytes(MB) for _ in range(10)]
    large = chance.randbytes(LARGE)
    text = b"".join(b"%d bottles of beer on the wall, take %d down\n" % (i, i % 7) for i in range(200_000))
    steps: list[tuple[str, list[bytes]]] = [("10 contents of 1 MB", small), ("10 MB", [large])]
    versions, current = [], large
    for number in range(20):
        current = edited(current, number, chance)
        versions.append(current)
    steps += [("20 edits of 5 KB in 10 MB, one version", [current]), ("the versions between, 19", versions[:-1])]
    steps += [("text", [text]), ("the same again", [*small, large])]
    rows = []
    for what, contents in steps:
        figures = {}
        for system in systems:
            before = system.size()
            for content in contents:
                system.write(content)
            whole = LARGE if "versions" in what or "edits" in what else sum(map(len, contents))
            figures[system.name] = 100 * (system.size() - before) / whole
        rows.append(line(f"stored bytes: {what}", "%", figures, 2))
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
        line("store 64 MB in parts of 8", "MB/s", {atoms.name: parts}, 0),
        line("artifacts of 40 bytes, 10,000 a call", "/s", {atoms.name: rate}, 0),
    ]


def line(what: str, unit: str, figures: dict[str, float], digits: int) -> dict[str, Any]:
    return {"what": what, "unit": unit, "figures": figures, "digits": digits}


if __name__ == "__main__":
    main()
