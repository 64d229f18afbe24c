"""Token ids to sentence vectors: batching, the network, pooling, unit length."""

from __future__ import annotations

import threading
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from hartonomous_server import blas, errors
from hartonomous_server.inference import batching, packing
from hartonomous_server.inference.bert import Bert, Check, Workspace
from hartonomous_server.inference.device import PROCESSOR, Processor
from hartonomous_server.models import architecture
from hartonomous_server.models.encoders import EncoderConfig

blas.numpy()
import numpy as np  # noqa: E402

Array = np.ndarray

CHECK_SECONDS = 0.05  # while other threads work
SHORTEST_NORM = 1e-12  # the reference divides by no less


def _nothing() -> None:
    pass


class Encoder:
    """A sentence encoder, given its architecture's name, a model's configuration files and its packed weights.

    A text's vector is bit-identical whatever texts it came with. packs: whether texts may share a chunk for
    that; None: find out. device: what the network is computed with.
    """

    def __init__(
        self, name: str, files: Mapping[str, Any], packed: Any, packs: bool | None = None, device: Processor = PROCESSOR
    ) -> None:
        self.config = EncoderConfig.parse(name, files["config"])
        self._modes = architecture.pooling_modes(files)
        self._normalizes = architecture.normalizes(files)
        if not self._modes:
            raise errors.EmbeddingUnsupported(
                "model has no pooling configuration",
                hint='store 1_Pooling/config.json under the key "pooling" of its config',
            )
        self.dimensions = self.config.hidden_size * len(self._modes)
        self.device = device
        self._network = Bert(self.config, packing.unpack(self.config, packed, device.put), device)
        self._workspaces = [Workspace(self.config, device)]
        self.packs = self._network.tokens_independent() if packs is None else packs

    def bytes_of(self, length: int) -> int:
        """What a thread takes for a text of so many tokens."""
        return Workspace.bytes_of(self.config, length)

    def encode(self, ids: Sequence[Sequence[int]], check: Check = _nothing, threads: int = 1) -> Array:
        """Vectors (texts, dimensions) of texts given as token ids; ``check`` is called often, by the calling thread."""
        self._validate(ids)
        vectors = np.empty((len(ids), self.dimensions), np.float32)
        chunks = iter(batching.plan([len(text) for text in ids], self.packs, self.device.step))
        if threads > 1:
            self._encode_threads(chunks, ids, vectors, check, threads)
        else:
            for chunk in chunks:
                self._encode_chunk(chunk, ids, vectors, self._workspaces[0], check)
        if self._normalizes:
            lengths = np.sqrt(np.add.reduce(vectors * vectors, axis=1, keepdims=True))
            np.divide(vectors, np.maximum(lengths, np.float32(SHORTEST_NORM)), out=vectors)
        return vectors

    def hidden(self, ids: Sequence[Sequence[int]], check: Check = _nothing) -> list[Array]:
        """Last hidden states (tokens, hidden) of each text."""
        self._validate(ids)
        states: list[Array] = [np.empty((0, 0), np.float32)] * len(ids)
        for chunk in batching.plan([len(text) for text in ids], self.packs, self.device.step):
            x = self._run(chunk, ids, self._workspaces[0], check)
            for group in chunk.groups:
                for place, text in enumerate(group.texts):
                    start = group.start + place * group.length
                    states[text] = x[:, start : start + group.length].T.copy()
        return states

    def _validate(self, ids: Sequence[Sequence[int]]) -> None:
        positions, vocabulary = self.config.positions, self.config.vocab_size
        for text in ids:
            if not 1 <= len(text) <= positions:
                raise errors.InvalidParameter(f"text has {len(text)} tokens, expected 1 to {positions}")
            if min(text) < 0 or max(text) >= vocabulary:
                found = f"token ids reach from {min(text)} to {max(text)}"
                raise errors.InvalidParameter(f"{found}, expected 0 to {vocabulary - 1}")

    def _run(self, chunk: batching.Chunk, ids: Sequence[Sequence[int]], workspace: Workspace, check: Check) -> Array:
        tokens, positions = np.zeros((2, chunk.width), np.intp)
        for group in chunk.groups:
            part = slice(group.start, group.end)
            tokens[part] = [token for text in group.texts for token in ids[text]]
            positions[part] = self._positions(tokens[part].reshape(-1, group.length)).ravel()
        return self.device.get(self._network.hidden(tokens, positions, chunk.groups, workspace, check))

    def _positions(self, tokens: Array) -> Array:
        """(texts, length) -> rows of the table of positions"""
        padding = self.config.padding
        if padding is None:
            return np.broadcast_to(np.arange(tokens.shape[1]), tokens.shape)
        counted = tokens != padding
        return counted.cumsum(axis=1) * counted + padding

    def _encode_chunk(
        self, chunk: batching.Chunk, ids: Sequence[Sequence[int]], vectors: Array, workspace: Workspace, check: Check
    ) -> None:
        x = self._run(chunk, ids, workspace, check)
        for group in chunk.groups:
            states = x[:, group.start : group.end].reshape(len(x), len(group.texts), group.length)
            vectors[group.texts] = np.concatenate([_pool(states, mode) for mode in self._modes]).T

    def _encode_threads(
        self, chunks: Iterator[batching.Chunk], ids: Sequence[Sequence[int]], vectors: Array, check: Check, count: int
    ) -> None:
        """Threads take chunks in turn; the caller waits and checks. When it gives up they stop after a layer."""
        while len(self._workspaces) < count:
            self._workspaces.append(Workspace(self.config, self.device))
        work = _Work(chunks)

        def run(workspace: Workspace) -> None:
            try:
                for chunk in work:
                    self._encode_chunk(chunk, ids, vectors, workspace, work.check)
            except BaseException as error:  # handed to the caller
                work.stop(error)

        with blas.signals_blocked():
            workers = [threading.Thread(target=run, args=(workspace,)) for workspace in self._workspaces[:count]]
            for worker in workers:
                worker.start()
        try:
            for worker in workers:
                while worker.is_alive():
                    worker.join(CHECK_SECONDS)
                    check()
        finally:
            work.stop()
            for worker in workers:
                worker.join()
        if work.error is not None:
            raise work.error


class _Stopped(Exception):
    """the caller gave up"""


class _Work:
    """Chunks shared by threads, and the end of the work."""

    def __init__(self, chunks: Iterator[batching.Chunk]) -> None:
        self._chunks = chunks
        self._lock = threading.Lock()
        self._stopped = False
        self.error: BaseException | None = None

    def __iter__(self) -> _Work:
        return self

    def __next__(self) -> batching.Chunk:
        with self._lock:
            if self._stopped:
                raise StopIteration
            return next(self._chunks)

    def check(self) -> None:
        if self._stopped:
            raise _Stopped

    def stop(self, error: BaseException | None = None) -> None:
        self._stopped = True
        if not isinstance(error, _Stopped):
            self.error = self.error or error


def _pool(states: Array, mode: str) -> Array:
    """(hidden, texts, length) -> (hidden, texts)"""
    length = np.float32(states.shape[2])
    if mode == "cls_token":
        return states[:, :, 0]
    if mode == "max_tokens":
        return np.maximum.reduce(states, axis=2)
    sums = np.add.reduce(states, axis=2)
    return sums / (length if mode == "mean_tokens" else np.sqrt(length))
