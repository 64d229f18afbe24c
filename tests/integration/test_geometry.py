"""Nearest leaves equal those found by looking at all, plans touch nobody else's rows, the summary is refreshed."""

import json
import math
import os
import random
import re

import psycopg
import pytest
import waiting
from psycopg.sql import SQL, Identifier
from sessions import together

ROLE = f"test_geometry_{os.getpid()}"
TENANTS = (0, 1, 2, 3)
LEAVES = 1000
QUERIES = 40

ALL_NEAR = """
select a.h_xy, a.h_yz, a.h_zm, p.x, p.y, hartonomous._leaf_point(a.geom) <-> point(%(x)s, %(y)s) as distance
from hartonomous.atom as a, lateral hartonomous.hilbert_decode(a.h_xy) as p
where a.value is not null and a.tenant_id in (0, %(tenant)s) and (%(zone)s::int is null or a.h_xy >> 58 = %(zone)s)
order by 6, 3, 1, 2 limit %(k)s
"""
CURRENT = "select max(refreshed_at) from hartonomous.atom_spatial_summary"


def act_for(client, tenant):
    """The superuser belongs to this tenant from now on."""
    client.tenant_role_add(tenant, "postgres")


def leaf(chance):
    """Few letters and lengths, so that many are in one place and many equally far."""
    return bytes(chance.choice(b"abz") for _ in range(4)) + chance.randbytes(chance.choice((4, 4, 4, 9, 30)))


@pytest.fixture(scope="module", autouse=True)
def stored(server, dsn):
    """Leaves of several tenants and public ones, in two modalities, larger contents beside; deleted artifacts."""
    chance = random.Random(1)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for tenant in TENANTS[2:]:
            made = connection.execute("select hartonomous.tenant_create(%s)", [f"tenant {tenant}"]).fetchone()
            assert made == (tenant,)
        connection.execute(SQL("create role {} in role hartonomous_reader").format(Identifier(ROLE)))
        for tenant in TENANTS:
            connection.execute("select hartonomous.tenant_role_add(%s, 'postgres')", [tenant])
            for modality in ("binary", "text"):
                contents = [leaf(chance) for _ in range(LEAVES)] + [chance.randbytes(500) for _ in range(20)]
                connection.execute("select hartonomous.ingest_many(%s, %s)", [contents, modality])
        connection.execute("select hartonomous.tenant_role_add(1, %s)", [ROLE])
        connection.execute("analyze")
    yield
    server.execute("drop role {}", ROLE)


def test_nearest_leaves_are_those_of_a_look_at_all(client):
    chance = random.Random(2)
    tied = 0
    for _ in range(QUERIES):
        tenant, k = chance.choice(TENANTS), chance.choice((1, 2, 10, 50, 400))
        modality, zone = chance.choice(((None, None), ("binary", 0), ("text", 1)))
        act_for(client, tenant)
        near = client.atom_identity(leaf(chance), modality or "text")
        shift = chance.choice((0, 0, 1, 1000, 0.25))
        x, y = near.x + shift, near.y - chance.choice((0, shift))
        found = client.atom_nearest(f"POINT({x} {y})", k, modality)
        wanted = client.query(ALL_NEAR, {"x": x, "y": y, "k": k, "tenant": tenant, "zone": zone}).fetchall()
        assert [(row.h_xy, row.h_yz, row.h_zm) for row in found] == [row[:3] for row in wanted]
        assert len(found) == k
        for row, (*_, ax, ay, distance) in zip(found, wanted, strict=True):
            assert row.distance == distance and math.isclose(distance, math.hypot(ax - x, ay - y))
        tied += len({row.distance for row in found}) < k
    assert tied > QUERIES / 2


def plans(dsn, call):
    """Plans of the statements inside a call, as a tenant's role sees them run."""
    found = []
    with psycopg.connect(dsn, autocommit=True) as connection:
        for setting in ("load 'auto_explain'", "set auto_explain.log_min_duration = 0", "set client_min_messages = log",
                        "set auto_explain.log_nested_statements = on", "set auto_explain.log_analyze = on",
                        "set auto_explain.log_format = json"):  # fmt: skip
            connection.execute(setting)
        connection.execute(SQL("set role {}").format(Identifier(ROLE)))
        connection.add_notice_handler(lambda notice: found.append(notice.message_primary))
        connection.execute(call).fetchall()
    return [json.loads(text[text.index("{") :])["Plan"] for text in found if "plan:" in text]


def nodes(plan):
    yield plan
    for child in plan.get("Plans", ()):
        yield from nodes(child)


