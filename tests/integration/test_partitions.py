"""Another number of partitions: the same contents, the same state; a dump goes where there are as many."""

import os
import random
import subprocess

import hartonomous
import psycopg
import pytest
import state
from cluster import dump, restore
from hartonomous.doctor import doctor

NAME = f"parts_{os.getpid()}"
COUNT = "select count(*) from pg_inherits where inhparent = 'hartonomous.atom'::regclass"
CONTENTS = [b"a leaf", random.Random(1).randbytes(5000), random.Random(2).randbytes(300_000)]


def fill(dsn):
    with hartonomous.connect(dsn) as client:
        for modality in ("binary", "text"):
            ids = client.ingest_many([modality.encode() + content for content in CONTENTS], modality)
            assert [client.content(one) for one in ids] == [modality.encode() + content for content in CONTENTS]
            client.atom_explode(ids[1])
            client.artifact_delete(ids[2])
            client.artifact_purge(ids[2])
        while client.atom_collect_garbage():
            pass
        assert client.atom_verify() == []
    return ids


@pytest.fixture(scope="module")
def many(server):
    with server.database(NAME, extension=True, partitions=256) as dsn:
        yield dsn


def test_all_is_as_with_one(server, many):
    ids = fill(many)
    with server.database(f"{NAME}_few", extension=True) as few:
        fill(few)
        with psycopg.connect(many) as one, psycopg.connect(few) as other:
            assert (one.execute(COUNT).fetchone(), other.execute(COUNT).fetchone()) == ((256,), (1,))
            assert state.logical(one)["atom"] == state.logical(other)["atom"]
            assert one.execute("select count(distinct tableoid) > 2 from hartonomous.atom").fetchone() == (True,)
    with hartonomous.connect(many) as client:
        assert client.content_slice(ids[1], 100, 9) == (b"text" + CONTENTS[1])[100:109]
        nearest = "select count(*) from hartonomous.atom_nearest('POINT(0 0)'::geometry, 10, 'text')"
        assert client.query(nearest).fetchone() == (10,)


def test_a_dump_goes_where_there_are_as_many(server, many, tmp_path):
    file = tmp_path / "dump"
    dump(many, file)
    with psycopg.connect(many) as source, server.database(f"{NAME}_again") as dsn:
        with pytest.raises(subprocess.CalledProcessError):
            restore(file, dsn)
        server.drop(f"{NAME}_again")
        server.create(f"{NAME}_again")
        server.execute("alter database {} set hartonomous.atom_partitions = 256", f"{NAME}_again")
        restore(file, dsn)
        with psycopg.connect(dsn) as restored:
            assert restored.execute(COUNT).fetchone() == (256,)
            assert state.logical(restored) == state.logical(source)
        with hartonomous.connect(dsn) as client:
            assert client.atom_verify() == []


def test_a_dump_by_the_root_goes_anywhere(server, many, tmp_path):
    file = tmp_path / "dump"
    subprocess.run(["pg_dump", "-Fc", "--load-via-partition-root", "-f", file, "-d", many], check=True)
    with psycopg.connect(many) as source, server.database(f"{NAME}_fewer") as dsn:
        restore(file, dsn)
        with psycopg.connect(dsn) as restored:
            assert restored.execute(COUNT).fetchone() == (1,)
            assert state.logical(restored) == state.logical(source)


@pytest.mark.parametrize("number", ["0", "3", "512", "many", "-16"])
def test_other_numbers_are_refused(server, number):
    with server.database(f"{NAME}_none") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute(f"set hartonomous.atom_partitions = '{number}'")
        with pytest.raises(psycopg.errors.InvalidParameterValue, match="expected a power of two up to 256"):
            connection.execute("create extension hartonomous cascade")


def test_more_partitions_ask_for_more_locks(many):
    with hartonomous.connect(many) as client:
        checks = {check.item: check for check in client.server_check()}
    found = checks["max_locks_per_transaction"]
    assert found.expected == "at least 1024" and found.ok == (int(found.found) >= 1024)
    assert {check.item: check.expected for check in doctor(many)}["max_locks_per_transaction"] == "at least 1024"
