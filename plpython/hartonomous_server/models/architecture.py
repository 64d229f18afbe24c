"""What an architecture requires of a model's configuration and tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hartonomous_server import errors
from hartonomous_server.models import configuration, decoders
from hartonomous_server.models.decoders import DecoderConfig

Shape = tuple[int, ...]

FLOAT_DTYPES = ("F32", "F16", "BF16", "F64")
ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")
POOLINGS = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
SUPPORTED = ("BertModel", *decoders.SUPPORTED)

_SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
    "type_vocab_size",
)


class BertConfig(NamedTuple):
    """The dimensions of a BERT encoder, checked."""

    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    type_vocab_size: int
    hidden_act: str
    layer_norm_eps: float

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @classmethod
    def parse(cls, config: Mapping[str, Any]) -> BertConfig:
        """Checks a config.json and takes from it what the encoder needs."""
        sizes = {key: configuration.size(config, key) for key in _SIZES}
        hidden, heads = sizes["hidden_size"], sizes["num_attention_heads"]
        configuration.multiple("hidden_size", hidden, "num_attention_heads", heads)
        configuration.layers(config, "num_hidden_layers")
        configuration.only(config, "position_embedding_type", ("absolute",), "absolute")
        configuration.only(config, "is_decoder", (False,), False)
        configuration.only(config, "add_cross_attention", (False,), False)
        activation = configuration.only(config, "hidden_act", ACTIVATIONS, "gelu")
        epsilon = configuration.number(config, "layer_norm_eps", 1e-12, 0, 1)
        return cls(**sizes, hidden_act=activation, layer_norm_eps=epsilon)


def facts(architecture: str, files: Mapping[str, Any]) -> dict[str, Any]:
    """kind, dimensions and max_tokens that a model's configuration states; refuses what no engine here can run."""
    supported(architecture)
    if not isinstance(files, Mapping) or not isinstance(files.get("config"), Mapping):
        raise errors.ModelCorrupt(
            'configuration has no key "config"', hint='pass {"config": <config.json>, "pooling": ..., "modules": [...]}'
        )
    kinds = {"sentence_bert_config": Mapping, "generation_config": Mapping, "pooling": Mapping, "modules": list}
    for key, kind in kinds.items():
        if files.get(key) is not None and not isinstance(files[key], kind):
            raise errors.ModelCorrupt(f"{key} is a {type(files[key]).__name__}, expected the content of its file")
    if architecture in decoders.SUPPORTED:
        return {"kind": "generation", "dimensions": None, "max_tokens": max_tokens(architecture, files)}
    normalizes(files)
    dimensions = BertConfig.parse(files["config"]).hidden_size * (len(pooling_modes(files)) or 1)
    return {"kind": "embedding", "dimensions": dimensions, "max_tokens": max_tokens(architecture, files)}


def parse(architecture: str, files: Mapping[str, Any]) -> BertConfig | DecoderConfig:
    """The dimensions of a model, checked."""
    supported(architecture)
    if architecture in decoders.SUPPORTED:
        return DecoderConfig.parse(architecture, files)
    return BertConfig.parse(files["config"])


def max_tokens(architecture: str, files: Mapping[str, Any]) -> int:
    """Tokens a text is cut to, special tokens included: max_seq_length of sentence_bert_config, else all positions."""
    config = parse(architecture, files)
    if isinstance(config, DecoderConfig):
        return config.positions
    positions = config.max_position_embeddings
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


def expected_tensors(config: BertConfig | DecoderConfig) -> tuple[dict[str, Shape], dict[str, Shape]]:
    """Shape of every tensor that a model must have, and of those that exporters add and no engine reads."""
    if isinstance(config, DecoderConfig):
        return decoders.expected_tensors(config)
    return _bert_tensors(config)


def _bert_tensors(bert: BertConfig) -> tuple[dict[str, Shape], dict[str, Shape]]:
    hidden, inner = bert.hidden_size, bert.intermediate_size
    shapes: dict[str, Shape] = {
        "embeddings.word_embeddings.weight": (bert.vocab_size, hidden),
        "embeddings.position_embeddings.weight": (bert.max_position_embeddings, hidden),
        "embeddings.token_type_embeddings.weight": (bert.type_vocab_size, hidden),
        **_norm("embeddings.LayerNorm", hidden),
    }
    for number in range(bert.num_hidden_layers):
        layer = f"encoder.layer.{number}"
        for part in ("query", "key", "value"):
            shapes |= _linear(f"{layer}.attention.self.{part}", hidden, hidden)
        shapes |= _linear(f"{layer}.attention.output.dense", hidden, hidden)
        shapes |= _norm(f"{layer}.attention.output.LayerNorm", hidden)
        shapes |= _linear(f"{layer}.intermediate.dense", inner, hidden)
        shapes |= _linear(f"{layer}.output.dense", hidden, inner)
        shapes |= _norm(f"{layer}.output.LayerNorm", hidden)
    optional = {"embeddings.position_ids": (1, bert.max_position_embeddings)}
    return shapes, optional | _linear("pooler.dense", hidden, hidden)


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


def _linear(name: str, outputs: int, inputs: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, size: int) -> dict[str, Shape]:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _text(shape: Shape) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"
