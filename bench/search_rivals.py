"""Fixed paths and bare pgvector on the rows of the measured tenant, for what its planner is compared with.

As a superuser, past row security: what a rival does before a policy takes its rows away.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import lib
from psycopg.types.json import Jsonb

np = lib.np
EF = 100
CANDIDATES = (50, 100, 200, 400)  # of our index as a fixed path
CONDITIONS = {  # the filters, as a table of columns has them
    "none": "true", "50 %": "half = 1", "10 %": "tenth = 3", "1 %": "hundredth = 7", "0.1 %": "thousandth = 7",
    "anti": "cluster = 5",
}  # fmt: skip

Answer = Callable[[str], list[int]]  # a query vector's nearest


def prepare(owner: Any, tenant: int, dimensions: int) -> None:
    owner.execute("create extension if not exists vector; drop table if exists plain; set jit = off")
    owner.execute(
        f"create table plain as select e.artifact_id, e.embedding::vector({dimensions}) as v,"
        " (o.metadata ->> 'half')::int as half, (o.metadata ->> 'tenth')::int as tenth,"
        " (o.metadata ->> 'hundredth')::int as hundredth, (o.metadata ->> 'n')::int %% 1000 as thousandth,"
        " (o.metadata ->> 'cluster')::int as cluster"
        " from hartonomous.atom_embedding as e join hartonomous.artifact_source as o using (tenant_id, artifact_id)"
        " where e.tenant_id = %s", [tenant]
    )  # fmt: skip
    owner.execute("set maintenance_work_mem = '512MB'; create index on plain using hnsw (v vector_cosine_ops)")
    for column in ("half", "tenth", "hundredth", "thousandth", "cluster"):
        owner.execute(f"create index on plain ({column})")
    owner.execute("vacuum analyze plain")


def systems(owner: Any, tenant: int, model: int, name: str, chosen: dict[str, Any], share: float) -> dict[str, Answer]:
    def plain(*settings: str) -> Answer:
        def search(query: str) -> list[int]:
            with owner.transaction():
                for setting in settings:
                    owner.execute(f"set local {setting}")
                condition = CONDITIONS[name]
                sql = f"select artifact_id from plain where {condition} order by v <=> %s::vector limit 10"
                return [row[0] for row in owner.execute(sql, [query], prepare=False)]

        return search

    def path(call: str) -> Answer:
        sql = f"select ids from hartonomous.{call}"
        given = {"tenant": tenant, "model": model, "filter": Jsonb(chosen), "share": max(share, 0.0005)}
        return lambda query: owner.execute(sql, given | {"q": query}).fetchone()[0] or []

    where = "%(tenant)s, %(model)s, %(q)s::vector, 10"
    return {
        "our exact": path(f"_nearest_exact({where}, %(filter)s, %(share)s)"),
        "our among": path(f"_nearest_listed({where}, %(filter)s, 100000000, null)"),
        "our bits": path(f"_nearest_bits({where}, %(filter)s, 200, %(share)s)"),
    } | {
        f"our index, {most}": path(f"_nearest_index({where}, %(filter)s, {most}, %(share)s)") for most in CANDIDATES
    } | {
        "pgvector HNSW": plain(f"hnsw.ef_search = {EF}", "enable_seqscan = off", "enable_sort = off"),
        "pgvector iterative": plain(
            f"hnsw.ef_search = {EF}", "hnsw.iterative_scan = relaxed_order", "enable_seqscan = off", "enable_sort = off"
        ),
        "pgvector exact": plain("enable_indexscan = off"),
    }


def measure(owner: Any, tenant: int, model: int, name: str, chosen: dict[str, Any], share: float, queries: list[str],
            truth: list[set[int]]) -> dict[str, dict[str, float]]:  # fmt: skip
    """Recall and milliseconds of each."""
    found = {}
    for system, search in systems(owner, tenant, model, name, chosen, share).items():
        search(queries[0])
        recalls, times = [], []
        for query, right in zip(queries, truth, strict=True):
            answer, took = lib.timed(lambda: search(query))  # noqa: B023
            times.append(took * 1000)
            recalls.append(len(right & set(answer)) / len(right))
        below = float(np.mean(np.array(recalls) < 0.75))
        found[system] = {"recall": float(np.mean(recalls)), "0.2 below": below} | lib.percentiles(times)
    return found
