"""Random histories of coefficients by concurrent sessions, and whether each snapshot can be read again."""

from __future__ import annotations

import random
import threading
import time
from collections import Counter
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import psycopg

SESSIONS, ROWS, TRANSACTIONS = 4, 3, 2  # rows of one history, transactions of each session on it
CONFLICTS = ("40001", "40P01", "23505")  # what a session may meet that others work on the same rows

MAKE = """
    with made as (
        insert into hartonomous.model (tenant_id, name, version, kind, architecture, config, status)
        values (1, 'histories', '1', 'embedding', 'BertModel', '{}', 'ready') returning model_id
    ), layer as (
        insert into hartonomous.model_layer (tenant_id, model_id, name, layer_type)
        select 1, model_id, 'layer', 'layer' from made returning model_id, model_layer_id
    ), atom as (
        insert into hartonomous.tensor_atom (tenant_id, content_hash, data) values (1, sha256('x'), 'x')
        on conflict (tenant_id, content_hash) do update set data = excluded.data returning tensor_atom_id
    ), tensor as (
        insert into hartonomous.model_tensor
            (tenant_id, model_id, model_layer_id, position, name, dtype, shape, byte_length)
        select 1, model_id, model_layer_id, n, n::text, 'F32', '{1}', 4 from layer, generate_series(1, %s) as n
        returning model_tensor_id
    ), part as (
        insert into hartonomous.tensor_atom_coefficient
            (tenant_id, model_tensor_id, tensor_atom_id, start, byte_length, ordinal, rank)
        select 1, model_tensor_id, tensor_atom_id, 0, 4, ordinal, least(ordinal, 1)
        from tensor, atom, generate_series(0, %s) as ordinal
    )
    select array_agg(model_tensor_id), min(tensor_atom_id) from tensor, atom"""
SEEN = """select pg_current_snapshot()::text, coalesce(array_agg((ordinal, coefficient)::text order by ordinal), '{{}}')
          from hartonomous.tensor_atom_coefficient{} where model_tensor_id = %s"""


class Histories:
    """So many histories, each of a tensor of its own that all sessions change."""

    def __init__(self, dsn: str, seed: int, histories: int) -> None:
        self._dsn, self._seed = dsn, seed
        self.done: Counter[str] = Counter()
        self._snapshots: list[tuple[int, str, list[str]]] = []  # tensor, snapshot, what it saw
        self._lock = threading.Lock()
        with psycopg.connect(dsn, autocommit=True) as owner:
            self._tensors, self._atom = owner.execute(MAKE, [histories, ROWS - 1]).fetchone() or ([], 0)

    def run(self) -> None:
        with ThreadPoolExecutor(SESSIONS) as pool:
            for future in [pool.submit(self._session, number) for number in range(SESSIONS)]:
                future.result()

    def differences(self) -> list[Any]:
        """Snapshots that __as_of_snapshot does not give again."""
        with psycopg.connect(self._dsn, autocommit=True) as owner:
            sql = SEEN.format("__as_of_snapshot(%s)")
            again = [(owner.execute(sql, [snapshot, tensor]).fetchone() or ("", []))[1]
                     for tensor, snapshot, _ in self._snapshots]  # fmt: skip
        self.done["compared"] = len(again)
        return [(*kept, found) for kept, found in zip(self._snapshots, again, strict=True) if found != kept[2]]

    def clear(self) -> None:
        with psycopg.connect(self._dsn, autocommit=True) as owner:
            owner.execute("delete from hartonomous.model where name = 'histories'")
            for table in ("model", "model_layer", "model_tensor", "tensor_atom_coefficient"):
                owner.execute(f"delete from hartonomous.{table}_history")

    def _session(self, number: int) -> None:
        chance = random.Random(f"{self._seed} {number}")
        work = [tensor for tensor in self._tensors for _ in range(TRANSACTIONS)]
        near = [work[at : at + 8] for at in range(0, len(work), 8)]  # all sessions are at the same few tensors
        with psycopg.connect(self._dsn) as session:
            for some in near:
                for tensor in chance.sample(some, len(some)):
                    self._transaction(session, tensor, chance)

    def _transaction(self, session: psycopg.Connection[Any], tensor: int, chance: random.Random) -> None:
        session.isolation_level = psycopg.IsolationLevel(chance.choice([2, 3]))  # read committed, repeatable read
        try:
            for _ in range(chance.randrange(1, 5)):
                if chance.random() < 0.2:
                    with session.transaction(force_rollback=chance.random() < 0.5):
                        self._change(session, tensor, chance)
                else:
                    self._change(session, tensor, chance)
                if chance.random() < 0.2:
                    time.sleep(chance.random() / 200)  # others begin and end meanwhile
            if chance.random() < 0.2:
                session.rollback()
                self.done["rolled back"] += 1
            else:
                session.commit()
                self.done["committed"] += 1
        except psycopg.errors.Error as error:
            session.rollback()
            if error.sqlstate not in CONFLICTS:
                raise
            self.done["conflicts"] += 1
        if chance.random() < 0.4:
            self._look(session, tensor)

    def _look(self, session: psycopg.Connection[Any], tensor: int) -> None:
        session.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        snapshot, rows = session.execute(SEEN.format(""), [tensor]).fetchone() or ("", [])
        session.commit()
        with self._lock:
            self._snapshots.append((tensor, snapshot, rows))

    def _change(self, session: psycopg.Connection[Any], tensor: int, chance: random.Random) -> None:
        ordinal, value = chance.randrange(ROWS), chance.random()
        kind = chance.choice(["update", "update", "all", "delete", "insert", "upsert"])
        self.done[kind] += 1
        table, row = "hartonomous.tensor_atom_coefficient", "where model_tensor_id = %s and ordinal = %s"
        columns = "tenant_id, model_tensor_id, tensor_atom_id, start, byte_length, coefficient, ordinal, rank"
        new = (f"insert into {table} ({columns}) values (1, %s, %s, 0, 4, %s, %s, %s)"
               " on conflict (model_tensor_id, ordinal, start)")
        values = [tensor, self._atom, value, ordinal, min(ordinal, 1)]
        if kind == "update":
            session.execute(f"update {table} set coefficient = %s {row}", [value, tensor, ordinal])
        elif kind == "all":
            session.execute(f"update {table} set coefficient = %s where model_tensor_id = %s", [value, tensor])
        elif kind == "delete":
            session.execute(f"delete from {table} {row}", [tensor, ordinal])
        elif kind == "insert":
            session.execute(f"{new} do nothing", values)
        else:
            session.execute(f"{new} do update set coefficient = excluded.coefficient", values)
