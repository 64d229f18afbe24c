"""What encoders require of a model's configuration and tensors: BERT, and how its relatives differ from it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, NamedTuple

from hartonomous_server import errors
from hartonomous_server.models import configuration

Shape = tuple[int, ...]

ACTIVATIONS = ("gelu", "gelu_new", "gelu_pytorch_tanh", "relu")
BUCKETS = 32  # of distances between tokens
MASKED = "ForMaskedLM"  # the same encoder below a head that no engine reads

_SIZES = (
    "hidden_size",
    "num_hidden_layers",
    "num_attention_heads",
    "intermediate_size",
    "vocab_size",
    "max_position_embeddings",
)


class Names(NamedTuple):
    """Names of a layer's modules."""

    query: str = "attention.self.query"
    key: str = "attention.self.key"
    value: str = "attention.self.value"
    out: str = "attention.output.dense"
    attention_norm: str = "attention.output.LayerNorm"
    up: str = "intermediate.dense"
    down: str = "output.dense"
    output_norm: str = "output.LayerNorm"


class Family(NamedTuple):
    """How an architecture differs from BERT: by names, and by two things that it computes."""

    layers: str = "encoder.layer"
    names: Names = Names()
    keys: Mapping[str, str] = {}  # of config.json, where they are not BERT's
    prefix: str = ""  # of tensors that were saved with a head
    types: bool = True  # tokens have types
    padding: int | None = None  # positions count from the one after it, and leave out tokens that are it
    padding_key: str = ""  # of config.json, where it may state another
    relative: str = ""  # tensor of what scores gain by the distance of tokens, in all layers


_ROBERTA = Family(prefix="roberta.", padding=1, padding_key="pad_token_id")
_MPNET = Family(
    names=Names(
        "attention.attn.q", "attention.attn.k", "attention.attn.v", "attention.attn.o", "attention.LayerNorm",
    ),
    prefix="mpnet.", types=False, padding=1, relative="encoder.relative_attention_bias.weight",
)  # fmt: skip
_DISTILBERT = Family(
    layers="transformer.layer",
    names=Names(
        "attention.q_lin", "attention.k_lin", "attention.v_lin", "attention.out_lin", "sa_layer_norm",
        "ffn.lin1", "ffn.lin2", "output_layer_norm",
    ),
    keys={"hidden_size": "dim", "num_hidden_layers": "n_layers", "num_attention_heads": "n_heads",
          "intermediate_size": "hidden_dim", "hidden_act": "activation"},
    types=False,
)  # fmt: skip
FAMILIES = {
    "BertModel": Family(),
    "RobertaModel": _ROBERTA,
    f"Roberta{MASKED}": _ROBERTA,
    "XLMRobertaModel": _ROBERTA,
    f"XLMRoberta{MASKED}": _ROBERTA,
    "MPNetModel": _MPNET,
    f"MPNet{MASKED}": _MPNET,
    "DistilBertModel": _DISTILBERT,
    "ElectraModel": Family(),
}
SUPPORTED = tuple(FAMILIES)


