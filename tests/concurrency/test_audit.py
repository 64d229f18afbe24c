"""Refusals reach the audit log once each, whoever collects and whoever dies."""

import contextlib
import os
import random
import signal
import threading
import time
from pathlib import Path

import psycopg
import pytest
import waiting
from cluster import OwnServer, replica

RECORDED = "select (detail ->> 'key_id')::int from hartonomous.audit_log where operation = 'authenticate' order by 1"
COLLECT = "select hartonomous.audit_collect()"


def refuse(connection, number):
    """A refusal that can be told from others."""
    with pytest.raises(psycopg.Error) as raised:
        connection.execute(f"select hartonomous.authenticate('hk_{number}_{'0' * 40}')")
    return raised.value.sqlstate == "ZH003"


def recorded(connection):
    return [number for (number,) in connection.execute(RECORDED)]


@pytest.fixture
def fresh(server, template):
    with server.database("test_audit", template=template) as dsn:
        yield dsn


@pytest.fixture
def session(fresh):
    with psycopg.connect(fresh, autocommit=True) as opened:
        yield opened


def files(session):
    """Names in the folder of the database, but for the lock."""
    query = "select pg_ls_dir('hartonomous/' || oid) from pg_database where datname = current_database()"
    return sorted(name for (name,) in session.execute(query) if name != "lock")


def test_a_refusal_outlives_its_transaction(fresh, session):
    with psycopg.connect(fresh) as other:
        refuse(other, 1)
        other.rollback()
    assert session.execute(COLLECT).fetchone() == (1,)
    assert session.execute(COLLECT).fetchone() == (0,)
    assert recorded(session) == [1] and files(session) == []


def test_what_is_collected_and_rolled_back_is_collected_again(fresh, session):
    refuse(session, 1)
    with psycopg.connect(fresh) as other:
        assert other.execute(COLLECT).fetchone() == (1,)
        assert other.execute(COLLECT).fetchone() == (0,), "seen by itself only: not yet to be removed"
        refuse(session, 2)
        other.rollback()
    assert session.execute(COLLECT).fetchone() == (2,)
    assert recorded(session) == [1, 2]


def test_a_collector_that_died_after_renaming_loses_nothing(session):
    refuse(session, 1)
    session.execute("select hartonomous._audit_spool_rotate(oid) from pg_database where datname = current_database()")
    refuse(session, 2)
    assert session.execute(COLLECT).fetchone() == (2,)
    assert recorded(session) == [1, 2]


def test_a_collector_that_died_before_removing_doubles_nothing(session):
    refuse(session, 1)
    session.execute(COLLECT)
    assert len(files(session)) == 1
    refuse(session, 2)
    assert session.execute(COLLECT).fetchone() == (1,)
    assert recorded(session) == [1, 2]


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_two_collectors_at_once(fresh, session, end):
    for number in range(5):
        refuse(session, number)
    with psycopg.connect(fresh) as first:
        first.execute(COLLECT)
        second = threading.Thread(target=session.execute, args=[COLLECT])
        second.start()
        with psycopg.connect(fresh, autocommit=True) as watcher:
            blocked = "select pg_blocking_pids(%s) <> '{}'", [session.info.backend_pid]
            waiting.until("the second waits", lambda: watcher.execute(*blocked).fetchone()[0])
        getattr(first, end)()
        second.join()
    assert recorded(session) == list(range(5))


def test_in_a_read_only_transaction_both_are_recorded(session):
    with session.transaction():
        session.execute("set transaction read only")
        session.execute("select hartonomous._audit('a reading', 1)")
        assert session.execute(COLLECT).fetchone() == (0,)
    session.execute("set default_transaction_read_only = on")
    refuse(session, 1)
    session.execute("reset default_transaction_read_only")
    assert session.execute(COLLECT).fetchone() == (2,)
    query = "select result from hartonomous.audit_log where operation = 'a reading'"
    assert session.execute(query).fetchone() == ("ok",)


