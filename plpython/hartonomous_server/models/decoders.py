"""What decoders require of a model's configuration and tensors: GPT-2 and Llama, under the same names."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any, NamedTuple

from hartonomous_server import errors
from hartonomous_server.models import configuration

Shape = tuple[int, ...]

SUPPORTED = ("GPT2LMHeadModel", "LlamaForCausalLM")
MAX_POSITIONS = 1 << 20
_GPT2, _LLAMA = SUPPORTED
_BASE = "transformer."  # GPT-2's tensors have it in front, unless they were saved without their head


class Rotary(NamedTuple):
    """How positions turn queries and keys. factor 1: unscaled, else as Llama 3 does."""

    theta: float
    factor: float = 1.0
    low: float = 1.0
    high: float = 4.0
    original: int = 0


class DecoderConfig(NamedTuple):
    """The dimensions of a decoder, checked. Without a rotary, positions are learned."""

    architecture: str
    hidden: int
    layers: int
    heads: int
    key_heads: int
    head_size: int
    inner: int
    vocabulary: int
    positions: int
    activation: str
    epsilon: float
    tied: bool
    rotary: Rotary | None
    first: int | None  # token that an empty prompt begins with
    last: tuple[int, ...]  # tokens that end a text

    @property
    def is_llama(self) -> bool:
        return self.architecture == _LLAMA

    @classmethod
    def parse(cls, architecture: str, files: Mapping[str, Any]) -> DecoderConfig:
        """From config.json and, for the tokens at which texts end, generation_config.json."""
        config = files["config"]
        values = _llama(config) if architecture == _LLAMA else _gpt2(config)
        stated = {**config, **(files.get("generation_config") or {})}
        vocabulary = configuration.size(config, "vocab_size")
        first, last = (_tokens(stated.get(f"{end}_token_id"), vocabulary) for end in ("bos", "eos"))
        return cls(architecture, vocabulary=vocabulary, first=first[0] if first else None, last=last, **values)


def _gpt2(config: Mapping[str, Any]) -> dict[str, Any]:
    hidden, heads = (configuration.size(config, key) for key in ("n_embd", "n_head"))
    for key, value in (("scale_attn_weights", True), ("scale_attn_by_inverse_layer_idx", False),
                       ("reorder_and_upcast_attn", False), ("add_cross_attention", False)):
        configuration.only(config, key, (value,), value)
    return {
        "hidden": hidden, "layers": configuration.layers(config, "n_layer"), "heads": heads, "key_heads": heads,
        "head_size": configuration.multiple("n_embd", hidden, "n_head", heads),
        "inner": configuration.size(config, "n_inner", 4 * hidden),
        "positions": _positions(config, "n_positions"),
        "activation": configuration.only(config, "activation_function", ("gelu_new", "gelu", "relu"), "gelu_new"),
        "epsilon": configuration.number(config, "layer_norm_epsilon", 1e-5, 0, 1),
        "tied": configuration.only(config, "tie_word_embeddings", (True, False), True), "rotary": None,
    }  # fmt: skip


def _llama(config: Mapping[str, Any]) -> dict[str, Any]:
    hidden, heads = (configuration.size(config, key) for key in ("hidden_size", "num_attention_heads"))
    key_heads = configuration.size(config, "num_key_value_heads", heads)
    configuration.multiple("num_attention_heads", heads, "num_key_value_heads", key_heads)
    head_size = config.get("head_dim")
    if head_size is None:
        head_size = configuration.multiple("hidden_size", hidden, "num_attention_heads", heads)
    configuration.multiple("head_dim", configuration.size({"head_dim": head_size}, "head_dim"), "the halves of", 2)
    for key, value in (("attention_bias", False), ("mlp_bias", False), ("pretraining_tp", 1)):
        configuration.only(config, key, (value,), value)
    return {
        "hidden": hidden, "layers": configuration.layers(config, "num_hidden_layers"), "heads": heads,
        "key_heads": key_heads, "head_size": head_size, "inner": configuration.size(config, "intermediate_size"),
        "positions": _positions(config, "max_position_embeddings"),
        "activation": configuration.only(config, "hidden_act", ("silu",), "silu"),
        "epsilon": configuration.number(config, "rms_norm_eps", 1e-6, 0, 1),
        "tied": configuration.only(config, "tie_word_embeddings", (True, False), False), "rotary": _rotary(config),
    }  # fmt: skip


def _positions(config: Mapping[str, Any], key: str) -> int:
    positions = configuration.size(config, key)
    if positions > MAX_POSITIONS:
        raise errors.ModelCorrupt(f"{key} is {positions}, expected at most {MAX_POSITIONS}")
    return positions


def _rotary(config: Mapping[str, Any]) -> Rotary:
    """Newer files state rope_parameters, older ones rope_theta and rope_scaling."""
    stated = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(stated, Mapping):
        raise errors.ModelCorrupt(f"rope_scaling is {stated!r}, expected an object or null")
    values = {**config, **stated}
    values["rope_type"] = stated.get("rope_type", stated.get("type", "default"))
    configuration.only(values, "partial_rotary_factor", (1, 1.0), 1)
    theta = configuration.number(values, "rope_theta", 10000.0, 0, math.inf)
    if configuration.only(values, "rope_type", ("default", "llama3"), "default") == "default":
        return Rotary(theta)
    factor, low, high = (
        configuration.number(values, key, math.nan, 0, math.inf)
        for key in ("factor", "low_freq_factor", "high_freq_factor")
    )
    if low >= high:
        raise errors.ModelCorrupt(f"low_freq_factor is {low:g}, expected less than high_freq_factor {high:g}")
    return Rotary(theta, factor, low, high, configuration.size(values, "original_max_position_embeddings"))


def _tokens(stated: Any, vocabulary: int) -> tuple[int, ...]:
    """Those of the ids that are in the vocabulary: configurations carry defaults of other vocabularies."""
    listed = stated if isinstance(stated, list) else [stated]
    return tuple(
        token for token in listed if isinstance(token, int) and not isinstance(token, bool) and 0 <= token < vocabulary
    )


def canonical(architecture: str, tensor: str) -> str:
    """A tensor's name as expected_tensors has it."""
    bare = architecture == _GPT2 and not tensor.startswith((_BASE, "lm_head."))
    return _BASE + tensor if bare else tensor


