"""What a tenant's export holds: all that was stored, to the byte, as a stream that never grows."""

import base64
import hashlib
import json
import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager

import cli
import corpus
import hartonomous
import numpy as np
import psycopg
import pytest
import tiny_model
import waiting
from hartonomous import errors, models, privacy

MEGABYTE = 1_000_000
UNFINISHED = os.urandom(150_000)
LARGE = [26 * MEGABYTE] * 8  # content that no buffer should hold


@pytest.fixture(scope="module")
def full(dsn, tmp_path_factory):
    """Tenant 1 with rows in every room, one of them in history alone; tenant 2 with some of its own."""
    folder = tmp_path_factory.mktemp("full")
    with hartonomous.connect(dsn) as client:
        models.ingest(client, tiny_model.write(folder / "tiny", inner=5000))
        models.ingest(client, tiny_model.write(folder / "passing", seed=7))
        client.model_drop("passing")
        for name, page in corpus.pages(4).items():
            client.ingest_document(name, page, "html", {"price": 1.5, "of": 'q"uotes\\ and\nlines \u2028 ü'})
        client.embed_artifacts(client.embedding_pending(batch=1000))
        client.ingest_many([b"", b"leaf", os.urandom(65_536), os.urandom(65_537), bytes(200_000)], "binary")
        client.artifact_delete(client.ingest_text("deleted, and there until it is erased"))
        client.ingest_part(client.ingest_begin("binary", "unfinished"), 0, UNFINISHED)
        client.api_key_create(1, "of an export")
        other = client.tenant_create("other")
        client.tenant_role_add(other, "postgres")
        client.ingest_text("of the other tenant")
        client.tenant_role_add(1, "postgres")
    return dsn


def restored(lines):
    """Rows by table, and content by artifact, from an export alone."""
    rows, contents = {}, {}
    for record in map(json.loads, privacy.verified(lines)):
        if "row" in record:
            rows.setdefault(record["table"], []).append(record["row"])
        elif "content" in record:
            piece = record["content"]
            content = contents.setdefault(piece.get("artifact_id", "uploads"), bytearray())
            assert piece["start"] == len(content)
            content += base64.b64decode(piece["data"], validate=True)
    return rows, contents


def test_everything_can_be_made_from_an_export_again(full, client, connection):
    rows, contents = restored(client.tenant_export(1))
    assert contents.pop("uploads") == UNFINISHED
    artifacts = connection.execute(
        "select artifact_id, content_hash, content_length, canonical_text from hartonomous.artifact where tenant_id = 1"
    ).fetchall()
    assert len(artifacts) == len(contents) == len(rows["hartonomous.artifact"]) > 10
    for artifact_id, digest, length, _ in artifacts:
        assert hashlib.sha256(contents[artifact_id]).digest() == digest and len(contents[artifact_id]) == length
    texts = {row["artifact_id"]: row["canonical_text"] for row in rows["hartonomous.artifact"]}
    assert texts == {row[0]: row[3] for row in artifacts}

    noted = connection.execute(
        "select artifact_id, source_uri, metadata from hartonomous.artifact_source where tenant_id = 1"
    ).fetchall()
    found = [(row["artifact_id"], row["source_uri"], row["metadata"]) for row in rows["hartonomous.artifact_source"]]
    assert sorted(found, key=str) == sorted(noted, key=str)

    stored = connection.execute(
        "select artifact_id, vector_send(embedding), st_x(place), st_y(place), st_z(place)"
        " from hartonomous.atom_embedding join hartonomous.embedding_place using (tenant_id, model_id, artifact_id)"
        " where tenant_id = 1"
    ).fetchall()
    assert len(stored) == len(rows["hartonomous.atom_embedding"]) > 0
    by_artifact = {row["artifact_id"]: row for row in rows["hartonomous.atom_embedding"]}
    places = {row["artifact_id"]: row["place"] for row in rows["hartonomous.embedding_place"]}
    for artifact_id, image, *place in stored:
        vector = np.array(json.loads(by_artifact[artifact_id]["embedding"]), ">f4")
        assert vector.tobytes() == bytes(image)[4:]
        ewkb = bytes.fromhex(places[artifact_id])
        assert np.frombuffer(ewkb[-24:], "<f8").tolist() == place

    expected = tiny_model.tensors(inner=5000)
    tiles = {row["tensor_atom_id"]: base64.b64decode(row["data"]) for row in rows["hartonomous.tensor_atom"]}
    for tensor in rows["hartonomous.model_tensor"]:
        parts = [row for row in rows["hartonomous.tensor_atom_coefficient"]
                 if row["model_tensor_id"] == tensor["model_tensor_id"]]  # fmt: skip
        parts.sort(key=lambda part: part["start"])
        assert b"".join(tiles[part["tensor_atom_id"]] for part in parts) == expected[tensor["name"]].tobytes()
    dropped = {row["tensor_atom_id"] for row in rows["hartonomous.tensor_atom_coefficient_history"]}
    assert dropped and dropped <= tiles.keys()  # weights of the dropped model are there too


