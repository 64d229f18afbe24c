"""Each of a hundred tenants, with half a percent of the rows, gets what it has and as much of it as was promised."""

from __future__ import annotations

import argparse
from collections.abc import Iterator
from typing import Any

import lib
import psycopg
import search_build as build
from psycopg.types.json import Jsonb
from search_classes import SEARCH, TENANTS, K, Row, built, corpus, spans

np = lib.np
QUERIES = 40  # of each tenant


def run(options: argparse.Namespace) -> Iterator[list[Row]]:
    given, cluster = corpus(options)
    dsn = built(options, given, cluster)
    last = len(given) - options.queries
    recalls, short, times = [], 0, []
    with psycopg.connect(dsn, autocommit=True) as owner:
        tenants = [
            row[0]
            for row in owner.execute(
                "select tenant_id from hartonomous.tenant where tenant_id > 0 order by 1 limit %s", [TENANTS]
            )
        ]
        for number, tenant in enumerate(tenants):
            span = np.array(spans(options.rows, last, number))
            queries = given[last:][
                np.random.default_rng(number).choice(options.queries, min(QUERIES, options.queries), replace=False)
            ]
            with build.acting(owner, tenant) as role, psycopg.connect(role, autocommit=True) as client:
                found, few, took = asked(client, given[span], span, queries)
            recalls.append(found)
            short += few
            times += took
    means = [float(np.mean(found)) for found in recalls]
    yield [
        lib.row(
            f"{len(tenants)} tenants: recall of the worst, of all",
            "",
            {"worst": min(means), "all": float(np.mean(means))},
            3,
            least=0.95,
        ),
        lib.row("searches with fewer rows than exist", "", {"ours": short}, most=0),
        lib.row(
            "a search, with and without filter",
            "ms",
            {"p50": float(np.percentile(times, 50)), "p95": float(np.percentile(times, 95))},
            2,
        ),
    ]


def asked(
    client: psycopg.Connection[Any], own: Any, numbers: Any, queries: Any
) -> tuple[list[float], int, list[float]]:
    """Recall of a tenant's searches, half of them under a filter; how many gave too few rows; milliseconds."""
    ids = np.array([row[0] for row in client.execute("select artifact_id from hartonomous.artifact_source where"
                    " tenant_id = hartonomous.current_tenant() order by (metadata ->> 'n')::int")])  # fmt: skip
    recalls, short, times = [], 0, []
    for number, query in enumerate(queries):
        inside = numbers % 2 == 1 if number % 2 and (numbers % 2 == 1).any() else numbers >= 0
        chosen = {"metadata": {"half": 1}} if not inside.all() else {}
        right = build.nearest(own[inside], ids[inside], query[None])[0]
        answer, took = lib.timed(lambda: client.execute(SEARCH, [build.literal(query), Jsonb(chosen), 0.95]).fetchall())  # noqa: B023
        times.append(took * 1000)
        short += len(answer) < min(K, int(inside.sum()))
        recalls.append(len(right & {row[0] for row in answer}) / len(right))
    return recalls, short, times
