"""The relatives of BERT against the reference: torch in float32 and float64, and its tokenizers."""

from __future__ import annotations

import json
import random
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import corpus
import numpy as np
import pytest
import tiny_model
import tokenizers
import torch
import transformers
from hartonomous_server.inference import packing
from hartonomous_server.inference.encoder import Encoder
from hartonomous_server.models import architecture
from hartonomous_server.models.encoders import EncoderConfig
from hartonomous_server.models.tokenizer import Tokenizer
from transformers import PreTrainedTokenizerFast

VOCABULARY = 700
SIZES = {
    "vocab_size": VOCABULARY, "hidden_size": 96, "num_hidden_layers": 3, "num_attention_heads": 6,
    "intermediate_size": 200, "max_position_embeddings": 514,
}  # fmt: skip
SHAPES: dict[str, Any] = {
    "BERT": transformers.BertConfig(**SIZES),
    "RoBERTa": transformers.RobertaConfig(**SIZES, type_vocab_size=1, layer_norm_eps=1e-5),
    "RoBERTa, padding elsewhere": transformers.RobertaConfig(
        **{**SIZES, "max_position_embeddings": 520}, type_vocab_size=1, pad_token_id=7
    ),
    "XLM-RoBERTa": transformers.XLMRobertaConfig(**SIZES, type_vocab_size=1, layer_norm_eps=1e-5),
    "MPNet": transformers.MPNetConfig(**SIZES, layer_norm_eps=1e-5),
    "DistilBERT": transformers.DistilBertConfig(
        vocab_size=VOCABULARY, dim=96, n_layers=3, n_heads=6, hidden_dim=200, max_position_embeddings=514
    ),
    "ELECTRA": transformers.ElectraConfig(**SIZES, embedding_size=96),
}
POOLINGS = {"E5": "mean_tokens", "BGE": "cls_token"}
LENGTHS = (1, 2, 17, 17, 63, 64, 65, 127, 128, 129, 130, 300, 512)
TEXTS = [
    "", " ", "Hello world", " two  spaces\tand\n\nlines ", "don't <mask> it's <pad></s> x",
    "na\u00efve caf\u00e9 \u6c34\u706b", "\U0001f600 3.14 1,000", "word " * 600, "\u00bd \ufb01 A\u0301",
]  # fmt: skip


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def reference(shape: Any) -> Any:
    """With weights large enough that every part of the network counts."""
    torch.manual_seed(3)
    network = transformers.AutoModel.from_config(shape).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(3) if weight.dim() > 1 else weight.add_(torch.randn_like(weight) * 0.2)
        for name, weight in network.named_parameters():
            if "relative_attention_bias" in name:
                weight.copy_(torch.randn_like(weight) * 2)
    return network


def files(shape: Any, pooling: str = "mean_tokens") -> dict[str, Any]:
    return {
        "config": json.loads(shape.to_json_string(use_diff=False)),
        "pooling": {f"pooling_mode_{pooling}": True},
        "modules": [{"type": "sentence_transformers.models.Normalize"}],
    }


def ours(network: Any, pooling: str = "mean_tokens") -> Encoder:
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    name, content = type(network).__name__, files(network.config, pooling)
    config = EncoderConfig.parse(name, content["config"])
    shapes = {name: ("F32", tensor.shape) for name, tensor in weights.items()}
    architecture.check_tensors(shapes, *architecture.expected_tensors(config))
    return Encoder(name, content, packing.pack(config, weights.__getitem__))


def reference_states(network: Any, texts: Sequence[Sequence[int]]) -> list[np.ndarray]:
    with torch.inference_mode():
        return [network(torch.tensor([text])).last_hidden_state[0].numpy() for text in texts]


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_hidden_states_and_vectors_are_those_of_the_reference(shape: Any) -> None:
    """Among the tokens of the texts are some that are the padding token: positions do not count them."""
    network = reference(shape)
    draw = np.random.default_rng(1)
    texts = [draw.integers(0, VOCABULARY, length).tolist() for length in LENGTHS]
    texts.append([0, shape.pad_token_id, 5, shape.pad_token_id, shape.pad_token_id, 9, 2])
    encoders = {mode: ours(network, mode) for mode in POOLINGS.values()}
    single = reference_states(network, texts)
    double = reference_states(network.double(), texts)

    def errors(found: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.abs(f - d).ravel() for f, d in zip(found, double, strict=True)])

    found, torchs = errors(encoders["mean_tokens"].hidden(texts)), errors(single)
    assert found.max() <= 5 * torchs.max()
    assert np.sqrt((found**2).mean()) <= 5 * np.sqrt((torchs**2).mean())
    pooled = {"mean_tokens": np.stack([s.mean(0) for s in single]), "cls_token": np.stack([s[0] for s in single])}
    for mode, encoder in encoders.items():
        expected = pooled[mode] / np.linalg.norm(pooled[mode], axis=1, keepdims=True)
        assert np.abs(encoder.encode(texts) - expected).max() < 2e-6
        assert np.array_equal(encoder.encode(texts), np.concatenate([encoder.encode([text]) for text in texts]))


