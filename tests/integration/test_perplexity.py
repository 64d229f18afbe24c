"""Decoders compared by how well they predict texts."""

import hartonomous
import numpy as np
import pytest
import tiny_decoder
from hartonomous import errors, models

TEXTS = ["the data the data", "a", "\u00e9\u6c34 x", "data and more data " * 12]  # the last exceeds the positions


@pytest.fixture(scope="module", autouse=True)
def loaded(dsn, tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    with hartonomous.connect(dsn) as client:
        for seed in range(2):
            models.ingest(client, tiny_decoder.write(folder / str(seed), seed=seed), f"d{seed}")
        models.ingest(client, tiny_decoder.write(folder / "llama", "LlamaForCausalLM"), "llama")
        client.evaluation_put("texts", "text", TEXTS)


def losses(name, seed, ids):
    """Sum of -log p of the tokens after the first, by the whole prompt's logits, one token more each time."""
    from hartonomous_server.inference import decoder_packing
    from hartonomous_server.inference.decoder import Cache, Decoder
    from hartonomous_server.models.decoders import DecoderConfig

    config = DecoderConfig.parse(name, {"config": tiny_decoder.config(name)})
    weights = tiny_decoder.tensors(tiny_decoder.shapes(name), seed)
    network = Decoder(config, decoder_packing.pack(config, weights.__getitem__))
    found = 0.0
    for end in range(1, len(ids)):
        logits = network.read(Cache(config, end), ids[:end]).astype(float)
        found -= logits[ids[end]] - np.log(np.exp(logits).sum())
    return found


@pytest.mark.parametrize(("name", "model", "seed"), [("GPT2LMHeadModel", "d1", 1), ("LlamaForCausalLM", "llama", 0)])
def test_perplexity_is_that_of_the_weights(client, name, model, seed):
    total, tokens = 0.0, 0
    for text in TEXTS:
        ids = [0, *client.tokenize(text, model)]
        if text == TEXTS[-1]:
            ids = [0, *longer(text)]
            assert len(ids) > tiny_decoder.POSITIONS
        for start in range(0, len(ids) - 1, tiny_decoder.POSITIONS - 1):
            part = ids[start : start + tiny_decoder.POSITIONS]
            total, tokens = total + losses(name, seed, part), tokens + len(part) - 1
    found = client.model_validate("d0", model, "texts")
    assert found["kind"] == "text" and found["items"] == len(TEXTS)
    assert found["metrics"]["perplexity"]["b"] == pytest.approx(np.exp(total / tokens), rel=1e-4)
    size = sum(len(text.encode()) for text in TEXTS)
    assert found["metrics"]["bits_per_byte"]["b"] == pytest.approx(total / np.log(2) / size, rel=1e-4)
    low, high = found["metrics"]["perplexity"]["interval"]
    assert low <= found["metrics"]["perplexity"]["difference"] <= high
    assert client.model_validate("d0", model, "texts") == found


def longer(text):
    from hartonomous_server.models.tokenizer import Tokenizer

    files = {"config": tiny_decoder.config("GPT2LMHeadModel")}
    return Tokenizer.from_files({"tokenizer": tiny_decoder.tokenizer()}, files, "GPT2LMHeadModel").encode_all(text)


def test_a_model_equals_itself(client):
    for metric in client.model_validate("d0", "d0", "texts")["metrics"].values():
        assert metric["difference"] == 0 and metric["interval"] == [0, 0] and metric["better"] is None


def test_what_cannot_be_measured(client, connection):
    client.evaluation_put("empty", "text", ["a", ""])
    with pytest.raises(errors.InvalidParameter, match="text 2 has no token to predict"):
        client.model_validate("d0", "d1", "empty")
    client.evaluation_put("long", "text", ["a" * 1_000_001])
    with pytest.raises(errors.InvalidParameter, match="text 1 has 1000001 characters"):
        client.model_validate("d0", "d1", "long")
    client.query("set hartonomous.inference_memory = '100kB'")
    with pytest.raises(errors.MemoryExceeded, match="96 tokens take"):
        client.model_validate("d0", "d1", "texts")
    client.query("reset hartonomous.inference_memory")


def test_a_student_of_a_decoder_runs(client):
    made = client.model_student("d0", "small", 0.5)
    assert made.stored_bytes < client.model_storage("d0").stored_bytes and made.quality["texts"] == 0
    found = client.model_validate("d0", "small", "texts")["metrics"]["perplexity"]
    assert found["a"] != found["b"] and np.isfinite(found["b"])
    client.model_drop("small")
