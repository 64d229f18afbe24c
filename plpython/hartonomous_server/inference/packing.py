"""The engine-ready form of an encoder's weights: one buffer of float32 arrays that all backends can map read-only.

Folded into it, so that no backend computes it again: the attention scale in the query projection, the value bias in the
output bias (attention weights sum to one), the half of gelu in the projection after it, and the token type in the
positions. The key bias is left out: it shifts all scores of a query alike, and softmax does not see that.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any, NamedTuple

from hartonomous_server import blas, errors
from hartonomous_server.inference import kernels
from hartonomous_server.inference.device import ALIGNMENT, PROCESSOR, Processor, aligned
from hartonomous_server.models.encoders import BUCKETS, EncoderConfig, Names

blas.numpy()
import numpy as np  # noqa: E402

VERSION = 1  # of this layout and that of decoders: a mapped file made by another version is made again
Array = np.ndarray
Weights = Callable[[str], Any]
Put = Callable[[Any], Any]  # host array -> array of a device


class Norm(NamedTuple):
    scale: Array  # (hidden, 1)
    shift: Array  # (hidden, 1)


class Layer(NamedTuple):
    qkv: Array  # (3 hidden, hidden)
    query_bias: Array  # (hidden, 1)
    out: Array  # (hidden, hidden)
    out_bias: Array  # (hidden, 1)
    attention_norm: Norm
    up: Array  # (inner, hidden)
    up_bias: Array  # (inner, 1)
    down: Array  # (hidden, inner)
    down_bias: Array  # (hidden, 1)
    output_norm: Norm

    @property
    def matrices(self) -> tuple[Array, ...]:
        return self.qkv, self.out, self.up, self.down


class Packed(NamedTuple):
    words: Array  # (vocabulary, hidden)
    positions: Array  # (positions, hidden)
    norm: Norm
    distances: Array  # (heads, 2 positions - 1) or none: what scores gain by the place of a query less that of its key
    layers: list[Layer]


def size(config: EncoderConfig) -> int:
    """Bytes of the packed form."""
    return _Slots(config, None).used * 4


def pack(config: EncoderConfig, weights: Weights, buffer: Any = None, device: Processor = PROCESSOR) -> Any:
    """Writes the packed form of named tensors into ``buffer`` (writable, ``size(config)`` bytes) or a new one.

    device: what multiplies with it, and with no other.
    """
    if buffer is None:
        buffer = aligned(size(config) // 4)
    packed = unpack(config, buffer)
    packed.words[...] = _tensor(weights, "embeddings.word_embeddings.weight")
    packed.positions[...] = _tensor(weights, "embeddings.position_embeddings.weight")
    if config.family.types:
        packed.positions[...] += _tensor(weights, "embeddings.token_type_embeddings.weight")[0]
    _pack_norm(packed.norm, weights, "embeddings.LayerNorm")
    if config.family.relative:
        places = range(1 - config.positions, config.positions)
        packed.distances[...] = _tensor(weights, config.family.relative)[[_bucket(place) for place in places]].T
    for number, layer in enumerate(packed.layers):
        _pack_layer(config, layer, weights, config.layer(number))
        for matrix in layer.matrices:
            device.arrange(matrix)
    return buffer


def unpack(config: EncoderConfig, buffer: Any, put: Put = lambda array: array) -> Packed:
    """Views of the arrays in a packed buffer, where put takes it."""
    return _Slots(config, put(np.frombuffer(buffer, np.float32))).packed


class Slots:
    """Places arrays one after the other in a buffer; without one it only measures."""

    def __init__(self, buffer: Array | None) -> None:
        self._buffer = buffer
        self.used = 0

    def place(self, rows: int, columns: int) -> Array:
        start, count = self.used, rows * columns
        self.used += math.ceil(count * 4 / ALIGNMENT) * ALIGNMENT // 4
        if self._buffer is None or self._buffer.size < start + count:
            return np.empty((0, 0), np.float32)
        return self._buffer[start : start + count].reshape(rows, columns)

    def finish(self) -> None:
        """Refuses a buffer that is too small."""
        if self._buffer is not None and self._buffer.size < self.used:
            raise errors.ModelCorrupt(f"packed model has {self._buffer.nbytes} bytes, expected {self.used * 4}")


class _Slots(Slots):
    def __init__(self, config: EncoderConfig, buffer: Array | None) -> None:
        super().__init__(buffer)
        hidden, inner = config.hidden_size, config.intermediate_size
        self.packed = Packed(
            words=self.place(config.vocab_size, hidden),
            positions=self.place(config.max_position_embeddings, hidden),
            norm=self._norm(hidden),
            distances=self.place(config.num_attention_heads, 2 * config.positions - 1 if config.family.relative else 0),
            layers=[self._layer(hidden, inner) for _ in range(config.num_hidden_layers)],
        )
        self.finish()

    def _norm(self, hidden: int) -> Norm:
        return Norm(self.place(hidden, 1), self.place(hidden, 1))

    def _layer(self, hidden: int, inner: int) -> Layer:
        return Layer(
            qkv=self.place(3 * hidden, hidden),
            query_bias=self.place(hidden, 1),
            out=self.place(hidden, hidden),
            out_bias=self.place(hidden, 1),
            attention_norm=self._norm(hidden),
            up=self.place(inner, hidden),
            up_bias=self.place(inner, 1),
            down=self.place(hidden, inner),
            down_bias=self.place(hidden, 1),
            output_norm=self._norm(hidden),
        )


def _pack_layer(config: EncoderConfig, layer: Layer, weights: Weights, names: Names) -> None:
    hidden = config.hidden_size
    scale = 1 / math.sqrt(config.head_size)
    np.multiply(_tensor(weights, f"{names.query}.weight"), scale, out=layer.qkv[:hidden])
    layer.qkv[hidden : 2 * hidden] = _tensor(weights, f"{names.key}.weight")
    layer.qkv[2 * hidden :] = _tensor(weights, f"{names.value}.weight")
    layer.query_bias[:, 0] = _tensor(weights, f"{names.query}.bias").astype(np.float64) * scale

    layer.out[...] = _tensor(weights, f"{names.out}.weight")
    value_bias = _tensor(weights, f"{names.value}.bias").astype(np.float64)
    out_bias = _tensor(weights, f"{names.out}.bias")
    layer.out_bias[:, 0] = layer.out.astype(np.float64) @ value_bias + out_bias
    _pack_norm(layer.attention_norm, weights, names.attention_norm)

    layer.up[...] = _tensor(weights, f"{names.up}.weight")
    layer.up_bias[:, 0] = _tensor(weights, f"{names.up}.bias")
    factor = kernels.output_factor(config.hidden_act)
    np.multiply(_tensor(weights, f"{names.down}.weight"), factor, out=layer.down)
    layer.down_bias[:, 0] = _tensor(weights, f"{names.down}.bias")
    _pack_norm(layer.output_norm, weights, names.output_norm)


def _bucket(place: int) -> int:
    """The row for a distance: one for each of the small ones, then in powers of the square root of 2 up to 128."""
    half = BUCKETS // 2
    exact, distance = half // 2, abs(place)
    bucket = distance
    if distance >= exact:  # (distance / exact) ** steps >= (128 / exact) ** step, in integers: no rounding decides
        steps = half - exact
        reached = [distance**steps * exact**step >= 128**step * exact**steps for step in range(1, steps)]
        bucket = exact + sum(reached)
    return bucket + (half if place < 0 else 0)


def _pack_norm(norm: Norm, weights: Weights, name: str) -> None:
    norm.scale[:, 0] = _tensor(weights, f"{name}.weight")
    norm.shift[:, 0] = _tensor(weights, f"{name}.bias")


def _tensor(weights: Weights, name: str) -> Array:
    return np.asarray(weights(name), np.float32)
