"""What fine-tunes of one model and changes of a layer cost, all tables and indexes of the extension counted."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import models_files
import torch
from hartonomous import models
from lib import np, row
from place import Place
from transformers import AutoModel, AutoTokenizer, logging

logging.disable_progress_bar()
TEXTS, BATCH, LENGTH = 128, 16, 64
RATE = 2e-5
TUNES = 5
RANK = 8
MANUAL = Path("/usr/local/share/postgresql-doc/html")


def measure(place: Place, client: Any, folder: Path) -> list[dict[str, Any]]:
    model = models_files.unpack(folder)
    base = models_files.weights(model)
    file = (model / "model.safetensors").stat().st_size

    def stored(path: Path, name: str) -> int:
        before = size(place)
        models.ingest(client, path, name)
        return size(place) - before

    whole = stored(model, "base")
    last = [name for name in base if name.startswith(("encoder.layer.5.", "pooler."))]
    tunes = [stored(tuned(model, base, last, seed), f"tune-{seed}") for seed in range(TUNES)]
    full = stored(tuned(model, base, [name for name in base if base[name].dtype == np.float32], TUNES), "full")
    before = size(place)
    for name in last:
        if name.startswith("encoder") and base[name].ndim == 2:
            change(client, name, base[name].shape)
    changed = size(place) - before
    return [
        row("base", "%", {"of its file": 100 * whole / file}, 1),
        row("five fine-tunes of the last layer and the pooler, with their base", "%",
            {"of the five files": 100 * (whole + sum(tunes)) / (TUNES * file)}, 1, most=40),
        row("each of these", "%", {"of its file": 100 * sum(tunes) / (TUNES * file)}, 1),
        row("a fine-tune of all parameters", "%", {"of its file": 100 * full / file}, 1),
        row(f"a layer changed by rank {RANK}, history kept", "%", {"of a full copy": 100 * changed / whole}, 2, most=2),
    ]  # fmt: skip


def size(place: Place) -> int:
    tables = "relnamespace = 'hartonomous'::regnamespace and relkind in ('r', 'm')"
    sql = f"select sum(pg_total_relation_size(oid))::bigint from pg_class where {tables}"
    return place.owner.execute(sql).fetchone()[0]


def tuned(model: Path, base: dict[str, Any], names: list[str], seed: int) -> Path:
    """These parameters trained by AdamW, one pass over some texts, to tell pages on SQL commands from others."""
    torch.manual_seed(seed)
    tokenizer, network = AutoTokenizer.from_pretrained(model), AutoModel.from_pretrained(model)
    head = torch.nn.Linear(network.config.hidden_size, 2)
    for name, parameter in network.named_parameters():
        parameter.requires_grad_(name in names)
    moving = [parameter for parameter in network.parameters() if parameter.requires_grad]
    optimizer = torch.optim.AdamW([*moving, *head.parameters()], RATE)
    for texts, labels in batches(seed):
        inputs = tokenizer(texts, padding=True, truncation=True, max_length=LENGTH, return_tensors="pt")
        loss = torch.nn.functional.cross_entropy(head(network(**inputs).pooler_output), torch.tensor(labels))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    state = network.state_dict()
    after = {name: state[name].numpy() if name in names else array for name, array in base.items()}
    same = [name for name in names if np.array_equal(after[name], base[name])]
    assert not same, f"training left {same} as they were"
    return models_files.variant(model, f"tuned-{seed}", after)


def batches(seed: int) -> Iterator[tuple[list[str], list[int]]]:
    pages = sorted(MANUAL.glob("*.html"))
    chosen = np.random.default_rng(seed).choice(len(pages), TEXTS, replace=False)
    for start in range(0, TEXTS, BATCH):
        some = [pages[number] for number in chosen[start : start + BATCH]]
        yield [page.read_text()[2000:4000] for page in some], [int(page.name.startswith("sql-")) for page in some]


def change(client: Any, name: str, shape: tuple[int, ...]) -> None:
    random = np.random.default_rng(0)
    for _ in range(RANK):
        u, v = (random.standard_normal(length).astype(np.float32) for length in shape)
        client.tensor_delta_add("tune-0", name, u, v, 1e-4)
