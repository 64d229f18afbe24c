"""What the matrices of an encoder are applied to: means and covariances of their inputs over some texts."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from hartonomous_server import blas
from hartonomous_server.inference import kernels
from hartonomous_server.inference.bert import Bert, Check, Workspace
from hartonomous_server.inference.encoder import Encoder

blas.numpy()
import numpy as np  # noqa: E402

Array = np.ndarray


class Inputs:
    """Sums over the columns seen."""

    def __init__(self, size: int) -> None:
        self._count = 0
        self._sum = np.zeros(size)
        self._products = np.zeros((size, size))

    def add(self, x: Array) -> None:
        """x: (features, tokens)"""
        self._count += x.shape[1]
        self._sum += x.sum(axis=1, dtype=np.float64)
        self._products += x @ x.T

    def mean(self) -> Array:
        return self._sum / self._count

    def spread(self) -> Array:
        mean = self.mean()
        return self._products / self._count - np.outer(mean, mean)


class Observed(Bert):
    """The network, noting what goes into the four products of each layer."""

    def __init__(self, network: Bert) -> None:
        super().__init__(network.config, network._packed, network.device)
        self.seen: list[dict[str, Inputs]] = []
        self._layer = 0

    def hidden(self, ids: Any, positions: Any, groups: Any, workspace: Workspace, check: Check) -> Array:
        self._layer = 0
        return super().hidden(ids, positions, groups, workspace, check)

    def _attend(self, layer: Any, x: Array, groups: Any, workspace: Workspace) -> None:
        if self._layer == len(self.seen):
            config = self.config
            self.seen.append({name: Inputs(config.hidden_size) for name in ("attend", "out", "up")})
            self.seen[-1]["down"] = Inputs(config.intermediate_size)
        seen, used = self.seen[self._layer], groups[-1].end
        seen["attend"].add(self.device.get(x[:, :used]))
        super()._attend(layer, x, groups, workspace)
        seen["out"].add(self.device.get(workspace.array("inner", x.shape[1])[: len(x), :used]))
        seen["up"].add(self.device.get(x[:, :used]))
        self._used = used

    def _feed_forward(self, layer: Any, x: Array, workspace: Workspace) -> None:
        super()._feed_forward(layer, x, workspace)
        self.seen[self._layer]["down"].add(self.device.get(workspace.array("inner", x.shape[1])[:, : self._used]))
        self._layer += 1


def inputs(encoder: Encoder, ids: Sequence[Sequence[int]], check: Check) -> dict[str, tuple[Array, Array]]:
    """Mean and covariance of what each matrix of the encoder is applied to, by the matrix's name, over texts."""
    network = Observed(encoder._network)
    plain, encoder._network = encoder._network, network
    try:
        for at in range(0, len(ids), 16):
            encoder.encode(ids[at : at + 16], check)
    finally:
        encoder._network = plain
    found = {}
    for number, seen in enumerate(network.seen):
        names = network.config.layer(number)
        spread = {name: part.spread() for name, part in seen.items()}
        for part in (names.query, names.key, names.value):
            found[part] = seen["attend"].mean(), spread["attend"]
        found[names.out] = seen["out"].mean(), spread["out"]
        found[names.up] = seen["up"].mean(), spread["up"]
        # the engine leaves a factor of the activation to the weights that follow it
        factor = kernels.output_factor(network.config.hidden_act)
        found[names.down] = seen["down"].mean() * factor, spread["down"] * factor**2
    return found
