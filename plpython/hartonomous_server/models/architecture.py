"""What an architecture requires of a model's configuration and tensors."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hartonomous_server import errors

Shape = tuple[int, ...]

FLOAT_DTYPES = ("F32", "F16", "BF16")
ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")
POOLINGS = ("cls_token", "mean_tokens", "max_tokens", "mean_sqrt_len_tokens")
SUPPORTED = ("BertModel",)
MAX_LAYERS = 1000
# Written by some exporters, used by no embedding: accepted, and checked when present.
OPTIONAL = ("embeddings.position_ids", "pooler.dense.weight", "pooler.dense.bias")

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
        sizes = {key: _size(config, key) for key in _SIZES}
        hidden, heads = sizes["hidden_size"], sizes["num_attention_heads"]
        if hidden % heads:
            raise errors.ModelCorrupt(f"hidden_size {hidden} is not a multiple of num_attention_heads {heads}")
        if sizes["num_hidden_layers"] > MAX_LAYERS:
            found = f"num_hidden_layers is {sizes['num_hidden_layers']}"
            raise errors.ModelCorrupt(f"{found}, expected at most {MAX_LAYERS}")
        _only(config, "position_embedding_type", ("absolute",), "absolute")
        _only(config, "is_decoder", (False,), False)
        _only(config, "add_cross_attention", (False,), False)
        activation = _only(config, "hidden_act", ACTIVATIONS, "gelu")
        epsilon = config.get("layer_norm_eps", 1e-12)
        if not isinstance(epsilon, (int, float)) or not 0 < epsilon < 1:
            raise errors.ModelCorrupt(f"layer_norm_eps is {epsilon!r}, expected a number between 0 and 1")
        return cls(**sizes, hidden_act=activation, layer_norm_eps=float(epsilon))


def facts(architecture: str, files: Mapping[str, Any]) -> dict[str, Any]:
    """kind, dimensions and max_tokens that a model's configuration states; refuses what no engine here can run."""
    _supported(architecture)
    if not isinstance(files, Mapping) or not isinstance(files.get("config"), Mapping):
        raise errors.ModelCorrupt(
            'configuration has no key "config"', hint='pass {"config": <config.json>, "pooling": ..., "modules": [...]}'
        )
    for key, kind in (("sentence_bert_config", Mapping), ("pooling", Mapping), ("modules", list)):
        if files.get(key) is not None and not isinstance(files[key], kind):
            raise errors.ModelCorrupt(f"{key} is a {type(files[key]).__name__}, expected the content of its file")
    normalizes(files)
    config = BertConfig.parse(files["config"])
    parts = len(pooling_modes(files)) or 1
    return {"kind": "embedding", "dimensions": config.hidden_size * parts, "max_tokens": max_tokens(files)}


def max_tokens(files: Mapping[str, Any]) -> int:
    """Tokens a text is cut to, special tokens included: max_seq_length of sentence_bert_config, else all positions."""
    positions = BertConfig.parse(files["config"]).max_position_embeddings
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


def expected_tensors(architecture: str, config: Mapping[str, Any]) -> dict[str, Shape]:
    """Shape of every tensor of an architecture; those named in OPTIONAL may be absent."""
    _supported(architecture)
    bert = BertConfig.parse(config)
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
    shapes["embeddings.position_ids"] = (1, bert.max_position_embeddings)
    return shapes | _linear("pooler.dense", hidden, hidden)


def check_tensors(found: Mapping[str, tuple[str, Shape]], expected: Mapping[str, Shape]) -> None:
    """Compares dtypes and shapes found with the shapes expected; the first difference by name is an error."""
    for name in sorted(expected.keys() | found.keys()):
        if name not in found:
            if name not in OPTIONAL:
                raise errors.TensorMismatch(f"tensor {name} is missing, expected shape {_text(expected[name])}")
        elif name not in expected:
            raise errors.TensorMismatch(f"tensor {name} is not part of the architecture")
        else:
            _check_tensor(name, *found[name], expected[name])


def _check_tensor(name: str, dtype: str, shape: Shape, expected: Shape) -> None:
    if tuple(shape) != expected:
        raise errors.TensorMismatch(f"tensor {name} has shape {_text(shape)}, expected {_text(expected)}")
    if dtype not in FLOAT_DTYPES and name != "embeddings.position_ids":
        raise errors.TensorMismatch(f"tensor {name} has dtype {dtype}, expected one of {', '.join(FLOAT_DTYPES)}")


def _supported(architecture: str) -> None:
    if architecture not in SUPPORTED:
        raise errors.ArchitectureUnsupported(
            f"architecture {architecture} is not supported, expected one of {', '.join(SUPPORTED)}"
        )


def _size(config: Mapping[str, Any], key: str) -> int:
    value = config.get(key)
    if value is None:
        raise errors.ModelCorrupt(f"configuration has no {key}", hint="pass the model's whole config.json")
    if not isinstance(value, int) or isinstance(value, bool) or value < 1:
        raise errors.ModelCorrupt(f"{key} is {value!r}, expected a positive integer")
    return value


def _only(config: Mapping[str, Any], key: str, supported: tuple[Any, ...], default: Any) -> Any:
    value = config.get(key, default)
    if value not in supported:
        raise errors.ArchitectureUnsupported(
            f"{key} {value} is not supported, expected {' or '.join(str(s) for s in supported)}"
        )
    return value


def _linear(name: str, outputs: int, inputs: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, size: int) -> dict[str, Shape]:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}


def _text(shape: Shape) -> str:
    return "[" + ", ".join(map(str, shape)) + "]"
