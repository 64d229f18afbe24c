"""Three directions that give embeddings a place: random ones, or those along which a sample varies most."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from hartonomous_server.blas import numpy
from hartonomous_server.inference import engine

if TYPE_CHECKING:
    import numpy as np


def random(db: Any, model_id: int, dimensions: int) -> list[bytes]:
    """Memory images of three directions that follow from the model's weights alone."""
    return engine.images(directions(engine.state_hash(db, model_id), dimensions))


def fit(images: Sequence[bytes]) -> dict[str, Any]:
    """Directions and their share of the variance, from vectors as vector_send gives them."""
    axes, variance = principal(numpy().stack([numpy().frombuffer(image, ">f4", offset=4) for image in images]))
    return {"images": engine.images(axes), "variance": variance}


def directions(state_hash: bytes, dimensions: int) -> np.ndarray:
    """Three orthonormal directions (3, dimensions); where there are fewer dimensions, the last are zero."""
    np = numpy()
    seed = np.random.RandomState(np.frombuffer(state_hash, "<u4"))  # the legacy generator's stream never changes
    found, triangle = np.linalg.qr(seed.standard_normal((dimensions, min(3, dimensions))))
    return _three((found * np.sign(np.diag(triangle))).T)


def principal(vectors: np.ndarray) -> tuple[np.ndarray, float]:
    """The first three principal directions (3, dimensions) of the directions of vectors (n, dimensions), and the
    share of their variance along these.

    Distances to four landmarks place a vector in three dimensions exactly as an orthogonal projection does; of these
    this one keeps most of the distances.
    """
    np = numpy()
    unit = vectors.astype(np.float64)
    unit /= np.linalg.norm(unit, axis=1, keepdims=True)
    unit -= unit.mean(axis=0)
    wide = unit.shape[1] > unit.shape[0]
    values, found = np.linalg.eigh(unit @ unit.T if wide else unit.T @ unit)
    values, found = values[::-1][:3], found[:, ::-1][:, :3]
    kept = values > 1e-9 * max(float(np.sum(unit * unit)), 1e-9)
    found = found[:, kept]
    axes = (found.T @ unit / np.sqrt(values[kept])[:, None]) if wide else found.T
    axes *= np.sign(np.take_along_axis(axes, np.abs(axes).argmax(axis=1)[:, None], axis=1))  # the same for every caller
    return _three(axes), float(values[kept].sum() / max(float(np.sum(unit * unit)), 1e-30))


def _three(axes: np.ndarray) -> np.ndarray:
    np = numpy()
    return np.pad(axes, ((0, 3 - len(axes)), (0, 0)))