def test_a_throttled_flood_does_not_fill_the_log(session):
    for _ in range(50):
        with pytest.raises(psycopg.Error) as raised:
            session.execute("select hartonomous._refuse('ingest', 1, 'ZH004', 'too fast', 'wait')")
        assert raised.value.sqlstate == "ZH004"
    session.execute(COLLECT)
    query = "select detail from hartonomous.audit_log where sqlstate = 'ZH004' order by audit_id"
    details = [detail for (detail,) in session.execute(query)]
    assert details[0] == {"message": "too fast"} and len(details) < 50
    assert len(details) + sum(detail.get("left_out", 0) for detail in details) <= 50


def test_what_is_refused_to_an_erased_tenant_tells_nothing_of_it(session):
    tenant = session.execute("select hartonomous.tenant_create('gone')").fetchone()[0]
    with pytest.raises(psycopg.Error, match="no"):
        session.execute("select hartonomous._refuse('ingest', %s, 'ZH002', 'no', 'none')", [tenant])
    with session.transaction():
        session.execute("select hartonomous._audit_pseudonymise(%s)", [tenant])
        session.execute("delete from hartonomous.tenant where tenant_id = %s", [tenant])
    with pytest.raises(psycopg.Error, match="no"):
        session.execute("select hartonomous._refuse('ingest', %s, 'ZH002', 'no', 'none')", [tenant])
    session.execute(COLLECT)
    query = "select tenant_id, role_name, detail from hartonomous.audit_log where operation = 'ingest'"
    assert session.execute(query).fetchall() == [(None, None, None)] * 2
    assert session.execute("select * from hartonomous.audit_verify()").fetchall() == []


def test_of_a_tenant_that_is_being_erased_nothing_is_collected(fresh, session):
    tenant = session.execute("select hartonomous.tenant_create('going')").fetchone()[0]
    with psycopg.connect(fresh) as eraser:
        eraser.execute("select hartonomous.tenant_erase(%s)", [tenant])
        with pytest.raises(psycopg.Error, match="no"):
            session.execute("select hartonomous._refuse('ingest', %s, 'ZH002', 'no', 'none')", [tenant])
        assert session.execute(COLLECT).fetchone() == (0,)  # it does not wait either
        eraser.commit()
    assert session.execute(COLLECT).fetchone() == (1,)
    query = "select tenant_id, role_name, detail from hartonomous.audit_log where operation = 'ingest'"
    assert session.execute(query).fetchall() == [(None, None, None)]


def test_entries_that_commit_late_are_sealed_then(fresh, session):
    with psycopg.connect(fresh) as late:
        late.execute("select hartonomous.tenant_create('late')")
        session.execute("select hartonomous.tenant_create('early')")
        session.execute("select hartonomous.audit_seal()")
        late.commit()
    assert session.execute("select * from hartonomous.audit_verify()").fetchall() == []
    assert session.execute("select entries from hartonomous.audit_seal()").fetchone() == (1,)
    members = session.execute("select entries::text from hartonomous.audit_seal order by seal_id").fetchall()
    assert members == [("{[1,3),[4,5)}",), ("{[3,4)}",)]
    assert session.execute("select * from hartonomous.audit_verify()").fetchall() == []


def test_sealers_at_once_make_one_chain(fresh, session):
    def work(name):
        with psycopg.connect(fresh, autocommit=True) as own:
            for n in range(20):
                own.execute("select hartonomous.tenant_create(%s)", [f"{name} {n}"])
                own.execute("select hartonomous.audit_seal()")

    threads = [threading.Thread(target=work, args=[name]) for name in "abcd"]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    session.execute("select hartonomous.audit_seal()")
    assert session.execute("select * from hartonomous.audit_verify()").fetchall() == []
    assert session.execute("select count(*) from hartonomous.audit_unsealed").fetchone() == (0,)


