"""Vector search as a tenant: recall and time by class of filter and asked recall, beside comparing all.

--rows N of the measured tenant, --queries N a class, --vectors FILE.npy instead of synthetic clusters, --keep the
database of the last run, --index an HNSW index of the tenant's rows.
"""

from __future__ import annotations

import argparse
import time
from pathlib import Path
from typing import Any

import lib
import psycopg
import search_rivals
from psycopg.conninfo import make_conninfo
from psycopg.types.json import Jsonb

np = lib.np
DATABASE, ROLE, PASSWORD, MODEL = "bench_search", "bench_search", "of a benchmark", "bench"
OTHERS = 8  # tenants beside the measured one, as many rows together
BATCH = 2000
K = 10
RECALLS = (0.90, 0.95, 0.99)
CLUSTERS = 100

Filter = dict[str, Any]


def main() -> None:
    options = arguments()
    machine = lib.calibrate()
    print("machine:", ", ".join(f"{key} {value}" for key, value in machine.items()))
    vectors, cluster = corpus(options)
    dsn = make_conninfo(lib.dsn(), dbname=DATABASE)
    if not options.keep:
        build(dsn, vectors, cluster, options)
    rows, rivals = [], []
    as_tenant = make_conninfo(dsn, user=ROLE, password=PASSWORD)
    with psycopg.connect(as_tenant, autocommit=True) as tenant, psycopg.connect(dsn, autocommit=True) as owner:
        ids = np.array([row[0] for row in tenant.execute("select artifact_id from hartonomous.artifact_source where"
               " tenant_id = hartonomous.current_tenant() order by (metadata ->> 'n')::int")])  # fmt: skip
        number, model = tenant.execute(
            "select hartonomous.current_tenant(), model_id from hartonomous.model"
        ).fetchone()  # type: ignore[misc]
        if options.index:
            add_index(owner, tenant, number)
        search_rivals.prepare(owner, number, vectors.shape[1])
        plans(tenant, vectors[0])
        mine, queries = vectors[: options.rows], vectors[-options.queries :]
        texts = [literal(query) for query in queries]
        for name, chosen, matching in classes(cluster[: options.rows]):
            truth = [nearest(mine[matching], ids[matching], query) for query in queries]
            rows += measure(tenant, name, chosen, int(matching.sum()), texts, truth)
            share = float(matching.mean())
            rivals += search_rivals.measure(owner, number, model, name, chosen, share, texts, truth)
    show(rows)
    search_rivals.show(rivals)
    result = {"machine": machine, "rows": options.rows, "dimensions": vectors.shape[1], "index": options.index}
    path = lib.write("search", result | {"classes": rows, "rivals": rivals})
    print(f"written to {path}")


def nearest(vectors: Any, ids: Any, query: Any) -> set[int]:
    return set(ids[np.argsort(-(vectors @ query), kind="stable")[:K]].tolist())


def add_index(owner: Any, tenant: Any, number: int) -> None:
    began = time.time()
    owner.execute("set maintenance_work_mem = '512MB'; create role bench_admin in role hartonomous_admin")
    owner.execute("set role bench_admin")
    owner.execute("select hartonomous.embedding_index_add(%s, %s)", [number, MODEL])
    owner.execute("reset role; drop role bench_admin")
    tenant.execute("select hartonomous.embedding_model_analyze(%s)", [MODEL])
    print(f"index made and measured in {time.time() - began:.0f} s")


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--rows", type=int, default=10_000)
    parser.add_argument("--queries", type=int, default=40)
    parser.add_argument("--dimensions", type=int, default=384)
    parser.add_argument("--vectors", type=Path)
    parser.add_argument("--keep", action="store_true")
    parser.add_argument("--index", action="store_true")
    return parser.parse_args()


# --- the corpus ---


def corpus(options: argparse.Namespace) -> tuple[Any, Any]:
    """Vectors of the measured tenant, of the others, and queries that are in neither, with their clusters."""
    chance = np.random.default_rng(7)
    n = 2 * options.rows + options.queries
    if options.vectors:
        vectors = np.load(options.vectors).astype(np.float32)
        if len(vectors) < n:
            raise SystemExit(f"{len(vectors)} vectors, expected {n}: give fewer --rows")
        vectors = vectors[chance.permutation(len(vectors))[:n]]
        centres = vectors[chance.choice(n, CLUSTERS, replace=False)]
        return apart(vectors, (vectors @ centres.T).argmax(axis=1), options)
    cluster = chance.integers(CLUSTERS, size=n)
    basis = chance.standard_normal((64, options.dimensions))  # real embeddings lie near few dimensions
    points = chance.standard_normal((CLUSTERS, 64))[cluster] + 0.7 * chance.standard_normal((n, 64))
    vectors = points @ basis + 0.5 * chance.standard_normal((n, options.dimensions))
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return apart(vectors.astype(np.float32), cluster, options)


def apart(vectors: Any, cluster: Any, options: argparse.Namespace) -> tuple[Any, Any]:
    """A tenth of the clusters is of others alone, as are the queries from them."""
    foreign = np.flatnonzero(cluster >= 0.9 * CLUSTERS)
    own = np.flatnonzero(cluster < 0.9 * CLUSTERS)
    few = options.queries // 5
    order = [own[: options.rows], own[options.rows + options.queries :], foreign[few:], foreign[:few],
             own[options.rows : options.rows + options.queries - few]]  # fmt: skip
    joined = np.concatenate(order)
    return vectors[joined], cluster[joined]


