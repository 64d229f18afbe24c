"""Encoders that differ from BERT, in the database: names of tensors, places of tokens, prompts."""

import json

import hartonomous
import numpy as np
import pytest
import tiny_model
from hartonomous import errors, models
from hartonomous_server.inference import packing
from hartonomous_server.inference.encoder import Encoder
from hartonomous_server.models import architecture
from hartonomous_server.models.encoders import EncoderConfig
from hartonomous_server.models.tokenizer import Tokenizer

TEXTS = ["the data base", "a cat sat on the mat", "the end", "of all data", "nothing is here", "the mat of the cat"]
PROMPTS = {
    "plain": None,
    "both": {"prompts": {"query": "data data ", "passage": "the "}, "default_prompt_name": None},
    "default": {"prompts": {"document": "the ", "text": "data data "}, "default_prompt_name": "text"},
    "none": {"prompts": {"document": "the "}},
}


def mpnet():
    """Files and weights of a tiny MPNet, whose tokenizer is BERT's."""
    files = tiny_model.files()
    config = files["config.json"] | {"architectures": ["MPNetModel"], "max_position_embeddings": 66}
    files["config.json"] = {key: value for key, value in config.items() if key != "type_vocab_size"}
    shapes, _ = architecture.expected_tensors(EncoderConfig.parse("MPNetModel", files["config.json"]))
    random = np.random.default_rng(6)
    return files, {name: (random.standard_normal(shape) * 0.3).astype("<f4") for name, shape in shapes.items()}


def write(folder, prompts):
    """With prompts it is as its training left it: named with its head, and so are its tensors."""
    files, weights = mpnet()
    if prompts is not None:
        files["config.json"]["architectures"] = ["MPNetForMaskedLM"]
        files["config_sentence_transformers.json"] = prompts
        weights = {f"mpnet.{name}": array for name, array in weights.items()}
        weights["lm_head.bias"] = np.zeros(len(tiny_model.VOCABULARY), "<f4")
    (folder / "1_Pooling").mkdir(parents=True)
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))
    tiny_model.save(folder / "model.safetensors", weights)
    return folder


@pytest.fixture(scope="module")
def filled(dsn, tmp_path_factory):
    """The same weights under four names; artifacts, embedded by all of them."""
    folder = tmp_path_factory.mktemp("models")
    with hartonomous.connect(dsn) as client:
        ids = [client.ingest_text(text) for text in TEXTS]
        for name, prompts in PROMPTS.items():
            models.ingest(client, write(folder / name, prompts), name)
            client.embed_artifacts(ids, name)
    return ids


def test_embeddings_are_those_of_the_engine(client, filled):
    files, weights = mpnet()
    names = {"config": "config", "pooling": "1_Pooling/config", "modules": "modules"}
    content = {key: files[f"{name}.json"] for key, name in names.items()}
    config = EncoderConfig.parse("MPNetModel", files["config.json"])
    encoder = Encoder("MPNetModel", content, packing.pack(config, weights.__getitem__))
    tokenizer = Tokenizer.from_files({"tokenizer": files["tokenizer.json"]}, content, "MPNetModel")
    expected = encoder.encode(tokenizer.encode_batch(TEXTS))
    assert np.array_equal(np.stack(client.embed_many(TEXTS, "plain")), expected)
    assert np.array_equal(np.stack(client.embed_many(TEXTS, "both")), expected)  # no default prompt
    assert len(client.tokenize("the " * 100, "plain")) == 64  # 66 places, of which padding leaves 2 unused


def stored(client, name):
    sql = ("select e.embedding::real[] from hartonomous.atom_embedding as e"
           " join hartonomous.model as m using (model_id) where m.name = %s order by e.artifact_id")  # fmt: skip
    return np.array([row[0] for row in client.query(sql, [name]).fetchall()], np.float32)


def test_prompts_are_those_of_the_role(client, filled):
    told = np.stack(client.embed_many([f"the {text}" for text in TEXTS], "plain"))
    order = np.argsort(filled)
    for name in ("both", "default", "none"):
        assert np.array_equal(stored(client, name), told[order])
    assert np.array_equal(stored(client, "plain"), np.stack(client.embed_many(TEXTS, "plain"))[order])
    assert np.array_equal(client.embed("cat", "default"), client.embed("data data cat", "plain"))
    found = {name: [(r.artifact_id, r.score) for r in client.search("cat", 6, model=name)] for name in PROMPTS}
    assert found["both"] == found["default"] != found["none"]


def test_a_head_reads_texts_as_they_were_trained_on(client, filled):
    labels = ["x", "y"] * 3
    found = []
    for name in ("both", "default", "none"):
        client.model_train_head(f"head-{name}", filled, labels, model=name)
        found.append([row.probability for row in client.predict("the end", f"head-{name}")])
    assert found[0] == found[1] == found[2]


def test_a_student_keeps_the_names(client, filled):
    client.model_student("both", "small", 0.5)
    names = {row.name for row in client.tensor_list("small")}
    assert names == {row.name for row in client.tensor_list("both")} > {"mpnet.embeddings.LayerNorm.bias"}
    whole, small = (np.stack(client.embed_many(TEXTS, name)) for name in ("both", "small"))
    assert np.isfinite(small).all() and (whole * small).sum(axis=1).mean() > 0.5


@pytest.mark.parametrize(
    ("change", "error", "text"),
    [
        ({"max_position_embeddings": 2}, errors.ModelCorrupt, "max_position_embeddings is 2, expected more than the 2"),
        ({"relative_attention_num_buckets": 64}, errors.ArchitectureUnsupported, "64 is not supported, expected 32"),
        ({"architectures": ["RobertaModel"]}, errors.ModelCorrupt, "configuration has no type_vocab_size"),
        ({"architectures": ["AlbertModel"]}, errors.ArchitectureUnsupported, "expected one of BertModel, RobertaModel"),
        ({"architectures": ["DistilBertModel"]}, errors.ModelCorrupt, "configuration has no dim"),
        ({"num_attention_heads": 4}, errors.TensorMismatch, "attention_bias.weight has shape [32, 2], expected"),
        ({"vocab_size": 40}, errors.TensorMismatch, "word_embeddings.weight has shape [61, 32], expected [40"),
    ],
)
def test_what_does_not_fit_is_refused(client, tmp_path, change, error, text):
    folder = write(tmp_path / "bad", None)
    config = json.loads((folder / "config.json").read_text())
    (folder / "config.json").write_text(json.dumps(config | change))
    with pytest.raises(error) as raised:
        models.ingest(client, folder)
    assert text in raised.value.message, raised.value.message
    assert not any(model.name == "bad" for model in client.model_list())
