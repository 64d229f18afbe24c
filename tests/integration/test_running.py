"""The running form of models: files that all backends map, made again from the rows when they must."""

import fcntl
import os
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hartonomous
import numpy as np
import psycopg
import pytest
import tiny_model
from cluster import OwnServer, replica
from hartonomous import errors, models

TEXT = "the data base"


@pytest.fixture(scope="module")
def own_server(tmp_path_factory):
    folder = tmp_path_factory.mktemp("running")
    with OwnServer(folder) as server:
        server.create("one", extension=True)
        yield server, folder / "data" / "hartonomous"


@pytest.fixture
def running(own_server, tmp_path):
    """A function that gives the model's vector as a new session computes it, and its one file."""
    server, root = own_server
    with hartonomous.connect(server.dsn("one")) as client:
        models.ingest(client, tiny_model.write(tmp_path / "tiny"), "tiny")

    def vector():
        with hartonomous.connect(server.dsn("one")) as client:
            return client.embed(TEXT)

    vector()
    (file,) = forms(root)
    yield vector, file
    with hartonomous.connect(server.dsn("one")) as client:
        client.model_drop("tiny")


def forms(root):
    return [path for path in root.glob("*/models/*") if path.name != "lock" and path.suffix != ".checked"]


def test_sessions_map_one_file_and_read_no_weights(own_server, running):
    server, root = own_server
    vector, file = running
    expected = vector()
    with hartonomous.connect(server.dsn("one")) as client, psycopg.connect(server.dsn("one")) as owner:
        owner.execute("update hartonomous.tensor_atom set data = ''")  # none is read
        assert np.array_equal(client.embed(TEXT), expected)
        pid = client.query("select pg_backend_pid()").fetchone()[0]
        maps = Path(f"/proc/{pid}/maps").read_text()
        assert "r--s 00000000" in next(line for line in maps.splitlines() if line.endswith(file.name))
        owner.rollback()
    assert forms(root) == [file]
    assert file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize("damage", ["a flipped byte", "a missing end", "an empty file", "no file", "another magic"])
def test_a_damaged_file_is_made_again(running, damage):
    vector, file = running
    expected, content = vector(), file.read_bytes()
    changed = {
        "a flipped byte": content[:-5000] + bytes([content[-5000] ^ 1]) + content[-4999:],
        "a missing end": content[:-1],
        "an empty file": b"",
        "another magic": b"x" + content[1:],
    }.get(damage)
    beside = file.with_name("damaged.1")  # renamed, so that no session maps what is cut short under it
    if changed is None:
        file.unlink()
    else:
        beside.write_bytes(changed)
        beside.rename(file)
    assert np.array_equal(vector(), expected)
    assert file.read_bytes() == content


def test_damage_that_keeps_the_times_is_found_after_a_restart(own_server, running):
    server, _ = own_server
    vector, file = running
    expected, content, status = vector(), file.read_bytes(), file.stat()
    with file.open("r+b") as opened:
        opened.seek(1000)
        opened.write(bytes(8))
    os.utime(file, ns=(status.st_atime_ns, status.st_mtime_ns))
    server.__exit__()
    server.__enter__()
    assert np.array_equal(vector(), expected)
    assert file.read_bytes() == content


def test_many_first_calls_make_it_once(own_server, running):
    server, root = own_server
    vector, file = running
    expected = vector()
    clients = [hartonomous.connect(server.dsn("one")) for _ in range(8)]
    file.unlink()
    with ThreadPoolExecutor(8) as pool:
        vectors = list(pool.map(lambda client: client.embed(TEXT), clients))
    for client in clients:
        client.close()
    assert all(np.array_equal(found, expected) for found in vectors)
    assert forms(root) == [file]


def test_a_wait_for_another_maker_can_be_cancelled(own_server, running):
    server, _ = own_server
    vector, file = running
    file.unlink()
    with (file.parent / "lock").open("wb") as lock, hartonomous.connect(server.dsn("one")) as client:
        fcntl.flock(lock, fcntl.LOCK_EX)
        client.query("set statement_timeout = '300ms'")
        with pytest.raises(errors.Error, match="statement timeout"):
            client.embed(TEXT)
    vector()
    assert file.exists()


def test_what_is_unused_goes_when_another_is_made(running):
    vector, file = running
    half, old, recent = (file.with_name(name) for name in (f"{file.name}.4711", f"{'0' * 64}-1-a", f"{'1' * 64}-1-a"))
    for path in (half, old, recent, old.with_name(old.name + ".checked")):
        path.write_bytes(b"x")
    yesterday = time.time() - 25 * 3600
    for path in (old, old.with_name(old.name + ".checked")):
        os.utime(path, (yesterday, yesterday))
    file.unlink()
    vector()
    assert file.exists() and recent.exists()
    assert not half.exists() and not old.exists() and not old.with_name(old.name + ".checked").exists()
    recent.unlink()


