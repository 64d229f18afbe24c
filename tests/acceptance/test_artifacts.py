"""Artifacts through the command line: deleted, listed, restored, removed for good; what errors look like."""

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
    cli.run(dsn, "artifacts", "purge", page, code=130)  # nobody there to say yes
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
