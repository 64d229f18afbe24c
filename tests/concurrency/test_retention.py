"""Histories are pruned beside those who write and read them: what is read is whole, or refused."""

import random
import re
import threading
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

import hartonomous
import psycopg
import pytest
import waiting
from hartonomous import errors
from sessions import meanwhile

ITEMS, TRANSFERS = 20, 150
SETUP = Path(__file__).parents[2] / "tools" / "setup.sql"
ZERO = timedelta(0)


@pytest.fixture
def stock(connection):
    """A versioned table in which every transaction leaves the sum as it was."""
    connection.execute("create table public.stock (item int primary key, amount int not null)")
    connection.execute("select hartonomous.system_versioning_add('public.stock')")
    connection.execute("insert into public.stock select n, 100 from generate_series(1, %s) as n", [ITEMS])
    yield "public.stock"
    connection.execute("drop table public.stock, public.stock_history cascade")


def retain(connection, keep=ZERO):
    connection.execute("select hartonomous.system_versioning_retain('public.stock', %s)", [keep])


def prune(connection, batch=10_000):
    return connection.execute("select hartonomous.history_prune(%s)", [batch]).fetchone()[0]


def versions(connection):
    return connection.execute("select count(*) from public.stock_history").fetchone()[0]


def now(connection):
    return connection.execute("select clock_timestamp()").fetchone()[0]


def change(connection, items=ITEMS):
    connection.execute("update public.stock set amount = amount + 0 where item <= %s", [items])


class Market:
    """Sessions that move amounts between items, prune, and ask for times and snapshots that they have seen."""

    def __init__(self, dsn):
        self.dsn, self.done, self.wrong = dsn, Counter(), []
        self.seen, self.lock, self.over = [], threading.Lock(), threading.Event()

    def run(self):
        with ThreadPoolExecutor(5) as pool:
            writers = [pool.submit(self.moves, seed) for seed in range(2)]
            others = [pool.submit(work) for work in (self.prunes, self.reads, self.reads)]
            try:
                for writer in writers:
                    writer.result()
            finally:
                self.over.set()
            for other in others:
                other.result()

    def moves(self, seed):
        chance = random.Random(seed)
        with psycopg.connect(self.dsn, autocommit=True) as session:
            for _ in range(TRANSFERS):
                one, other = sorted(chance.sample(range(1, ITEMS + 1), 2))
                with session.transaction():
                    session.execute("update public.stock set amount = amount - 1 where item = %s", [one])
                    session.execute("update public.stock set amount = amount + 1 where item = %s", [other])
                snapshot = session.execute("select pg_current_snapshot()::text").fetchone()[0]
                with self.lock:
                    self.seen.append((now(session), snapshot))

    def prunes(self):
        with psycopg.connect(self.dsn, autocommit=True) as session:
            while not self.over.is_set():
                self.done["pruned"] += prune(session, 7)

    def reads(self):
        chance = random.Random(5)
        with psycopg.connect(self.dsn, autocommit=True) as session:
            while not self.over.is_set():
                with self.lock:
                    at, snapshot = chance.choice(self.seen[-20:]) if self.seen else (None, None)
                if at is not None:
                    self.asks(session, "__as_of(%s)", at)
                    self.asks(session, "__as_of_snapshot(%s)", snapshot)

    def asks(self, session, reader, what):
        try:
            found = session.execute(f"select count(*), sum(amount) from public.stock{reader}", [what]).fetchone()
        except psycopg.Error as error:
            assert error.sqlstate == "ZH008", error
            self.done[f"refused {reader}"] += 1
            return
        self.done[f"answered {reader}"] += 1
        if found != (ITEMS, ITEMS * 100):
            self.wrong.append((reader, what, found))


def test_beside_writers_and_readers(dsn, connection, stock):
    retain(connection, timedelta(milliseconds=30))
    market = Market(dsn)
    market.run()
    assert market.wrong == []
    with psycopg.connect(dsn, autocommit=True) as session:
        for at, snapshot in market.seen[:20]:
            market.asks(session, "__as_of(%s)", at)
            market.asks(session, "__as_of_snapshot(%s)", snapshot)
    assert market.wrong == []
    kinds = {"pruned", *(f"{end} {reader}" for end in ("refused", "answered")
                         for reader in ("__as_of(%s)", "__as_of_snapshot(%s)"))}  # fmt: skip
    assert kinds <= market.done.keys(), market.done


