"""Which modality the client takes a file for, and what it says when the server thinks otherwise."""

from pathlib import Path

import pytest
from hartonomous import documents, modalities
from hartonomous.errors import ContentMalformed, MetadataInvalid
from hartonomous.progress import silent


@pytest.mark.parametrize(
    ("name", "data", "expected"),
    [
        ("a.PNG", b"\x89PNG", ("image", "binary")),
        ("a.png", b"404", ("image", "text")),
        ("a.py", b"pass", ("code", "text")),
        ("a.py", b"\xff", ("binary", "binary")),
        ("a.csv", b"1,2", ("sensor", "text")),
        ("a.yaml", b"a: 1", ("text", "text")),
        ("a.svg", b"<svg/>", ("binary", "text")),
        ("Makefile", b"all:", ("text", "text")),
        ("a.txt", b"caf\xe9", ("binary", "binary")),
        ("a.txt", b"a\0b", ("binary", "binary")),
        ("a.zip", b"PK\3\4\xff", ("binary", "binary")),
        ("a.py", b"", ("binary", "binary")),
    ],
)
def test_a_suffix_tells_or_else_the_bytes(name, data, expected):
    assert modalities.guess(Path(name), data) == expected


def test_a_beginning_may_end_inside_a_character():
    half = "ä".encode()[:1]
    assert modalities.guess(Path("a"), b"a" + half, whole=False) == ("text", "text")
    assert modalities.guess(Path("a"), b"a" + half) == ("binary", "binary")


class Server:
    """A client whose server refuses contents of some modalities."""

    def __init__(self, refusing, error=ContentMalformed):
        self.refusing, self.error, self.asked, self.logged = refusing, error, [], []

    def ingest(self, data, modality, source_uri, metadata):
        self.asked.append(modality)
        if modality in self.refusing:
            raise self.error(f"no {modality}")
        return 1

    def ingestion_log_error(self, uri, error, duration):
        self.logged.append((uri, error))


def ingested(tmp_path, server, modality, name="a.png", data=b"text"):
    path = tmp_path / name
    path.write_bytes(data)
    result = documents.Ingest()
    file = documents.File(path, "a", "binary")
    return documents._ingest_one(server, file, modality, None, result, silent), result


def test_what_cannot_be_decoded_is_stored_plainly(tmp_path):
    server = Server({"image"})
    assert ingested(tmp_path, server, "auto")[0] == [documents.Stored("a", 1, "text", "no image")]
    assert ingested(tmp_path, server, "auto", data=b"\xff")[0] == [documents.Stored("a", 1, "binary", "no image")]
    assert server.asked == ["image", "text", "image", "binary"]


def test_but_not_when_its_modality_was_said(tmp_path):
    server = Server({"image"})
    stored, result = ingested(tmp_path, server, "image")
    assert (stored, result.failed, server.asked) == ([], [("a", "no image")], ["image"])


def test_nor_when_something_else_is_wrong(tmp_path):
    server = Server({"image"}, MetadataInvalid)
    stored, result = ingested(tmp_path, server, "auto")
    assert (stored, result.failed, server.asked) == ([], [("a", "no image")], ["image"])


@pytest.mark.parametrize(
    ("there", "kept"),
    [("image", []), ("text", []), ("sensor", [("a", "sensor", 1)])],
)
def test_bytes_that_are_there_as_what_they_would_be_stored_as_are_not_told_of(tmp_path, there, kept):
    server = Server(set())
    stored, result = ingested(tmp_path, server, "auto")
    server.query = lambda text, arguments: [(1, there, False)]
    documents._look_back(server, stored, result)
    assert (result.kept, result.modalities) == (kept, {there: 1})
