"""A database of a benchmark's own, which goes afterwards, and the role of a tenant in it."""

from __future__ import annotations

import argparse
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import lib
import psycopg
from psycopg.conninfo import make_conninfo


@dataclass
class Place:
    """A database of the bench's own: a connection of its owner, and how a tenant's role reaches it."""

    owner: psycopg.Connection[Any]
    dsn: str
    tenant: int


Part = Callable[[Place], list[dict[str, Any]]]


def run(name: str, parts: Mapping[str, Part]) -> None:
    """Measures what --only names, each part in a database of its own; the results keep what the others had last."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(parts), metavar="PART,...", help="parts of: %(default)s")
    rows = []
    for part in parser.parse_args().only.split(","):
        machine = lib.calibrate()
        print(f"\n{part}, on", ", ".join(f"{key} {value}" for key, value in machine.items()), flush=True)
        with role(f"bench_{name}_writer", f"bench_{name}"), database(f"bench_{name}", f"bench_{name}_writer") as place:
            found = parts[part](place)
        lib.show(found)
        print("written to", lib.keep(name, part, {"machine": machine, "rows": found}))
        rows += [{"part": part, **row} for row in found]
    lib.judge(rows)


@contextmanager
def database(prefix: str, role: str, partitions: int = 1) -> Iterator[Place]:
    """With a tenant, and a schema for what does not belong to the extension."""
    name = f"{prefix}_{partitions}"
    with psycopg.connect(lib.dsn(), autocommit=True) as server:
        server.execute(f"create database {name}")
        dsn = make_conninfo(lib.dsn(), dbname=name)
        try:
            with psycopg.connect(dsn, autocommit=True) as connection:
                connection.execute("set client_min_messages = warning")
                connection.execute(f"set hartonomous.atom_partitions = {partitions}")
                connection.execute("create extension hartonomous cascade")
                tenant = connection.execute("select hartonomous.tenant_create('bench')").fetchone()[0]
                connection.execute("select hartonomous.tenant_role_add(%s, %s)", [tenant, role])
                connection.execute(f"create schema plain authorization {role}")
                yield Place(connection, make_conninfo(dsn, options=f"-c role={role}"), tenant)
        finally:
            server.execute(f"drop database {name} with (force)")


@contextmanager
def role(name: str, prefix: str) -> Iterator[None]:
    """The role of a tenant; databases of a run that was broken off go with what they hold of it."""
    with psycopg.connect(lib.dsn(), autocommit=True) as server:
        for (old,) in server.execute(f"select datname from pg_database where datname like '{prefix}%'").fetchall():
            server.execute(f"drop database {old} with (force)")
        server.execute(f"drop role if exists {name}")
        server.execute(f"create role {name} in role hartonomous_writer")
        try:
            yield
        finally:
            server.execute(f"drop role {name}")
