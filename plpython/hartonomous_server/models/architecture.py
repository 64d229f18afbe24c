"""What an architecture requires of a model's configuration and tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from hartonomous_server import errors
from hartonomous_server.models import decoders, encoders
from hartonomous_server.models.decoders import DecoderConfig
from hartonomous_server.models.encoders import EncoderConfig

Shape = tuple[int, ...]

FLOAT_DTYPES = ("F32", "F16", "BF16", "F64")
POOLINGS = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
# What a text is embedded as -> names under which models state what to write before it; none: as itself.
ROLES: dict[str, tuple[str, ...]] = {"": (), "query": ("query",), "document": ("document", "passage", "corpus")}
SUPPORTED = (*encoders.SUPPORTED, *decoders.SUPPORTED)


def facts(architecture: str, files: Mapping[str, Any]) -> dict[str, Any]:
    """kind, dimensions and max_tokens that a model's configuration states; refuses what no engine here can run."""
    supported(architecture)
    if not isinstance(files, Mapping) or not isinstance(files.get("config"), Mapping):
        raise errors.ModelCorrupt(
            'configuration has no key "config"', hint='pass {"config": <config.json>, "pooling": ..., "modules": [...]}'
        )
    kinds = {
        "sentence_bert_config": Mapping, "config_sentence_transformers": Mapping, "generation_config": Mapping,
        "pooling": Mapping, "modules": list,
    }  # fmt: skip
    for key, kind in kinds.items():
        if files.get(key) is not None and not isinstance(files[key], kind):
            raise errors.ModelCorrupt(f"{key} is a {type(files[key]).__name__}, expected the content of its file")
    if architecture in decoders.SUPPORTED:
        return {"kind": "generation", "dimensions": None, "max_tokens": max_tokens(architecture, files)}
    normalizes(files)
    for role in ROLES:
        prompt(files, role)
    hidden = EncoderConfig.parse(architecture, files["config"]).hidden_size
    pooled = (files.get("pooling") or {}).get("word_embedding_dimension", hidden)
    if pooled != hidden:
        raise errors.ModelCorrupt(f"word_embedding_dimension is {pooled!r}, expected hidden_size {hidden}")
    dimensions = hidden * (len(pooling_modes(files)) or 1)
    return {"kind": "embedding", "dimensions": dimensions, "max_tokens": max_tokens(architecture, files)}


def parse(architecture: str, files: Mapping[str, Any]) -> EncoderConfig | DecoderConfig:
    """The dimensions of a model, checked."""
    supported(architecture)
    if architecture in decoders.SUPPORTED:
        return DecoderConfig.parse(architecture, files)
    return EncoderConfig.parse(architecture, files["config"])


def max_tokens(architecture: str, files: Mapping[str, Any]) -> int:
    """Tokens a text is cut to, special tokens included: max_seq_length of sentence_bert_config, else all positions."""
    config = parse(architecture, files)
    if isinstance(config, DecoderConfig):
        return config.positions
    positions = config.positions
    stated = (files.get("sentence_bert_config") or {}).get("max_seq_length")
    if stated is None:
        return positions
    if not isinstance(stated, int) or stated < 2:
        raise errors.ModelCorrupt(f"max_seq_length is {stated!r}, expected an integer of at least 2")
    return min(stated, positions)


def pooling_modes(files: Mapping[str, Any]) -> list[str]:
    """How token vectors become one vector, in the order in which the parts are joined."""
    pooling = files.get("pooling") or {}
    prefix = "pooling_mode_"
    modes = [key.removeprefix(prefix) for key, on in pooling.items() if key.startswith(prefix) and on is True]
    unknown = sorted(set(modes) - set(POOLINGS))
    if unknown:
        raise errors.ArchitectureUnsupported(
            f"pooling mode {unknown[0]} is not supported, expected one of {', '.join(POOLINGS)}"
        )
    return [mode for mode in POOLINGS if mode in modes]


def prompt(files: Mapping[str, Any], role: str) -> str:
    """What is written before a text, by config_sentence_transformers: the prompt of its role, else the default one."""
    stated = files.get("config_sentence_transformers") or {}
    prompts = stated.get("prompts") or {}
    if not isinstance(prompts, Mapping) or not all(isinstance(text, str) for text in prompts.values()):
        raise errors.ModelCorrupt(f"prompts is {prompts!r}, expected an object of texts")
    default = stated.get("default_prompt_name")
    if default is not None and default not in prompts:
        raise errors.ModelCorrupt(f"default_prompt_name is {default!r}, expected one of {', '.join(prompts)}")
    if any(prompts.values()) and (files.get("pooling") or {}).get("include_prompt") is False:
        raise errors.ArchitectureUnsupported("include_prompt false is not supported, expected prompts that are pooled")
    return next((prompts[name] for name in (*ROLES[role], default) if name in prompts), "")


def normalizes(files: Mapping[str, Any]) -> bool:
    """Whether modules.json ends in a unit-length vector; refuses modules that the engine does not know."""
    modules = [module if isinstance(module, Mapping) else {} for module in files.get("modules") or []]
    kinds = [str(module.get("type", "")).rpartition(".")[2] for module in modules]
    unknown = [kind for kind in kinds if kind not in ("Transformer", "Pooling", "Normalize")]
    if unknown:
        raise errors.ArchitectureUnsupported(
            f"module {unknown[0]} is not supported, expected Transformer, Pooling, Normalize"
        )
    return "Normalize" in kinds


def canonical(architecture: str, tensor: str) -> str:
    """A tensor's name as expected_tensors has it."""
    family = decoders if architecture in decoders.SUPPORTED else encoders
    return family.canonical(architecture, tensor)


def expected_tensors(config: EncoderConfig | DecoderConfig) -> tuple[dict[str, Shape], dict[str, Shape]]:
    """Shape of every tensor that a model must have, and of those that exporters add and no engine reads."""
    if isinstance(config, DecoderConfig):
        return decoders.expected_tensors(config)
    return encoders.expected_tensors(config)


def check_tensors(found: Mapping[str, tuple[str, Shape]], required: Mapping[str, Shape],
                  optional: Mapping[str, Shape]) -> None:
    """Compares dtypes and shapes found with the shapes expected; the first difference by name is an error."""
    for name in sorted(required.keys() | found.keys()):
        if name not in found:
            raise errors.TensorMismatch(f"tensor {name} is missing, expected shape {_text(required[name])}")
        dtype, shape = found[name]
        expected = required.get(name, optional.get(name))
        if expected is None:
            raise errors.TensorMismatch(f"tensor {name} is not part of the architecture")
        if tuple(shape) != expected:
            raise errors.TensorMismatch(f"tensor {name} has shape {_text(shape)}, expected {_text(expected)}")
        if name in required and dtype not in FLOAT_DTYPES:
            raise errors.TensorMismatch(f"tensor {name} has dtype {dtype}, expected one of {', '.join(FLOAT_DTYPES)}")


def supported(architecture: str) -> None:
    if architecture not in SUPPORTED:
        raise errors.ArchitectureUnsupported(
            f"architecture {architecture} is not supported, expected one of {', '.join(SUPPORTED)}"
        )


def _text(shape: Shape) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"
