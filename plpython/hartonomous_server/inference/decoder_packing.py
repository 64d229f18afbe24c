"""The engine-ready form of a decoder's weights: one buffer of float32 arrays that all backends can map read-only.

Folded into it: the scale and shift of each norm in the products that read it, the attention scale in the queries, the
value bias in the output bias (attention weights sum to one), the half of the activation in the projection after it.
GPT-2's key bias is left out: it shifts all scores of a query alike, and softmax does not see that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from hartonomous_server import blas
from hartonomous_server.inference import kernels
from hartonomous_server.inference.device import aligned
from hartonomous_server.inference.packing import Put, Slots
from hartonomous_server.models.decoders import DecoderConfig

blas.numpy()
import numpy as np  # noqa: E402

Array = np.ndarray
Weights = Callable[[str], Any]


class Layer(NamedTuple):
    """Llama has no biases: theirs are empty."""

    qkv: Array  # (queries + 2 keys, hidden)
    qkv_bias: Array  # (queries + 2 keys)
    out: Array  # (hidden, queries)
    out_bias: Array  # (hidden)
    up: Array  # (inner, hidden); Llama: gate, then up: (2 inner, hidden)
    up_bias: Array  # (inner)
    down: Array  # (hidden, inner)
    down_bias: Array  # (hidden)


class Packed(NamedTuple):
    words: Array  # (vocabulary, hidden)
    positions: Array  # (positions, hidden); Llama: empty
    layers: list[Layer]
    scale: Array  # (hidden), of the last norm
    shift: Array  # (hidden)
    head: Array  # (vocabulary, hidden): words when tied


def size(config: DecoderConfig) -> int:
    """Bytes of the packed form."""
    return _Slots(config, None).used * 4


def pack(config: DecoderConfig, weights: Weights) -> Any:
    """The packed form of named tensors."""
    buffer = aligned(size(config) // 4)
    packed = unpack(config, buffer)
    if config.is_llama:
        _pack_llama(config, packed, lambda name: np.asarray(weights(name), np.float32))
    else:
        _pack_gpt2(config, packed, lambda name: np.asarray(weights(name), np.float32))
    return buffer


def unpack(config: DecoderConfig, buffer: Any, put: Put = lambda array: array) -> Packed:
    """Views of the arrays in a packed buffer, where put takes it."""
    return _Slots(config, put(np.frombuffer(buffer, np.float32))).packed


class _Slots(Slots):
    def __init__(self, config: DecoderConfig, buffer: Array | None) -> None:
        super().__init__(buffer)
        self._biased = not config.is_llama
        hidden, inner = config.hidden, config.inner
        queries, keys = config.heads * config.head_size, config.key_heads * config.head_size
        words = self.place(config.vocabulary, hidden)
        self.packed = Packed(
            words=words,
            positions=self.place(config.positions if config.rotary is None else 0, hidden),
            layers=[
                Layer(
                    *self._linear(queries + 2 * keys, hidden),
                    *self._linear(hidden, queries),
                    *self._linear(2 * inner if config.is_llama else inner, hidden),
                    *self._linear(hidden, inner),
                )
                for _ in range(config.layers)
            ],
            scale=self.place(1, hidden).reshape(-1),
            shift=self.place(1, hidden).reshape(-1),
            head=words if config.tied else self.place(config.vocabulary, hidden),
        )
        self.finish()

    def _linear(self, outputs: int, inputs: int) -> tuple[Array, Array]:
        return self.place(outputs, inputs), self.place(1, outputs if self._biased else 0).reshape(-1)


def _pack_gpt2(config: DecoderConfig, packed: Packed, weights: Weights) -> None:
    packed.words[...] = weights("transformer.wte.weight")
    packed.positions[...] = weights("transformer.wpe.weight")
    queries = config.hidden
    scale = np.ones((3 * queries, 1))
    scale[:queries] /= math.sqrt(config.head_size)
    for number, layer in enumerate(packed.layers):
        name = f"transformer.h.{number}"
        bias = _fold_norm(layer.qkv, weights, f"{name}.ln_1", f"{name}.attn.c_attn", scale)
        layer.qkv_bias[:queries] = bias[:queries]

        weight = weights(f"{name}.attn.c_proj.weight").astype(np.float64).T  # (hidden, queries)
        layer.out[...] = weight
        layer.out_bias[...] = weight @ bias[2 * queries :] + weights(f"{name}.attn.c_proj.bias")

        layer.up_bias[...] = _fold_norm(layer.up, weights, f"{name}.ln_2", f"{name}.mlp.c_fc", np.ones((1, 1)))
        np.multiply(weights(f"{name}.mlp.c_proj.weight").T, kernels.output_factor(config.activation), out=layer.down)
        layer.down_bias[...] = weights(f"{name}.mlp.c_proj.bias")
    packed.scale[...], packed.shift[...] = (weights(f"transformer.ln_f.{part}") for part in ("weight", "bias"))
    if not config.tied:
        packed.head[...] = weights("lm_head.weight")


def _fold_norm(folded: Array, weights: Weights, norm: str, linear: str, scale: Array) -> Array:
    """Writes the product that reads a norm's output as one that reads what it normalizes; returns its bias."""
    weight = weights(f"{linear}.weight").astype(np.float64).T * scale  # (outputs, inputs)
    folded[...] = weight * weights(f"{norm}.weight")
    return weight @ weights(f"{norm}.bias") + weights(f"{linear}.bias") * scale[:, 0]


def _pack_llama(config: DecoderConfig, packed: Packed, weights: Weights) -> None:
    packed.words[...] = weights("model.embed_tokens.weight")
    queries, keys = config.heads * config.head_size, config.key_heads * config.head_size
    for number, layer in enumerate(packed.layers):
        name = f"model.layers.{number}"
        norm = weights(f"{name}.input_layernorm.weight").astype(np.float64)
        layer.qkv[:queries] = weights(f"{name}.self_attn.q_proj.weight") * (norm / math.sqrt(config.head_size))
        layer.qkv[queries : queries + keys] = weights(f"{name}.self_attn.k_proj.weight") * norm
        layer.qkv[queries + keys :] = weights(f"{name}.self_attn.v_proj.weight") * norm
        layer.out[...] = weights(f"{name}.self_attn.o_proj.weight")

        norm = weights(f"{name}.post_attention_layernorm.weight").astype(np.float64)
        layer.up[: config.inner] = weights(f"{name}.mlp.gate_proj.weight") * norm
        layer.up[config.inner :] = weights(f"{name}.mlp.up_proj.weight") * norm
        np.multiply(weights(f"{name}.mlp.down_proj.weight"), np.float32(0.5), out=layer.down)
    packed.scale[...] = weights("model.norm.weight")
    if not config.tied:
        packed.head[...] = weights("lm_head.weight")