def test_every_row_comes_as_the_server_has_it(full, client, connection):
    """Each row of each table, put back by its own JSON into a row of the table's type, equals the stored one."""
    rows, _ = restored(client.tenant_export(1))
    header = json.loads(next(iter(client.tenant_export(1))))
    tables = connection.execute(
        "select relation::text, tenant_column from hartonomous.tenant_table where exported"
    ).fetchall()
    assert set(header["tables"]) == {table for table, _ in tables}
    for table, column in tables:
        kinds = header["tables"][table]
        compared = ", ".join(name if kind not in ("bytea", "json") else f"encode({name}, 'base64')"
                             for name, kind in kinds.items() if kind != "pg_snapshot")  # fmt: skip
        given = [{name: _hex(kinds[name], value) for name, value in row.items()} for row in rows.get(table, [])]
        differing = connection.execute(
            f"with given as (select {compared} from json_populate_recordset(null::{table}, %s::json)),"
            f" stored as (select {compared} from {table} where {column} = 1)"
            " select (select count(*) from stored), (select count(*) from (table given except table stored) as d),"
            " (select count(*) from (table stored except table given) as d)",
            [json.dumps(given)],
        ).fetchone()
        assert differing == (len(given), 0, 0), table


def _hex(kind, value):
    """bytea reads hexadecimal, not base64."""
    return "\\x" + base64.b64decode(value).hex() if kind == "bytea" and value is not None else value


def test_one_snapshot(full, client, connection):
    """What is written after the first line is in none of the later ones, of whatever table."""
    lines = client.tenant_export(1)
    first = next(lines)
    connection.execute("select hartonomous.ingest_document('later.md', E'# Later\n\nIt came later.', 'markdown')")
    assert not any("later.md" in line for line in [first, *lines])
    assert any("later.md" in line for line in client.tenant_export(1))


def test_a_truncated_or_changed_export_is_found(full, client):
    lines = list(client.tenant_export(1))
    assert list(privacy.verified(lines)) == lines
    for wrong in ([], lines[:-1], lines[:1], [*lines[:-2], lines[-1]], [*lines, lines[-1]],
                  [lines[0].replace("default", "another"), *lines[1:]], [*lines[:-1], '"sha256"']):  # fmt: skip
        with pytest.raises(errors.ExportIncomplete):
            list(privacy.verified(wrong))


@contextmanager
def growth(*pids):
    """By how many bytes the private memory of processes grew at most, while the block ran."""
    found, ended = {}, threading.Event()
    before = {pid: private(pid) for pid in pids}

    def watch():
        while not ended.wait(0.005):
            for pid in pids:
                found[pid] = max(found.get(pid, 0), private(pid) - before[pid])

    watching = threading.Thread(target=watch)
    watching.start()
    try:
        yield found
    finally:
        ended.set()
        watching.join()


def private(pid):
    with open(f"/proc/{pid}/status") as status:
        return next(int(line.split()[1]) * 1024 for line in status if line.startswith("RssAnon"))


@pytest.fixture(scope="module")
def large(full):
    """Tenant 3 with more content than a process should hold; its id."""
    with hartonomous.connect(full) as client:
        made = client.tenant_create("large")
        client.tenant_role_add(made, "postgres")
        for size in LARGE:
            client.ingest(os.urandom(size))
        client.tenant_role_add(1, "postgres")
    return made


