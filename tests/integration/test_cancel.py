"""A statement that is cancelled stops in the middle of its work, not after it, and leaves nothing."""

import time
from concurrent.futures import ThreadPoolExecutor

import hartonomous
import psycopg
import pytest
import state
import tiny_model
import waiting
from hartonomous import models

TEXT = "word " * 60
MANY = 2000


@pytest.fixture(scope="module", autouse=True)
def loaded(dsn, tmp_path_factory):
    """A model whose forward pass takes its time."""
    with hartonomous.connect(dsn) as client:
        models.ingest(client, tiny_model.write(tmp_path_factory.mktemp("models") / "wide", inner=20_000), "wide")


def whole_work(client, texts):
    """Seconds that embedding so many texts would take, from a small share of them."""
    client.embed_many([TEXT])  # loads the model
    begun = time.monotonic()
    client.embed_many([TEXT] * 60)
    return (time.monotonic() - begun) * texts / 60


def test_statement_timeout(client, connection):
    whole = whole_work(client, MANY)
    before = state.contents(connection)
    client.connection.execute("set statement_timeout = '200ms'")
    begun = time.monotonic()
    with pytest.raises(hartonomous.Error) as raised:
        client.embed_many([TEXT] * MANY)
    assert raised.value.sqlstate == "57014"
    assert time.monotonic() - begun < whole / 3  # it was cancelled, not merely found late at the end
    client.connection.execute("set statement_timeout = 0")
    assert state.contents(connection) == before
    assert len(client.embed_many([TEXT])) == 1  # and the session goes on


def test_cancel_of_embed_artifacts(dsn, client, connection):
    texts = [f"{TEXT}{number}" for number in range(MANY)]
    ids = client.ingest_many([text.encode() for text in texts], "text", canonical_texts=texts)
    whole = whole_work(client, MANY)
    before = state.contents(connection)
    with hartonomous.connect(dsn) as other, ThreadPoolExecutor(1) as pool:
        begun = time.monotonic()
        running = pool.submit(other.embed_artifacts, ids)
        pid = other.connection.info.backend_pid
        waiting.until("the other session is at work", lambda: at_work(connection, pid))
        time.sleep(whole / 10)  # well into it
        connection.execute("select pg_cancel_backend(%s)", [pid])
        with pytest.raises(hartonomous.Error) as raised:
            running.result(waiting.PATIENCE)
        assert raised.value.sqlstate == "57014"
        assert time.monotonic() - begun < whole / 2
    assert state.contents(connection) == before


def at_work(connection, pid):
    return connection.execute(
        "select 1 from pg_stat_activity where pid = %s and state = 'active' and query like '%%embed_artifacts%%'", [pid]
    ).fetchone()


@pytest.mark.parametrize(("format", "part"), [
    ("text", "Some words of a sentence. "), ("markdown", "- item\n"), ("html", "<p>Some words.</p>"),
])  # fmt: skip
def test_cancel_of_a_large_document(dsn, connection, format, part):
    """The libraries that split it ask nobody whether to go on."""
    split = "select hartonomous.ingest_document('u/huge', repeat(%s, %s), %s)"
    before = state.contents(connection)
    with psycopg.connect(dsn) as session:
        session.execute(split, [part, 10, format])  # loads the libraries
        begun = time.monotonic()
        session.execute(split, [part, 4000, format])
        whole = (time.monotonic() - begun) * 20
        session.rollback()
        session.execute("set statement_timeout = '100ms'")
        begun = time.monotonic()
        with pytest.raises(psycopg.errors.QueryCanceled):
            session.execute(split, [part, 80_000, format])
        assert time.monotonic() - begun < whole / 3
        session.rollback()
        assert session.execute(split, [part, 10, format]).fetchone()  # and the session goes on
        session.rollback()
    assert state.contents(connection) == before
