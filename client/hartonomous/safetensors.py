"""The safetensors format, read and written as a stream: 8 bytes header length, JSON header, tensors without gaps."""

from __future__ import annotations

import json
import math
import struct
import zipfile
import zlib
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO, Any

import numpy as np
from numpy.typing import NDArray

from hartonomous.errors import ModelCorrupt, TensorMismatch

MAX_HEADER = 100_000_000  # the reference implementation's bound
CHUNK = 1 << 20
ARCHIVE_DAMAGE = (zipfile.BadZipFile, zlib.error, EOFError)  # what reading from a wheel may raise

# bytes of an element, and numpy's type where it has one
DTYPES: dict[str, tuple[int, str | None]] = {
    "F64": (8, "<f8"), "F32": (4, "<f4"), "F16": (2, "<f2"), "BF16": (2, None),
    "I64": (8, "<i8"), "I32": (4, "<i4"), "I16": (2, "<i2"), "I8": (1, "i1"),
    "U64": (8, "<u8"), "U32": (4, "<u4"), "U16": (2, "<u2"), "U8": (1, "u1"),
    "BOOL": (1, "?"), "F8_E4M3": (1, None), "F8_E5M2": (1, None),
}  # fmt: skip


@dataclass(frozen=True)
class Tensor:
    name: str
    dtype: str
    shape: tuple[int, ...]
    start: int  # from the beginning of the data
    length: int


@dataclass(frozen=True)
class Header:
    tensors: list[Tensor]  # in the order of their bytes
    metadata: dict[str, str] | None
    data_start: int


def read_header(stream: IO[bytes], size: int) -> Header:
    """Header of a file of size bytes, checked; leaves the stream at the first tensor."""
    (length,) = struct.unpack("<Q", _read(stream, 8, "the header's length"))
    if length > min(MAX_HEADER, max(size - 8, 0)):
        raise ModelCorrupt(
            f"safetensors header of {length} bytes, expected at most {min(MAX_HEADER, max(size - 8, 0))}",
            detail=f"the file has {size} bytes",
            hint="the file is truncated or not a safetensors file",
        )
    text = _read(stream, length, "the header")
    try:
        entries = json.loads(text.decode(), object_pairs_hook=_unique)
    except (ValueError, RecursionError) as error:
        raise ModelCorrupt(f"safetensors header is not valid JSON: {error}") from error
    if not isinstance(entries, dict):
        raise ModelCorrupt(f"safetensors header is a JSON {type(entries).__name__}, expected an object")
    metadata = entries.pop("__metadata__", None)
    _check_metadata(metadata)
    tensors = sorted((_tensor(*item) for item in entries.items()), key=lambda t: (t.start, t.length))
    _check_layout(tensors, size - 8 - length)
    return Header(tensors, metadata, 8 + length)


def read_chunks(stream: IO[bytes], header: Header, chunk: int = CHUNK) -> Iterator[tuple[Tensor, int, bytes]]:
    """Yields (tensor, byte offset within it, bytes) in the order of the file; an empty tensor gives one empty chunk."""
    for tensor in header.tensors:
        for start in range(0, max(tensor.length, 1), chunk):
            length = min(chunk, tensor.length - start)
            yield tensor, start, _read(stream, length, f'tensor "{tensor.name}"')


def write(
    stream: IO[bytes], tensors: Iterable[Tensor], metadata: dict[str, str] | None, chunks: Iterable[bytes]
) -> None:
    """Writes a file whose tensors follow each other as given; chunks are their bytes."""
    entries: dict[str, Any] = {} if metadata is None else {"__metadata__": metadata}
    for tensor in tensors:
        place = [tensor.start, tensor.start + tensor.length]
        entries[tensor.name] = {"dtype": tensor.dtype, "shape": list(tensor.shape), "data_offsets": place}
    text = json.dumps(entries, separators=(",", ":"), ensure_ascii=False).encode()
    text += b" " * (-len(text) % 8)
    stream.write(struct.pack("<Q", len(text)) + text)
    for chunk in chunks:
        stream.write(chunk)