def test_memory_stays_bounded(full, large, client):
    pid = client.connection.info.backend_pid
    next(iter(client.tenant_export(1)))  # imports what it needs
    with growth(pid, os.getpid()) as grown:
        received = sum(len(line) for line in privacy.verified(client.tenant_export(large)))
    assert received > sum(LARGE) * 4 / 3
    assert grown[pid] < 60 * MEGABYTE and grown[os.getpid()] < 60 * MEGABYTE, grown


def test_the_watch_over_memory_would_see_growth(full, large, client):
    pid = client.connection.info.backend_pid
    next(iter(client.tenant_export(1)))
    with growth(pid) as grown:
        client.connection.execute("select sum(length(l)) from hartonomous.tenant_export(%s) as l where l > ''", [large])
        kept = client.connection.execute(
            "select length(string_agg(l, '')) from (select hartonomous.tenant_export(%s) as l) as lines", [large]
        ).fetchone()
    assert kept[0] > sum(LARGE) and grown[pid] > 200 * MEGABYTE


def test_cancel(full, large, client, connection):
    with hartonomous.connect(full) as other, ThreadPoolExecutor(1) as pool:
        statement = "select count(*) from (select hartonomous.tenant_export(%s)) as lines"
        begun = time.monotonic()
        other.connection.execute(statement, [large])
        whole = time.monotonic() - begun
        pid = other.connection.info.backend_pid
        running = pool.submit(other.query, statement.replace("%s", "%(tenant)s"), {"tenant": large})
        waiting.until("the export is under way", lambda: at_work(connection, pid))
        time.sleep(whole / 4)
        begun = time.monotonic()
        connection.execute("select pg_cancel_backend(%s)", [pid])
        with pytest.raises(errors.Error) as raised:
            running.result(waiting.PATIENCE)
        assert raised.value.sqlstate == "57014"
        assert time.monotonic() - begun < min(1, whole / 2)
        assert other.current_tenant() == 1  # the session goes on


def at_work(connection, pid):
    return connection.execute("select state = 'active' from pg_stat_activity where pid = %s", [pid]).fetchone()[0]


def test_command(full, tmp_path):
    file = tmp_path / "tenant.jsonl"
    (found,) = cli.lines(full, "tenants", "export", 1, file)
    with file.open(newline="\n") as stream:  # U+2028 within a text ends no line
        lines = list(stream)
    assert found["lines"] == len(lines) and found["bytes"] == file.stat().st_size
    assert found["sha256"] == hashlib.sha256("".join(lines[:-1]).encode()).hexdigest()
    assert found["rows"] == json.loads(lines[-1])["rows"]
    assert "sha256" in cli.run(full, "tenants", "export", 1, tmp_path / "again.jsonl").stdout
    assert sorted(path.name for path in tmp_path.iterdir()) == ["again.jsonl", "tenant.jsonl"]


def test_a_failed_command_leaves_the_old_file(full, tmp_path, monkeypatch):
    file = tmp_path / "tenant.jsonl"
    file.write_text("of last week")
    assert "does not exist" in cli.run(full, "tenants", "export", 999, file, code=1).stderr
    with hartonomous.connect(full) as client:
        cut = list(client.tenant_export(1))[:-1]
        monkeypatch.setattr(client, "tenant_export", lambda _: iter(cut))
        with pytest.raises(errors.ExportIncomplete):
            privacy.export(client, 1, file)
    assert [path.name for path in tmp_path.iterdir()] == ["tenant.jsonl"] and file.read_text() == "of last week"


def test_only_administrators(full, server):
    name = f"test_export_{os.getpid()}"
    server.execute("create role {} login in role hartonomous_writer", name)
    try:
        with psycopg.connect(full) as connection:
            connection.execute(f"select hartonomous.tenant_role_add(1, '{name}')")
            connection.execute(f"set local role {name}")
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                connection.execute("select hartonomous.tenant_export(1)")
    finally:
        server.execute("drop role {}", name)
