"""Loading a model beside COPY of the same bytes; export."""

from __future__ import annotations

import hashlib
import random
import statistics
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import models_files
import psycopg
from hartonomous import models
from lib import MB, np, row
from place import Place

ROUNDS = 5
TILE = 256 * 1024


def measure(place: Place, client: Any, folder: Path) -> list[dict[str, Any]]:
    """Each round has weights that nobody has stored."""
    model = models_files.unpack(folder)
    base = models_files.weights(model)
    seconds: dict[str, list[float]] = {"model": [], "COPY": []}
    chance = random.Random(1)
    with psycopg.connect(place.dsn, autocommit=True) as plain:
        plain.execute("create table plain.tile (data bytea)")
        plain.execute("alter table plain.tile alter data set storage external")
        models.ingest(client, model, "base")
        for number in range(ROUNDS):
            moved = {
                name: array * np.float32(1 + (number + 1) / 1024) if array.dtype == np.float32 else array
                for name, array in base.items()
            }
            changed = models_files.variant(model, f"round-{number}", moved)
            plain.execute("truncate plain.tile")
            systems: list[tuple[str, Callable[[], Any]]] = [
                ("model", lambda changed=changed, number=number: models.ingest(client, changed, f"round-{number}")),
                ("COPY", lambda changed=changed: copy(plain, changed / "model.safetensors")),
            ]
            for name, work in chance.sample(systems, len(systems)):
                started = time.perf_counter()
                work()
                seconds[name].append(time.perf_counter() - started)
    size = (model / "model.safetensors").stat().st_size / MB
    rates = {name: size / statistics.median(some) for name, some in seconds.items()}
    ratio = statistics.median(b / a for a, b in zip(seconds["model"], seconds["COPY"], strict=True))
    equal = exported(client, model, folder / "exported.safetensors")
    return [
        row("load a model", "MB/s", rates),
        row("load a model, of COPY's rate", "", {"model": ratio}, 2, least=0.6),
        row("tensors exported with the same SHA-256", "%", {"model": 100 * equal}, 0, least=100),
    ]


def copy(connection: psycopg.Connection[Any], file: Path) -> None:
    """The file's bytes as rows of the size of a tile, in one transaction."""
    with (
        connection.transaction(), connection.cursor() as cursor, file.open("rb") as stream,
        cursor.copy("copy plain.tile (data) from stdin (format binary)") as rows,
    ):  # fmt: skip
        rows.set_types(["bytea"])
        while part := stream.read(TILE):
            rows.write_row([part])


def exported(client: Any, model: Path, file: Path) -> float:
    """Share of the tensors that come out as they went in."""
    models.export(client, "base", file)
    before, after = (hashes(path) for path in (model / "model.safetensors", file))
    return sum(after.get(name) == digest for name, digest in before.items()) / max(len(before), len(after))


def hashes(file: Path) -> dict[str, tuple[str, tuple[int, ...], str]]:
    return {
        name: (str(array.dtype), array.shape, hashlib.sha256(array.tobytes()).hexdigest())
        for name, array in models_files.load_file(file).items()
    }
