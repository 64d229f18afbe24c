"""The atoms beside their rivals, as a tenant's role: speed, size, edits, releases of a source tree.

In a database of its own, which goes afterwards; --only content,releases: parts. See METHODOLOGY.md.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Iterator
from contextlib import contextmanager

import atoms_content
import atoms_releases
import lib
import psycopg
from psycopg.conninfo import make_conninfo

DATABASE, ROLE = "bench_atoms", "bench_atoms_writer"
PARTS = {"content": atoms_content.measure, "releases": atoms_releases.measure}


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--only", default=",".join(PARTS))
    given = parser.parse_args()
    machine = lib.calibrate()
    print("machine:", ", ".join(f"{key} {value}" for key, value in machine.items()))
    rows = []
    for part in given.only.split(","):
        with database() as dsn, psycopg.connect(dsn, autocommit=True) as connection:
            connection.execute(f"set role {ROLE}")
            found = PARTS[part](connection)
        print(f"\n{part}")
        lib.show(found)
        rows += [{"part": part, **row} for row in found]
    barred = [row for row in rows if row["bar"]]
    failed = [f"{row['part']}: {row['what']}" for row in barred if not row["holds"]]
    path = lib.write("atoms", {"machine": machine, "rows": rows})
    print(f"written to {path}; {len(barred) - len(failed)} of {len(barred)} bars hold")
    if failed:
        sys.exit("do not hold: " + "; ".join(failed))


@contextmanager
def database() -> Iterator[str]:
    """With a tenant, a role of it, and a schema for what does not belong to the extension."""
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


if __name__ == "__main__":
    main()
