"""What the time of a search tells of others: nothing, at places of more than twenty densities of others' rows.

The attacker times its searches inside the server, at places around which other tenants have few rows or many, and asks
whether the times rank as the densities do (Spearman). A search of an index that tenants share, planted beside, must be
found out.
"""

from __future__ import annotations

import argparse
import random
from collections.abc import Iterator
from typing import Any

import lib
import psycopg
import search_build as build
from psycopg.conninfo import make_conninfo
from search_classes import Row

np = lib.np
DATABASE = "bench_search_timing"
PLACES, MOST, OWN, OTHERS, CALLS = 24, 4000, 2000, 4, 200
DRAWS = 20_000
TIMED = """create function pg_temp.timed(q vector) returns float language plpgsql as $f$
    declare began timestamptz := clock_timestamp();
    begin
        perform {};
        return extract(epoch from clock_timestamp() - began) * 1e6;
    end $f$"""
OURS = "artifact_id from hartonomous.search_vector(q, 10, 'bench'{}, snippets => false)"
WAYS = {
    "search_vector": OURS.format(""),
    "search_vector, filtered": OURS.format(""", '{"metadata": {"half": 1}}'"""),
    "search_vector, recall 1": OURS.format(", recall => 1"),
}
PLANTED = "artifact_id from shared where tenant_id = {} order by v <=> q limit 10"


def run(options: argparse.Namespace) -> Iterator[list[Row]]:
    places, density, dsn, attacker = built(options)
    texts = [build.literal(place) for place in places]
    rows = []
    with psycopg.connect(dsn, autocommit=True) as owner:
        share(owner)
        with build.acting(owner, attacker) as role, psycopg.connect(role, autocommit=True) as session:
            for name, way in WAYS.items():
                found = correlation(density, timed(session, way, texts))
                rows.append(line(name, found, "p >= 0.01", found[1] >= 0.01))
        owner.execute("set hnsw.iterative_scan = relaxed_order; set enable_seqscan = off; set enable_sort = off")
        planted = correlation(density, timed(owner, PLANTED.format(attacker), texts))
    yield [*rows, line("planted: an index that tenants share", planted, "p < 0.001", planted[1] < 0.001)]


def line(what: str, found: tuple[float, float], bar: str, holds: bool) -> Row:
    row = lib.row(f"{PLACES} densities: {what}", "", {"rank correlation": found[0], "p": found[1]}, 4)
    return row | {"bar": bar, "holds": holds}


def built(options: argparse.Namespace) -> tuple[Any, Any, str, int]:
    """Places, how many rows of others lie near each, and the tenant that asks; it has rows everywhere."""
    chance = np.random.default_rng(3)
    places = chance.standard_normal((PLACES, 384)).astype(np.float32)
    density = np.array([round(MOST ** (number / (PLACES - 1))) for number in range(PLACES)])
    near = np.repeat(np.arange(PLACES), density)
    others = places[near] + 0.3 * chance.standard_normal((len(near), 384)).astype(np.float32)
    own = chance.standard_normal((OWN, 384)).astype(np.float32) + 0.5 * places[chance.integers(PLACES, size=OWN)]
    if build.kept(DATABASE, options):
        dsn = make_conninfo(lib.dsn(), dbname=DATABASE)
    else:
        dsn = build.create(DATABASE)
        with psycopg.connect(dsn, autocommit=True) as owner:
            for number in range(OTHERS + 1):
                tenant = owner.execute("select hartonomous.tenant_create(%s)", [f"tenant {number}"]).fetchone()[0]  # type: ignore[index]
                given = own if number == OTHERS else others[number::OTHERS]
                with build.acting(owner, tenant) as role:
                    build.load(role, given, range(len(given)), np.zeros(len(given), int))
                    build.analyze(role)
            owner.execute("vacuum analyze")
        build.keep(dsn, options)
    with psycopg.connect(dsn) as owner:
        attacker = owner.execute("select max(tenant_id) from hartonomous.tenant").fetchone()[0]  # type: ignore[index]
    return places, density, dsn, attacker


def share(owner: psycopg.Connection[Any]) -> None:
    owner.execute(
        "drop table if exists shared; create table shared as"
        " select tenant_id, artifact_id, embedding::vector(384) as v from hartonomous.atom_embedding"
    )
    owner.execute("create index on shared using hnsw (v vector_cosine_ops)")
    owner.execute("vacuum analyze shared")


def timed(session: psycopg.Connection[Any], way: str, places: list[str]) -> Any:
    """Median microseconds at each place, all taking turns in random order."""
    session.execute(TIMED.format(way))
    chance, times = random.Random(5), [[] for _ in places]  # type: ignore[var-annotated]
    for number in chance.sample(list(range(len(places))) * CALLS, len(places) * CALLS):
        times[number].append(session.execute("select pg_temp.timed(%s::vector)", [places[number]]).fetchone()[0])  # type: ignore[index]
    session.execute("drop function pg_temp.timed(vector)")
    return np.median(np.array(times), axis=1)


def correlation(density: Any, times: Any) -> tuple[float, float]:
    """Spearman's rank correlation, and the share of random orders that have one as far from 0."""

    def ranks(given: Any) -> Any:
        found = given.argsort().argsort().astype(float)
        return (found - found.mean()) / found.std()

    a, b = ranks(density), ranks(times)
    here = float((a * b).mean())
    chance = np.random.default_rng(9)
    drawn = np.array([(a * chance.permutation(b)).mean() for _ in range(DRAWS)])
    return here, float(((np.abs(drawn) >= abs(here)).sum() + 1) / (DRAWS + 1))
