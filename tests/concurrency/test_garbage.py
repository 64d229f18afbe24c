"""The collector never takes what somebody refers to, however the two meet."""

import random
import re
from pathlib import Path

import garbage
import psycopg
import pytest
import waiting
from cluster import OwnServer
from sessions import meanwhile

SECONDS, PAUSE = 12, 3
SETUP = Path(__file__).parents[2] / "tools" / "setup.sql"


def make_garbage(client, content):
    """Content of which nothing is left but its atoms, with no reference to the root."""
    artifact = client.ingest(content)
    client.artifact_delete(artifact)
    client.artifact_purge(artifact)


@pytest.fixture(params=[40, 5000, 500_000], ids=["leaf", "block", "composite"])
def content(request, client):
    data = random.Random(request.param).randbytes(request.param)
    make_garbage(client, data)
    yield data
    while client.atom_collect_garbage():
        pass
    assert client.atom_verify() == []


def test_it_goes_when_nobody_refers_to_it(client, content):
    before = client.query("select count(*) from hartonomous.atom").fetchone()[0]
    found = []
    while removed := client.atom_collect_garbage():
        found.append(removed)
    assert sum(found) == before and client.query("select count(*) from hartonomous.atom").fetchone() == (0,)


def test_who_stores_it_again_has_not_ended(dsn, client, content):
    with psycopg.connect(dsn) as storing:
        (artifact,) = storing.execute("select hartonomous.ingest(%s)", [content]).fetchone()
        assert client.atom_collect_garbage() == 0
        storing.commit()
    assert client.atom_collect_garbage() == 0
    assert client.content(artifact) == content


def test_who_stores_it_again_has_ended(client, content):
    artifact = client.ingest(content)
    assert client.atom_collect_garbage() == 0
    assert client.content(artifact) == content


@pytest.fixture
def pause(dsn, connection):
    """A session whose end lets updates of atoms go on."""
    connection.execute("""
        create function public.pause() returns trigger language plpgsql as
        $$ begin perform pg_advisory_xact_lock_shared(4711); return new; end $$;
        create trigger pause before update on hartonomous.atom_p000 for each row execute function public.pause()""")
    with psycopg.connect(dsn, autocommit=True) as holder:
        holder.execute("select pg_advisory_lock(4711)")
        yield holder
    connection.execute("drop function public.pause cascade")


def test_who_stores_it_again_ends_while_counts_are_added_up(dsn, client, content, pause):
    with meanwhile(dsn, lambda other: other.atom_collect_garbage()) as collecting:
        artifact = client.ingest(content)
        assert not collecting.done()
        pause.close()
        assert collecting.result(waiting.PATIENCE) == 0
    assert client.content(artifact) == content
    make_garbage(client, content)


def test_who_stores_it_again_gives_up(dsn, client, content):
    with psycopg.connect(dsn) as storing:
        storing.execute("select hartonomous.ingest(%s)", [content])
        storing.rollback()
    assert client.atom_collect_garbage() > 0


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_the_collector_was_there_first(dsn, client, content, end):
    with psycopg.connect(dsn) as collecting:
        assert collecting.execute("select hartonomous.atom_collect_garbage()").fetchone()[0] > 0
        with meanwhile(dsn, lambda other: other.ingest(content)) as storing:
            assert not storing.done()
            getattr(collecting, end)()
            artifact = storing.result(waiting.PATIENCE)
    while client.atom_collect_garbage():
        pass
    assert client.content(artifact) == content
    client.artifact_delete(artifact)
    client.artifact_purge(artifact)


def test_a_snapshot_that_is_older_than_the_locks_is_refused(dsn):
    with psycopg.connect(dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with pytest.raises(psycopg.errors.ActiveSqlTransaction):
            connection.execute("select hartonomous.atom_collect_garbage()")


def test_collectors_do_not_meet(dsn, client, content):
    with psycopg.connect(dsn) as first:
        first.execute("select hartonomous.atom_collect_garbage(1)")
        with meanwhile(dsn, lambda other: other.atom_collect_garbage()) as second:
            first.commit()
            second.result(waiting.PATIENCE)
    assert client.atom_verify() == []


def test_who_adds_up_and_does_not_end_is_passed_by(dsn, client, content):
    with psycopg.connect(dsn) as adding:
        assert adding.execute("select hartonomous._atom_reference_fold()").fetchone()[0] > 0
        with meanwhile(dsn, lambda other: other.atom_collect_garbage()) as collecting:
            passed = collecting.done()
            adding.commit()
    assert passed and collecting.result() == 0


def test_the_job_collects_all_there_is(dsn, client):
    """Not a batch, and not only the roots."""
    (job,) = re.findall(r"'hartonomous: garbage', '[^']+', \$\$(.*?)\$\$", SETUP.read_text(), re.DOTALL)
    artifact = client.ingest(random.Random(6).randbytes(700_000))
    assert client.atom_explode(artifact) > 10_000
    client.artifact_delete(artifact)
    client.artifact_purge(artifact)
    client.connection.autocommit = True
    client.connection.execute(job)
    assert client.query("select count(*) from hartonomous.atom").fetchone() == (0,)


def test_everything_at_once(tmp_path):
    with OwnServer(tmp_path) as server:
        server.create("busy", extension=True)
        trial = garbage.Trial(server, "busy", seed=1)
        trial.run(SECONDS, PAUSE)
        assert all(
            trial.done[what]
            for what in ("_ingests", "_documents", "_uploads", "_reads", "_removes", "collected", "killed")
        )
        trial.check()