class Stress:
    """Sessions that are refused and one that collects, while backends are killed at random."""

    def __init__(self, server: OwnServer, seed: int) -> None:
        self.server = server
        self.chance = random.Random(seed)
        self.refused: list[int] = []
        self.begun = 0
        self.lock = threading.Lock()
        self.stop = threading.Event()
        self.kills = 0

    def run(self, kills: int) -> None:
        threads = [threading.Thread(target=self._forever, args=[work]) for work in [self._refuse] * 3 + [self._collect]]
        for thread in threads:
            thread.start()
        while self.kills < kills:
            before = len(self.refused)
            waiting.until("some are refused", lambda before=before: len(self.refused) >= before + 10)
            time.sleep(self.chance.uniform(0, 0.1))
            self._kill()
        self.stop.set()
        for thread in threads:
            thread.join()

    def _forever(self, work) -> None:
        while not self.stop.is_set():
            with contextlib.suppress(psycopg.OperationalError), self.server.connect("audited") as connection:
                while not self.stop.is_set():
                    work(connection)

    def _refuse(self, connection) -> None:
        with self.lock:
            self.begun = number = self.begun + 1
        try:
            connection.execute(f"select hartonomous.authenticate('hk_{number}_{'0' * 40}')")
        except psycopg.OperationalError:
            raise
        except psycopg.Error as error:
            if error.sqlstate == "ZH003":
                with self.lock:
                    self.refused.append(number)

    def _collect(self, connection) -> None:
        connection.execute("select hartonomous.audit_list(k => 1), hartonomous.audit_seal()")

    def _kill(self) -> None:
        with contextlib.suppress(psycopg.OperationalError), self.server.connect("postgres") as connection:
            query = "select pid from pg_stat_activity where datname = 'audited' and query like 'select hart%'"
            pids = [pid for (pid,) in connection.execute(query)]
            if pids:
                os.kill(self.chance.choice(pids), signal.SIGKILL)
                self.kills += 1


def test_kills_lose_and_double_nothing(tmp_path):
    with OwnServer(tmp_path) as server:
        server.create("audited", extension=True)
        stress = Stress(server, seed=1)
        stress.run(kills=8)

        def answers():
            with contextlib.suppress(psycopg.OperationalError):
                return server.connect("audited")

        with waiting.until("the server answers", answers) as connection:
            connection.execute(COLLECT)
            found = recorded(connection)
            assert len(stress.refused) > 50
            assert set(stress.refused) <= set(found), "none that was answered is lost"
            assert len(found) == len(set(found)), "none is there twice"
            assert connection.execute("select * from hartonomous.audit_verify()").fetchall() == []
            connection.execute(COLLECT)
            assert not list(Path(tmp_path, "data", "hartonomous").glob("*/refusals*"))


def test_what_a_replica_refuses_is_collected_once_it_is_promoted(tmp_path):
    (tmp_path / "first").mkdir()
    (tmp_path / "copy").mkdir()
    with OwnServer(tmp_path / "first") as server:
        server.create("audited", extension=True)
        with server.connect("audited") as connection:
            refuse(connection, 1)  # lies in the base backup's file
            with replica(server, tmp_path / "copy") as copy, copy.connect("audited") as reader:
                connection.execute(COLLECT)
                refuse(connection, 2)
                refuse(reader, 3)
                assert reader.execute(COLLECT).fetchone() == (0,)
                waiting.until("the replica has the first", lambda: recorded(reader) == [1])
                assert reader.execute("select count(*) > 0 from hartonomous.audit_list()").fetchone() == (True,)
                reader.execute("select pg_promote()")
                reader.execute(COLLECT)
                assert recorded(reader) == [1, 3]
                assert reader.execute("select * from hartonomous.audit_verify()").fetchall() == []
            connection.execute(COLLECT)
            assert recorded(connection) == [1, 2]
