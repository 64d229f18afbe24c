"""Decoders in numpy or a module like it: GPT-2 and Llama, keeping the keys and values of what was read.

A prompt is read in chunks, (features, tokens), each product weights x activations. After it, tokens come one at a
time: products of a matrix and a vector, which read the weights once and are faster than wider ones. Texts that are
continued side by side share that reading, block by block of the weights, and nothing else: what a text becomes is a
function of the text alone, to the last bit.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from hartonomous_server import blas
from hartonomous_server.inference import kernels
from hartonomous_server.inference.decoder_packing import Layer, unpack
from hartonomous_server.inference.device import PROCESSOR, Processor
from hartonomous_server.models.decoders import DecoderConfig, Rotary

blas.numpy()
import numpy as np  # noqa: E402

Array = Any
Check = Callable[[], object]

CHUNK = 128  # tokens of a prompt that are read at once
BLOCK = 131072  # weights that several texts read one after the other: they stay in the second-level cache


def _nothing() -> None:
    pass


class Cache:
    """Keys and values of one text, with room for so many tokens; pages cost memory only once they are filled."""

    def __init__(self, config: DecoderConfig, room: int, device: Processor = PROCESSOR) -> None:
        shape = config.layers, 2, config.key_heads, room, config.head_size
        self.room = room
        self.used = 0
        self.parts = device.zeros(math.prod(shape)).reshape(shape)


def cache_bytes(config: DecoderConfig, tokens: int) -> int:
    """Memory that a text of so many tokens takes while it is continued."""
    kept = 2 * config.layers * config.key_heads * config.head_size * tokens
    width = min(tokens, CHUNK)
    chunk = width * (4 * config.hidden + 3 * config.heads * config.head_size + 3 * config.inner + 2 * tokens)
    return 4 * (kept + chunk + 4 * config.vocabulary)


class _Matrix:
    """Weights (outputs, inputs)."""

    def __init__(self, weights: Array, device: Processor) -> None:
        self.weights = weights
        self._xp = device.xp
        rows = max(16, device.block(BLOCK) // weights.shape[1] // 16 * 16)
        self._blocks = [(start, weights[start : start + rows]) for start in range(0, len(weights), rows)]

    def rows(self, xs: Array) -> Array:
        """(texts, inputs) -> (texts, outputs)"""
        xp = self._xp
        ys = xp.empty((len(xs), len(self.weights)), np.float32)
        pairs = list(zip(xs, ys, strict=True))
        for start, block in self._blocks:
            for x, y in pairs:
                xp.dot(block, x, y[start : start + len(block)])
        return ys


class _Layer:
    def __init__(self, layer: Layer, device: Processor) -> None:
        weights = layer.qkv, layer.out, layer.up, layer.down
        self.qkv, self.out, self.up, self.down = (_Matrix(matrix, device) for matrix in weights)
        self.biases = layer.qkv_bias, layer.out_bias, layer.up_bias, layer.down_bias


class Decoder:
    """The network, given its packed weights."""

    def __init__(self, config: DecoderConfig, packed: Any, device: Processor = PROCESSOR) -> None:
        self.config = config
        self.device = device
        self._packed = unpack(config, packed, device.put)
        self._layers = [_Layer(layer, device) for layer in self._packed.layers]
        self._head = _Matrix(self._packed.head, device)
        self._turns = _frequencies(config.rotary, config.head_size) if config.rotary else None
        self._activation = kernels.activation(config.activation)
        self._buffers: dict[str, Array] = {}

    def cache(self, room: int) -> Cache:
        """For a text of so many tokens."""
        return Cache(self.config, room, self.device)

    def read(self, cache: Cache, ids: Sequence[int], check: Check = _nothing) -> Array:
        """Reads the tokens of a prompt into the cache; logits (vocabulary) of what follows the last one."""
        x: Array = None
        for start in range(0, len(ids), CHUNK):
            x = self._chunk(cache, ids[start : start + CHUNK], check)
        with np.errstate(all="ignore"):
            last = self.device.xp.ascontiguousarray(x[:, -1])[None]
            return self.device.get(self._head.rows(self._normalized(last))[0])

    def logits(self, ids: Sequence[int], check: Check = _nothing) -> Array:
        """Logits (tokens, vocabulary) of what follows each token."""
        cache = self.cache(len(ids))
        found = np.empty((len(ids), self.config.vocabulary), np.float32)
        for start in range(0, len(ids), CHUNK):
            x = self._chunk(cache, ids[start : start + CHUNK], check)
            with np.errstate(all="ignore"):
                scores = self.device.xp.matmul(self._normalized(x.T.copy()), self._packed.head.T)
                found[start : start + CHUNK] = self.device.get(scores)
        return found

    def likelihoods(self, ids: Sequence[int], check: Check = _nothing) -> Array:
        """Log-probabilities (tokens - 1) float64 of the tokens after the first, each given all before it."""
        cache = self.cache(len(ids))
        xp, put = self.device.xp, self.device.put
        found = np.empty(len(ids) - 1)
        for start in range(0, len(found), CHUNK):
            x = self._chunk(cache, ids[start : start + CHUNK], check)
            following = list(ids[start + 1 : start + 1 + CHUNK])
            with np.errstate(all="ignore"):
                scores = xp.matmul(self._normalized(x.T.copy())[: len(following)], self._packed.head.T)
                own = scores[put(np.arange(len(following))), put(np.array(following))].astype(np.float64)
                largest = scores.max(axis=1)
                xp.exp(xp.subtract(scores, largest[:, None], out=scores), out=scores)
                sums = xp.add.reduce(scores, axis=1, dtype=np.float64)
                found[start : start + CHUNK] = self.device.get(own - largest - xp.log(sums))
        return found

    def step(self, caches: Sequence[Cache], ids: Sequence[int], check: Check = _nothing) -> Array:
        """Adds a token to each text; logits (texts, vocabulary) of what follows it."""
        xp = self.device.xp
        with np.errstate(all="ignore"):
            places = [cache.used for cache in caches]
            x = self._rows(self._packed.words, ids)  # (texts, hidden)
            if self._turns is None:
                xp.add(x, self._rows(self._packed.positions, places), out=x)
            turn = self._turn(places)[:, :, None]  # (2, texts, 1, half a head)
            for number, layer in enumerate(self._layers):
                check()
                self._attend_one(layer, number, caches, x, turn)
                inner = self._biased(layer.up.rows(self._norm(x, 1)), layer.biases[2])
                inner = self._activate(inner, 1)
                xp.add(x, self._biased(layer.down.rows(inner), layer.biases[3]), out=x)
            for cache in caches:
                cache.used += 1
            return self.device.get(self._head.rows(self._normalized(x)))

    # --- one token of each text: (texts, features) ---

    def _attend_one(self, layer: _Layer, number: int, caches: Sequence[Cache], x: Array, turn: Array) -> None:
        """x = x + attention(norm(x))"""
        config, xp = self.config, self.device.xp
        qkv = self._biased(layer.qkv.rows(self._norm(x, 1)), layer.biases[0])
        parts = qkv.reshape(len(x), -1, config.head_size)  # (texts, heads and key heads twice, head size)
        if self._turns is not None:
            heads, half = parts[:, : config.heads + config.key_heads], config.head_size // 2
            _rotate(heads[..., :half], heads[..., half:], turn)
        context = xp.empty((len(x), config.heads * config.head_size), np.float32)
        for text, cache in enumerate(caches):
            end = cache.used + 1
            cache.parts[number, :, :, cache.used] = parts[text, config.heads :].reshape(2, config.key_heads, -1)
            keys, values = cache.parts[number, :, :, :end]  # (key heads, tokens, head size)
            queries = parts[text, : config.heads].reshape(config.key_heads, -1, config.head_size)
            scores = xp.matmul(keys, queries.swapaxes(1, 2))  # (key heads, tokens, queries)
            sums = kernels.softmax_parts(scores, xp).swapaxes(1, 2)  # (key heads, queries, 1)
            output = context[text].reshape(queries.shape)
            xp.matmul(scores.swapaxes(1, 2), values, out=output)
            xp.divide(output, sums, out=output)
        xp.add(x, self._biased(layer.out.rows(context), layer.biases[1]), out=x)

    # --- a chunk of one text: (features, tokens) ---

    def _chunk(self, cache: Cache, ids: Sequence[int], check: Check) -> Array:
        xp = self.device.xp
        with np.errstate(all="ignore"):
            places = range(cache.used, cache.used + len(ids))
            x = self._buffer("x", self.config.hidden, len(ids))
            words = self._rows(self._packed.words, ids)
            if self._turns is None:
                xp.add(words, self._packed.positions[places.start : places.stop], out=words)
            x[...] = words.T
            turn = self._turn(places).swapaxes(1, 2)  # (2, half a head, tokens)
            for number, layer in enumerate(self._layers):
                check()
                self._attend(layer, cache.parts[number], cache.used, x, turn, check)
                check()
                inner = self._product("inner", layer.up, layer.biases[2], self._norm(x, 0))
                inner = self._activate(inner, 0)
                xp.add(x, self._product("y", layer.down, layer.biases[3], inner), out=x)
            cache.used += len(ids)
            return x

    def _attend(self, layer: _Layer, kept: Array, start: int, x: Array, turn: Array, check: Check) -> None:
        """x = x + attention(norm(x))"""
        config, xp, width = self.config, self.device.xp, x.shape[1]
        end = start + width
        qkv = self._product("qkv", layer.qkv, layer.biases[0], self._norm(x, 0))
        parts = qkv.reshape(-1, config.head_size, width)  # (heads and key heads twice, head size, tokens)
        if self._turns is not None:
            heads, half = parts[: config.heads + config.key_heads], config.head_size // 2
            _rotate(heads[:, :half], heads[:, half:], turn)
        new = parts[config.heads :].reshape(2, config.key_heads, config.head_size, width)
        kept[:, :, start:end] = new.swapaxes(2, 3)
        context = self._buffer("context", config.heads * config.head_size, width)
        outputs = context.reshape(config.heads, config.head_size, width)
        scores = self._buffer("scores", end, width)
        later = np.where(np.tri(width, k=-1, dtype=bool), np.float32(-np.inf), np.float32(0))  # key after query
        later = self.device.put(later)
        for head in range(config.heads):
            check()
            keys, values = kept[:, head * config.key_heads // config.heads, :end]  # (tokens, head size)
            xp.matmul(keys, parts[head], out=scores)  # (keys, queries)
            xp.add(scores[start:], later, out=scores[start:])
            sums = kernels.softmax_parts(scores, xp)
            xp.matmul(values.T, scores, out=outputs[head])
            xp.divide(outputs[head], sums, out=outputs[head])
        xp.add(x, self._product("y", layer.out, layer.biases[1], context), out=x)

    def _product(self, name: str, matrix: _Matrix, bias: Array, x: Array) -> Array:
        xp = self.device.xp
        y = xp.matmul(matrix.weights, x, out=self._buffer(name, len(matrix.weights), x.shape[1]))
        return xp.add(y, bias[:, None], out=y) if bias.size else y

    def _buffer(self, name: str, rows: int, columns: int) -> Array:
        """Of a chunk; contents undefined."""
        if name not in self._buffers or self._buffers[name].size < rows * columns:
            self._buffers[name] = self.device.zeros(rows * columns)
        return self._buffers[name][: rows * columns].reshape(rows, columns)

    # --- both: tokens along one axis, features along the other ---

    def _norm(self, x: Array, axis: int) -> Array:
        y = self._buffer("norm", *x.shape)
        kernels.normalize(x, y, self.config.epsilon, axis, not self.config.is_llama, self.device.xp)
        return y

    def _normalized(self, x: Array) -> Array:
        """What the head reads, of (tokens, hidden)."""
        xp, y = self.device.xp, self._buffer("norm", *x.shape)
        factors = kernels.normalize(x, y, self.config.epsilon, 1, not self.config.is_llama, xp)
        xp.multiply(y, self._packed.scale, out=y)
        y[factors[:, 0] == 0] = np.nan  # it overflowed: no prediction, where without this all tokens would be alike
        return xp.add(y, self._packed.shift, out=y)

    def _activate(self, inner: Array, axis: int) -> Array:
        """In place, blocks that stay in the second-level cache; the half of it is folded into the weights after it."""
        xp = self.device.xp
        if self.config.is_llama:
            gate, up = xp.split(inner, 2, axis)
        else:
            gate = up = inner
        step = max(1, self.device.block(kernels.BLOCK) // gate.shape[1])
        for row in range(0, len(gate), step):
            rows = gate[row : row + step]
            scratch = self._buffer("scratch", 2, rows.size).reshape(2, *rows.shape)
            if self.config.is_llama:
                kernels.swiglu(rows, up[row : row + step], scratch[0], xp)
            else:
                self._activation(rows, scratch, xp)
        return xp.ascontiguousarray(gate)

    def _turn(self, places: Sequence[int]) -> Array:
        """Cosines and sines (2, tokens, half a head); angles in float32, as models were trained with."""
        if self._turns is None:
            return self.device.zeros(0).reshape(2, len(places), 0)
        angles = (np.array(places, np.float32)[:, None] * self._turns).astype(np.float64)
        return self.device.put(np.stack([np.cos(angles), np.sin(angles)]).astype(np.float32))

    def _rows(self, table: Array, ids: Sequence[int]) -> Array:
        return self.device.rows(table, self.device.put(np.array(ids, np.intp)))

    def _biased(self, y: Array, bias: Array) -> Array:
        return self.device.xp.add(y, bias, out=y) if bias.size else y


def _rotate(first: Array, second: Array, turn: Array) -> None:
    """Turns pairs by angles, in place: what stands at one place of the first and the second half of a head."""
    cosine, sine = turn
    turned = first * cosine - second * sine
    second[...] = second * cosine + first * sine
    first[...] = turned


def _frequencies(rotary: Rotary, head_size: int) -> Array:
    """Radians a token (half a head), rounded as the reference rounds them."""
    exponents = np.arange(0, head_size, 2, dtype=np.float32) / np.float32(head_size)
    powers = np.power(float(rotary.theta), exponents.astype(np.float64)).astype(np.float32)
    found = np.float32(1) / powers
    if rotary.factor == 1.0:
        return found
    waves = np.float32(2 * math.pi) / found
    smooth = (np.float32(rotary.original) / waves - np.float32(rotary.low)) / np.float32(rotary.high - rotary.low)
    smooth = np.clip(smooth, np.float32(0), np.float32(1))
    return (1 - smooth) * found / np.float32(rotary.factor) + smooth * found
