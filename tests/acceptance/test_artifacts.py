"""Artifacts through the command line: deleted, listed, restored, removed for good; what errors look like."""

import os
import subprocess

import cli
import pytest


@pytest.fixture
def page(dsn, connection, tmp_path):
    (tmp_path / "a.md").write_text("# One\n\nThe first passage.\n\n# Two\n\nThe second passage.\n")
    cli.run(dsn, "ingest", tmp_path, "--uri-prefix", "bin/")
    found = "select artifact_id from hartonomous.artifact_source where source_uri = 'bin/a.md' and position is null"
    return connection.execute(found).fetchone()[0]


def deleted(dsn):
    return [row["artifact_id"] for row in cli.lines(dsn, "artifacts", "deleted", "--uri-prefix", "bin/")]


def test_deleted_listed_restored_and_removed(dsn, connection, page):
    live = "select count(*) from hartonomous.artifact as a join hartonomous.artifact_source using (artifact_id)"
    live += " where document_uri = 'bin/a.md' and a.deleted_at is null"
    assert deleted(dsn) == []
    assert cli.run(dsn, "artifacts", "deleted").stdout == "nothing deleted\n"
    assert "1 deleted" in cli.run(dsn, "artifacts", "delete", page).stdout
    assert deleted(dsn) == [page]  # without its passages
    printed = cli.run(dsn, "artifacts", "deleted").stdout
    assert f"{page}" in printed and "bin/a.md" in printed
    assert "1 restored" in cli.run(dsn, "artifacts", "restore", page).stdout
    assert deleted(dsn) == [] and connection.execute(live).fetchone() == (3,)

    assert "is not deleted" in cli.run(dsn, "artifacts", "purge", page, "--yes", code=1).stderr
    cli.run(dsn, "artifacts", "delete", page)
    unasked = cli.run(dsn, "artifacts", "purge", page, code=1).stderr  # nobody there to say yes
    assert "--yes" in unasked and "interrupted" not in unasked
    assert deleted(dsn) == [page]
    assert "1 removed for good" in cli.run(dsn, "artifacts", "purge", page, "--yes").stdout
    assert deleted(dsn) == [] and connection.execute(live).fetchone() == (0,)


def test_all_or_none(dsn, connection):
    (kept,) = connection.execute("select hartonomous.ingest_text('kept', 'bin/kept')").fetchone()
    assert "no artifact 1" in cli.run(dsn, "artifacts", "delete", kept, "1", code=1).stderr
    assert deleted(dsn) == []


def test_errors_are_message_detail_and_hint(dsn, connection, tmp_path):
    """Neither the class nor the traceback of the server's Python, unless they are asked for."""
    (tmp_path / "a.png").write_bytes(b"no picture")
    refused = cli.run(dsn, "ingest", tmp_path, "--modality", "image", code=1).stderr
    assert "a.png: found content that begins with 6e 6f 20" in refused and "HINT: " in refused
    assert "ContentMalformed" not in refused and "Traceback" not in refused
    refused = cli.run(dsn, "models", "export", "nosuch", tmp_path / "x", code=1).stderr
    assert refused.startswith("error: no model") and "Traceback" not in refused
    assert "Traceback" in cli.run(dsn, "--debug", "models", "export", "nosuch", tmp_path / "x", code=1).stderr


def got(dsn, name):
    """What get writes to standard output, as bytes."""
    environment = {**cli.ENVIRONMENT, "HARTONOMOUS_DSN": dsn}
    return subprocess.run([*cli.COMMAND, "get", str(name)], env=environment, capture_output=True, timeout=300)


def test_stored_files_are_listed_and_read_back(dsn, connection, tmp_path):
    large = os.urandom(9 << 20)
    for name, content in {"large.bin": large, "none.bin": b"", "d.md": b"# One\n\nText.\n"}.items():
        (tmp_path / name).write_bytes(content)
    cli.run(dsn, "ingest", tmp_path, "--uri-prefix", "back/")
    listed = cli.lines(dsn, "artifacts", "list", "--uri-prefix", "back/")
    assert {(row["source_uri"], row["modality"], row["content_length"]) for row in listed} == {
        ("back/large.bin", "binary", len(large)), ("back/none.bin", "binary", 0), ("back/d.md", "text", 13)
    }  # fmt: skip
    assert [row["stored_at"] for row in listed] == sorted((row["stored_at"] for row in listed), reverse=True)
    assert len(cli.lines(dsn, "artifacts", "list", "-k", "2")) == 2
    assert cli.run(dsn, "artifacts", "list", "--uri-prefix", "bac_").stdout.startswith("nothing stored")
    for row in listed:
        content = (tmp_path / row["source_uri"].removeprefix("back/")).read_bytes()
        assert got(dsn, row["source_uri"]).stdout == content == got(dsn, row["artifact_id"]).stdout

    file = tmp_path / "copy"
    assert f"{len(large):,} bytes" in cli.run(dsn, "get", "back/large.bin", "-o", file).stdout
    assert file.read_bytes() == large
    assert "no artifact back/nosuch" in cli.run(dsn, "get", "back/nosuch", "-o", file, code=1).stderr
    assert "does not exist" in cli.run(dsn, "get", "back/d.md", "-o", tmp_path / "nowhere" / "x", code=1).stderr
    cli.run(dsn, "artifacts", "delete", *(row["artifact_id"] for row in listed if row["content_length"] == len(large)))
    assert got(dsn, "back/large.bin").returncode == 1
    assert len(cli.lines(dsn, "artifacts", "list", "--uri-prefix", "back/")) == 2


def test_documents_that_are_no_text_are_kept(dsn, connection, tmp_path):
    (tmp_path / "latin.txt").write_bytes(b"caf\xe9")
    (tmp_path / "nul\n.md").write_bytes(b"a\0b")
    (tmp_path / "zero").symlink_to("/dev/zero")  # left out, or it would have no end
    arguments = ("ingest", tmp_path, "--uri-prefix", "odd/")
    told = cli.run(dsn, *arguments)
    assert "2 new" in told.stdout and "0 failed; 0 passages; 2 binary" in told.stdout
    assert "odd/latin.txt: stored as binary: byte 3 is not UTF-8" in told.stderr
    assert "odd/nul\ufffd.md: stored as binary" in told.stderr
    assert got(dsn, "odd/latin.txt").stdout == b"caf\xe9"
    refused = cli.run(dsn, *arguments, "--format", "text", code=1).stderr
    assert "error: odd/latin.txt: byte 3" in refused and "error: odd/nul\ufffd.md: text contains" in refused


def test_a_uri_of_several_artifacts_is_refused(dsn, connection, tmp_path):
    ids = [connection.execute("select hartonomous.ingest(%b, source_uri => 'twice')", [c]).fetchone()[0] for c in
           (b"one", b"two")]  # fmt: skip
    refused = cli.run(dsn, "get", "twice", "-o", tmp_path / "x", code=1).stderr
    assert "2 live artifacts" in refused and all(str(id) in refused for id in ids)
    assert not (tmp_path / "x").exists()


def test_damaged_bytes_take_no_name(dsn, connection, tmp_path):
    (id,) = connection.execute("select hartonomous.ingest('damaged', source_uri => 'bad')").fetchone()
    connection.execute("update hartonomous.artifact set content_hash = sha256('x') where artifact_id = %s", [id])
    refused = cli.run(dsn, "get", "bad", "-o", tmp_path / "x", code=1).stderr
    assert "SHA-256" in refused and not list(tmp_path.iterdir())
    assert got(dsn, "bad").returncode == 1
