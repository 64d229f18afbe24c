"""What an administrator allows inference to take and to compute with, which no session can raise."""

import os

import hartonomous
import numpy as np
import psycopg
import pytest
import tiny_decoder
import tiny_model
from hartonomous import errors, models
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier, Literal

TEXT = "the data base"
TEXTS = [f"{TEXT} {'data ' * (number % 50)}" for number in range(200)]


@pytest.fixture
def given(dsn, connection):
    """Sets a setting for the database of the test."""
    database = Identifier(conninfo_to_dict(dsn)["dbname"])
    names = []

    def set_for_database(name, value):
        names.append(name)
        statement = SQL("alter database {} set {} = {}")
        connection.execute(statement.format(database, Identifier("hartonomous", name), Literal(value)))

    yield set_for_database
    for name in names:
        connection.execute(SQL("alter database {} reset {}").format(database, Identifier("hartonomous", name)))


@pytest.fixture(scope="module")
def writer(dsn, tmp_path_factory):
    """Connection string of a writer without other rights, whose tenant has a model with wide layers and a decoder."""
    name = f"test_limits_{os.getpid()}"
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"create role {name} login password 'secret' in role hartonomous_writer")
        connection.execute("select hartonomous.tenant_role_add(1, %s)", [name])
    folder = tmp_path_factory.mktemp("models")
    with hartonomous.connect(dsn) as client:
        models.ingest(client, tiny_model.write(folder / "wide", inner=20_000), "wide")
        models.ingest(client, tiny_decoder.write(folder / "gpt2", "GPT2LMHeadModel"), "gpt2")
    yield make_conninfo(dsn, user=name, password="secret")
    with psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"drop role {name}")


def refused(client):
    with pytest.raises(errors.MemoryExceeded, match="expected at most the 33792 kB of hartonomous.inference_memory"):
        client.embed(TEXT, "wide")
    return True


def test_memory_is_raised_by_an_administrator_alone(writer, given, connection):
    given("inference_memory", "33MB")
    with hartonomous.connect(writer) as client:
        assert refused(client)
        client.query("set hartonomous.inference_memory = '9GB'")
        assert refused(client), "for the session"
        with pytest.raises(errors.NotPermitted):
            client.query("alter role current_user set hartonomous.inference_memory = '9GB'")
    with hartonomous.connect(make_conninfo(writer, options="-c hartonomous.inference_memory=9GB")) as client:
        assert client.query("show hartonomous.inference_memory").fetchone() == ("9GB",)
        assert refused(client), "in advance"
    role = Identifier(conninfo_to_dict(writer)["user"])
    connection.execute(SQL("alter role {} set hartonomous.inference_memory = '90MB'").format(role))
    with hartonomous.connect(writer) as client:
        assert client.embed(TEXT, "wide").shape == (32,), "for this role"
    connection.execute(SQL("alter role {} reset all").format(role))
    given("inference_memory", "90MB")
    with hartonomous.connect(writer) as client:
        assert client.embed(TEXT, "wide").shape == (32,)
        client.query("set hartonomous.inference_memory = '33MB'")
        assert refused(client), "a session may take less"


def test_a_continued_text_is_bounded_too(writer, given):
    given("inference_memory", "10kB")
    with hartonomous.connect(writer) as client:
        client.query("set hartonomous.inference_memory = '9GB'")
        with pytest.raises(errors.MemoryExceeded, match="expected at most the 10 kB"):
            client.generate(TEXT, "gpt2")


def test_threads_are_raised_by_an_administrator_alone(writer, given):
    def threads(stated):
        with hartonomous.connect(writer) as client:
            client.query(f"set hartonomous.inference_threads = {stated}")
            client.embed_many(TEXTS, "wide")
            sql = "select threads from hartonomous.inference_request order by created_at desc limit 1"
            return client.query(sql).fetchone()[0]

    given("inference_threads", "1")
    assert threads(8) == 1
    given("inference_threads", "8")
    assert threads(2) == min(2, len(os.sched_getaffinity(0)))


def test_a_missing_gpu_is_told_once_in_a_session(writer, given):
    def session():
        told = []
        with psycopg.connect(writer) as connection:
            connection.add_notice_handler(lambda notice: told.append((notice.severity, notice.message_primary)))
            connection.execute("set hartonomous.inference_device = 'gpu'")
            for _ in range(2):
                vector = connection.execute("select hartonomous.embed(%s, 'wide')::real[]", [TEXT]).fetchone()[0]
            connection.execute("select hartonomous.generate(%s, 'gpt2', 3)", [TEXT])
            engines = {row[0] for row in connection.execute("select engine from hartonomous.inference_request")}
        assert all("cupy" not in engine for engine in engines)
        return np.array(vector, np.float32), told

    expected, told = session()
    assert told == [], "a session cannot ask for a GPU"
    given("inference_device", "gpu")
    for _ in range(2):
        found, told = session()
        assert told == [("NOTICE", "no GPU is used: No module named 'cupy'")]
        assert np.array_equal(found, expected)
    given("inference_device", "abacus")
    with hartonomous.connect(writer) as client, pytest.raises(errors.InvalidParameter, match='is "abacus"'):
        client.embed(TEXT, "wide")
