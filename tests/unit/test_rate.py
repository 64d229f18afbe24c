"""Throttles without a server: the cell rate algorithm equals a token bucket, in one process and in several."""

from __future__ import annotations

import hashlib
import os
import signal
import tempfile
from multiprocessing import get_context
from pathlib import Path
from typing import NamedTuple

import pytest
from hartonomous_server.security import rate
from hartonomous_server.security.rate import BEGIN, SECOND, SLOT, Table
from hypothesis import given, settings
from hypothesis import strategies as st

HOUR = 3600 * SECOND
PROCESSES = get_context("fork")


class Limit(NamedTuple):
    subject: bytes
    interval: int
    burst: int


def limit_of(name: str, interval: int, burst: int) -> Limit:
    return Limit(hashlib.sha256(name.encode()).digest(), interval, burst)


class Clock:
    def __init__(self, at=HOUR):
        self.at = at

    def __call__(self):
        return self.at


class TokenBucket:
    """The other formulation of the same rule: what may be taken grows with time up to the burst."""

    def __init__(self, limit, at):
        self.cost, self.at = limit.interval, at
        self.most = self.level = limit.interval * limit.burst

    def missing(self, units, at):
        self.level = min(self.most, self.level + at - self.at)
        self.at = at
        return max(0, units * self.cost - self.level)


@pytest.fixture
def path(tmp_path):
    return tmp_path / "made" / "rate_limits"


def small(monkeypatch, slots, buckets):
    monkeypatch.setattr(rate, "SLOTS", slots)
    monkeypatch.setattr(rate, "BUCKETS", buckets)
    monkeypatch.setattr(rate, "BUCKET", SLOT.size * slots)


LIMITS = st.lists(st.tuples(st.integers(1, 50), st.integers(1, 6)), min_size=1, max_size=4).map(
    lambda found: [limit_of(f"limit {i}", *limit) for i, limit in enumerate(found)]
)
CALLS = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 6), st.integers(1, 15)), max_size=60)


@settings(max_examples=300, deadline=None)
@given(limits=LIMITS, calls=CALLS)
def test_several_limits_equal_token_buckets(limits, calls):
    clock = Clock()
    models = [TokenBucket(limit, clock.at) for limit in limits]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        small(patch, slots=4, buckets=3)  # room for all limits even in one bucket
        table = Table(Path(folder) / "rate_limits", b"boot", clock)
        for pause, units, mask in calls:
            clock.at += pause
            asked = [i for i in range(len(limits)) if mask >> i & 1]
            expected = [models[i].missing(units, clock.at) for i in asked]
            assert table.take([limits[i] for i in asked], units) == expected
            for i in asked if not any(expected) else []:
                models[i].level -= units * models[i].cost


@settings(max_examples=300, deadline=None)
@given(calls=st.lists(st.tuples(st.integers(0, 40), st.integers(0, 7), st.integers(1, 3)), max_size=120))
def test_too_many_subjects_for_a_bucket_are_never_admitted_too_often(calls):
    clock = Clock()
    limits = [limit_of(f"limit {i}", interval, 3) for i, interval in enumerate([5, 5, 5, 20, 20, 90, 90, 90])]
    models = [TokenBucket(limit, clock.at) for limit in limits]
    with tempfile.TemporaryDirectory() as folder, pytest.MonkeyPatch.context() as patch:
        small(patch, slots=2, buckets=1)
        table = Table(Path(folder) / "rate_limits", b"boot", clock)
        seen = set()
        for pause, subject, units in calls:
            clock.at += pause
            seen.add(subject)
            missing = models[subject].missing(units, clock.at)
            (wait,) = table.take([limits[subject]], units)
            assert wait >= missing
            if not wait:
                models[subject].level -= units * models[subject].cost
            elif not missing:
                assert len(seen) > 2  # refused for want of a slot only


def test_a_newcomer_to_a_full_bucket_waits_as_long_as_it_is_told(path, monkeypatch):
    small(monkeypatch, slots=2, buckets=1)
    clock = Clock()
    table = Table(path, b"boot", clock)
    assert table.take([limit_of("a", HOUR, 1)], 1) == table.take([limit_of("b", 2 * HOUR, 1)], 1) == [0]
    newcomer = [limit_of("c", SECOND, 1)]
    assert table.take(newcomer, 1) == [HOUR]
    clock.at += HOUR - 1
    assert table.take(newcomer, 1) == [1]
    clock.at += 1
    assert table.take(newcomer, 1) == [0]


def test_all_limits_are_checked_before_any_is_taken(path):
    clock = Clock()
    table = Table(path, b"boot", clock)
    wide, narrow = limit_of("wide", SECOND, 10), limit_of("narrow", HOUR, 1)
    assert table.take([wide, narrow], 1) == [0, 0]
    for _ in range(20):
        assert table.take([wide, narrow], 1) == [0, HOUR]
    assert table.take([wide], 9) == [0]
    assert table.take([wide], 1) == [SECOND]


