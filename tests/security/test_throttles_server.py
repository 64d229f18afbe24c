"""Throttles on a server of the test's own: a killed backend, a replica, dropped databases."""

from __future__ import annotations

import os
import signal
import threading
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import hartonomous
import psycopg
import pytest
import waiting
from cluster import OwnServer, replica
from hartonomous import errors

HOUR = timedelta(hours=1)


def attempt(client):
    try:
        client.content(None)
    except errors.RateLimited:
        return 0
    return 1


@pytest.fixture(scope="module")
def own_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("throttled")
    with OwnServer(folder) as server:
        server.create("one", extension=True)
        yield server, folder / "data" / "hartonomous"


def test_a_killed_backend_leaves_the_counts_and_no_lock(own_server):
    server, _ = own_server
    with hartonomous.connect(server.dsn("one")) as client:
        client.rate_limit_put(1, 2000, HOUR)
    stop = threading.Event()
    victims = []

    def flood():
        with hartonomous.connect(server.dsn("one")) as client:
            victims.append(client.connection.info.backend_pid)
            while not stop.is_set():
                attempt(client)

    with ThreadPoolExecutor(8) as pool:
        running = [pool.submit(flood) for _ in range(8)]
        waiting.until("the limit is reached", lambda: len(victims) == 8 and reached(server))
        os.kill(victims[0], signal.SIGKILL)
        for future in running:
            assert isinstance(future.exception(), errors.ConnectionFailed)
    waiting.until("the server is up again", lambda: up(server))
    assert reached(server)
    with hartonomous.connect(server.dsn("one")) as client:
        client.rate_limit_drop(client.rate_limit_list()[0].rate_limit_id)
        client.rate_limit_put(1, 1, HOUR)
        assert [attempt(client) for _ in range(2)] == [1, 0]


def reached(server):
    with hartonomous.connect(server.dsn("one")) as client:
        return not attempt(client)


def up(server):
    try:
        server.connect("one").close()
    except psycopg.OperationalError:
        return False
    return True


def test_folders_of_dropped_databases_go_when_another_is_made(own_server):
    server, folder = own_server

    def use(database):
        server.create(database, extension=True)
        with hartonomous.connect(server.dsn(database)) as client:
            client.rate_limit_put(1, 1, HOUR)
            client.content(None)
            return client.query("select oid::text from pg_database where datname = current_database()").fetchone()[0]

    first = use("first")
    assert (folder / first / "rate_limits").exists()
    server.drop("first")
    second = use("second")
    assert not (folder / first).exists() and (folder / second / "rate_limits").exists()


def test_a_replica_throttles_by_itself(own_server, tmp_path):
    """It cannot write a table, yet counts; the file that came with the base backup does no harm."""
    server, _ = own_server
    server.create("copied", extension=True)
    with hartonomous.connect(server.dsn("copied")) as client:
        client.rate_limit_put(1, 2, HOUR)
        assert [attempt(client) for _ in range(3)] == [1, 1, 0]
        with replica(server, tmp_path) as copy, hartonomous.connect(copy.dsn("copied")) as reader:
            assert reader.query("select pg_is_in_recovery()").fetchone() == (True,)
            assert attempt(reader) == 0  # what had been taken when the backup was made
            client.rate_limit_drop(client.rate_limit_list()[0].rate_limit_id)
            client.rate_limit_put(1, 3, HOUR)
            seen = "select units from hartonomous.rate_limit"
            waiting.until("the replica has the limit", lambda: reader.query(seen).fetchall() == [(3,)])
            assert [attempt(reader) for _ in range(5)] == [1, 1, 1, 0, 0]
            assert [attempt(client) for _ in range(5)] == [1, 1, 1, 0, 0]