def test_a_dropped_model_takes_its_file_along_but_for_an_equal_model(own_server, running, tmp_path):
    server, _ = own_server
    _, file = running
    with hartonomous.connect(server.dsn("one")) as client:
        models.ingest(client, tiny_model.write(tmp_path / "again"), "again")
        client.model_drop("again")
        assert file.exists()
        models.ingest(client, tiny_model.write(tmp_path / "other", seed=1), "other")
        client.embed(TEXT, "other")
        assert len(forms(file.parents[2])) == 2
        client.model_drop("other")
    assert forms(file.parents[2]) == [file]


def test_where_no_file_can_be_kept_the_session_keeps_a_copy(own_server, running):
    server, _ = own_server
    vector, file = running
    expected = vector()
    folder, aside = file.parent, file.parent.with_name("aside")
    folder.rename(aside)
    folder.write_bytes(b"")  # not a folder
    try:
        with psycopg.connect(server.dsn("one")) as connection:
            notices = []
            connection.add_notice_handler(lambda notice: notices.append(notice.message_primary))
            found = connection.execute("select hartonomous.embed(%s)::real[]", [TEXT]).fetchone()[0]
        assert np.array_equal(np.array(found, np.float32), expected)
        assert notices == ["running form of a model cannot be kept in the data directory: Not a directory"]
    finally:
        folder.unlink()
        aside.rename(folder)


def test_a_replica_makes_its_own(own_server, running, tmp_path):
    server, _ = own_server
    vector, file = running
    expected = vector()
    with replica(server, tmp_path / "copy") as copy, hartonomous.connect(copy.dsn("one")) as reader:
        (copied,) = forms(tmp_path / "copy" / "data" / "hartonomous")
        copied.unlink()
        assert np.array_equal(reader.embed(TEXT), expected)
        assert copied.exists()


def test_threads_share_a_batch_and_change_no_bit(own_server, running):
    server, _ = own_server
    texts = [f"the data base {'data ' * (number % 50)}" for number in range(200)]
    found = []
    for threads in (1, 2, 1000):
        with hartonomous.connect(server.dsn("one")) as client:
            client.query(f"set hartonomous.inference_threads = {threads}")
            found.append(client.embed_many(texts))
            sql = "select threads from hartonomous.inference_request order by created_at desc limit 1"
            assert client.query(sql).fetchone()[0] == min(threads, 2, len(os.sched_getaffinity(0)))
    assert np.array_equal(found[0], found[1]) and np.array_equal(found[0], found[2])
    with hartonomous.connect(server.dsn("one")) as client:
        client.query("set hartonomous.inference_threads = 'many'")
        with pytest.raises(errors.InvalidParameter, match='is "many", expected a number of 1 or more'):
            client.embed_many(texts)
        assert client.embed_many(texts[:1]).shape == (1, 32)  # too short for two


def test_a_batch_of_threads_can_be_cancelled(own_server, running, tmp_path):
    server, _ = own_server
    with hartonomous.connect(server.dsn("one")) as client:
        models.ingest(client, tiny_model.write(tmp_path / "wide", inner=20_000), "wide")
        texts = ["data " * 60] * 4000
        client.query("set hartonomous.inference_threads = 2")
        client.query("set statement_timeout = '500ms'")
        started = time.monotonic()
        with pytest.raises(errors.Error, match="statement timeout"):
            client.embed_many(texts, "wide")
        assert time.monotonic() - started < 20  # of a minute or more
        client.query("set statement_timeout = 0")
        assert client.embed_many(texts[:2], "wide").shape == (2, 32)
        client.model_drop("wide")


def test_memory_is_bounded_by_a_setting(client, tmp_path):
    """Of wide layers; threads work side by side as far as it allows."""
    models.ingest(client, tiny_model.write(tmp_path / "wide", inner=20_000), "wide")
    texts = [TEXT] * 500
    client.query("set hartonomous.inference_memory = '33MB'")
    with pytest.raises(errors.MemoryExceeded, match=r"of 8 tokens takes 415\d\d kB, expected at most the 33792 kB"):
        client.embed(TEXT, "wide")
    found = []
    for memory in ("42MB", "90MB"):
        client.query("select set_config('hartonomous.inference_memory', %s, false)", [memory])
        found.append(client.embed_many(texts, "wide"))
    used = "select threads from hartonomous.inference_request order by created_at desc limit 2"
    assert np.array_equal(*found) and {threads for (threads,) in client.query(used).fetchall()} == {1, 2}
