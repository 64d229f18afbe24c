"""One atom by its keys, beside the same rows in tables without partitions, with and without row security."""

from __future__ import annotations

import random
import statistics
import subprocess
from typing import Any

from lib import row

ROWS = 200_000
ROUNDS, CALLS = 15, 2000
# keys that pgbench can compute; nine modalities, so that they lie in as many zones
KEYS = """
\\set n random(1, {rows})
\\set h_xy (:n % 9) * 288230376151711744 + :n * 1315423911
\\set h_yz :n * 2654435761
\\set h_zm :n * 40503
select value from {table} where h_xy = :h_xy and h_yz = :h_yz and h_zm = :h_zm;
"""
FILL = """
insert into hartonomous.atom (h_xy, h_yz, h_zm, tenant_id, modality, content_hash, geom, value)
select n % 9 * 288230376151711744 + n * 1315423911, n * 2654435761, n * 40503, {tenant}, n % 9, sha256(n::text::bytea),
       'GEOMETRYCOLLECTION ZM (POINT ZM (1 2 3 4))', sha256(n::text::bytea)
from generate_series(1::bigint, {rows}) as n;
grant select on hartonomous.atom to {role};
vacuum analyze hartonomous.atom;
"""
RIVALS = """
create table plain.protected (like hartonomous.atom);
insert into plain.protected select * from hartonomous.atom;
alter table plain.protected add primary key (h_xy, h_yz, h_zm);
create table plain.bare (like plain.protected including indexes);
insert into plain.bare select * from plain.protected;
select hartonomous._tenant_protect('plain.protected', 'tenant_id');
grant select on plain.protected, plain.bare to {role};
vacuum analyze plain.protected, plain.bare;
"""
PLAIN = {"plain, same policies": "plain.protected", "plain": "plain.bare"}


def measure(places: dict[str, Any], role: str) -> list[dict[str, Any]]:
    """Rounds of pgbench in which the tables take turns, as the tenant's role; plain ones lie beside the first."""
    for place in places.values():
        execute(place.owner, FILL.format(rows=ROWS, role=role, tenant=place.tenant))
    first = next(iter(places.values()))
    execute(first.owner, RIVALS.format(role=role))
    systems = {name: (place.dsn, "hartonomous.atom") for name, place in places.items()}
    systems |= {name: (first.dsn, table) for name, table in PLAIN.items()}
    taken: dict[str, list[float]] = {name: [] for name in systems}
    for _ in range(ROUNDS):
        for name in random.sample(list(systems), len(systems)):
            dsn, table = systems[name]
            taken[name].append(pgbench(dsn, KEYS.format(rows=ROWS, table=table)))

    def ratios(base: str) -> dict[str, float]:
        return {name: statistics.median(a / b for a, b in zip(some, taken[base], strict=True))
                for name, some in taken.items()}  # fmt: skip

    return [
        row("one atom by its keys", "us", {name: statistics.median(some) for name, some in taken.items()}),
        row("to a plain table, same policies", "ratio", ratios("plain, same policies"), 2, most=1.1),
        row("to a plain table without policies", "ratio", ratios("plain"), 2),
    ]


def execute(owner: Any, statements: str) -> None:
    for statement in statements.split(";\n"):
        owner.execute(statement)


def pgbench(dsn: str, script: str) -> float:
    """Microseconds of a call."""
    command = ["pgbench", "-n", "-M", "prepared", "-t", str(CALLS), "-f", "/dev/stdin", dsn]
    output = subprocess.run(command, input=script, capture_output=True, text=True, check=True).stdout
    return 1e6 / float(next(line.split("=")[1].split()[0] for line in output.splitlines() if line.startswith("tps")))