def classes(cluster: Any) -> list[tuple[str, Filter, Any]]:
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


def build(dsn: str, vectors: Any, cluster: Any, options: argparse.Namespace) -> None:
    began = time.time()
    with psycopg.connect(lib.dsn(), autocommit=True) as server:
        server.execute(f"drop database if exists {DATABASE} with (force)")
        server.execute(f"create database {DATABASE}")
        if not server.execute("select 1 from pg_roles where rolname = %s", [ROLE]).fetchone():
            server.execute(f"create role {ROLE} login password '{PASSWORD}' in role hartonomous_writer")
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("set client_min_messages = warning; create extension hartonomous cascade")
        owner.execute("select hartonomous.tenant_role_add(0, session_user)")
        owner.execute("select hartonomous.embedding_model_register(%s, %s)", [MODEL, vectors.shape[1]])
        tenants = [owner.execute("select hartonomous.tenant_create(%s)", [f"tenant {i}"]).fetchone()[0]
                   for i in range(OTHERS + 1)]  # type: ignore[index] # fmt: skip
        owner.execute("create extension if not exists vector")
        for number in range(OTHERS + 1):
            owner.execute("delete from hartonomous.tenant_role where role_name = %s", [ROLE])
            owner.execute("select hartonomous.tenant_role_add(%s, %s)", [tenants[number], ROLE])
            last = len(vectors) - options.queries
            span = range(options.rows) if number == OTHERS else range(options.rows + number, last, OTHERS)
            with psycopg.connect(make_conninfo(dsn, user=ROLE, password=PASSWORD), autocommit=True) as tenant:
                load(tenant, list(span), vectors, cluster)
                if number == OTHERS:
                    owner.execute("vacuum analyze")
                    tenant.execute("select hartonomous.embedding_model_analyze(%s)", [MODEL])
    print(f"built in {time.time() - began:.0f} s")


def load(tenant: Any, span: list[int], vectors: Any, cluster: Any) -> None:
    for first in range(0, len(span), BATCH):
        part = span[first : first + BATCH]
        shares = [{"half": i % 2, "tenth": i % 10, "hundredth": i % 100} for i in part]
        notes = [Jsonb({"n": i, "cluster": int(cluster[i])} | share) for i, share in zip(part, shares, strict=True)]
        ids = tenant.execute(
            "select hartonomous.ingest_many(%s, 'text', %s, %s, canonical_texts => %s)",
            [[b"row %d" % i for i in part], [f"r/{i % 1000:03}/{i}" for i in part], notes, [f"row {i}" for i in part]],
        ).fetchone()[0]
        tenant.execute(
            "select hartonomous.embedding_put_many(%s, %s::vector[], %s)",
            [ids, [literal(vectors[i]) for i in part], MODEL],
        )


def literal(vector: Any) -> str:
    return "[" + ",".join(map(str, vector.tolist())) + "]"


# --- figures ---

SEARCH = (
    "select artifact_id, verdict"
    " from hartonomous.search_vector(%s::vector, %s::int, %s, %s, recall => %s::real, snippets => false)"
)


def plans(tenant: Any, vector: Any) -> None:
    """What a tenant runs reads by indexes that the tenant leads."""
    for recall in (0.95, 1):
        before = scans(tenant)
        tenant.execute(SEARCH, [literal(vector), K, MODEL, Jsonb({}), recall]).fetchall()
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
    tenant: Any, name: str, chosen: Filter, matching: int, queries: list[str], truth: list[set[int]]
) -> list[dict[str, Any]]:
    """What the tenant finds, against the nearest of the rows that satisfy the filter."""
    found = []
    for asked in (*RECALLS, 1.0):
        recalls, times, exact = [], [], 0
        for query, right in zip(queries, truth, strict=True):
            started = time.perf_counter()
            answer = tenant.execute(SEARCH, [query, K, MODEL, Jsonb(chosen), asked]).fetchall()
            times.append((time.perf_counter() - started) * 1000)
            if len(answer) != min(K, matching):
                raise SystemExit(f"{name}: {len(answer)} rows of {matching}")
            recalls.append(len(right & {row[0] for row in answer}) / len(right))
            exact += not answer[0][1].startswith("recall")
        mean, deviation = float(np.mean(recalls)), float(np.std(recalls)) / len(recalls) ** 0.5
        found.append({
            "filter": name, "matching": matching, "asked": asked, "recall": mean, "lower": mean - 1.96 * deviation,
            "far below": float(np.mean(np.array(recalls) < asked - 0.2)), "exact": exact / len(recalls),
            "p50": float(np.percentile(times, 50)), "p95": float(np.percentile(times, 95)),
        })  # fmt: skip
    return found


def show(rows: list[dict[str, Any]]) -> None:
    form = "{:8}{:>9,}{:7.2f}{:8.3f}{:7.3f}{:10.3f}{:7.2f}{:8.2f}{:8.2f}"
    print(f"{'filter':8} matching  asked  recall  lower far below  exact  p50 ms  p95 ms")
    for row in rows:
        print(form.format(*row.values()))


if __name__ == "__main__":
    main()
