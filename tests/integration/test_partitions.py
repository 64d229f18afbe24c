"""As many partitions of atoms as the installation asks for; everything works with each number, a restored dump too."""

import random

import hartonomous
import psycopg
import pytest
import state
from cluster import dump, restore

CONTENTS = [b"leaf", *(random.Random(size).randbytes(size) for size in (5000, 300_000))]


def install(server, name, partitions):
    with server.connect(name, options=f"-c hartonomous.atom_partitions={partitions}") as connection:
        connection.execute("set client_min_messages = warning; create extension hartonomous cascade")
        connection.execute("select hartonomous.tenant_create('default'), hartonomous.tenant_role_add(1, session_user)")


def partitions(connection):
    query = "select count(*) from pg_inherits where inhparent = 'hartonomous.atom'::regclass"
    return connection.execute(query).fetchone()[0]


def test_a_number_that_is_no_power_of_two_is_refused(server):
    with server.database("partitions_wrong"):
        for wrong in ("0", "3", "512", "-1"):
            with pytest.raises(psycopg.errors.InvalidParameterValue, match="expected a power of two up to 256"):
                install(server, "partitions_wrong", wrong)


def test_256_partitions_store_find_collect_and_come_back_from_a_dump(server, tmp_path):
    with server.database("partitions_256") as dsn, server.database("partitions_restored") as restored:
        install(server, "partitions_256", 256)
        with hartonomous.connect(dsn) as client, psycopg.connect(dsn, autocommit=True) as connection:
            assert partitions(connection) == 256
            for modality in ("binary", "text", "tensor"):
                for content in CONTENTS:
                    named = content + modality.encode()
                    assert client.content(client.ingest(named, modality)) == named
            assert len(client.query("select * from hartonomous.atom_nearest('POINT(0 0)', 3)").fetchall()) == 3
            gone = client.ingest(b"gone")
            client.artifact_delete(gone)
            client.artifact_purge(gone)
            assert client.atom_collect_garbage() == 1
            assert client.atom_verify() == []
            before = state.exact(connection)
        dump(dsn, tmp_path / "dump")
        restore(tmp_path / "dump", f"{restored} options='-c hartonomous.atom_partitions=256'")
        with psycopg.connect(restored, autocommit=True) as connection:
            assert partitions(connection) == 256
            assert state.exact(connection) == before
