"""An HNSW index of what everybody sees: beside bare pgvector with an equal index and as many candidates."""

from __future__ import annotations

import argparse
import time
from collections.abc import Iterator
from typing import Any

import lib
import psycopg
import search_build as build
from psycopg.conninfo import make_conninfo
from search_classes import RECALLS, K, Row

np = lib.np
SEARCH = (
    "select artifact_id, verdict"
    " from hartonomous.search_vector(%s::vector, 10, 'bench', recall => %s::real, snippets => false)"
)
BARE = "select artifact_id from plain order by v <=> %s::vector limit 10"
EXPLAIN = "select hartonomous.search_explain(%s::vector, 10, 'bench', recall => %s::real)"
QUERIES, ROUNDS = 500, 2


def everybody(options: argparse.Namespace) -> Iterator[list[Row]]:
    given = build.vectors(options, 2 * options.rows)
    return run(options, "bench_search_everybody", given, 16, 128)


def million(options: argparse.Namespace) -> Iterator[list[Row]]:
    given, _ = build.synthetic(options.many + QUERIES, options.dimensions)
    return run(options, "bench_search_million", given, 24, 128, most_ms=50)


def run(
    options: argparse.Namespace, database: str, given: Any, m: int, ef_construction: int, most_ms: float | None = None
) -> Iterator[list[Row]]:
    stored, queries = given[:-QUERIES], given[-QUERIES:]
    dsn = make_conninfo(lib.dsn(), dbname=database)
    if not build.kept(database, options):
        began = time.time()
        dsn = build.create(database)
        with psycopg.connect(dsn, autocommit=True) as owner, build.acting(owner, 0) as role:
            build.load(role, stored, range(len(stored)), np.zeros(len(stored), int))
            loaded = time.time() - began
            owner.execute("vacuum analyze")
            made = build.index(owner, 0, m, ef_construction)
            analyzed = build.analyze(role)
            print(f"loaded in {loaded:.0f} s, index made in {made:.0f} s, analyzed in {analyzed:.0f} s")
            bare(owner, m, ef_construction)
        build.keep(dsn, options)
    with (
        psycopg.connect(dsn, autocommit=True) as owner,
        build.acting(owner, 0) as role,
        psycopg.connect(role, autocommit=True) as client,
    ):
        ids = np.array(
            [
                row[0]
                for row in owner.execute(
                    "select artifact_id from hartonomous.artifact_source order by (metadata ->> 'n')::int"
                )
            ]
        )
        truth = build.nearest(stored, ids, queries)
        owner.execute(
            "set jit = off; set plan_cache_mode = force_generic_plan; set max_parallel_workers_per_gather = 0"
        )
        yield from compared(client, owner, [build.literal(query) for query in queries], truth, len(stored), most_ms)


def bare(owner: psycopg.Connection[Any], m: int, ef_construction: int) -> None:
    """The same vectors in a table of its own, under the same index."""
    owner.execute(
        "drop table if exists plain; create table plain as"
        " select artifact_id, embedding::vector(384) as v from hartonomous.atom_embedding"
    )
    owner.execute(
        f"create index on plain using hnsw (v vector_cosine_ops) with (m = {m}, ef_construction = {ef_construction})"
    )
    owner.execute("vacuum analyze plain")


def compared(
    client: Any, owner: Any, queries: list[str], truth: list[set[int]], rows: int, most_ms: float | None
) -> Iterator[list[Row]]:
    for asked in RECALLS:
        ef = candidates(client, queries[0], asked)
        owner.execute(f"set hnsw.ef_search = {ef}")
        systems = {
            "ours": lambda query: client.execute(SEARCH, [query, asked], prepare=True).fetchall(),  # noqa: B023
            "bare": lambda query: owner.execute(BARE, [query], prepare=True).fetchall(),
        }
        times: dict[str, list[float]] = {name: [] for name in systems}
        hits = dict.fromkeys(systems, 0)
        exact = 0
        for number, query in enumerate(queries * ROUNDS):
            for name in sorted(systems, reverse=number % 2 == 0):
                answer, took = lib.timed(lambda: systems[name](query))  # noqa: B023
                times[name].append(1000 * took)
                hits[name] += len(truth[number % len(truth)] & {row[0] for row in answer})
                exact += name == "ours" and answer[0][1] == "exact"
        middle = {name: float(np.median(some)) for name, some in times.items()}
        slow = {name: float(np.percentile(some, 95)) for name, some in times.items()}
        count = ROUNDS * len(queries)
        reached: dict[str, float] = {name: some / K / count for name, some in hits.items()}
        more = float(np.median(np.array(times["ours"]) - np.array(times["bare"])))
        what = f"{rows:,} rows of everybody, {asked:.2f} asked"
        yield [
            lib.row(f"{what}: recall", "", reached | {"ef": ef, "exact": exact / count}, 4, least=asked),
            lib.row(f"{what}: p95", "ms", slow, 2, most=most_ms),
            lib.row(f"{what}: median", "ms", {**middle, "more": more}, 2),
            lib.row(f"{what}: of bare's time", "times", {"ours": middle["ours"] / middle["bare"]}, 2, most=1.1),
        ]


def candidates(client: Any, query: str, asked: float) -> int:
    """How many candidates the planner takes from the index, with those beside that may turn out deleted."""
    plan = client.execute(EXPLAIN, [query, asked]).fetchone()[0]["parts"][0]
    if plan["path"] != "index":
        raise SystemExit(f"the path is {plan['path']}, not the index")
    return int(plan["candidates"]) + 8
