"""The atoms beside their rivals, as a tenant's role: speed, size, edits, releases of a source tree.

In databases of its own, which go afterwards; --only content,releases: parts. See METHODOLOGY.md.
"""

from __future__ import annotations

from typing import Any

import atoms_content
import atoms_geometry
import atoms_leaves
import atoms_lookup
import atoms_releases
import psycopg
from place import Place, database, run


def content(place: Place) -> list[dict[str, Any]]:
    with psycopg.connect(place.dsn, autocommit=True) as tenant:
        return atoms_content.measure(tenant)


def releases(place: Place) -> list[dict[str, Any]]:
    with (
        psycopg.connect(place.dsn, autocommit=True) as tenant,
        database("bench_atoms_legible", "bench_atoms_writer") as other,
        psycopg.connect(other.dsn, autocommit=True) as legibly,
    ):
        return atoms_releases.measure(tenant, legibly)


def leaves(place: Place) -> list[dict[str, Any]]:
    with psycopg.connect(place.dsn, autocommit=True) as tenant:
        return atoms_leaves.measure(place.owner, tenant)


def look_up(place: Place) -> list[dict[str, Any]]:
    role = "bench_atoms_writer"
    with database("bench_atoms", role, 256) as parted:
        return atoms_lookup.measure({"atoms": place, "256 partitions": parted}, role)


def geometry(place: Place) -> list[dict[str, Any]]:
    with psycopg.connect(place.dsn, autocommit=True) as tenant:
        return atoms_geometry.measure(place.owner, place.tenant, tenant)


if __name__ == "__main__":
    run("atoms", {
        "content": content, "releases": releases, "leaves": leaves, "look-up": look_up, "geometry": geometry,
    })  # fmt: skip
