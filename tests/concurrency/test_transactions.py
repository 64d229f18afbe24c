"""What the caller's transaction undoes is undone wholly."""

import hartonomous
import psycopg
import pytest
import state
import tiny_model
from hartonomous import models

PAGE = "# A\n\nSome text of a page.\n\n# B\n\nOther text of the page."
WORK = """
select hartonomous.ingest_document('page', %(page)s, 'markdown');
select hartonomous.ingest_text('a text');
select hartonomous.ingest(convert_to(repeat('0123456789', 20000), 'UTF8'));
select hartonomous.embed_artifacts(hartonomous.embedding_pending());
select hartonomous.embed_many(array['one', 'two']);
select hartonomous.artifact_delete(hartonomous.ingest_text('deleted'));
select hartonomous.tenant_create('short-lived');
select hartonomous.model_deploy('tiny');
"""


@pytest.fixture(scope="module", autouse=True)
def loaded(dsn, tmp_path_factory):
    with hartonomous.connect(dsn) as client:
        models.ingest(client, tiny_model.write(tmp_path_factory.mktemp("models") / "tiny"), "tiny")


def work(connection):
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute(WORK, {"page": PAGE})


def test_rollback(dsn, connection):
    before = state.contents(connection)
    with psycopg.connect(dsn) as session:
        work(session)
        assert state.contents(session) != before
        session.rollback()
    assert state.contents(connection) == before


def test_savepoint(dsn, connection):
    before = state.contents(connection)
    with psycopg.connect(dsn) as session:
        with session.transaction(force_rollback=True):
            work(session)
        assert state.contents(session) == before
        session.commit()
    assert state.contents(connection) == before


def test_an_error_after_the_work(dsn, connection):
    before = state.contents(connection)
    with psycopg.connect(dsn) as session, pytest.raises(psycopg.errors.DivisionByZero):
        work(session)
        session.execute("select 1 / 0")
    assert state.contents(connection) == before


def test_an_exception_block(connection):
    before = state.contents(connection)
    statements = "\n".join(f"perform{line.removeprefix('select')}" for line in WORK.strip().splitlines())
    with psycopg.ClientCursor(connection) as cursor:
        cursor.execute(
            f"do $do$ begin begin {statements} raise exception 'undo'; exception when others then"
            " if sqlerrm <> 'undo' then raise; end if; end; end $do$",
            {"page": PAGE},
        )
    assert state.contents(connection) == before


def test_a_model_rolled_back_leaves_nothing_in_the_backend(dsn, client, tmp_path):
    """Another model takes its name and ids afterwards; the session embeds by that one."""
    first, second = (tiny_model.write(tmp_path / f"m{seed}", seed=seed) for seed in (5, 6))
    with pytest.raises(ZeroDivisionError), client.transaction():
        models.ingest(client, first, "m")
        rolled_back = client.embed("the data", "m")
        raise ZeroDivisionError
    with pytest.raises(hartonomous.errors.ModelNotFound):
        client.embed("the data", "m")
    models.ingest(client, second, "m")
    assert (client.embed("the data", "m") != rolled_back).any()
    with hartonomous.connect(dsn) as other:
        assert (client.embed("the data", "m") == other.embed("the data", "m")).all()