def test_a_head_for_masked_tokens_is_left_out() -> None:
    """Of models whose configuration names what they were trained with, all tensors with or without a prefix."""
    torch.manual_seed(4)
    network = transformers.MPNetForMaskedLM(SHAPES["MPNet"]).eval()
    name, content = type(network).__name__, files(network.config)
    config = EncoderConfig.parse(name, content["config"])
    for stored in (network, network.mpnet):
        weights = {architecture.canonical(name, n): tensor.numpy() for n, tensor in stored.state_dict().items()}
        shapes = {name: ("F32", tensor.shape) for name, tensor in weights.items()}
        architecture.check_tensors(shapes, *architecture.expected_tensors(config))
        encoder = Encoder(name, content, packing.pack(config, weights.__getitem__))
        (states,) = reference_states(network.mpnet, [[0, 5, 6, 2]])
        assert np.abs(encoder.hidden([[0, 5, 6, 2]])[0] - states).max() < 1e-5


def sentences() -> list[str]:
    return [page[1500:4000] for page in corpus.pages(40).values()]


def byte_level(folder: Path) -> dict[str, Any]:
    """RoBERTa's, trained on the manual."""
    special = ["<s>", "<pad>", "</s>", "<unk>", "<mask>"]
    learnt = tokenizers.ByteLevelBPETokenizer()
    learnt.train_from_iterator(sentences(), vocab_size=VOCABULARY, special_tokens=special, show_progress=False)
    model = json.loads(learnt.to_str())["model"]
    whole = transformers.RobertaTokenizerFast(vocab=model["vocab"], merges=[tuple(pair) for pair in model["merges"]])
    return saved(whole, folder)


def unigram(folder: Path) -> dict[str, Any]:
    """XLM-RoBERTa's, trained on the manual; its table replaces characters as sentencepiece does."""
    special = ["<s>", "<pad>", "</s>", "<unk>"]
    learnt = tokenizers.Tokenizer(tokenizers.models.Unigram())
    learnt.pre_tokenizer = tokenizers.pre_tokenizers.Metaspace()
    trainer = tokenizers.trainers.UnigramTrainer(
        vocab_size=VOCABULARY - 1, special_tokens=special, unk_token="<unk>", show_progress=False
    )
    learnt.train_from_iterator(sentences(), trainer)
    pieces = [tuple(piece) for piece in json.loads(learnt.to_str())["model"]["vocab"]] + [("<mask>", 0.0)]
    whole = transformers.XLMRobertaTokenizerFast(vocab=pieces, _spm_precompiled_charsmap=tiny_model.charsmap())
    return saved(whole, folder)


def saved(tokenizer: Any, folder: Path) -> dict[str, Any]:
    tokenizer.save_pretrained(folder)
    names = ("tokenizer", "tokenizer_config", "special_tokens_map")
    return {n: json.loads((folder / f"{n}.json").read_text()) for n in names if (folder / f"{n}.json").exists()}


@pytest.mark.parametrize(("shape", "build"), [("RoBERTa", byte_level), ("XLM-RoBERTa", unigram)])
def test_token_ids_and_texts_are_those_of_the_reference(shape: str, build: Any, tmp_path: Path) -> None:
    content = build(tmp_path)
    model_files = files(SHAPES[shape])
    name = f"{type(SHAPES[shape]).__name__.removesuffix('Config')}Model"
    tokenizer = Tokenizer.from_files(content, model_files, name)
    prepared = Tokenizer.from_prepared(tokenizer.prepared(), model_files, name)
    expected = transformers.AutoTokenizer.from_pretrained(tmp_path)
    assert isinstance(expected, PreTrainedTokenizerFast)
    generator = random.Random(7)
    texts = [*TEXTS, *sentences()[:10]]
    texts += ["".join(chr(generator.randrange(0x20, 0xD7FF)) for _ in range(30)) for _ in range(50)]
    wanted = expected(texts, truncation=True, max_length=512)["input_ids"]
    assert max(map(len, wanted)) == 512 and {len(ids) for ids in wanted} & {2, 3}
    assert tokenizer.encode_batch(texts) == prepared.encode_batch(texts) == wanted
    for ids in wanted:
        assert tokenizer.decode(ids) == expected.decode(ids, skip_special_tokens=True)
