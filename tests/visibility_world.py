"""A database of many tenants with roles, keys and models, and what a model knows of each of them."""

from __future__ import annotations

import random
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import hartonomous
import psycopg
import tiny_model
from psycopg.sql import SQL, Identifier
from visibility_model import Tenant

PASSWORD = "of a test"
SAMPLE = "the data base"


@dataclass
class Actor:
    """Who calls: a role, or the pool's role with a key."""

    role: str
    key: str | None
    tenant: Tenant | None  # None: nobody's role
    scopes: tuple[str, ...] = ("read", "write")
    dead: bool = False


class World:
    def __init__(self, dsn: str, name: str, tenants: int, seed: int) -> None:
        self.dsn, self.seed = dsn, seed
        self.pool, self.publisher = f"{name}_pool", f"{name}_publisher"
        self.differences: list[str] = []
        self.calls = self.answers = 0
        self._free = threading.Condition()
        self.admin = psycopg.connect(dsn, autocommit=True)
        run = self.admin.execute
        run(SQL("create role {} login password {} in role hartonomous_writer").format(Identifier(self.pool), PASSWORD))
        self.public = Tenant(0)
        self._role(self.publisher, self.public)
        self.tenants = [Tenant(self._value("select hartonomous.tenant_create(%s)", f"t{i}")) for i in range(tenants)]
        for number, tenant in enumerate(self.tenants):
            self._role(f"{name}_{number}", tenant)
            tenant.keys[self._value("select hartonomous.api_key_create(%s)", tenant.tenant_id)] = ("read", "write")
        self._models()
        self.readable = self._readable()
        self.idle = list(self.tenants)

    def close(self) -> None:
        for tenant in [self.public, *self.tenants]:
            for role in tenant.roles:
                self.admin.execute(SQL("drop role {}").format(Identifier(role)))
        self.admin.execute(SQL("drop role {}").format(Identifier(self.pool)))
        self.admin.close()

    def _value(self, query: str, *arguments: Any) -> Any:
        row = self.admin.execute(query, arguments).fetchone()
        assert row is not None
        return row[0]

    def _role(self, name: str, tenant: Tenant) -> None:
        self.admin.execute(SQL("create role {} in role hartonomous_writer").format(Identifier(name)))
        self.admin.execute(SQL("grant {} to {}").format(Identifier(name), Identifier(self.pool)))
        self.admin.execute("select hartonomous.tenant_role_add(%s, %s)", [tenant.tenant_id, name])
        tenant.roles.add(name)

    def _models(self) -> None:
        """A public model, and models of the same name that some tenants have; what each makes of a text."""
        self.vectors: dict[int, Any] = {}
        for seed, tenant in enumerate([self.public, *self.tenants[::13]]):
            with hartonomous.connect(f"{self.dsn} options='-c role={next(iter(tenant.roles))}'") as client:
                tenant.model_id = load(client, seed)
                self.vectors[tenant.model_id] = client.embed(SAMPLE, "tiny")
        for tenant in self.tenants:
            tenant.model_id = tenant.model_id or self.public.model_id

    def _readable(self) -> dict[str, tuple[str, str]]:
        """Tenant tables that a reader may read: their tenant column and the columns granted."""
        rows = self.admin.execute("""
            select c.relname::text, t.tenant_column::text, string_agg(quote_ident(a.attname), ', ' order by a.attnum)
            from hartonomous.tenant_table as t join pg_class as c on c.oid = t.relation
            join pg_attribute as a on a.attrelid = c.oid and a.attnum > 0 and not a.attisdropped
            where has_column_privilege('hartonomous_writer', c.oid, a.attnum, 'select')
            group by 1, 2""")
        return {name: (column, columns) for name, column, columns in rows}

    @contextmanager
    def two_tenants(self, chance: random.Random) -> Iterator[list[Tenant]]:
        with self._free:
            self._free.wait_for(lambda: len(self.idle) > 1)
            pair = chance.sample(self.idle, 2)
            self.idle = [tenant for tenant in self.idle if tenant not in pair]
        try:
            yield pair
        finally:
            with self._free:
                self.idle += pair
                self._free.notify_all()


def load(client: hartonomous.Client, seed: int) -> int:
    files = tiny_model.files()
    parts = {"config": "config.json", "pooling": "1_Pooling/config.json", "modules": "modules.json"}
    tokenizer = {"tokenizer": files["tokenizer.json"], "tokenizer_config": files["tokenizer_config.json"]}
    config = {name: files[file] for name, file in parts.items()}
    model = client.model_begin("tiny", "BertModel", config, tokenizer)
    for name, tensor in tiny_model.tensors(seed).items():
        client.tensor_put(model, name, "F32", tensor.shape, 0, tensor.tobytes())
    client.model_commit(model)
    return model
