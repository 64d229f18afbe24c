from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from hartonomous.calls import Caller
from hartonomous.records import EvaluationInfo, Prediction, TextPrediction, TrainedHead


class Evaluation(Caller):
    def model_train_head(
        self,
        name: str,
        artifact_ids: Sequence[int],
        labels: Sequence[str],
        model: str | None = None,
        method: str | None = None,
        penalty: float | None = None,
    ) -> TrainedHead:
        """Fits a head to stored embeddings of artifacts and stores it as a model."""
        rows = {"name": name, "artifact_ids": list(artifact_ids), "labels": list(labels)}
        weight = None if penalty is None else np.float32(penalty)
        return self._row(TrainedHead, "model_train_head", rows, model=model, method=method, penalty=weight)

    def model_retrain(self, model: str, artifact_ids: Sequence[int], labels: Sequence[str]) -> TrainedHead:
        rows = {"model": model, "artifact_ids": list(artifact_ids), "labels": list(labels)}
        return self._row(TrainedHead, "model_retrain", rows)

    def predict(self, content: str, model: str | None = None) -> list[Prediction]:
        """Every label, the most probable first."""
        return self._rows(Prediction, "predict", {"content": content}, model=model)

    def predict_many(self, contents: Sequence[str], model: str | None = None) -> list[TextPrediction]:
        """The most probable label of each text."""
        return self._rows(TextPrediction, "predict_many", {"contents": list(contents)}, model=model)

    def evaluation_put(self, name: str, kind: str, inputs: Sequence[str], expected: Sequence[str] | None = None) -> int:
        rows = {"name": name, "kind": kind, "inputs": list(inputs)}
        return self._value("evaluation_put", rows, expected=None if expected is None else list(expected))

    def evaluation_list(self) -> list[EvaluationInfo]:
        return self._rows(EvaluationInfo, "evaluation_list", {})

    def evaluation_drop(self, name: str) -> None:
        self._run("evaluation_drop", {"name": name})

    def model_validate(
        self,
        a: str | None,
        b: str | None,
        evaluation: str,
        k: int | None = None,
        resamples: int | None = None,
        seed: int | None = None,
    ) -> dict[str, Any]:
        what = {"a": a, "b": b, "evaluation": evaluation}
        return self._value("model_validate", what, k=k, resamples=resamples, seed=seed)
