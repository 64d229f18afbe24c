"""recall_watch beside searches: what was promised is found again after the distribution has shifted."""

import random
import threading

import hartonomous
import numpy as np
import psycopg
import pytest
import waiting
from psycopg.conninfo import conninfo_to_dict
from sessions import together

ROWS, SHIFTED, DIMENSIONS = 1500, 225, 64
MODEL = "shifting"
# the cheapest depends on the machine: sign bits are
COSTS = """
create or replace function hartonomous._embedding_costs(
    tenant_id int, model_id bigint, query public.vector, rows bigint,
    out scan_us real, out bits_us real, out fetch_us real, out filter_us real, out list_us real)
language sql volatile parallel unsafe set search_path = pg_catalog, pg_temp
begin atomic select 100, 0.1, 1, 0.01, 100; end"""


def rows(seed, count, shifted=False):
    """Near few dimensions; shifted: on one side of all axes, where the signs of components tell nothing."""
    chance = np.random.default_rng(seed)
    noise = chance.standard_normal((count, DIMENSIONS))
    if shifted:
        return (8 + noise).astype(np.float32)
    basis = np.random.default_rng(1).standard_normal((5, DIMENSIONS))
    return (chance.standard_normal((count, 5)) @ basis + 0.1 * noise).astype(np.float32)


@pytest.fixture(scope="module")
def filled(dsn):
    """A tenant whose embeddings were measured, and then, fewer than a quarter, became others."""
    with hartonomous.connect(dsn) as client:
        client.query(COSTS)
        client.embedding_model_register(MODEL, DIMENSIONS)
        content = [b"row %d" % number for number in range(ROWS)]
        notes = [{"moves": number < SHIFTED} for number in range(ROWS)]
        ids = client.ingest_many(content, "binary", [None] * ROWS, notes)
        client.embedding_put_many(ids, rows(2, ROWS), MODEL)
        client.query("analyze hartonomous.artifact, hartonomous.atom_embedding")
        client.embedding_model_analyze(MODEL)
        assert client.search_explain(rows(3, 1)[0], model=MODEL)["parts"][0]["path"] == "bits"
        client.embedding_put_many(ids[:SHIFTED], rows(4, SHIFTED, shifted=True), MODEL)
        # an analysis may follow another at once
        client.query("update hartonomous.embedding_statistics set took_ms = 0")
    return conninfo_to_dict(dsn)["dbname"]


@pytest.fixture
def shifted(server, filled):
    name = f"{filled}_once"
    server.create(name, template=filled)
    yield server.dsn(name)
    server.drop(name)


def found(client, seed, filter=None, count=30):
    """Recall of searches for what the rows have become; half of them find those, half the others."""
    hits = 0
    for query in rows(seed, count, shifted=True):
        given, truth = (
            {row.artifact_id for row in client.search_vector(query, 10, MODEL, filter, recall=recall, snippets=False)}
            for recall in (0.95, 1)
        )
        hits += len(given & truth)
    return hits / count / 10


def sampled(client, spared_us=0):
    """Every search from here on; and what searches before have left to spend on asking again."""
    client.query("set hartonomous.search_sample_share = 1")
    client.query(
        "insert into hartonomous.recall_state select tenant_id, model_id, clock_timestamp(), %s, 0"
        " from hartonomous.embedding_statistics on conflict do nothing",
        [spared_us],
    )


def test_recall_recovers_while_searches_go_on(shifted):
    """Two jobs at once and searches beside them: none fails, one job acts, and what is asked is found."""
    acted, done = [], threading.Event()

    def search(client):
        sampled(client, 10**8)
        assert found(client, 10) < 0.8, "the shift loses nothing"
        chance = random.Random(1)
        while not done.is_set():
            found(client, chance.randrange(10**6), count=3)

    def watch(client):
        def act():
            acted.extend(client.recall_watch())
            return acted

        try:
            waiting.until("recall_watch acts", act)
        finally:
            done.set()

    together(shifted, [search, search, watch, watch])
    with hartonomous.connect(shifted) as client:
        assert [(row.action, row.reason) for row in acted] == [("analyze", "fewer were found than was asked")]
        assert acted[0].recall_before < 0.8 and acted[0].recall_after >= 0.95
        assert found(client, 20) >= 0.95
        (status,) = client.recall_status()
        assert status.filter_class == "none" and not status.exact
        assert status.recall is None or status.recall >= 0.95  # None: all would be compared by now


