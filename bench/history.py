"""System versioning: bulk updates beside an unversioned table and the extension periods; reads as of a time.

On a server of its own in the test root, where the rival is. See METHODOLOGY.md.
"""

from __future__ import annotations

import random
import statistics
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import hartonomous
import lib
import models_files
import psycopg
from hartonomous import models

sys.path.insert(0, str(Path(__file__).parent.parent / "tests"))
from cluster import OwnServer

ROWS, ROUNDS = 50_000, 5
# The table of a model's parts, with its keys and the indexes that the installation gives it and its history.
PARTS = """create table {0} (
    coefficient_id bigint primary key, tenant_id int not null, model_tensor_id bigint not null,
    tensor_atom_id bigint not null,
    start bigint not null check (start >= 0), byte_length int not null, value real not null default 1,
    ordinal int not null default 0 check (ordinal >= 0), rank int not null default 0 check (rank >= 0),
    unique (model_tensor_id, ordinal, start), check ((ordinal = 0) = (rank = 0)));
    create index on {0} (tensor_atom_id);
    insert into {0} select n, 1, 1 + n / 400, n, n % 400 * 262144, 262144 from generate_series(1, {1}) as n"""
NARROW = """create table {0} (id bigint primary key, value real not null default 1, words text default 'some words');
    insert into {0} select n from generate_series(1, {1}) as n"""
PERIODS = "select periods.add_system_time_period('{0}'); select periods.add_system_versioning('{0}')"
INDEXES = "create index on {0}_history (model_tensor_id)"
VERSIONING = "select hartonomous.system_versioning_add('{0}')"


def main() -> None:
    machine = lib.calibrate()
    print("machine:", ", ".join(f"{key} {value}" for key, value in machine.items()))
    with tempfile.TemporaryDirectory() as folder, OwnServer(Path(folder)) as server:
        server.create("bench", extension=True)
        with server.connect("bench") as owner:
            rows = updates(owner)
        with hartonomous.connect(server.dsn("bench")) as client:
            rows += reads(client, Path(folder))
    lib.show(rows)
    print("written to", lib.write("history", {"machine": machine, "rows": rows}))
    lib.judge([{"part": "history", **row} for row in rows])


def interleaved(works: dict[str, Callable[[], Any]]) -> dict[str, list[float]]:
    """Seconds by name, the works taking turns."""
    seconds: dict[str, list[float]] = {name: [] for name in works}
    chance = random.Random(1)
    for work in works.values():
        work()
    for _ in range(ROUNDS):
        for name in chance.sample(list(works), len(works)):
            started = time.perf_counter()
            works[name]()
            seconds[name].append(time.perf_counter() - started)
    return seconds


def updates(owner: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """Every row of a table in one statement."""
    owner.execute("create extension periods cascade")
    owner.execute("set client_min_messages = warning")
    found = []
    for what, table, indexes in (("parts of tensors", PARTS, INDEXES), ("a narrow table", NARROW, "select")):
        kinds = {"versioned": f"{VERSIONING}; {indexes}", "unversioned": "select", "periods": PERIODS}
        names = {kind: f"{kind}_{len(found)}" for kind in kinds}
        for kind, versioning in kinds.items():
            for statement in f"{table}; {versioning}".format(names[kind], ROWS).split(";"):
                owner.execute(statement)
        seconds: dict[str, list[float]] = {kind: [] for kind in kinds}
        chance = random.Random(1)
        for number in range(ROUNDS + 1):
            for kind in chance.sample(list(kinds), len(kinds)):
                started = time.perf_counter()
                owner.execute(f"update {names[kind]} set value = value + 1")
                if number:
                    seconds[kind].append(time.perf_counter() - started)
                owner.execute(f"vacuum {names[kind]}")  # each finds the room that the last one left
        middle = {kind: statistics.median(some) for kind, some in seconds.items()}
        ratios = {kind: middle[kind] / middle["unversioned"] for kind in ("versioned", "periods")}
        found += [
            lib.row(f"update {ROWS:,} rows of {what}", "ms", {kind: 1000 * value for kind, value in middle.items()}),
            lib.row(f"update of {what}, of the unversioned one's time", "times", ratios, 2,
                    most=1.5 if table is PARTS else None),
        ]  # fmt: skip
    return found


def reads(client: Any, folder: Path) -> list[dict[str, Any]]:
    """All tensors of a model, which has a part of rank one since, now and as of before."""
    models.ingest(client, models_files.unpack(folder), "base")
    before = client.query("select clock_timestamp()").fetchone()[0]
    name, shape = client.query(
        "select name, shape from hartonomous.tensor_list('base') where cardinality(shape) = 2 order by bytes limit 1"
    ).fetchone()
    part = client.tensor_delta_add("base", name, lib.np.ones(shape[0]), lib.np.ones(shape[1]), 1)
    client.coefficient_set(part, 0)
    sql = "select sum(octet_length(hartonomous.tensor('base', name, {}))) from hartonomous.tensor_list('base')"
    seconds = interleaved({
        "as of": lambda: client.query(sql.format("%s"), [before]).fetchone(),
        "now": lambda: client.query(sql.format("null")).fetchone(),
    })  # fmt: skip
    middle = {name: statistics.median(some) for name, some in seconds.items()}
    ratio = {"as of": middle["as of"] / middle["now"]}
    return [
        lib.row("read all tensors of a model", "ms", {name: 1000 * value for name, value in middle.items()}),
        lib.row("read as of, of a current read's time", "times", ratio, 2, most=1.2),
    ]


if __name__ == "__main__":
    main()