def test_two_newcomers_of_one_call_have_a_slot_each(path, monkeypatch):
    small(monkeypatch, slots=2, buckets=1)
    table = Table(path, b"boot", Clock())
    pair = [limit_of("a", SECOND, 2), limit_of("b", SECOND, 2)]
    assert [table.take(pair, 1) for _ in range(3)] == [[0, 0], [0, 0], [SECOND, SECOND]]


def test_times_of_before_a_restart_of_the_machine_count_for_nothing(path):
    limit = [limit_of("a", HOUR, 1)]
    clock = Clock(at=1000 * HOUR)
    assert Table(path, b"first", clock).take(limit, 1) == [0]
    assert Table(path, b"first", clock).take(limit, 1) == [HOUR]
    clock.at = 5 * SECOND
    assert Table(path, b"second", clock).take(limit, 1) == [0]
    assert Table(path, b"second", clock).take(limit, 1) == [HOUR]
    assert Table(path, b"third", clock).take(limit, 1) == [0]


def test_no_stored_time_keeps_a_subject_waiting_for_longer_than_its_limit(path):
    """Neither a changed limit, nor a value that was half written."""
    clock = Clock()
    table = Table(path, b"boot", clock)
    assert table.take([limit_of("a", 1000 * HOUR, 2)], 2) == [0]
    assert [table.take([limit_of("a", SECOND, 2)], 1) for _ in range(3)] == [[0], [0], [SECOND]]
    _, tag = rate._place(hashlib.sha256(b"a").digest())
    with path.open("r+b") as file:
        content = path.read_bytes()
        file.seek(content.index(tag, BEGIN) + 8)
        file.write(b"\xff" * 8)
    assert [table.take([limit_of("a", SECOND, 2)], 1) for _ in range(3)] == [[0], [0], [SECOND]]


@pytest.mark.parametrize("content", [b"", b"x" * 5000, rate.MAGIC, rate.MAGIC + b"other"])
def test_a_file_that_is_not_ours_is_made_anew(path, content):
    path.parent.mkdir()
    path.write_bytes(content)
    table = Table(path, b"boot", Clock())
    assert table.take([limit_of("a", SECOND, 1)], 1) == [0]
    assert path.stat().st_size == BEGIN + rate.BUCKET * rate.BUCKETS


def test_a_file_that_was_cut_short_is_as_an_empty_one(path):
    table = Table(path, b"boot", Clock())
    os.truncate(path, 0)
    assert table.take([limit_of("a", SECOND, 1)], 1) == [0]
    assert table.take([limit_of("a", SECOND, 1)], 1) == [SECOND]


def test_the_file_is_its_owners_alone_and_no_link_is_followed(path, tmp_path):
    Table(path, b"boot", Clock())
    assert path.stat().st_mode & 0o777 == 0o600 and path.parent.stat().st_mode & 0o777 == 0o700
    (tmp_path / "precious").write_text("kept")
    path.unlink()
    path.symlink_to(tmp_path / "precious")
    with pytest.raises(OSError):
        Table(path, b"boot", Clock())
    assert (tmp_path / "precious").read_text() == "kept"


def hammer(path, names, calls, admitted, together=None):
    table = Table(path, b"boot", Clock())
    limits = [limit_of(name, SECOND, 1000) for name in names]
    if together:
        together.wait(60)
    taken = sum(not any(table.take(limits, 1)) for _ in range(calls))
    with admitted.get_lock():
        admitted.value += taken


def test_processes_admit_exactly_the_burst_and_do_not_wait_in_a_circle(path):
    admitted, together = PROCESSES.Value("i", 0), PROCESSES.Barrier(8)
    names = [f"limit {i}" for i in range(6)]
    workers = [
        PROCESSES.Process(target=hammer, args=(path, names[:: 1 if i % 2 else -1], 500, admitted, together))
        for i in range(8)
    ]
    for worker in workers:
        worker.start()
    for worker in workers:
        worker.join(60)
        assert worker.exitcode == 0
    assert admitted.value == 1000


def hold(path, ready):
    table = Table(path, b"boot", Clock())
    table._clock = lambda: (ready.set(), signal.pause())  # within the lock
    table.take([limit_of("a", SECOND, 1)], 1)


def test_a_process_killed_within_the_lock_blocks_nobody(path):
    ready = PROCESSES.Event()
    holder = PROCESSES.Process(target=hold, args=(path, ready))
    holder.start()
    assert ready.wait(60)
    admitted = PROCESSES.Value("i", 0)
    other = PROCESSES.Process(target=hammer, args=(path, ["a"], 1, admitted))
    other.start()
    other.join(0.2)
    assert other.is_alive()  # the lock is held
    assert holder.pid
    os.kill(holder.pid, signal.SIGKILL)
    other.join(60)
    assert (other.exitcode, admitted.value) == (0, 1)
    holder.join()


def test_a_tag_is_found_at_the_beginning_of_a_slot_only():
    tag = b"12345678"
    bucket = bytearray(rate.BUCKET)
    bucket[24:32] = tag  # the TAT of another
    assert rate._find(bucket, tag, HOUR, 2 * HOUR) == (0, HOUR)
    bucket[48:64] = SLOT.pack(tag, HOUR + 5)
    assert rate._find(bucket, tag, HOUR, 2 * HOUR) == (48, HOUR + 5)