def test_all_is_compared_where_measuring_anew_does_not_help(shifted):
    moved = {"metadata": {"moves": True}}
    with hartonomous.connect(shifted) as client:
        sampled(client, 10**8)
        assert found(client, 10, moved) < 0.8
        actions = [row for _ in range(5) for row in client.recall_watch()]
        assert [row.action for row in actions] == ["analyze", "exact"]
        assert actions[1].recall_before < 0.95 and actions[1].recall_after == 1
        assert found(client, 20, moved) == 1
        assert client.search_vector(rows(30, 1)[0], 10, MODEL, recall=0.9)[0].verdict == "recall>=0.9"
        assert {row.filter_class: row.exact for row in client.recall_status()}["tenth"]


def test_what_is_newer_is_measured_before_anybody_asks(shifted):
    with hartonomous.connect(shifted) as client:
        client.query("update hartonomous.embedding_statistics set analyzed_at = '-infinity'")
        (acted,) = client.recall_watch()
        assert (acted.action, acted.filter_class) == ("analyze", None)
        assert acted.reason == "100 % of the embeddings are newer than the analysis"
        assert found(client, 10) >= 0.95
        assert client.recall_watch() == []


def test_asking_again_keeps_its_budget(shifted):
    state = "select earned_us, spent_us from hartonomous.recall_state"
    with hartonomous.connect(shifted) as client:
        sampled(client)
        found(client, 10, count=100)
        client.recall_watch()
        ((earned, spent),) = client.query(state).fetchall()
        asked = "select count(replayed_at), count(*), sum(us) / 100 from hartonomous.search_sample"
        ((replayed, all_of_them, share),) = client.query(asked).fetchall()
        assert earned == pytest.approx(share, rel=1e-3)
        assert 0 < replayed < all_of_them / 3, "a hundredth of what all took is not enough to ask all again"
        client.recall_watch()
        assert client.query(state).fetchone()[1] - spent < 20_000, "nothing is left to spend"


def test_a_search_neither_waits_nor_fails_for_its_sample(shifted):
    query = rows(5, 1)[0]
    count = "select count(*) from hartonomous.search_sample"

    def search(client):
        return client.search_vector(query, 10, MODEL, recall=0.9)

    with hartonomous.connect(shifted) as client, psycopg.connect(shifted) as other:
        sampled(client)
        client.query("set lock_timeout = '1s'")
        for isolation in ("read only", "isolation level serializable"):
            with client.transaction():
                client.query(f"set transaction {isolation}")
                assert len(search(client)) == 10
        other.execute("select from hartonomous.tenant for update")  # as tenant_erase does
        assert len(search(client)) == 10
        assert client.query(count).fetchone() == (0,)
        other.rollback()
        client.query("alter table hartonomous.search_sample add constraint broken check (k < 0)")
        assert len(search(client)) == 10
        client.query("alter table hartonomous.search_sample drop constraint broken")
        for setting in ("parallel_setup_cost", "parallel_tuple_cost", "min_parallel_table_scan_size"):
            client.query(f"set {setting} = 0")
        beside = f"""
            select s.artifact_id from (select count(*) as n from hartonomous.artifact where semantics is null) as a,
            hartonomous.search_vector((select embedding from hartonomous.atom_embedding limit 1), 10, '{MODEL}') as s"""
        assert len(client.query(beside).fetchall()) == 10
        assert client.query(count).fetchone() == (1,)