def expected_tensors(config: DecoderConfig) -> tuple[dict[str, Shape], dict[str, Shape]]:
    """Shape of every tensor, and of those that exporters add and no engine reads."""
    required, optional = _llama_tensors(config) if config.is_llama else _gpt2_tensors(config)
    head = {"lm_head.weight": (config.vocabulary, config.hidden)}
    return (required, optional | head) if config.tied else (required | head, optional)


def _gpt2_tensors(config: DecoderConfig) -> tuple[dict[str, Shape], dict[str, Shape]]:
    hidden, inner = config.hidden, config.inner
    required: dict[str, Shape] = {
        f"{_BASE}wte.weight": (config.vocabulary, hidden),
        f"{_BASE}wpe.weight": (config.positions, hidden),
    }
    optional: dict[str, Shape] = {}
    for number in range(config.layers):
        layer = f"{_BASE}h.{number}"
        linears = (("attn.c_attn", hidden, 3 * hidden), ("attn.c_proj", hidden, hidden),
                   ("mlp.c_fc", hidden, inner), ("mlp.c_proj", inner, hidden))
        for name, inputs, outputs in linears:  # stored (inputs, outputs)
            required |= {f"{layer}.{name}.weight": (inputs, outputs), f"{layer}.{name}.bias": (outputs,)}
        for norm in ("ln_1", "ln_2"):
            required |= {f"{layer}.{norm}.weight": (hidden,), f"{layer}.{norm}.bias": (hidden,)}
        optional |= {f"{layer}.attn.bias": (1, 1, config.positions, config.positions), f"{layer}.attn.masked_bias": ()}
    return required | {f"{_BASE}ln_f.weight": (hidden,), f"{_BASE}ln_f.bias": (hidden,)}, optional


def _llama_tensors(config: DecoderConfig) -> tuple[dict[str, Shape], dict[str, Shape]]:
    hidden, inner = config.hidden, config.inner
    queries, keys = config.heads * config.head_size, config.key_heads * config.head_size
    required: dict[str, Shape] = {
        "model.embed_tokens.weight": (config.vocabulary, hidden),
        "model.norm.weight": (hidden,),
    }
    optional: dict[str, Shape] = {}
    for number in range(config.layers):
        layer = f"model.layers.{number}"
        required |= {
            f"{layer}.input_layernorm.weight": (hidden,),
            f"{layer}.post_attention_layernorm.weight": (hidden,),
            f"{layer}.self_attn.q_proj.weight": (queries, hidden),
            f"{layer}.self_attn.k_proj.weight": (keys, hidden),
            f"{layer}.self_attn.v_proj.weight": (keys, hidden),
            f"{layer}.self_attn.o_proj.weight": (hidden, queries),
            f"{layer}.mlp.gate_proj.weight": (inner, hidden),
            f"{layer}.mlp.up_proj.weight": (inner, hidden),
            f"{layer}.mlp.down_proj.weight": (hidden, inner),
        }
        optional[f"{layer}.self_attn.rotary_emb.inv_freq"] = (config.head_size // 2,)
    return required, optional
