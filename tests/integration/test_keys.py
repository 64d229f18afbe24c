"""Calls with an API key go on after an error: what an error kept from being prepared is prepared again."""

import os

import hartonomous
import psycopg
import pytest
from hartonomous import errors
from psycopg.conninfo import make_conninfo


@pytest.fixture
def keyed(dsn, connection):
    """A client whose role belongs to no tenant, with a key of tenant 1."""
    name = f"test_keys_{os.getpid()}"
    connection.execute(f"create role {name} login password 'secret' in role hartonomous_writer")
    (key,) = connection.execute("select hartonomous.api_key_create(1)").fetchone()
    with hartonomous.connect(make_conninfo(dsn, user=name, password="secret"), api_key=key) as client:
        yield client
    connection.execute(f"drop role {name}")


def test_a_call_after_calls_that_failed(keyed):
    for _ in range(12):
        with pytest.raises(errors.ArtifactNotFound):
            keyed.content(10**12)
        assert keyed.model_list() == []


def test_a_call_after_the_key_was_refused(keyed, connection):
    for _ in range(3):
        keyed.model_list()
    connection.execute("update hartonomous.api_key set expires_at = now()")
    for _ in range(12):
        with pytest.raises(errors.NotAuthenticated):
            keyed.model_list()
    connection.execute("update hartonomous.api_key set expires_at = null")
    assert keyed.model_list() == []
    with keyed.transaction():
        artifact = keyed.ingest_text("in a transaction")
        with pytest.raises(errors.ArtifactNotFound), keyed.transaction():
            keyed.content(10**12)
        assert keyed.content(artifact) == b"in a transaction"


def test_an_error_inside_a_transaction_of_the_users_own(keyed):
    with keyed.connection.transaction():
        with pytest.raises(errors.ArtifactNotFound), keyed.connection.transaction():
            keyed.content(10**12)
        assert keyed.connection.info.transaction_status == psycopg.pq.TransactionStatus.INTRANS
