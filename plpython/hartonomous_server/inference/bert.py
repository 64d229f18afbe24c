"""BERT and its relatives in numpy or a module like it, on a chunk of texts laid side by side.

Activations are (features, tokens): each matrix product is weights x activations with the tokens in the columns, the
order in which OpenBLAS treats all tokens alike and which is fastest for narrow chunks.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from hartonomous_server import blas
from hartonomous_server.inference import kernels
from hartonomous_server.inference.batching import WIDTH, Group
from hartonomous_server.inference.device import PROCESSOR, Processor
from hartonomous_server.inference.packing import Layer, Norm, Packed
from hartonomous_server.inference.panels import RUN
from hartonomous_server.models.encoders import EncoderConfig

blas.numpy()
import numpy as np  # noqa: E402

Array = Any
Check = Callable[[], object]

LINE = 16  # numbers in a cache line
SCORES_BLOCK = 131072  # attention scores worked on at a time, so that they stay in the second-level cache


class Workspace:
    """Buffers of one thread. Pages of a buffer cost memory only once a chunk that wide has touched them."""

    def __init__(self, config: EncoderConfig, device: Processor = PROCESSOR) -> None:
        self._zeros = device.zeros
        self._rows = {
            "x": config.hidden_size,
            "y": max(config.hidden_size, RUN),
            "qkv": 3 * config.hidden_size,
            "inner": config.intermediate_size,
        }
        self._flat: dict[str, Array] = {}
        self._scores: Array = device.zeros(0)
        self._scratch: Array = device.zeros(2 * kernels.BLOCK)

    @staticmethod
    def bytes_of(config: EncoderConfig, length: int) -> int:
        """What a chunk with a text of so many tokens takes."""
        wide, score = max(length, WIDTH), -(-length // LINE) * LINE * length
        rows = 4 * config.hidden_size + max(config.hidden_size, RUN) + config.intermediate_size
        return 4 * (rows * wide + max(score, SCORES_BLOCK))

    def array(self, name: str, width: int) -> Array:
        """(features, width), contents undefined."""
        size = self._rows[name] * width
        if name not in self._flat or self._flat[name].size < size:
            self._flat[name] = self._zeros(self._rows[name] * max(width, WIDTH))
        return self._flat[name][:size].reshape(-1, width)

    def scores(self, texts: int, heads: int, length: int) -> Array:
        """(texts, heads, keys, queries), queries widened to whole cache lines; contents undefined but finite."""
        width = -(-length // LINE) * LINE
        size = texts * heads * length * width
        if self._scores.size < size:
            self._scores = self._zeros(max(size, SCORES_BLOCK))
        return self._scores[:size].reshape(texts, heads, length, width)

    def scratch(self, shape: tuple[int, ...]) -> Array:
        """(2, *shape), contents undefined."""
        size = 2 * math.prod(shape)
        if self._scratch.size < size:
            self._scratch = self._zeros(size)
        return self._scratch[:size].reshape(2, *shape)


class Bert:
    """The network, given its packed weights."""

    def __init__(self, config: EncoderConfig, packed: Packed, device: Processor = PROCESSOR) -> None:
        self.config = config
        self.device = device
        self._packed = packed
        self._activation = kernels.activation(config.hidden_act)

    def hidden(self, ids: Any, positions: Any, groups: Sequence[Group], workspace: Workspace, check: Check) -> Array:
        """Last hidden states (hidden, width) of token ids (width) that lie in groups; columns outside are undefined."""
        x = self._embed(ids, positions, workspace)  # (hidden, width)
        for layer in self._packed.layers:
            check()
            self._attend(layer, x, groups, workspace)
            self._feed_forward(layer, x, workspace)
        return x

    def tokens_independent(self) -> bool:
        """Whether this BLAS gives a token the same result in every column and width of all products of a layer."""
        layer = self._packed.layers[0]
        return all(self._columns_equal(weights) for weights in layer.matrices)

    def _columns_equal(self, weights: Array) -> bool:
        device, (rows, terms) = self.device, weights.shape
        bias = device.zeros(rows)[:, None]
        column = device.put(np.sin(np.arange(terms, dtype=np.float32))[:, None])
        results = []
        for width in (WIDTH, *(device.step * count for count in range(1, 1 + max(3, 64 // device.step)))):
            out, scratch = (device.zeros(size * width).reshape(size, width) for size in (rows, RUN))
            device.project(weights, bias, device.xp.tile(column, width), out, scratch)
            results.append(device.get(out))
        return all((result == results[0][:, :1]).all() for result in results)

    def _embed(self, ids: Any, positions: Any, workspace: Workspace) -> Array:
        width, xp = len(ids), self.device.xp
        x = workspace.array("x", width)
        y = workspace.array("y", width)[: len(x)]
        rows, places = y.reshape(width, -1), x.reshape(width, -1)  # (width, hidden)
        self.device.rows(self._packed.words, self.device.put(ids), rows)
        self.device.rows(self._packed.positions, self.device.put(positions), places)
        xp.add(rows, places, out=rows)
        x[...] = rows.T
        self._norm(self._packed.norm, x, workspace)
        return x

    def _attend(self, layer: Layer, x: Array, groups: Sequence[Group], workspace: Workspace) -> None:
        """x = norm(x + attention(x))"""
        hidden, width = x.shape
        qkv, scratch = workspace.array("qkv", width), workspace.array("y", width)  # (3 hidden, width)
        self.device.project(layer.qkv, layer.query_bias, x, qkv, scratch)
        context = workspace.array("inner", width)[:hidden]  # (hidden, width)
        for group in groups:
            self._attend_group(qkv, context, group, workspace)
        context[:, groups[-1].end :] = 0
        self.device.project_onto(layer.out, layer.out_bias, context, x, scratch)
        self._norm(layer.attention_norm, x, workspace)

    def _attend_group(self, qkv: Array, context: Array, group: Group, workspace: Workspace) -> None:
        """Each product has the shape of one head of one text, so its result does not depend on the neighbours."""
        parts = qkv.reshape(3, -1, qkv.shape[1])  # each (hidden, width)
        query, key, value = (self._by_head(part, group) for part in parts)  # (texts, heads, head size, length)
        output = self._by_head(context, group)
        heads, length = self.config.num_attention_heads, group.length
        distances = self._distances(length)  # (heads, keys, queries)
        most = self.device.block(SCORES_BLOCK)
        some_heads = max(1, min(heads, most // length**2))
        some_texts = max(1, most // (heads * length**2))
        for text in range(0, len(group.texts), some_texts):
            for head in range(0, heads, some_heads):
                part = slice(text, text + some_texts), slice(head, head + some_heads)
                gains = None if distances is None else distances[part[1]]
                self._attend_heads(query[part], key[part], value[part], output[part], gains, workspace)

    def _distances(self, length: int) -> Array | None:
        """View (heads, keys, queries) of what scores gain by distance."""
        table = self._packed.distances
        if not table.size:
            return None
        return self.device.by_distance(table, self.config.positions - 1, length)

    def _attend_heads(
        self, query: Array, key: Array, value: Array, output: Array, gains: Array | None, workspace: Workspace
    ) -> None:
        """output = value x softmax(key^T x query + gains), all (texts, heads, head size, length)"""
        (texts, heads, _, length), xp = query.shape, self.device.xp
        scores = workspace.scores(texts, heads, length)  # (texts, heads, keys, queries)
        xp.matmul(key.swapaxes(2, 3), query, out=scores[..., :length])
        if gains is not None:
            xp.add(scores[..., :length], gains, out=scores[..., :length])
        sums = kernels.softmax_parts(scores, xp)  # (texts, heads, 1, queries)
        xp.matmul(value, scores[..., :length], out=output)
        xp.divide(output, sums[..., :length], out=output)

    def _by_head(self, array: Array, group: Group) -> Array:
        """(hidden, width) -> view (texts, heads, head size, length)"""
        heads = array[:, group.start : group.end].reshape(
            self.config.num_attention_heads, self.config.head_size, len(group.texts), group.length
        )
        return heads.transpose(2, 0, 1, 3)

    def _feed_forward(self, layer: Layer, x: Array, workspace: Workspace) -> None:
        """x = norm(x + down(activation(up(x))))"""
        width = x.shape[1]
        inner, scratch = workspace.array("inner", width), workspace.array("y", width)  # (inner, width)
        self.device.project(layer.up, layer.up_bias, x, inner, scratch)
        step = max(1, self.device.block(kernels.BLOCK) // width)
        for row in range(0, len(inner), step):
            rows = inner[row : row + step]
            self._activation(rows, workspace.scratch(rows.shape), self.device.xp)
        self.device.project_onto(layer.down, layer.down_bias, inner, x, scratch)
        self._norm(layer.output_norm, x, workspace)

    def _norm(self, norm: Norm, x: Array, workspace: Workspace) -> None:
        scratch = workspace.array("y", x.shape[1])[: len(x)]
        kernels.layer_norm(x, norm.scale, norm.shift, self.config.layer_norm_eps, scratch, self.device.xp)