def to_numpy(data: bytes, dtype: str, shape: Iterable[int]) -> NDArray[Any]:
    """Bytes of a tensor as an array; BF16 is widened to float32, 8-bit floats stay raw uint8."""
    if dtype == "BF16":
        array: NDArray[Any] = (np.frombuffer(data, "<u2").astype("<u4") << 16).view("<f4")
    else:
        array = np.frombuffer(data, DTYPES[dtype][1] or "u1")
    return array.reshape(tuple(shape))


def _tensor(name: str, entry: Any) -> Tensor:
    if not isinstance(entry, dict) or set(entry) != {"dtype", "shape", "data_offsets"}:
        found = sorted(entry) if isinstance(entry, dict) else type(entry).__name__
        raise ModelCorrupt(f'tensor "{name}": found {found}, expected dtype, shape and data_offsets')
    dtype, shape, offsets = entry["dtype"], entry["shape"], entry["data_offsets"]
    if not isinstance(dtype, str) or dtype not in DTYPES:
        raise TensorMismatch(f'tensor "{name}": unknown dtype {dtype!r}', hint=f"known are {', '.join(DTYPES)}")
    if not _naturals(shape):
        raise TensorMismatch(f'tensor "{name}": shape {shape!r}, expected a list of natural numbers')
    if not _naturals(offsets) or len(offsets) != 2 or offsets[0] > offsets[1]:
        raise ModelCorrupt(f'tensor "{name}": data_offsets {offsets!r}, expected a begin and an end')
    length = offsets[1] - offsets[0]
    expected = math.prod(shape) * DTYPES[dtype][0]
    if length != expected:
        raise TensorMismatch(f'tensor "{name}": {length} bytes, expected {expected} for {dtype} {shape}')
    return Tensor(name, dtype, tuple(shape), offsets[0], length)


def _naturals(value: Any) -> bool:
    return isinstance(value, list) and all(type(item) is int and 0 <= item < 1 << 63 for item in value)


def _check_layout(tensors: list[Tensor], available: int) -> None:
    end, before = 0, "the header"
    for tensor in tensors:
        if tensor.start != end:
            how = "overlaps" if tensor.start < end else "leaves a gap after"
            found = f'tensor "{tensor.name}" begins at byte {tensor.start}, expected {end}'
            raise ModelCorrupt(f"{found}: it {how} {before}")
        end, before = end + tensor.length, f'"{tensor.name}"'
    if end > available:
        cut = next(tensor for tensor in tensors if tensor.start + tensor.length > available)
        raise ModelCorrupt(
            f'file is truncated in tensor "{cut.name}": found {available} bytes of tensors, expected {end}',
            hint="download or copy the file again",
        )
    if end < available:
        raise ModelCorrupt(f"found {available} bytes of tensors, expected {end}: the last belong to no tensor")


def _check_metadata(metadata: Any) -> None:
    if metadata is None:
        return
    if not isinstance(metadata, dict) or not all(isinstance(value, str) for value in metadata.values()):
        raise ModelCorrupt("safetensors __metadata__ is not an object of texts")


def _unique(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    entries = dict(pairs)
    if len(entries) != len(pairs):
        names = [name for name, _ in pairs]
        raise ValueError(f'"{next(name for name in names if names.count(name) > 1)}" stands twice')
    return entries


def _read(stream: IO[bytes], length: int, what: str) -> bytes:
    try:
        data = stream.read(length)
    except ARCHIVE_DAMAGE as error:
        raise ModelCorrupt(f"file is damaged in {what}: {error}", hint="download or copy the file again") from error
    if len(data) != length:
        raise ModelCorrupt(
            f"file is truncated in {what}: found {len(data)} bytes, expected {length}",
            hint="download or copy the file again",
        )
    return data
