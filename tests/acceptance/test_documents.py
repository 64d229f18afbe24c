"""Documents through the command line: ingested, again, changed, embedded, found, traced to bytes and weights."""

import hashlib
import json
import os
import re

import cli
import corpus
import pytest
import state
import tiny_model
from hartonomous_server.atoms import document

CHANGED = "sql-vacuum.html"
QUESTION = "reclaim storage occupied by dead tuples"


@pytest.fixture(scope="module")
def weights(dsn, tmp_path_factory):
    folder = tiny_model.write(tmp_path_factory.mktemp("models") / "tiny")
    cli.run(dsn, "models", "ingest", folder)
    return tiny_model.tensor_hashes((folder / "model.safetensors").read_bytes())


@pytest.fixture(scope="module")
def pages(dsn, weights, tmp_path_factory):
    """A folder of pages, ingested and embedded."""
    content = corpus.pages(30) | {CHANGED: (corpus.MANUAL / CHANGED).read_text()}
    folder = corpus.write(tmp_path_factory.mktemp("manual"), content)
    first = ingest(dsn, folder)
    passages = sum(len(document.split(text, "html").passages) for text in content.values())
    told = {"modalities": {}, "failed": [], "undecoded": [], "kept": [], "unsearched": []}
    assert first == {"new": 31, "changed": 0, "unchanged": 0, "passages": first["passages"], **told}
    assert 0.9 * passages <= first["passages"] <= passages  # a text that stands on a page twice is one occurrence
    assert embed(dsn) > 0
    return folder


def ingest(dsn, folder):
    (result,) = cli.lines(dsn, "ingest", folder, "--uri-prefix", "manual/")
    return result


def embed(dsn):
    (result,) = cli.lines(dsn, "embed", "--workers", "2", "--batch", "16")
    return result["texts"]


def passages_of(connection, page):
    """Artifact ids of a page's live passages by text."""
    return dict(
        connection.execute(
            "select a.canonical_text, a.artifact_id from hartonomous.artifact_source as s"
            " join hartonomous.artifact as a using (artifact_id)"
            " where s.document_uri = %s and a.canonical_text is not null and a.deleted_at is null",
            [f"manual/{page}"],
        )
    )


def test_everything_is_embedded_once(dsn, connection, pages):
    assert cli.run(dsn, "embed").stdout == "nothing to embed\n"
    texts, embedded, requests = connection.execute(
        "select (select count(*) from hartonomous.artifact_text), (select count(*) from hartonomous.atom_embedding),"
        " (select sum(items) from hartonomous.inference_request)"
    ).fetchone()
    assert texts == embedded == requests


def test_a_second_run_changes_nothing(dsn, connection, pages):
    before = state.contents(connection)
    again = ingest(dsn, pages)
    assert (again["new"], again["changed"], again["unchanged"]) == (0, 0, 31)
    assert "31 unchanged" in cli.run(dsn, "ingest", pages, "--uri-prefix", "manual/").stdout
    assert state.contents(connection) == before  # no log row, no new time stamp either


def test_a_changed_page_replaces_only_what_changed(dsn, connection, pages):
    old = (pages / CHANGED).read_text()
    new = edited(old)
    before, unchanged_pages = passages_of(connection, CHANGED), passages_of(connection, "sql-end.html")
    logged = connection.execute("select max(started_at) from hartonomous.ingestion_log").fetchone()
    (pages / CHANGED).write_text(new)
    result = ingest(dsn, pages)
    assert (result["new"], result["changed"], result["unchanged"]) == (0, 1, 30)
    after = passages_of(connection, CHANGED)
    kept = before.keys() & after.keys()
    assert after.keys() == {passage.text for passage in document.split(new, "html").passages}
    assert len(kept) > len(before) / 2 and before.keys() - kept and after.keys() - kept
    assert {text: before[text] for text in kept} == {text: after[text] for text in kept}
    assert passages_of(connection, "sql-end.html") == unchanged_pages

    gone = [before[text] for text in before.keys() - kept]
    assert connection.execute(
        "select bool_and(deleted_at is not null) from hartonomous.artifact where artifact_id = any(%s)", [gone]
    ).fetchone() == (True,)
    (log,) = connection.execute(
        "select source_uri, artifacts_created, retired from hartonomous.ingestion_log where started_at > %s",
        logged,
    ).fetchall()
    # the page itself is one artifact more on both sides
    assert log == (f"manual/{CHANGED}", len(after) - len(kept) + 1, len(gone) + 1)

    fresh = {after[text] for text in after.keys() - kept}
    (pending,) = connection.execute("select hartonomous.embedding_pending(batch => null)").fetchone()
    assert set(pending) == fresh
    assert embed(dsn) == len(fresh)

    (pages / CHANGED).write_text(old)
    assert ingest(dsn, pages)["changed"] == 1
    back = passages_of(connection, CHANGED)
    assert back.keys() == before.keys() and {text: back[text] for text in kept} == {text: before[text] for text in kept}
    assert embed(dsn) == len(back) - len(kept)


