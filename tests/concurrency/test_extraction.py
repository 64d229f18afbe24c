"""Several sessions that extract: nobody waits, nothing is read twice."""

import random

import corpus
import hartonomous
import pytest
from hartonomous import extraction
from sessions import together

SESSIONS = 3


@pytest.fixture
def pending(client, connection):
    """Passages to read, all of them, whatever was read before."""
    for name, text in corpus.pages(4).items():
        client.ingest_document(name, text, "html")
    connection.execute("update hartonomous.artifact set semantics = '{}'")
    found = client.semantics_pending(batch=10_000)
    assert len(found) > 20
    return found


def test_who_is_at_it_is_passed_over(dsn, client, pending):
    with client.transaction():
        assert client.semantics_extract(pending[:10]) == 10
        with hartonomous.connect(dsn) as other:
            other.query("set lock_timeout = '10s'")
            assert other.semantics_extract(pending[:10]) == 0
            assert other.semantics_extract(pending[5:15]) == 5
    assert not set(client.semantics_pending(batch=10_000)) & set(pending[:15])


def test_what_is_being_ingested_is_passed_over(dsn, client, connection, pending):
    (text,) = connection.execute(
        "select canonical_text from hartonomous.artifact where artifact_id = %s", pending[:1]
    ).fetchone()
    with client.transaction():
        client.ingest_text(text, "another place")
        with hartonomous.connect(dsn) as other:
            other.query("set lock_timeout = '10s'")
            assert other.semantics_extract(pending[:2]) == 1
    assert client.semantics_extract(pending[:2]) == 1


def test_overlapping_batches(dsn, connection, client, pending):
    def read(seed):
        own = random.Random(seed)
        order = own.sample(pending, len(pending))
        batches = [order[at : at + 7] for at in range(0, len(order), 7)]
        return lambda session: sum(session.semantics_extract(batch) for batch in batches)

    counts = together(dsn, [read(seed) for seed in range(SESSIONS)])
    assert sum(counts) + extraction.extract(client).texts == len(pending)
    assert client.semantics_pending() == []


def test_commands_side_by_side(dsn, client, pending):
    results = together(dsn, [lambda session: extraction.extract(session, 1, 5).texts for _ in range(SESSIONS)])
    assert sum(results) == len(pending)
    assert client.semantics_pending() == []
