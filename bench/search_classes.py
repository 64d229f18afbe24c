"""Recall and time by class of filter and asked recall: the planner, each path alone, and bare pgvector."""

from __future__ import annotations

import argparse
import threading
import time
from collections.abc import Iterator
from typing import Any

import lib
import psycopg
import search_build as build
import search_rivals
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

np = lib.np
DATABASE = "bench_search"
TENANTS = 100  # beside the measured one, as many rows together
RECALLS = (0.90, 0.95, 0.99)
K = 10
SEARCH = (
    "select artifact_id, verdict"
    " from hartonomous.search_vector(%s::vector, 10, 'bench', %s, recall => %s::real, snippets => false)"
)

Filter = dict[str, Any]
Row = dict[str, Any]


def corpus(options: argparse.Namespace) -> tuple[Any, Any]:
    """Vectors and clusters: rows of the measured tenant, of the others, queries.

    A tenth of the clusters is of others alone, as is what a fifth of the queries ask for.
    """
    n = 2 * options.rows + options.queries
    given = build.vectors(options, n)
    cluster = build.clusters(given)
    foreign = np.flatnonzero(cluster >= 0.9 * build.CLUSTERS)
    own = np.flatnonzero(cluster < 0.9 * build.CLUSTERS)
    few = options.queries // 5
    asked = options.rows + options.queries - few
    order = [own[: options.rows], own[asked:], foreign[few:], foreign[:few], own[options.rows : asked]]
    joined = np.concatenate(order)
    return given[joined], cluster[joined]


def built(options: argparse.Namespace, given: Any, cluster: Any) -> str:
    """The database of the parts classes and tenants; the measured tenant comes last."""
    if build.kept(DATABASE, options):
        return make_conninfo(lib.dsn(), dbname=DATABASE)
    began = time.time()
    dsn = build.create(DATABASE)
    last = len(given) - options.queries
    with psycopg.connect(dsn, autocommit=True) as owner:
        for number in range(TENANTS + 1):
            tenant = owner.execute("select hartonomous.tenant_create(%s)", [f"tenant {number}"]).fetchone()[0]  # type: ignore[index]
            with build.acting(owner, tenant) as role:
                build.load(role, given, spans(options.rows, last, number), cluster)
        loaded = time.time() - began
        owner.execute("vacuum analyze")
        made = build.index(owner, tenant, 16, 128)
        for tenant, *_ in owner.execute("select tenant_id from hartonomous.tenant where tenant_id > 0").fetchall():
            with build.acting(owner, tenant) as role:
                analyzed = build.analyze(role)
    build.keep(dsn, options)
    print(f"loaded in {loaded:.0f} s, index made in {made:.0f} s, the measured tenant analyzed in {analyzed:.0f} s")
    return dsn


def spans(rows: int, last: int, number: int) -> range:
    return range(rows) if number == TENANTS else range(rows + number, last, TENANTS)


def filters(cluster: Any) -> list[tuple[str, Filter, Any]]:
    """Filters by name, and which rows satisfy each; "anti" is a filter for another cluster than the query's."""
    number = np.arange(len(cluster))
    return [
        ("none", {}, number >= 0),
        ("50 %", {"metadata": {"half": 1}}, number % 2 == 1),
        ("10 %", {"metadata": {"tenth": 3}}, number % 10 == 3),
        ("1 %", {"metadata": {"hundredth": 7}}, number % 100 == 7),
        ("0.1 %", {"source_uri_prefix": "r/007/"}, number % 1000 == 7),
        ("anti", {"metadata": {"cluster": 5}}, cluster == 5),
    ]


def run(options: argparse.Namespace) -> Iterator[list[Row]]:
    """Lines of each class of filter."""
    given, cluster = corpus(options)
    dsn = built(options, given, cluster)
    as_tenant = make_conninfo(dsn, user=build.ROLE, password=build.PASSWORD)
    with psycopg.connect(dsn, autocommit=True) as owner:
        number = owner.execute("select max(tenant_id) from hartonomous.tenant").fetchone()[0]  # type: ignore[index]
        with build.acting(owner, number), psycopg.connect(as_tenant, autocommit=True) as tenant:
            ids = np.array([row[0] for row in tenant.execute("select artifact_id from hartonomous.artifact_source where"
                   " tenant_id = hartonomous.current_tenant() order by (metadata ->> 'n')::int")])  # fmt: skip
            model = tenant.execute("select model_id from hartonomous.model").fetchone()[0]  # type: ignore[index]
            search_rivals.prepare(owner, number, given.shape[1])
            mine, queries = given[: options.rows], given[-options.queries :]
            asked = [build.literal(query) for query in queries]
            plans(tenant, asked[0])
            for name, chosen, matching in filters(cluster[: options.rows]):
                truth = build.nearest(mine[matching], ids[matching], queries)
                ours = measure(tenant, as_tenant, name, chosen, int(matching.sum()), asked, truth)
                share = float(matching.mean())
                few = slice(0, 200)
                others = search_rivals.measure(owner, number, model, name, chosen, share, asked[few], truth[few])
                yield ours + compared(name, share, ours, others)


