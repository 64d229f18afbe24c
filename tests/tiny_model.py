"""A sentence encoder small enough for any test: BertModel, hidden 32, 2 layers, 2 heads, a vocabulary of characters."""

from __future__ import annotations

import hashlib
import json
import string
import struct
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from hartonomous import models

HIDDEN, LAYERS, HEADS, POSITIONS = 32, 2, 2, 64
SPECIAL = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]"]
CHARACTERS = string.ascii_lowercase
VOCABULARY = [*SPECIAL, *CHARACTERS, *(f"##{character}" for character in CHARACTERS), ".", "the", "data", "##base"]

Tensors = dict[str, np.ndarray]


def write(folder: Path, seed: int = 0, inner: int = 64) -> Path:
    """Writes the model as a folder. inner: width of the feed-forward layers, for weights of any number of bytes."""
    (folder / "1_Pooling").mkdir(parents=True)
    for name, content in files(inner).items():
        (folder / name).write_text(json.dumps(content, indent=2))
    save(folder / "model.safetensors", tensors(seed, inner), {"format": "pt"})
    return folder


def ingest(client: Any, folder: Path) -> None:
    """Two models, "tiny" and "other", of the tenant that the client acts for; the first is its default."""
    for seed, name in enumerate(("tiny", "other")):
        models.ingest(client, write(folder / name, seed=seed), name)
    client.model_deploy("tiny")


def files(inner: int = 64) -> dict[str, Any]:
    """What the model's JSON files hold, by name."""
    marks = {f"{token.strip('[]').lower()}_token": token for token in SPECIAL}
    return {
        "config.json": {
            "architectures": ["BertModel"], "model_type": "bert", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS,
            "num_attention_heads": HEADS, "intermediate_size": inner, "vocab_size": len(VOCABULARY),
            "max_position_embeddings": POSITIONS, "type_vocab_size": 2, "hidden_act": "gelu", "layer_norm_eps": 1e-12,
            "position_embedding_type": "absolute", "hidden_dropout_prob": 0.0, "attention_probs_dropout_prob": 0.0,
        },
        "sentence_bert_config.json": {"max_seq_length": POSITIONS, "do_lower_case": False},
        "1_Pooling/config.json": {"word_embedding_dimension": HIDDEN, "pooling_mode_mean_tokens": True},
        "modules.json": [
            {"idx": 0, "name": "0", "path": "", "type": "sentence_transformers.models.Transformer"},
            {"idx": 1, "name": "1", "path": "1_Pooling", "type": "sentence_transformers.models.Pooling"},
            {"idx": 2, "name": "2", "path": "2_Normalize", "type": "sentence_transformers.models.Normalize"},
        ],
        "special_tokens_map.json": marks,
        "tokenizer_config.json": {**marks, "do_lower_case": True, "tokenizer_class": "BertTokenizer"},
        "tokenizer.json": _tokenizer(),
    }  # fmt: skip


def _tokenizer() -> dict[str, Any]:
    return {
        "version": "1.0", "truncation": None, "padding": None,
        "added_tokens": [
            {"id": at, "content": token, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False,
             "special": True} for at, token in enumerate(SPECIAL)
        ],
        "normalizer": {"type": "BertNormalizer", "clean_text": True, "handle_chinese_chars": True,
                       "strip_accents": None, "lowercase": True},
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "BertProcessing", "sep": ["[SEP]", SPECIAL.index("[SEP]")],
                           "cls": ["[CLS]", SPECIAL.index("[CLS]")]},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {"type": "WordPiece", "unk_token": "[UNK]", "continuing_subword_prefix": "##",
                  "max_input_chars_per_word": 100, "vocab": {token: at for at, token in enumerate(VOCABULARY)}},
    }  # fmt: skip


def tensors(seed: int = 0, inner: int = 64) -> Tensors:
    """The weights, float32, the same for the same seed."""
    random = np.random.default_rng(seed)

    def normal(*shape: int, scale: float = 0.3) -> np.ndarray:
        return (random.standard_normal(shape, dtype=np.float32) * np.float32(scale)).astype("<f4")

    def linear(name: str, outputs: int, inputs: int) -> Tensors:
        return {f"{name}.weight": normal(outputs, inputs), f"{name}.bias": normal(outputs, scale=0.1)}

    def norm(name: str) -> Tensors:
        return {f"{name}.weight": 1 + normal(HIDDEN, scale=0.1), f"{name}.bias": normal(HIDDEN, scale=0.1)}

    found: Tensors = {
        "embeddings.word_embeddings.weight": normal(len(VOCABULARY), HIDDEN, scale=1),
        "embeddings.position_embeddings.weight": normal(POSITIONS, HIDDEN),
        "embeddings.token_type_embeddings.weight": normal(2, HIDDEN),
        **norm("embeddings.LayerNorm"),
    }
    for number in range(LAYERS):
        layer = f"encoder.layer.{number}"
        for part in ("self.query", "self.key", "self.value", "output.dense"):
            found |= linear(f"{layer}.attention.{part}", HIDDEN, HIDDEN)
        found |= norm(f"{layer}.attention.output.LayerNorm")
        found |= linear(f"{layer}.intermediate.dense", inner, HIDDEN)
        found |= linear(f"{layer}.output.dense", HIDDEN, inner)
        found |= norm(f"{layer}.output.LayerNorm")
    return found | linear("pooler.dense", HIDDEN, HIDDEN)


DTYPES = {"<f4": "F32", "<f2": "F16", "<f8": "F64", "<i8": "I64", "|u1": "U8"}


def save(path: Path, weights: Mapping[str, np.ndarray], metadata: dict[str, str] | None = None) -> None:
    """Writes a safetensors file, without the client's code."""
    header: dict[str, Any] = {"__metadata__": metadata} if metadata else {}
    at = 0
    for name, array in weights.items():
        place = [at, at + array.nbytes]
        header[name] = {"dtype": DTYPES[array.dtype.str], "shape": list(array.shape), "data_offsets": place}
        at += array.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in weights.values()))


def tensor_hashes(file: bytes) -> dict[str, tuple[str, tuple[int, ...], str]]:
    """dtype, shape and SHA-256 of each tensor of a safetensors file, without the client's code."""
    (length,) = struct.unpack("<Q", file[:8])
    header = json.loads(file[8 : 8 + length])
    header.pop("__metadata__", None)
    data = memoryview(file)[8 + length :]
    return {
        name: (entry["dtype"], tuple(entry["shape"]), hashlib.sha256(data[slice(*entry["data_offsets"])]).hexdigest())
        for name, entry in header.items()
    }


def charsmap(replaced: str = "\u00bd", by: str = "1/2") -> bytes:
    """A sentencepiece table that replaces one character: a trie of blocks of 256 units, then the texts."""
    key, units, at = replaced.encode(), [0] * 256 * (len(replaced.encode()) + 1), 0
    units[0] = 256 << 10  # each state a block of its own
    for depth, label in enumerate(key, 1):
        at = 256 * depth ^ label
        onward = at ^ (256 * (depth + 1) if depth < len(key) else 256 * depth)
        units[at] = label | onward << 10 | (256 if depth == len(key) else 0)
    units[256 * len(key)] = 1 << 31  # the value: where the text begins
    trie = struct.pack(f"<{len(units)}I", *units)
    return struct.pack("<I", len(trie)) + trie + by.encode() + b"\0"
