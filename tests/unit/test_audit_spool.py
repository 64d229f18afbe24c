"""The file of refusals: kept whole whoever dies, bounded, each line handed out until it is removed."""

import fcntl
import json
import os
import threading
from concurrent.futures import ThreadPoolExecutor

import pytest
from hartonomous_server.tenants import audit_spool as spool


def collected(where):
    return [line for name in spool.rotate(where) for line in spool.read(where, name)]


def test_lines_come_back_until_they_are_removed(tmp_path):
    where = tmp_path / "5"
    assert spool.rotate(where) == []
    lines = ['{"n": 1}', '{"n": "\\u00fc ü"}', "{}"]
    assert all(spool.append(where, line) for line in lines)
    (name,) = spool.rotate(where)
    assert spool.read(where, name) == lines == collected(where)
    assert spool.append(where, '{"n": 4}')
    assert sorted(collected(where)) == sorted([*lines, '{"n": 4}'])
    for left in spool.rotate(where):
        spool.remove(where, left)
        spool.remove(where, left)
    assert collected(where) == []
    assert spool.read(where, name) is None


def test_nobody_else_reads_it(tmp_path):
    spool.append(tmp_path / "5", "{}")
    assert (tmp_path / "5").stat().st_mode & 0o777 == 0o700
    assert (tmp_path / "5" / spool.RECORDS).stat().st_mode & 0o777 == 0o600


def test_a_torn_record_spoils_no_other_and_is_counted(tmp_path):
    spool.append(tmp_path, '{"n": 1}')
    whole = (tmp_path / spool.RECORDS).read_bytes()
    for kept in range(2, len(whole)):
        (tmp_path / spool.RECORDS).write_bytes(whole + whole[:kept])
        spool.append(tmp_path, '{"n": 2}')
        (name,) = spool.rotate(tmp_path)
        first, second, lost = spool.read(tmp_path, name)
        assert (first, second) == ('{"n": 1}', '{"n": 2}')
        entry = json.loads(lost)
        assert entry["detail"] == {"dropped": 1} and entry["entry_id"] == name.partition(".")[2]
        spool.remove(tmp_path, name)


def test_what_does_not_fit_is_counted(tmp_path):
    line = json.dumps({"n": "x" * 100})
    kept = [spool.append(tmp_path, line, limit=500) for _ in range(10)]
    assert kept == [True] * 4 + [False] * 6
    found = collected(tmp_path)
    assert found.count(line) == 4
    (lost,) = [json.loads(text) for text in found if text != line]
    assert lost["detail"] == {"dropped": 6} and lost["operation"] == "audit_collect"
    assert spool.append(tmp_path, line, limit=500)


def test_files_that_wait_are_bounded_too(tmp_path):
    for _ in range(5):
        spool.append(tmp_path, json.dumps("x" * 100), limit=300)
        spool.rotate(tmp_path, limit=300)
    assert sum(path.stat().st_size for path in tmp_path.iterdir()) < 2 * 300 + 120


def test_writers_and_a_collector_at_once(tmp_path):
    """Every line comes out once, whenever the file is renamed under its writers."""
    done = threading.Event()
    found = []

    def collect():
        while True:
            last = done.is_set()
            for name in spool.rotate(tmp_path):
                found.extend(spool.read(tmp_path, name))
                spool.remove(tmp_path, name)
            if last:
                return

    def write(writer):
        return [spool.append(tmp_path, json.dumps([writer, n])) for n in range(300)]

    collector = threading.Thread(target=collect)
    collector.start()
    with ThreadPoolExecutor(4) as pool:
        assert all(all(kept) for kept in pool.map(write, range(4)))
    done.set()
    collector.join()
    assert sorted(map(json.loads, found)) == [[writer, n] for writer in range(4) for n in range(300)]


def test_a_lock_that_is_never_given_back_delays_nobody_for_long(tmp_path, monkeypatch):
    monkeypatch.setattr(spool, "PATIENCE", 0.01)
    spool.append(tmp_path, "{}")
    with open(tmp_path / spool.LOCK) as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        assert not spool.append(tmp_path, "{}")
    assert spool.append(tmp_path, "{}")


@pytest.mark.skipif(os.geteuid() == 0, reason="root writes everywhere")
def test_a_folder_that_cannot_be_written_refuses_no_refusal(tmp_path):
    tmp_path.chmod(0o500)
    assert not spool.append(tmp_path / "5", "{}")


def test_no_link_is_followed(tmp_path):
    (tmp_path / "target").write_text("")
    (tmp_path / spool.RECORDS).symlink_to(tmp_path / "target")
    assert not spool.append(tmp_path, "{}")
    assert (tmp_path / "target").read_text() == ""


def test_a_flood_of_one_kind_is_recorded_once_a_second():
    clock = iter([0.0, 0.2, 0.9, 0.95, 1.0, 1.5, 2.1, 9.0])
    kinds = ["a", "a", "a", "b", "a", "a", "a", "b"]
    found = [spool.repeated(f"test {kind}", lambda: 100 + next(clock)) for kind in kinds]
    assert found == [0, None, None, 0, 2, None, 1, 0]


def test_kinds_are_bounded():
    for n in range(3 * spool.KINDS):
        spool.repeated(str(n))
    assert len(spool._repeated) <= spool.KINDS