def test_metadata_that_are_not_given_stay(dsn, connection, tmp_path):
    (tmp_path / "guide.md").write_text("# Guide\n\nTo be read.\n")
    (tmp_path / "data.bin").write_bytes(b"\x00\x01")

    def counted(*options):
        (row,) = cli.lines(dsn, "ingest", tmp_path, "--uri-prefix", "noted/", *options)
        return row["new"], row["changed"], row["unchanged"]

    def authors():
        found = connection.execute(
            "select s.metadata ->> 'author' from hartonomous.artifact_source as s where s.source_uri like 'noted/%%'"
        ).fetchall()
        assert len(found) == 3  # with the passage
        return {author for (author,) in found}

    assert counted("--metadata", '{"author": "Ann"}') == (2, 0, 0) and authors() == {"Ann"}
    assert counted() == (0, 0, 2) and authors() == {"Ann"}
    assert counted("--metadata", '{"author": "Ann"}') == (0, 0, 2)
    assert counted("--metadata", '{"author": "Bob"}') == (0, 2, 0) and authors() == {"Bob"}
    assert counted("--metadata", "{}") == (0, 2, 0) and authors() == {None}


def edited(page):
    """The page with one paragraph changed, one deleted and one added."""
    paragraphs = list(re.finditer(r"<p>.{200,}?</p>", page, re.DOTALL))
    changed, deleted = paragraphs[1], paragraphs[-1]
    new = page.replace(deleted[0], "")
    return new.replace(
        changed[0], changed[0].replace("<p>", "<p>From now on. ") + "<p>A paragraph that is new here.</p>"
    )


def test_search_prints_json(dsn, connection, pages):
    found = cli.lines(dsn, "search", QUESTION, "-k", "5")
    assert [row["rank"] for row in found] == [1, 2, 3, 4, 5]
    assert [row["score"] for row in found] == sorted((row["score"] for row in found), reverse=True)
    for row in found:
        assert set(row) == {"rank", "artifact_id", "score", "source_uri", "title", "heading_path", "snippet", "verdict"}
        assert (
            row["verdict"] == "exact"
            and row["source_uri"].startswith("manual/")
            and row["heading_path"][0] == row["title"]
        )
    by_sql = connection.execute(
        "select artifact_id, score::float8, source_uri, snippet from hartonomous.search(%s, 5)", [QUESTION]
    ).fetchall()
    assert [(row["artifact_id"], row["score"], row["source_uri"], row["snippet"]) for row in found] == by_sql


def test_search_filters(dsn, pages):
    only = f"manual/{CHANGED}"
    found = cli.lines(dsn, "search", "x", "-k", "1000", "--filter", f'{{"source_uri_prefix": "{only}"}}')
    assert found and {row["source_uri"].partition("#")[0] for row in found} == {only}
    assert {row["verdict"] for row in found} == {"short"}
    printed = cli.run(dsn, "search", "x", "-k", "1").stdout
    assert re.match(r" 1  0\.\d{3}  manual/\S+  \(artifact \d+\)\n", printed)


@pytest.mark.parametrize(
    ("mode", "function"),
    [
        ("keyword", "search_keyword(%s, 5)"),
        ("hybrid", "search_hybrid(%s, k => 5)"),
        ("vector", "search_vector(hartonomous.embed(%s), 5)"),
    ],
)
def test_search_modes(dsn, connection, pages, mode, function):
    found = cli.lines(dsn, "search", QUESTION, "-k", "5", "--mode", mode)
    by_sql = connection.execute(f"select artifact_id, snippet from hartonomous.{function}", [QUESTION]).fetchall()
    assert [(row["artifact_id"], row["snippet"]) for row in found] == by_sql and len(found) == 5


def test_lineage_goes_down_to_bytes_and_weights(dsn, pages, weights):
    (answer,) = cli.lines(dsn, "search", "how does vacuum reclaim storage", "-k", "1")
    nodes = cli.lines(dsn, "lineage", answer["artifact_id"])
    assert nodes[0]["node_id"] == answer["artifact_id"] and nodes[0]["depth"] == 0
    page = pages / answer["source_uri"].removeprefix("manual/").partition("#")[0]
    component_of = [node for node in nodes if node["relation"] == "ComponentOf"]
    assert hashlib.sha256(page.read_bytes()).hexdigest() in {node["detail"]["sha256"] for node in component_of}
    (request,) = (node for node in nodes if node["relation"] == "EmbeddedBy")
    (model,) = (node for node in nodes if node["relation"] == "UsedModel")
    assert model["via"] == request["node_id"] and model["detail"]["name"] == "tiny"
    tensors = {node["detail"]["name"]: node["detail"]["sha256"] for node in nodes if node["relation"] == "HasTensor"}
    assert tensors == {name: digest for name, (_, _, digest) in weights.items()}

    tree = cli.run(dsn, "lineage", answer["artifact_id"]).stdout
    assert "ComponentOf" in tree and "HasTensor" in tree and "sha256 " in tree


