"""What bench/search.py searches: corpora of vectors, and databases of tenants that have them."""

from __future__ import annotations

import argparse
import os
import time
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import hartonomous
import lib
import psycopg
import texts
from psycopg.conninfo import make_conninfo

np = lib.np
ROLE, PASSWORD, MODEL = "bench_search", "of a benchmark", "bench"
BATCH = 2000
CLUSTERS = 100
FIELDS = ("half", "tenth", "hundredth", "cluster")
_made: set[str] = set()  # databases of this run, which two parts share


def vectors(options: argparse.Namespace, count: int) -> Any:
    """So many unit vectors: of real texts, or synthetic ones in clusters."""
    if not options.synthetic:
        return texts.embedded(count, lib.dsn())[1]
    return synthetic(count, options.dimensions)[0]


def synthetic(count: int, dimensions: int = 384) -> tuple[Any, Any]:
    """Vectors in clusters that lie near 64 dimensions, as real embeddings lie near few; and the cluster of each."""
    chance = np.random.default_rng(7)
    cluster = chance.integers(CLUSTERS, size=count)
    basis = chance.standard_normal((64, dimensions)).astype(np.float32)
    centres = chance.standard_normal((CLUSTERS, 64)).astype(np.float32)
    found = np.empty((count, dimensions), np.float32)
    for low in range(0, count, 50_000):
        near = cluster[low : low + 50_000]
        points = centres[near] + 0.7 * chance.standard_normal((len(near), 64), np.float32)
        part = points @ basis + 0.5 * chance.standard_normal((len(near), dimensions), np.float32)
        found[low : low + 50_000] = part / np.linalg.norm(part, axis=1, keepdims=True)
    return found, cluster


def clusters(given: Any) -> Any:
    """Which of some vectors, drawn by chance, each is nearest to."""
    centres = given[np.random.default_rng(7).choice(len(given), CLUSTERS, replace=False)]
    return np.concatenate(
        [(part @ centres.T).argmax(axis=1) for part in np.array_split(given, 1 + len(given) // 50_000)]
    )


def create(database: str) -> str:
    """A database with the extension and a model of vectors from outside; its owner's connection string."""
    dsn = make_conninfo(lib.dsn(), dbname=database)
    with psycopg.connect(lib.dsn(), autocommit=True) as server:
        server.execute(f"drop database if exists {database} with (force)")
        server.execute(f"create database {database}")
        if not server.execute("select 1 from pg_roles where rolname = %s", [ROLE]).fetchone():
            server.execute(f"create role {ROLE} login password '{PASSWORD}' in role hartonomous_writer")
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute("set client_min_messages = warning; create extension hartonomous cascade")
        owner.execute("create extension if not exists vector")
        owner.execute("select hartonomous.tenant_role_add(0, session_user)")
        owner.execute("select hartonomous.embedding_model_register(%s, 384)", [MODEL])
        owner.execute("select hartonomous.metadata_index_add(field) from unnest(%s::text[]) as field", [list(FIELDS)])
    return dsn


def kept(database: str, options: argparse.Namespace) -> bool:
    """Whether the database is of this run, or that of the last one is to be taken and was made of the same."""
    with psycopg.connect(lib.dsn()) as server:
        found = server.execute(
            "select shobj_description(oid, 'pg_database') from pg_database where datname = %s", [database]
        ).fetchone()
    return bool(found and (database in _made or options.keep and found[0] == of(options)))


def keep(dsn: str, options: argparse.Namespace) -> None:
    with psycopg.connect(dsn, autocommit=True) as owner:
        owner.execute(f"comment on database {owner.info.dbname} is '{of(options)}'")
        _made.add(owner.info.dbname)


def of(options: argparse.Namespace) -> str:
    return f"{options.rows} {options.queries} {options.many} {options.synthetic}"


@contextmanager
def acting(owner: psycopg.Connection[Any], tenant: int) -> Iterator[str]:
    """The role is mapped to a tenant; its connection string."""
    owner.execute("delete from hartonomous.tenant_role where role_name = %s", [ROLE])
    owner.execute("select hartonomous.tenant_role_add(%s, %s)", [tenant, ROLE])
    yield make_conninfo(owner.info.dsn, user=ROLE, password=PASSWORD)


def load(dsn: str, given: Any, span: Sequence[int], cluster: Any) -> None:
    """Rows of a tenant, by two sessions."""
    parts = [list(span[low : low + BATCH]) for low in range(0, len(span), BATCH)]

    def some(own: list[list[int]]) -> None:
        with hartonomous.connect(dsn) as client:
            for part in own:
                notes = [
                    {"n": i, "half": i % 2, "tenth": i % 10, "hundredth": i % 100, "cluster": int(cluster[i])}
                    for i in part
                ]
                uris = [f"r/{i % 1000:03}/{i}" for i in part]
                ids = client.ingest_many(
                    [b"row %d" % i for i in part], "text", uris, notes, canonical_texts=[f"row {i}" for i in part]
                )
                client.embedding_put_many(ids, given[part], MODEL)

    with ThreadPoolExecutor(os.cpu_count()) as pool:
        list(pool.map(some, (parts[0::2], parts[1::2])))


def analyze(dsn: str) -> float:
    """Seconds that it takes to measure the paths."""
    began = time.time()
    with hartonomous.connect(dsn) as client:
        client.embedding_model_analyze(MODEL)
    return time.time() - began


def index(owner: psycopg.Connection[Any], tenant: int, m: int, ef_construction: int) -> float:
    """Seconds that an HNSW index of a tenant's rows takes to make."""
    began = time.time()
    owner.execute("set maintenance_work_mem = '4GB'; set max_parallel_maintenance_workers = 2")
    owner.execute(
        "drop role if exists bench_admin; create role bench_admin in role hartonomous_admin; set role bench_admin"
    )
    owner.execute("select hartonomous.embedding_index_add(%s, %s, %s, %s)", [tenant, MODEL, m, ef_construction])
    owner.execute("reset role; drop role bench_admin")
    return time.time() - began


def literal(vector: Any) -> str:
    return "[" + ",".join(map(str, vector.tolist())) + "]"


def nearest(given: Any, ids: Any, queries: Any, k: int = 10) -> list[set[int]]:
    """Ids of the k vectors of the greatest cosine, query by query."""
    scores = queries @ given.T
    k = min(k, len(ids))
    best = np.argpartition(-scores, k - 1, axis=1)[:, :k]
    return [set(ids[row].tolist()) for row in best]