class EncoderConfig(NamedTuple):
    """The dimensions of an encoder, checked."""

    architecture: str
    hidden_size: int
    num_hidden_layers: int
    num_attention_heads: int
    intermediate_size: int
    vocab_size: int
    max_position_embeddings: int
    type_vocab_size: int
    hidden_act: str
    layer_norm_eps: float
    padding: int | None

    @property
    def family(self) -> Family:
        return FAMILIES[self.architecture]

    @property
    def head_size(self) -> int:
        return self.hidden_size // self.num_attention_heads

    @property
    def first_position(self) -> int:
        return 0 if self.padding is None else self.padding + 1

    @property
    def positions(self) -> int:
        """Tokens that a text may have."""
        return self.max_position_embeddings - self.first_position

    def layer(self, number: int) -> Names:
        """Names of the modules of a layer, whole."""
        return Names(*(f"{self.family.layers}.{number}.{name}" for name in self.family.names))

    @classmethod
    def parse(cls, architecture: str, config: Mapping[str, Any]) -> EncoderConfig:
        """Checks a config.json and takes from it what the encoder needs."""
        family = FAMILIES[architecture]
        keys = {key: family.keys.get(key, key) for key in (*_SIZES, "hidden_act")}
        sizes = {key: configuration.size(config, keys[key]) for key in _SIZES}
        hidden, heads = sizes["hidden_size"], sizes["num_attention_heads"]
        configuration.multiple(keys["hidden_size"], hidden, keys["num_attention_heads"], heads)
        configuration.layers(config, keys["num_hidden_layers"])
        configuration.only(config, "position_embedding_type", ("absolute",), "absolute")
        for key in ("is_decoder", "add_cross_attention"):
            configuration.only(config, key, (False,), False)
        if architecture == "ElectraModel":  # others widen the embeddings by a matrix of their own
            configuration.only(config, "embedding_size", (hidden,), 128)
        if family.relative:
            configuration.only(config, "relative_attention_num_buckets", (BUCKETS,), BUCKETS)
        parsed = cls(
            architecture,
            **sizes,
            type_vocab_size=configuration.size(config, "type_vocab_size") if family.types else 0,
            hidden_act=configuration.only(config, keys["hidden_act"], ACTIVATIONS, "gelu"),
            layer_norm_eps=configuration.number(config, "layer_norm_eps", 1e-12, 0, 1),
            padding=_padding(family, config, sizes["vocab_size"]),
        )
        if parsed.positions < 1:
            raise errors.ModelCorrupt(
                f"max_position_embeddings is {parsed.max_position_embeddings}, expected more than the"
                f" {parsed.first_position} that pad_token_id {parsed.padding} leaves unused"
            )
        return parsed


def _padding(family: Family, config: Mapping[str, Any], vocabulary: int) -> int | None:
    if family.padding is None:
        return None
    value = config.get(family.padding_key, family.padding)
    if not isinstance(value, int) or isinstance(value, bool) or not 0 <= value < vocabulary:
        raise errors.ModelCorrupt(f"pad_token_id is {value!r}, expected a token id below vocab_size {vocabulary}")
    return value


def canonical(architecture: str, tensor: str) -> str:
    """A tensor's name as expected_tensors has it."""
    return tensor.removeprefix(FAMILIES[architecture].prefix) if architecture.endswith(MASKED) else tensor


def expected_tensors(config: EncoderConfig) -> tuple[dict[str, Shape], dict[str, Shape]]:
    """Shape of every tensor, and of those that exporters add and no engine reads."""
    hidden, inner, family = config.hidden_size, config.intermediate_size, config.family
    shapes: dict[str, Shape] = {
        "embeddings.word_embeddings.weight": (config.vocab_size, hidden),
        "embeddings.position_embeddings.weight": (config.max_position_embeddings, hidden),
        **_norm("embeddings.LayerNorm", hidden),
    }
    if family.types:
        shapes["embeddings.token_type_embeddings.weight"] = (config.type_vocab_size, hidden)
    if family.relative:
        shapes[family.relative] = (BUCKETS, config.num_attention_heads)
    for number in range(config.num_hidden_layers):
        layer = config.layer(number)
        for name in (layer.query, layer.key, layer.value, layer.out):
            shapes |= _linear(name, hidden, hidden)
        shapes |= _linear(layer.up, inner, hidden) | _linear(layer.down, hidden, inner)
        shapes |= _norm(layer.attention_norm, hidden) | _norm(layer.output_norm, hidden)
    optional: dict[str, Shape] = {"embeddings.position_ids": (1, config.max_position_embeddings)}
    optional |= _linear("pooler.dense", hidden, hidden)
    if config.architecture.endswith(MASKED):
        optional |= _linear("lm_head.dense", hidden, hidden) | _norm("lm_head.layer_norm", hidden)
        optional |= _linear("lm_head.decoder", config.vocab_size, hidden) | {"lm_head.bias": (config.vocab_size,)}
    return shapes, optional


def _linear(name: str, outputs: int, inputs: int) -> dict[str, Shape]:
    return {f"{name}.weight": (outputs, inputs), f"{name}.bias": (outputs,)}


def _norm(name: str, size: int) -> dict[str, Shape]:
    return {f"{name}.weight": (size,), f"{name}.bias": (size,)}