def test_files_that_cannot_be_stored_do_not_stop_the_others(dsn, connection, tmp_path):
    (tmp_path / "a.txt").write_bytes(b"caf\xe9")
    (tmp_path / "b.txt").write_bytes(b"nul \0 inside")
    (tmp_path / "c.txt").write_text("a text that can be stored")
    (tmp_path / "d.bin").write_bytes(bytes(range(256)))
    arguments = ["ingest", tmp_path, "--uri-prefix", "mixed/"]
    result = cli.run(dsn, *arguments, "--format", "text", code=1)
    assert result.stdout.startswith("4 files: 1 new, 0 changed, 0 unchanged, 3 failed; 0 passages;")
    assert "mixed/a.txt: byte 3 is not UTF-8" in result.stderr and "iconv" in result.stderr
    assert "mixed/b.txt: text contains a NUL character at 4" in result.stderr
    stored = connection.execute(
        "select source_uri from hartonomous.artifact_source where source_uri like 'mixed/%' order by 1"
    )
    assert {uri for (uri,) in stored} == {"mixed/c.txt"}
    result = cli.run(dsn, *arguments)
    assert result.stdout.startswith("4 files: 3 new, 0 changed, 1 unchanged, 0 failed; 0 passages; 3 binary;")
    content = connection.execute(
        "select hartonomous.content(artifact_id) from hartonomous.artifact_source where source_uri = 'mixed/d.bin'"
    ).fetchone()
    assert content == (bytes(range(256)),)


def test_a_name_that_is_no_text_does_not_stop_the_others(dsn, connection, tmp_path):
    (tmp_path / "other.py").write_text("other = 1")
    bad = tmp_path / os.fsdecode(b"bad\xff.py")
    bad.write_text("bad = 1")
    arguments = ["ingest", tmp_path, "--uri-prefix", "named/"]
    result = cli.run(dsn, *arguments, code=1)
    assert result.stdout.startswith("2 files: 1 new, 0 changed, 0 unchanged, 1 failed; 0 passages; 1 code;")
    assert "error: named/bad\\udcff.py: source uri is not UTF-8\nHINT: rename the file" in result.stderr
    listed = json.loads(cli.run(dsn, *arguments, "--json", code=1).stdout)
    assert listed["unchanged"] == 1 and [uri for uri, _ in listed["failed"]] == ["named/bad\\udcff.py"]
    logged = "select count(*) from hartonomous.ingestion_log where source_uri = $$named/bad\\udcff.py$$ and error <> ''"
    assert connection.execute(logged).fetchone() == (2,)
    bad.rename(tmp_path / "good.py")
    assert cli.run(dsn, *arguments).stdout.startswith("2 files: 1 new, 0 changed, 1 unchanged, 0 failed;")


def test_files_whose_metadata_fail_the_schema_are_refused_and_logged(dsn, connection, tmp_path):
    (tmp_path / "a.txt").write_text("a text with an author")
    put, drop = "select hartonomous.metadata_schema_put('text', %s)", "select hartonomous.metadata_schema_drop('text')"
    connection.execute(put, ['{"required": ["author"]}'])
    refused = cli.run(dsn, "ingest", tmp_path, "--uri-prefix", "schema/", code=1)
    assert 'schema/a.txt: metadata is {}, expected {"required": ["author"]}' in refused.stderr
    stored = "select metadata ->> 'author' from hartonomous.artifact_source where source_uri = 'schema/a.txt'"
    assert connection.execute(stored).fetchall() == []
    cli.run(dsn, "ingest", tmp_path, "--uri-prefix", "schema/", "--metadata", '{"author": "Ann"}')
    connection.execute(drop)
    assert connection.execute(stored).fetchall() == [("Ann",)]
    logged = connection.execute(
        "select error, artifacts_created, duration > '0' from hartonomous.ingestion_log"
        " where source_uri = 'schema/a.txt' order by started_at"
    ).fetchall()
    assert [(error is None, created, timed) for error, created, timed in logged] == [(False, 0, True), (True, 1, True)]


PIXEL = bytes.fromhex(
    "89504e470d0a1a0a0000000d49484452000000010000000108000000003a7e9b550000000a49444154789c636000000002000148afa4710000"
    "000049454e44ae426082"
)


