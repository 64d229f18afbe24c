"""Tensors from .npy and .safetensors: norms of tiles. x is the column (last dimension), y the row (all others)."""

from __future__ import annotations

import json
import math
import warnings
from collections.abc import Iterator
from typing import Any

from hartonomous_server import dtypes
from hartonomous_server.atoms.decoders import ewkb
from hartonomous_server.atoms.decoders.source import (
    Found,
    Gate,
    Shape,
    Source,
    TooLarge,
    beginning,
    decoding,
    malformed,
)
from hartonomous_server.blas import numpy

MAX_VALUES = 1 << 28
MAX_TENSORS = 10_000
MAX_HEADER_BYTES = 16 << 20
TILE_VALUES, TILE = 1 << 16, 256
STRIP_VALUES = 1 << 22  # in memory at once


def decode(source: Source, found: Found, gate: Gate) -> None:
    with decoding("tensor", source):
        if source.head(6) == b"\x93NUMPY":
            _npy(source, found, gate)
        elif source.size >= 8 and source.head(1, 8) == b"{":
            _safetensors(source, found, gate)
        else:
            raise malformed(f"found {beginning(source)}, expected tensors: .npy or .safetensors")


def _npy(source: Source, found: Found, gate: Gate) -> None:
    from numpy.lib import format

    version = format.read_magic(source)
    if version not in ((1, 0), (2, 0)):
        raise TooLarge(f"format version {version[0]}.{version[1]} is not decoded, expected 1.0 or 2.0")
    read: Any = format.read_array_header_1_0 if version == (1, 0) else format.read_array_header_2_0
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        shape, fortran, dtype = read(source, max_header_size=10_000)
    found.facts.update(format="npy", dtype=str(dtype), shape=list(shape), fortran_order=fortran)
    if dtype.hasobject:
        raise TooLarge("Python objects are not decoded, which would run what they say")
    declared = source.tell() + math.prod(shape) * dtype.itemsize
    if declared != source.size:
        raise malformed(f"header declares {declared} bytes, found {source.size}")
    if dtype.kind not in "biufc":
        raise TooLarge(f"values of type {dtype} are not decoded")
    if fortran and len(shape) > 2:
        raise TooLarge("tensors of more than two dimensions in Fortran order are not decoded")
    _check_size(math.prod(shape))
    found.shapes += _tiles(source, shape[::-1] if fortran else shape, dtype, {}, gate, fortran)


def _safetensors(source: Source, found: Found, gate: Gate) -> None:
    length = int.from_bytes(source.head(8), "little")
    if length > min(MAX_HEADER_BYTES, source.size - 8):
        raise malformed(f"header declares {length} bytes for itself, found {source.size - 8} in all")
    header = json.loads(source.head(length, 8))
    header.pop("__metadata__", None)
    tensors = sorted(header.items(), key=lambda item: item[1]["data_offsets"])
    found.facts.update(format="safetensors", tensors=len(tensors))
    at = 0
    for name, entry in tensors:
        start, end = entry["data_offsets"]
        size = math.prod(entry["shape"]) * _dtype(entry["dtype"]).itemsize
        if start != at or end - start != size or min(entry["shape"], default=0) < 0:
            raise malformed(f"tensor {name!r} has bytes {start} to {end}, expected {size} from {at}")
        at = end
    if 8 + length + at != source.size:
        raise malformed(f"header declares {8 + length + at} bytes, found {source.size}")
    if len(tensors) > MAX_TENSORS:
        raise TooLarge(f"{len(tensors)} tensors, at most {MAX_TENSORS} are decoded")
    _check_size(sum(math.prod(entry["shape"]) for _, entry in tensors))
    for name, entry in tensors:
        source.seek(8 + length + entry["data_offsets"][0])
        dtype, shape = entry["dtype"], entry["shape"]
        note = {"tensor": name, "dtype": dtype, "shape": shape}
        found.shapes += _tiles(source, shape, _dtype(dtype), note, gate, bf16=dtype == "BF16")


def _dtype(name: str) -> Any:
    if name not in dtypes.NUMPY or name in dtypes.BYTES:
        raise TooLarge(f"values of type {name} are not decoded")
    return numpy().dtype(dtypes.NUMPY[name])


def _check_size(values: int) -> None:
    if values > MAX_VALUES:
        raise TooLarge(f"{values} values, at most {MAX_VALUES} are decoded")


def _tiles(source: Source, shape: Any, dtype: Any, note: dict[str, Any], gate: Gate, swap: bool = False,
           bf16: bool = False) -> Iterator[Shape]:
    np = numpy()
    rows, columns = math.prod(shape[:-1]), shape[-1] if shape else 1
    if not rows * columns:
        return
    across = columns if columns < TILE else TILE_VALUES if columns >= TILE_VALUES else TILE
    down = max(1, min(rows, TILE_VALUES // across, STRIP_VALUES // columns))
    for y in range(0, rows, down):
        high = min(down, rows - y)
        for left in range(0, columns, across if down == 1 else columns):  # of a single row a tile, else whole rows
            wide = min(across, columns - left) if down == 1 else columns
            gate()
            values = np.frombuffer(source.read(high * wide * dtype.itemsize), dtype).reshape(high, wide)
            if bf16:
                values = (values.astype(np.uint32) << 16).view(np.float32)
            for x in range(0, wide, across):
                tile = values[:, x : x + across]
                box = (left + x, y, left + x + tile.shape[1], y + high)
                [geom] = ewkb.boxes([[box[1], box[0], box[3], box[2]] if swap else box])
                yield Shape("tile", geom, {**note, **_measures(tile)})


def _measures(tile: Any) -> dict[str, Any]:
    np = numpy()
    tile = np.abs(tile) if tile.dtype.kind == "c" else tile.astype(np.float64)
    finite = tile[np.isfinite(tile)]
    measures: dict[str, Any] = {"not_finite": tile.size - finite.size} if finite.size < tile.size else {}
    if finite.size:
        low, high = float(finite.min()), float(finite.max())
        scale = max(abs(low), abs(high)) or 1.0
        norm = scale * math.sqrt(float(np.square(finite / scale).sum()))
        measures.update({name: _rounded(value) for name, value in
                         (("norm", norm), ("min", low), ("max", high)) if math.isfinite(value)})
    return measures


def _rounded(value: float) -> float:
    return float(f"{value:.7g}")