def scans(dsn, call, table):
    """Scans of a table or its partitions inside a call."""
    return [
        node
        for plan in plans(dsn, call)
        for node in nodes(plan)
        if re.fullmatch(rf"{table}(_p\d+)?", node.get("Relation Name", ""))
    ]


@pytest.mark.parametrize("modality", [None, "text"])
def test_a_plan_reads_the_index_in_order_and_only_the_tenants_rows(dsn, modality):
    read = scans(dsn, f"select * from hartonomous.atom_nearest('POINT(9e8 2.7e8)', 10, {modality!r})"
                 .replace("None", "null"), "atom")  # fmt: skip
    assert len(read) == 1
    for node in read:
        assert node["Node Type"] == "Index Scan" and "leaf_point" in node["Index Name"]
        assert "tenant_id = " in node["Index Cond"] and "Filter" not in node and node["Order By"]
        assert node["Actual Rows"] <= 12


def test_a_plan_for_neighbours_reads_the_index_in_order(dsn, connection):
    ids = [row for (row,) in connection.execute("select artifact_id from hartonomous.artifact where tenant_id = 1")]
    read = scans(dsn, f"select * from hartonomous.atom_path({ids[0]}, {ids[1]})", "artifact")
    ordered = [node for node in read if "Order By" in node]
    assert ordered and all(node["Index Name"] == "artifact_place" for node in ordered)
    for node in ordered:
        assert "tenant_id = " in node["Index Cond"] and "Filter" not in node and node["Actual Rows"] <= 10
    assert all(node["Node Type"].startswith("Index") for node in read)


def recount(connection):
    return connection.execute(
        "select tenant_id, modality, count(*), sum(ref_count)::bigint from hartonomous.atom group by 1, 2 order by 1, 2"
    ).fetchall()


def summary(connection):
    return connection.execute(
        "select tenant_id, modality, atom_count, total_refs from hartonomous.atom_spatial_summary order by 1, 2"
    ).fetchall()


def test_the_summary_is_refreshed_while_others_store_and_read(dsn, client, connection):
    act_for(client, 1)

    def store(own):
        for number in range(40):
            own.ingest(b"meanwhile %d %d" % (number, own.connection.info.backend_pid))
        return []

    def refresh(own):
        for _ in range(10):
            own.spatial_summary_refresh()
        return []

    def read(own):
        return [sum(row.atom_count for row in own.spatial_summary()) for _ in range(60)]

    client.spatial_summary_refresh()
    before = sum(row.atom_count for row in client.spatial_summary())
    *_, one, two = together(dsn, [store, store, refresh, refresh, read, read])
    for counts in (one, two):  # never empty, never less
        assert counts == sorted(counts) and counts[0] >= before
    client.spatial_summary_refresh()
    assert summary(connection) == recount(connection)
    assert sum(row.atom_count for row in client.spatial_summary()) == before + 80


def test_readers_do_not_wait_for_a_refresh(dsn, client):
    act_for(client, 1)
    with psycopg.connect(dsn) as other:
        other.execute("select hartonomous.spatial_summary_refresh()")  # and holds its locks
        client.query("set lock_timeout = '1s'")
        assert client.spatial_summary()
        client.ingest(b"stored meanwhile")


def test_pg_cron_refreshes_the_summary(server, dsn, client, connection):
    act_for(client, 1)
    client.spatial_summary_refresh()
    client.ingest(b"stored before the job runs")
    (then,) = connection.execute(CURRENT).fetchone()
    with server.connect("postgres") as cron:
        command, database, active = cron.execute(
            "select command, database, active from cron.job where jobname = 'hartonomous: spatial summary'"
        ).fetchone()
        assert active and database == "hartonomous"
        (job,) = cron.execute("select cron.schedule_in_database(%s, '1 second', %s, %s)",
                              [ROLE, command, connection.info.dbname]).fetchone()  # fmt: skip
        try:
            waiting.until("pg_cron has refreshed", lambda: connection.execute(CURRENT).fetchone() > (then,))
        finally:
            cron.execute("select cron.unschedule(%s::bigint)", [job])
        waiting.until("the job has ended", lambda: not cron.execute(
            "select from pg_stat_activity where datname = %s and pid not in (%s, %s)",
            [connection.info.dbname, connection.info.backend_pid, client.connection.info.backend_pid]).fetchall())
        cron.execute("delete from cron.job_run_details where jobid = %s", [job])
    assert summary(connection) == recount(connection)
