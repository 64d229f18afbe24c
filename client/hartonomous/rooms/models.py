from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from hartonomous import safetensors
from hartonomous.calls import Caller
from hartonomous.errors import translated
from hartonomous.records import ModelInfo, ModelStorage, PartialTensor, Student, TensorFootprint, TensorInfo
from hartonomous.rooms.atoms import Json, jsonb
from hartonomous.rooms.shapes import Geometry


def _reals(vector: ArrayLike) -> list[np.float32]:
    return list(np.asarray(vector, np.float32))


class Models(Caller):
    def model_begin(
        self, name: str, architecture: str, config: Json, tokenizer: Json | None = None, version: str | None = None
    ) -> int:
        return self._value(
            "model_begin",
            {"name": name, "architecture": architecture, "config": jsonb(config)},
            tokenizer=jsonb(tokenizer),
            version=version,
        )

    def tensor_put(self, model_id: int, tensor: str, dtype: str, shape: Sequence[int], start: int, data: bytes) -> None:
        """Stores a part of a tensor: little-endian bytes at byte offset start."""
        what = {"model_id": model_id, "tensor": tensor, "dtype": dtype, "shape": list(shape)}
        self._run("tensor_put", {**what, "start": start, "data": data})

    def tensor_missing(self, model_id: int) -> list[PartialTensor]:
        return self._rows(PartialTensor, "tensor_missing", {"model_id": model_id})

    def model_commit(self, model_id: int) -> int:
        return self._value("model_commit", {"model_id": model_id})

    def model_list(self) -> list[ModelInfo]:
        return self._rows(ModelInfo, "model_list", {})

    def model_files(self, model: str | None) -> dict[str, Any]:
        return self._value("model_files", {"model": model})

    def model_storage(self, model: str | None) -> ModelStorage:
        return self._row(ModelStorage, "model_storage", {"model": model})

    def model_deploy(self, model: str, share: float | None = None) -> None:
        """share: as the candidate beside the deployed model, for that part of the requests."""
        self._run("model_deploy", {"model": model}, share=None if share is None else np.float32(share))

    def model_archive(self, model: str) -> None:
        self._run("model_archive", {"model": model})

    def model_rollback(self, kind: str | None = None) -> str:
        return self._value("model_rollback", {}, kind=kind)

    def tensor_delta_add(self, model: str, name: str, u: ArrayLike, v: ArrayLike, sigma: float) -> int:
        """Adds sigma u v^T to a matrix."""
        vectors = {"u": _reals(u), "v": _reals(v), "sigma": np.float32(sigma)}
        return self._value("tensor_delta_add", {"model": model, "name": name, **vectors})

    def coefficient_set(self, coefficient_id: int, value: float) -> None:
        self._run("coefficient_set", {"coefficient_id": coefficient_id, "value": np.float32(value)})

    def model_drop(self, model: str) -> None:
        self._run("model_drop", {"model": model})

    def model_collect_garbage(self, older_than: timedelta | None = None, batch: int | None = None) -> int:
        return self._value("model_collect_garbage", {}, older_than=older_than, batch=batch)

    def model_student(self, model: str, name: str, energy: float) -> Student:
        return self._row(Student, "model_student", {"model": model, "name": name, "energy": np.float32(energy)})

    def tensor_list(self, model: str | None, as_of: datetime | None = None) -> list[TensorInfo]:
        return self._rows(TensorInfo, "tensor_list", {"model": model}, as_of=as_of)

    def tensor_footprints(
        self, model: str | None, of_layer: str | None = None, region: Geometry | None = None
    ) -> list[TensorFootprint]:
        return self._rows(TensorFootprint, "tensor_footprints", {"model": model}, of_layer=of_layer, region=region)

    def tensor(self, model: str | None, name: str, as_of: datetime | None = None) -> NDArray[Any]:
        """A tensor as an array; BF16, which numpy lacks, is widened to float32, and 8-bit floats come as raw uint8."""
        text = (
            "select l.dtype, l.shape, hartonomous.tensor(%(model)s, %(name)s, %(as_of)s) from (values (1)) as one "
            "left join hartonomous.tensor_list(%(model)s, %(as_of)s) as l on l.name = %(name)s"
        )
        with translated():
            dtype, shape, data = self.query(text, {"model": model, "name": name, "as_of": as_of}).fetchall()[0]
        return safetensors.to_numpy(data, dtype, shape)

    def tensor_slice(
        self, model: str | None, name: str, start: int, length: int, as_of: datetime | None = None
    ) -> bytes:
        part = {"model": model, "name": name, "start": start, "length": length}
        return self._value("tensor_slice", part, as_of=as_of)
