"""Uploads: the same artifact whatever the parts, resumed after a lost connection, in the memory of a few parts."""

import random
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import hartonomous
import psycopg
import pytest
import state
import waiting
from hartonomous import uploads
from hartonomous.errors import ConnectionFailed
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import meanwhile

MB = 1 << 20


@pytest.fixture(scope="module")
def session(dsn):
    with hartonomous.connect(dsn) as opened:
        yield opened


@given(
    st.binary(max_size=300), st.integers(0, 9), st.integers(0, 150_000), st.lists(st.integers(0, 150_300)), st.data()
)
@settings(deadline=None, max_examples=40)
def test_any_bytes_in_any_parts_are_the_same_artifact(session, head, seed, size, cuts, data):
    content = head + random.Random(seed).randbytes(size)
    bounds = [0, *sorted({cut for cut in cuts if cut < len(content)}), len(content)]
    parts = [(low, content[low:high]) for low, high in zip(bounds, bounds[1:], strict=False)]
    upload = session.ingest_begin("binary")
    for start, part in data.draw(st.permutations(parts)):
        session.ingest_part(upload, start, part)
    artifact = session.ingest_commit(upload)
    assert artifact == session.ingest(content)
    assert session.content(artifact) == content
    start, length = data.draw(st.integers(0, len(content) + 9)), data.draw(st.integers(0, len(content) + 9))
    assert session.content_slice(artifact, start, length) == content[start : start + length]
    again = session.ingest_begin("binary")
    session.ingest_part(again, 0, content)
    assert session.ingest_commit(again) == artifact


@pytest.fixture
def large(tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(random.Random(1).randbytes(20 * MB))
    return path


def test_a_lost_connection_loses_no_part(dsn, connection, large, monkeypatch):
    monkeypatch.setattr(uploads, "PART", MB)
    with hartonomous.connect(dsn) as first, pytest.raises(ConnectionFailed):
        uploads.ingest(first, large, progress=lambda done, _: done == 7 * MB and terminate(connection, first))
    sent = connection.execute("select count(*) from hartonomous.upload_part").fetchone()
    assert sent == (7,)
    puts = []
    with hartonomous.connect(dsn) as second:
        put = second.ingest_part
        monkeypatch.setattr(second, "ingest_part", lambda *part: (puts.append(part[1]), put(*part)))
        artifact = uploads.ingest(second, large)
        assert puts == [at * MB for at in range(7, 20)]
        assert second.content(artifact) == large.read_bytes()
    assert connection.execute("select count(*) from hartonomous.upload_part").fetchone() == (0,)


def terminate(connection, client):
    connection.execute("select pg_terminate_backend(%s, 10000)", [client.connection.info.backend_pid])


def test_a_file_that_changed_meanwhile_is_sent_anew(client, large):
    upload = client.ingest_begin("binary", large.resolve().as_uri())
    client.ingest_part(upload, 0, b"what it was before")
    client.ingest_part(upload, 30 * MB, b"when it was longer")
    assert client.content(uploads.ingest(client, large)) == large.read_bytes()


def test_parts_side_by_side(dsn, client):
    content = random.Random(2).randbytes(4 * MB)
    upload = client.ingest_begin("binary", "side by side")

    def send(low):
        with hartonomous.connect(dsn) as own:
            for start in range(low, len(content), MB):
                own.ingest_part(upload, start, content[start : start + MB // 4])

    threads = [threading.Thread(target=send, args=(MB // 4 * i,)) for i in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert client.content(client.ingest_commit(upload)) == content


def test_a_commit_waits_for_a_part_under_way(dsn, client):
    upload = client.ingest_begin("binary", "under way")
    with psycopg.connect(dsn) as other:
        other.execute("select hartonomous.ingest_part(%s, 0, 'here')", [upload])
        with meanwhile(dsn, lambda session: session.ingest_commit(upload)) as running:
            assert not running.done()
            other.commit()
            artifact = running.result(waiting.PATIENCE)
    assert client.content(artifact) == b"here"


def test_a_commit_that_fails_leaves_the_parts(connection, client):
    upload = client.ingest_begin("binary", "fails")
    client.ingest_part(upload, 0, bytes(1000))
    before = state.contents(connection)
    with pytest.raises(hartonomous.errors.UploadIncomplete):
        client.ingest_commit(upload, bytes(32))
    assert state.contents(connection) == before


def test_memory_does_not_grow_with_the_content(dsn):
    chance, peaks = random.Random(3), []
    for size in (40, 240):
        with hartonomous.connect(dsn) as client:
            upload = client.ingest_begin("binary")
            for at in range(size):
                client.ingest_part(upload, at * MB, chance.randbytes(MB))
            with ThreadPoolExecutor(1) as pool:
                running = pool.submit(client.ingest_commit, upload)
                peaks.append(peak(client.connection.info.backend_pid, running))
    assert 0 < peaks[1] < peaks[0] + 100 * MB, peaks


def peak(pid, running):
    """Most memory of its own that a process is seen to have until running is done."""
    most = 0
    while not running.done():
        lines = dict(line.split(":", 1) for line in Path(f"/proc/{pid}/status").read_text().splitlines())
        most = max(most, 1024 * int(lines["RssAnon"].split()[0]))
        time.sleep(waiting.PAUSE)
    running.result()
    return most


def test_killed_while_it_commits(dsn, connection, client):
    content = random.Random(4).randbytes(8 * MB)
    upload = client.ingest_begin("binary", "killed")
    client.ingest_part(upload, 0, content)
    with psycopg.connect(dsn) as doomed:
        pid = doomed.info.backend_pid
        with waiting.locked(dsn, "artifact"):
            running = threading.Thread(target=fails, args=(doomed, upload))
            running.start()
            waiting.until_blocked(connection, "artifact", 1)
            connection.execute("select pg_terminate_backend(%s)", [pid])
            running.join()
    assert client.content(client.ingest_commit(upload)) == content


def fails(connection, upload):
    with pytest.raises(psycopg.OperationalError):
        connection.execute("select hartonomous.ingest_commit(%s)", [upload])