def test_who_reads_since_before_goes_on_reading(dsn, connection, stock):
    at = now(connection)
    change(connection)
    retain(connection)
    query = "select count(*) from public.stock__as_of(%s)"
    with psycopg.connect(dsn) as reading:
        reading.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        assert reading.execute(query, [at]).fetchone() == (ITEMS,)
        assert prune(connection) > 0
        assert reading.execute(query, [at]).fetchone() == (ITEMS,)
        reading.commit()
        with pytest.raises(psycopg.Error) as caught:
            reading.execute(query, [at])
        assert caught.value.sqlstate == "ZH008"


def test_what_another_holds_is_passed_over(dsn, connection, stock):
    change(connection)
    retain(connection)
    with psycopg.connect(dsn) as holding:
        holding.execute("select from public.stock_history where item <= 5 for update")
        assert prune(connection) >= ITEMS - 5
        assert versions(connection) == 5
    prune(connection)
    assert versions(connection) == 0


def test_two_who_prune_do_not_meet(dsn, connection, stock):
    change(connection)
    retain(connection)
    with psycopg.connect(dsn) as first:
        assert prune(first, 5) == 5
        with meanwhile(dsn, lambda other: other.history_prune()) as second:
            assert second.result(waiting.PATIENCE) == 0
        assert versions(connection) == ITEMS
        first.rollback()
    assert versions(connection) == ITEMS
    since = "select kept_since from hartonomous.versioned_table where relation = 'public.stock'::regclass"
    assert connection.execute(since).fetchone() == (None,), "what rolled back removed nothing"


def test_who_writes_does_not_wait(dsn, connection, stock):
    change(connection)
    retain(connection)
    with psycopg.connect(dsn) as pruning:
        assert prune(pruning) >= ITEMS
        with meanwhile(dsn, lambda other: change(other.connection) or other.connection.commit()) as writing:
            writing.result(waiting.PATIENCE)
        pruning.commit()
    assert versions(connection) == ITEMS


def test_a_snapshot_in_which_a_transaction_ran_that_ended_later(dsn, connection, stock):
    with psycopg.connect(dsn) as slow, psycopg.connect(dsn) as idle:
        slow.execute("update public.stock set amount = 0 where item = 1")
        idle.execute("select pg_current_xact_id()")
        connection.execute("select pg_current_xact_id()")  # one ends that began later, so the snapshot names those
        before = connection.execute("select pg_current_snapshot()::text").fetchone()[0]
        slow.commit()
        after = connection.execute("select pg_current_snapshot()::text").fetchone()[0]
        retain(connection)
        assert prune(connection) > 0
        query = "select count(*) from public.stock__as_of_snapshot(%s)"
        with pytest.raises(psycopg.Error) as caught:
            connection.execute(query, [before])
        assert caught.value.sqlstate == "ZH008"
        assert connection.execute(query, [after]).fetchone() == (ITEMS,), "who runs still took nothing from it"
        idle.rollback()
        assert connection.execute(query, [after]).fetchone() == (ITEMS,)


def test_a_table_that_its_owner_locks_stops_nothing(dsn, connection, stock):
    change(connection)
    retain(connection)
    with psycopg.connect(dsn) as holding:
        holding.execute("lock table public.stock in access exclusive mode")
        with meanwhile(dsn, lambda other: other.history_prune()) as pruning:
            assert pruning.result(waiting.PATIENCE) == ITEMS


def test_the_job_prunes_all_there_is(dsn, connection, stock):
    (job,) = re.findall(r"'hartonomous: histories', '[^']+', \$\$(.*?)\$\$", SETUP.read_text(), re.DOTALL)
    assert "model_collect_garbage" in job
    connection.execute("insert into public.stock select n, 1 from generate_series(%s, 15000) as n", [ITEMS + 1])
    change(connection, 15_000)
    connection.execute("select hartonomous.transaction_time_resolve()")
    retain(connection)
    change(connection, 1)
    connection.execute(job)
    assert versions(connection) == 0
    bound = connection.execute("select count(distinct sys_begin) from public.stock").fetchone()
    assert connection.execute("select count(*) from hartonomous.transaction_time").fetchone() <= bound


def test_the_client_has_a_class_for_it(dsn, connection, stock):
    with hartonomous.connect(dsn) as client:
        at = client.query("select clock_timestamp() - interval '1 s'").fetchone()[0]
        client.system_versioning_retain("public.stock", ZERO)
        client.history_prune(1)
        with pytest.raises(errors.HistoryNotKept, match="is kept since"):
            client.query("select * from public.stock__as_of(%(at)s)", {"at": at})
