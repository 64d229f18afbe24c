"""The atoms beside their rivals, as a tenant's role: speed, size, edits, releases of a source tree.

In a database of its own, which goes afterwards; --only content,releases: parts. See METHODOLOGY.md.
"""

from __future__ import annotations

import argparse
from collections.abc import Callable
from typing import Any

import atoms_content
import atoms_geometry
import atoms_leaves
import atoms_lookup
import atoms_releases
import lib
import psycopg
from place import Place, database, role

DATABASE, ROLE = "bench_atoms", "bench_atoms_writer"

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
        with (
            role(ROLE, DATABASE), database(DATABASE, ROLE) as place,
            psycopg.connect(place.dsn, autocommit=True) as connection,
        ):  # fmt: skip
            found = PARTS[part](place, connection)
        print(f"\n{part}")
        lib.show(found)
        rows += [{"part": part, **row} for row in found]
    if given.only == parser.get_default("only"):
        print("written to", lib.write("atoms", {"machine": machine, "rows": rows}))
    lib.judge(rows)


def look_up(place: Place, _: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    with database(DATABASE, ROLE, 256) as parted:
        return atoms_lookup.measure({"atoms": place, "256 partitions": parted}, ROLE)


if __name__ == "__main__":
    main()