def test_each_file_is_of_the_modality_that_its_name_says(dsn, connection, tmp_path):
    contents = {
        "pixel.png": PIXEL, "broken.png": b"\x89PNG\r\n\x1a\n and no more", "missing.png": b"404 not found",
        "tool.py": b"def tool():\n    pass\n", "heat.csv": b"0,1\n1,2\n", "names.csv": b"name\nAda\n",
        "settings.yaml": b"depth: 3\n", "noise": bytes(range(256)), "empty.py": b"", "long.log": b"again\n" * 20000,
    }  # fmt: skip
    for name, content in contents.items():
        (tmp_path / name).write_bytes(content)
    arguments = ["ingest", tmp_path, "--uri-prefix", "auto/"]
    (first,) = cli.lines(dsn, *arguments)
    assert (first["new"], first["failed"], first["kept"]) == (10, [], [])
    assert first["modalities"] == {"image": 1, "code": 1, "sensor": 1, "text": 4, "binary": 3}
    assert [(uri, told.partition(":")[0]) for uri, told in first["undecoded"]] == [
        ("auto/broken.png", "stored as binary"),
        ("auto/missing.png", "stored as text"),
        ("auto/names.csv", "stored as text"),
    ]
    assert first["unsearched"] == ["auto/long.log"]
    searched = connection.execute(
        "select s.source_uri from hartonomous.artifact_source as s"
        " join hartonomous.artifact_text as t using (artifact_id) where s.source_uri like 'auto/%'"
    ).fetchall()
    legible = "missing.png", "tool.py", "names.csv", "settings.yaml"
    assert {uri for (uri,) in searched} == {f"auto/{name}" for name in legible}

    again = cli.run(dsn, *arguments)
    assert "10 files: 0 new, 0 changed, 10 unchanged, 0 failed; 0 passages; 3 binary, 1 code, 1 image" in again.stdout
    assert "stored before" not in again.stderr, "what cannot be decoded would be stored so again"
    said = ["ingest", tmp_path / "noise", "--uri-prefix", "said/", "--modality", "image"]
    refused = cli.run(dsn, *said)
    (artifact,) = re.findall(r"said/noise: binary, artifact (\d+)", refused.stderr)  # these bytes are there
    assert "after hartonomous artifacts delete ID they are new" in refused.stderr
    cli.run(dsn, "artifacts", "delete", artifact)
    assert "error: said/noise: found content that begins with" in cli.run(dsn, *said, code=1).stderr
    (tmp_path / "noise").write_bytes(bytes(range(255)))
    refused = cli.run(dsn, *said, code=1)
    assert "1 failed" in refused.stdout and "error: said/noise: found content that begins with" in refused.stderr


def test_a_large_file_that_cannot_be_decoded_goes_in_parts_too(dsn, connection, tmp_path):
    path = tmp_path / "large.png"
    path.write_bytes(b"\x89PNG" + bytes(17 << 20))
    (result,) = cli.lines(dsn, "ingest", path, "--uri-prefix", "parts/")
    assert result["modalities"] == {"binary": 1} and result["undecoded"][0][0] == "parts/large.png"
    left = connection.execute(
        "select count(*) from hartonomous.upload where source_uri = 'parts/large.png' and artifact_id is null"
    )
    assert left.fetchone() == (0,)


def test_a_large_file_goes_in_parts(dsn, connection, tmp_path):
    path = tmp_path / "large.bin"
    path.write_bytes(bytes(17 << 20) + b"end")
    for outcome in ("new", "unchanged"):
        (result,) = cli.lines(dsn, "ingest", path, "--uri-prefix", "large/")
        assert result[outcome] == 1, result
    artifact = connection.execute("select artifact_id from hartonomous.upload where source_uri = 'large/large.bin'")
    assert connection.execute("select hartonomous.content(%s)", artifact.fetchone()).fetchone() == (path.read_bytes(),)


def test_extract_reads_each_text_once(dsn, connection, pages):
    (pending,) = connection.execute("select cardinality(hartonomous.semantics_pending(null))").fetchone()
    assert pending > 100
    assert re.fullmatch(rf"{pending:,} texts read in \d+\.\d s\n", cli.run(dsn, "extract").stdout)
    assert cli.run(dsn, "extract").stdout == "nothing to extract\n"
    (row,) = cli.lines(dsn, "extract")
    assert row["texts"] == 0
    languages = connection.execute(
        "select semantics ->> 'language' = 'en', count(*) from hartonomous.artifact"
        " where canonical_text is not null and deleted_at is null group by 1"
    )
    assert dict(languages.fetchall())[True] > 0.8 * pending
