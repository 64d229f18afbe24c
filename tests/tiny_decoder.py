"""Decoders small enough for any test: GPT-2 and Llama of hidden 32 and 2 layers, byte-level BPE with few merges."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import tiny_model

HIDDEN, LAYERS, HEADS, POSITIONS, INNER = 32, 2, 4, 96, 48
END = "<|endoftext|>"
MERGES = [("t", "h"), ("th", "e"), ("Ġ", "the"), ("d", "a"), ("t", "a"), ("da", "ta"), ("Ġ", "data")]
CONFIGS: dict[str, dict[str, Any]] = {
    "GPT2LMHeadModel": {
        "model_type": "gpt2", "n_embd": HIDDEN, "n_layer": LAYERS, "n_head": HEADS, "n_positions": POSITIONS,
        "n_inner": INNER, "activation_function": "gelu_new", "layer_norm_epsilon": 1e-5, "tie_word_embeddings": True,
    },
    "LlamaForCausalLM": {
        "model_type": "llama", "hidden_size": HIDDEN, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS,
        "num_key_value_heads": 2, "intermediate_size": INNER, "max_position_embeddings": POSITIONS,
        "hidden_act": "silu", "rms_norm_eps": 1e-5, "tie_word_embeddings": False, "rope_theta": 10000.0,
    },
}  # fmt: skip


def byte_characters() -> dict[int, str]:
    """How byte-level tokenizers write bytes: printable ones as they are, the others from U+0100 on."""
    plain = [*range(0x21, 0x7F), *range(0xA1, 0xAD), *range(0xAE, 0x100)]
    others = [byte for byte in range(256) if byte not in plain]
    return {byte: chr(byte) for byte in plain} | {byte: chr(256 + at) for at, byte in enumerate(others)}


VOCABULARY = [END, *byte_characters().values(), *(a + b for a, b in MERGES)]


def tokenizer() -> dict[str, Any]:
    token = {"id": 0, "content": END, "single_word": False, "lstrip": False, "rstrip": False, "normalized": False}
    byte_level = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    return {
        "version": "1.0", "truncation": None, "padding": None, "added_tokens": [{**token, "special": True}],
        "normalizer": None, "pre_tokenizer": byte_level, "post_processor": None, "decoder": byte_level,
        "model": {"type": "BPE", "dropout": None, "unk_token": None, "continuing_subword_prefix": None,
                  "end_of_word_suffix": None, "fuse_unk": False, "byte_fallback": False, "ignore_merges": False,
                  "vocab": {token: at for at, token in enumerate(VOCABULARY)}, "merges": MERGES},
    }  # fmt: skip


def config(architecture: str, **changes: Any) -> dict[str, Any]:
    ends = {"bos_token_id": 0, "eos_token_id": 0}
    common = {"architectures": [architecture], "vocab_size": len(VOCABULARY)}
    return {**common, **CONFIGS[architecture], **ends, **changes}


def files(architecture: str = "GPT2LMHeadModel", **changes: Any) -> dict[str, Any]:
    """What the model's JSON files hold, by name."""
    return {
        "config.json": config(architecture, **changes),
        "tokenizer_config.json": {"bos_token": END, "eos_token": END},
        "tokenizer.json": tokenizer(),
    }


def tensors(shapes: dict[str, tuple[int, ...]], seed: int = 0) -> dict[str, np.ndarray]:
    """Weights, the same for the same seed: norms about 1, all others of a size that keeps the logits apart."""
    random = np.random.default_rng(seed)

    def tensor(name: str, shape: tuple[int, ...]) -> np.ndarray:
        values = random.standard_normal(shape)
        if name.endswith("weight") and len(shape) == 1:
            return (1 + 0.1 * values).astype("<f4")
        return (values * (0.1 if len(shape) == 1 else 0.3)).astype("<f4")

    return {name: tensor(name, shape) for name, shape in shapes.items()}


def write(folder: Path, architecture: str = "GPT2LMHeadModel", seed: int = 0, **changes: Any) -> Path:
    """Writes the model as a folder."""
    folder.mkdir(parents=True)
    for name, content in files(architecture, **changes).items():
        (folder / name).write_text(json.dumps(content, indent=2))
    tiny_model.save(folder / "model.safetensors", tensors(shapes(architecture, **changes), seed), {"format": "pt"})
    return folder


def shapes(architecture: str, **changes: Any) -> dict[str, tuple[int, ...]]:
    from hartonomous_server.models import decoders

    parsed = decoders.DecoderConfig.parse(architecture, {"config": config(architecture, **changes)})
    return decoders.expected_tensors(parsed)[0]
