"""The atoms beside their rivals, as a tenant's role: speed, size, edits, releases of a source tree.

In a database of its own, which goes afterwards; --only content,releases: parts. See METHODOLOGY.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import atoms_content
import atoms_geometry
import atoms_leaves
import atoms_lookup
import atoms_releases
import lib
import psycopg
from psycopg.conninfo import make_conninfo

DATABASE, ROLE = "bench_atoms", "bench_atoms_writer"


@dataclass
class Place:
    """A database of the bench's own: a connection of its owner, and how a tenant's role reaches it."""

    owner: psycopg.Connection[Any]
    dsn: str
    tenant: int


PARTS: dict[str, Callable[[Place, psycopg.Connection[Any]], list[dict[str, Any]]]] = {
    "content": lambda place, connection: atoms_content.measure(connection),
    "releases": lambda place, connection: atoms_releases.measure(connection),
    "leaves": lambda place, connection: atoms_leaves.measure(place.owner, connection),
    "look-up": lambda place, connection: look_up(place, connection),
    "geometry": lambda place, connection: atoms_geometry.measure(place.owner, place.tenant, connection),
}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(PARTS))
    given = parser.parse_args()
    machine = lib.calibrate()
    print("machine:", ", ".join(f"{key} {value}" for key, value in machine.items()))
    rows = []
    for part in given.only.split(","):
        with role(), database() as place, psycopg.connect(place.dsn, autocommit=True) as connection:
            found = PARTS[part](place, connection)
        print(f"\n{part}")
        lib.show(found)
        rows += [{"part": part, **row} for row in found]
    barred = [row for row in rows if row["bar"]]
    failed = [f"{row['part']}: {row['what']}" for row in barred if not row["holds"]]
    if given.only == parser.get_default("only"):
        print("written to", lib.write("atoms", {"machine": machine, "rows": rows}))
    print(f"{len(barred) - len(failed)} of {len(barred)} bars hold")
    if failed:
        sys.exit("do not hold: " + "; ".join(failed))


@contextmanager
def database(partitions: int = 1) -> Iterator[Place]:
    """With a tenant, and a schema for what does not belong to the extension."""
    name = f"{DATABASE}_{partitions}"
    with psycopg.connect(lib.dsn(), autocommit=True) as server:
        server.execute(f"create database {name}")
        dsn = make_conninfo(lib.dsn(), dbname=name)
        try:
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute("set client_min_messages = warning")
                connection.execute(f"set hartonomous.atom_partitions = {partitions}")
                connection.execute("create extension hartonomous cascade")
                tenant = connection.execute("select hartonomous.tenant_create('bench')").fetchone()[0]
                connection.execute("select hartonomous.tenant_role_add(%s, %s)", [tenant, ROLE])
                connection.execute(f"create schema plain authorization {ROLE}")
                yield Place(connection, make_conninfo(dsn, options=f"-c role={ROLE}"), tenant)
        finally:
            server.execute(f"drop database {name} with (force)")


@contextmanager
def role() -> Iterator[None]:
    """The role of a tenant; databases of a run that was broken off go with what they hold of it."""
    with psycopg.connect(lib.dsn(), autocommit=True) as server:
        for (name,) in server.execute(f"select datname from pg_database where datname like '{DATABASE}%'").fetchall():
            server.execute(f"drop database {name} with (force)")
        server.execute(f"drop role if exists {ROLE}")
        server.execute(f"create role {ROLE} in role hartonomous_writer")
        try:
            yield
        finally:
            server.execute(f"drop role {ROLE}")


def look_up(place: Place, _: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    with database(256) as parted:
        return atoms_lookup.measure({"atoms": place, "256 partitions": parted}, ROLE)


if __name__ == "__main__":
    main()
