"""Sentence vectors of all-MiniLM-L6-v2 from the database, beside the engines that people run it with.

In a database of its own, which goes afterwards; --rounds, --cores: a part of it. See METHODOLOGY.md.
"""

from __future__ import annotations

import argparse
import html
import json
import random
import re
import statistics
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import hartonomous
import inference_first
import lib
import models_files
import rivals
from hartonomous import models
from lib import np, row
from place import database, role

DATABASE, ROLE = "bench_inference", "bench_inference_writer"
MODEL = "all-MiniLM-L6-v2"
MANUAL = Path("/usr/local/share/postgresql-doc/html")
ROUNDS = 7
OURS, ALONE = "hartonomous", "its engine alone"
STOCK, DEBIAN, ONNX = "sentence-transformers, PyPI torch", "transformers, OpenBLAS torch", "onnxruntime"
LEAST = {  # times their rate
    (STOCK, "short"): 2, (STOCK, "long"): 2, (STOCK, "single"): 2,
    (DEBIAN, "short"): 1, (DEBIAN, "long"): 1, (DEBIAN, "single"): 1,
    (ONNX, "short"): 1.1, (ONNX, "long"): 1.1, (ONNX, "single"): 0.8,
}  # fmt: skip
CLOSE = 2e-6  # of a component of a unit vector

Sets = dict[str, list[str]]