def plans(tenant: Any, query: str) -> None:
    """What a tenant runs reads by indexes that the tenant leads."""
    for recall in (0.95, 1):
        before = scans(tenant)
        tenant.execute(SEARCH, [query, Jsonb({}), recall]).fetchall()
        if any(scans(tenant)[table] > before[table] for table in before):
            raise SystemExit(f"a search with recall {recall} read a whole table")


def scans(tenant: Any) -> dict[str, int]:
    return dict(
        tenant.execute(
            "select relname, pg_stat_get_xact_numscans(oid) from pg_class"
            " where relname in ('atom_embedding', 'artifact', 'artifact_source') and relkind = 'r'"
        ).fetchall()
    )


def measure(
    tenant: Any, dsn: str, name: str, chosen: Filter, matching: int, queries: list[str], truth: list[set[int]]
) -> list[Row]:
    """What the tenant finds, against the nearest of the rows that satisfy the filter."""
    rows = []
    for asked in RECALLS:
        recalls, times, exact = [], [], 0
        for query, right in zip(queries, truth, strict=True):
            started = time.perf_counter()
            answer = tenant.execute(SEARCH, [query, Jsonb(chosen), asked]).fetchall()
            times.append((time.perf_counter() - started) * 1000)
            if len(answer) != min(K, matching):
                raise SystemExit(f"{name}: {len(answer)} rows of {matching}")
            recalls.append(len(right & {row[0] for row in answer}) / len(right))
            exact += not answer[0][1].startswith("recall")
        mean, deviation = float(np.mean(recalls)), float(np.std(recalls)) / len(recalls) ** 0.5
        what = f"{name}, {asked:.2f} asked"
        bound = {"lower": mean - 1.96 * deviation, "mean": mean, "exact answers": exact / len(recalls)}
        below = float(np.mean(np.array(recalls) < asked - 0.2))
        rows += [
            lib.row(f"{what}: recall, lower bound", "", bound, 3, least=asked),
            lib.row(f"{what}: queries 0.2 below", "share", {"ours": below}, 3, most=0.01),
            lib.row(f"{what}: a search", "ms", lib.percentiles(times), 2),
        ]
    rows.append(lib.row(f"{name}, 0.95 asked: two clients", "1/s", {"searches": rate(dsn, chosen, queries[:300])}))
    return rows


def rate(dsn: str, chosen: Filter, queries: list[str]) -> float:
    def client(own: list[str]) -> None:
        with psycopg.connect(dsn, autocommit=True) as tenant:
            for query in own:
                tenant.execute(SEARCH, [query, Jsonb(chosen), 0.95]).fetchall()

    threads = [threading.Thread(target=client, args=(queries[number::2],)) for number in range(2)]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return len(queries) / (time.perf_counter() - began)


def compared(name: str, share: float, ours: list[Row], others: dict[str, dict[str, float]]) -> list[Row]:
    """Others' recall and time; the bars: the best fixed path that keeps 0.95, and pgvector's iterative scan."""
    planner = next(row["figures"] for row in ours if row["what"] == f"{name}, 0.95 asked: a search")
    rows = [lib.row(f"{name}: {system}", "", found, 2) for system, found in others.items()]
    fixed = {
        system: found["p95"]
        for system, found in others.items()
        if system.startswith("our") and found["recall"] >= 0.95 and found["0.2 below"] <= 0.01
    }
    best = min(fixed, key=lambda system: fixed[system])
    rows.append(
        lib.row(
            f"{name}: p95 of the planner over that of {best}",
            "times",
            {"ours": planner["p95"] / fixed[best]},
            2,
            most=2,
        )
    )
    iterative = others["pgvector iterative"]
    faster = {"ours": iterative["p50"] / planner["p50"], "its recall": iterative["recall"]}
    rows.append(
        lib.row(
            f"{name}: times as fast as pgvector's iterative scan",
            "times",
            faster,
            2,
            least=5 if share <= 0.0101 else None,
        )
    )
    return rows