def texts() -> Sets:
    """Questions, passages of 400 to 1,200 characters of the manual, and questions that are asked one at a time."""
    files = [Path(__file__).parent / "data" / f"{name}.jsonl" for name in ("questions", "tuning_questions")]
    questions = [json.loads(line)["question"] for file in files for line in file.read_text().splitlines()]
    chance = random.Random(1)
    passages = []
    for page in chance.sample([path for path in sorted(MANUAL.glob("*.html")) if path.stat().st_size > 20_000], 24):
        words = " ".join(html.unescape(re.sub(r"<[^>]*>", " ", page.read_text())).split())
        start = words.find(" ", chance.randrange(len(words) // 2))
        passages.append(words[start : start + chance.randrange(400, 1200)])
    return {"short": questions[:128], "long": passages, "single": questions[-16:]}


class Database:
    """What a tenant's role gets through the client: batches are recorded, single texts are not."""

    def __init__(self, client: Any, sets: Sets, threads: int) -> None:
        self._client, self._sets = client, sets
        client.query(f"set hartonomous.inference_threads = {threads}")
        version, blas_core = lib.blas.version(), lib.blas.core_name()
        self.build = f"PostgreSQL 17, numpy {np.__version__}, OpenBLAS {version} {blas_core}"

    def ask(self, question: dict[str, str]) -> float:
        found = self._sets[question["set"]]
        started = time.perf_counter()
        if question["set"] == "single":
            vectors = np.stack([self._client.embed(text, MODEL) for text in found])
        else:
            vectors = self._client.embed_many(found, MODEL)
        taken = time.perf_counter() - started
        if "file" in question:
            np.save(question["file"], vectors)
        return taken

    def close(self) -> None:
        pass


def systems(client: Any, sets: Sets, folder: Path, model: Path, threads: int) -> dict[str, Any]:
    file = folder / "texts.json"
    file.write_text(json.dumps(sets))
    stock, here = rivals.python(), sys.executable
    kinds = {ALONE: (here, "engine"), STOCK: (stock, "sentence-transformers"), DEBIAN: (here, "torch"),
             ONNX: (stock, "onnxruntime")}  # fmt: skip
    found: dict[str, Any] = {OURS: Database(client, sets, threads)}
    for name, (interpreter, kind) in kinds.items():
        # torch's threads and those of OpenBLAS take each other's processors when they spin
        found[name] = rivals.Engine(
            interpreter, kind, str(model), str(file), threads=threads, patient=name == DEBIAN
        )  # fmt: skip
    return found


def measure(engines: dict[str, Any], sets: Sets, rounds: int, folder: Path) -> dict[str, dict[str, list[float]]]:
    """Seconds of each round by set and system, the systems taking turns in random order."""
    seconds: dict[str, dict[str, list[float]]] = {}
    chance = random.Random(1)
    for name in sets:
        for number, engine in enumerate(engines.values()):
            engine.ask({"set": name, "file": str(folder / f"{name}-{number}.npy")})
        seconds[name] = {system: [] for system in engines}
        for _ in range(rounds):
            for system in chance.sample(list(engines), len(engines)):
                seconds[name][system].append(engines[system].ask({"set": name}))
    return seconds


def rates(cores: int, sets: Sets, seconds: dict[str, dict[str, list[float]]]) -> list[dict[str, Any]]:
    """Ratios with the bars, which are for one core, then what they come from."""
    rows = []
    for name, by_system in seconds.items():
        ours = by_system[OURS]
        for rival in (STOCK, DEBIAN, ONNX):
            ratios = [theirs / mine for mine, theirs in zip(ours, by_system[rival], strict=True)]
            low, middle, high = np.quantile(ratios, [0.25, 0.5, 0.75]).tolist()
            figures = {"median": middle, "quartiles": low, "to": high}
            least = LEAST[rival, name] if cores == 1 else None
            rows.append(row(f"{name}: rate over that of {rival}", "times", figures, 2, least=least))
        for system, taken in by_system.items():
            middle, *ends = (len(sets[name]) / quantile for quantile in np.quantile(taken, [0.5, 0.75, 0.25]).tolist())
            rows.append(row(f"{name}: {system}", "text/s", {"median": middle, "quartiles": ends[0], "to": ends[1]}, 1))
    single, count = seconds["single"], len(sets["single"])
    added = statistics.median(a - b for a, b in zip(single[OURS], single[ALONE], strict=True)) / count * 1000
    return [*rows, row("single: what a call of the database adds", "ms", {"median": added}, 2)]


def distances(engines: dict[str, Any], sets: Sets, model: Path, folder: Path) -> list[dict[str, Any]]:
    """Largest difference of a component of a unit vector to torch in float64."""
    import torch
    from transformers import AutoModel, AutoTokenizer

    tokenizer, network = AutoTokenizer.from_pretrained(model), AutoModel.from_pretrained(model).eval().double()
    exact = {}
    for name, some in sets.items():
        states = []
        for text in some:
            with torch.inference_mode():
                inputs = tokenizer([text], truncation=True, max_length=256, return_tensors="pt")
                states.append(network(**inputs).last_hidden_state[0].mean(0))
        exact[name] = torch.nn.functional.normalize(torch.stack(states), dim=1).numpy()
    rows = []
    for number, system in enumerate(engines):
        far = max(float(np.abs(np.load(folder / f"{name}-{number}.npy") - exact[name]).max()) for name in sets)
        most = CLOSE * 1e6 if system == OURS else None
        rows.append(row(f"farthest from float64: {system}", "1e-6", {"component": far * 1e6}, 2, most=most))
    return rows


def compare(client: Any, folder: Path, given: argparse.Namespace) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """All rows, and builds with every measurement."""
    sets, model = texts(), models_files.unpack(folder)
    (model / "model.onnx").symlink_to(rivals.onnx(model))
    rows: list[dict[str, Any]] = []
    detail: dict[str, Any] = {}
    for cores in given.cores or (1, 2):
        engines = systems(client, sets, folder, model, cores)
        detail["builds"] = {name: engine.build for name, engine in engines.items()}
        part = f"{cores} core{'s' * (cores > 1)}"
        if cores == 1:
            print("\n".join(f"{name}: {build}" for name, build in detail["builds"].items()))
        detail[part] = measure(engines, sets, given.rounds, folder)
        for engine in engines.values():
            engine.close()
        found = rates(cores, sets, detail[part])
        if cores == 1:
            found += distances(engines, sets, model, folder)
        show(part, found, rows)
    return rows, detail


def show(part: str, found: Sequence[dict[str, Any]], rows: list[dict[str, Any]]) -> None:
    print(f"\n{part}")
    lib.show(list(found))
    rows += [{"part": part, **line} for line in found]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=ROUNDS)
    parser.add_argument("--cores", type=int, action="append")
    given = parser.parse_args()
    sys.stdout.reconfigure(line_buffering=True)
    rivals.python()
    machine = lib.calibrate()
    print("machine:", ", ".join(f"{key} {value}" for key, value in machine.items()))
    with role(ROLE, DATABASE), database(DATABASE, ROLE) as place, tempfile.TemporaryDirectory() as folder:
        with hartonomous.connect(place.dsn) as client:
            models.ingest(client, models_files.WHEEL, MODEL)
            rows, detail = compare(client, Path(folder), given)
        show("new connections", inference_first.measure(place, MODEL), rows)
    print("written to", lib.write("inference", {"machine": machine, **detail, "rows": rows}))
    lib.judge(rows)


if __name__ == "__main__":
    main()
