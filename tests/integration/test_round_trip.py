"""pg_dump and pg_restore of a database with data in every room: equal by hash, and it works as before."""

import os
import subprocess
from datetime import timedelta

import cli
import corpus
import hartonomous
import media
import numpy as np
import psycopg
import pytest
import state
import tiny_model
from cluster import OwnServer, dump, restore

ROLE = f"acme_{os.getpid()}"
QUESTION = "commit the current transaction"


@pytest.fixture(scope="module")
def full(dsn, server, tmp_path_factory):
    """A database with rows in every table, and its dump."""
    folder = tmp_path_factory.mktemp("full")
    model = tiny_model.write(folder / "tiny")
    pages = corpus.write(folder / "pages", corpus.pages(8))
    with hartonomous.connect(dsn) as client, psycopg.connect(dsn, autocommit=True) as connection:
        fill(client, connection, server, model, pages, dsn)
        filled = {
            table
            for table in state.tables(connection)
            if connection.execute(f"select exists (select from hartonomous.{table})").fetchone() == (True,)
        }
        assert state.tables(connection) - filled <= {"permit_check"}
    dump(dsn, folder / "dump")
    yield folder / "dump"
    server.execute("drop role {}", ROLE)


def fill(client, connection, server, model, pages, dsn):
    cli.run(dsn, "models", "ingest", model)
    cli.run(dsn, "models", "ingest", tiny_model.write(model.parent / "passing", seed=7))
    client.model_deploy("passing", 0.25)
    client.model_drop("passing")  # leaves its weights in the history, and the split
    client.tensor_delta_add("tiny", "pooler.dense.weight", np.zeros(32), np.ones(32), 1)
    cli.run(dsn, "ingest", pages, "--uri-prefix", "manual/")
    client.ingest_document("manual/sql-end.html", "<h1>END</h1><p>What it was is gone.</p>", "html")  # retires passages
    client.embed_artifacts(client.embedding_pending(batch=1000))
    learnt = connection.execute("select artifact_id from hartonomous.atom_embedding order by 1 limit 20").fetchall()
    client.model_train_head("head", [artifact_id for (artifact_id,) in learnt], ["a", "b"] * 10)
    client.evaluation_put("questions", "retrieval", [QUESTION], ["manual/sql-commit.html"])
    client.embedding_model_register("outside", 8)
    many = client.ingest_many([b"row %d" % number for number in range(1000)], "binary")
    assert client.embedding_put_many(many, np.random.default_rng(1).standard_normal((1000, 8)), "outside") == 1000
    connection.execute("create table public.past as select clock_timestamp() as at")
    client.embedding_put_many(many[:9], np.random.default_rng(2).standard_normal((9, 8)), "outside")
    client.embedding_model_analyze("outside")
    client.embedding_index_add(1, "outside")
    connection.execute(
        "with sampled as (insert into hartonomous.search_sample"
        " (tenant_id, model_id, query, k, filter, recall, us, share)"
        " select tenant_id, model_id, embedding, 10, '{}', 0.9, 1, 1 from hartonomous.atom_embedding limit 1"
        " returning *),"
        " watched as (insert into hartonomous.recall_state select tenant_id, model_id, now(), 1, 1 from sampled)"
        " insert into hartonomous.recall_action (tenant_id, model_id, filter_class, action, reason)"
        " select tenant_id, model_id, 'none', 'analyze', 'of a round trip' from sampled"
    )
    large = os.urandom(200_000)
    client.ingest_many([b"", b"leaf", os.urandom(5000), large, bytes(130_000)], "binary")
    client.ingest(large + b"and more")  # shares chunks
    client.ingest(media.wav(media.sine(5000)), "audio")
    client.ingest_part(client.ingest_begin("binary", "unfinished"), 5, b"part")
    client.ingest_commit(client.ingest_begin("binary", "finished"))
    client.metadata_schema_put("sensor", {"required": ["unit"]})
    client.synonym_put("undo", ["roll back"])
    client.metadata_index_add("title")
    client.artifact_delete(client.ingest_text("deleted again"))
    client.artifact_delete(client.ingest_document("deleted.md", "# Gone\n\nWith all its passages.", "markdown"))

    client.api_key_create(1, "of a round trip")
    client.access_policy_put(1, "deny", "ingest", {"==": [{"var": "role"}, "nobody"]}, 1, "of a round trip")
    client.secret_put("provider", "of a round trip")
    client.jwt_issuer_put("https://id.example", "us", {"keys": [{"kty": "oct", "k": "A" * 43}]})
    client.rate_limit_put(1, 10**6, timedelta(seconds=1), "search", per_key=True)

    connection.execute("select hartonomous.audit_seal()")
    server.execute("create role {} login in role hartonomous_writer", ROLE)
    client.tenant_role_add(client.tenant_create("acme"), ROLE)
    as_role(connection, ROLE, "select hartonomous.ingest_text('END commits the current transaction')")
    client.tenant_role_add(0, ROLE)
    as_role(connection, ROLE, "select hartonomous.ingest_text('known to everybody', 'public/1')")
    client.tenant_role_add(2, ROLE)

    connection.execute("create table public.price (item text primary key, amount numeric)")
    connection.execute("select hartonomous.system_versioning_add('public.price')")
    connection.execute("insert into public.price values ('a', 1), ('b', 2)")
    connection.execute("create table public.writer (transaction_id bigint)")
    with connection.transaction():
        connection.execute("insert into public.writer values (pg_current_xact_id()::text::bigint)")
        connection.execute("update public.price set amount = 10 where item = 'a'")
    connection.execute("select hartonomous.transaction_time_resolve()")
    client.system_versioning_retain("public.price", timedelta(days=365))
    client.history_prune()


def as_role(connection, role, statement):
    with connection.transaction():
        connection.execute(f"set local role {role}")
        return connection.execute(statement).fetchone()


def answers(dsn):
    """What a user gets to see."""
    with hartonomous.connect(dsn) as client, psycopg.connect(dsn, autocommit=True) as connection:
        found = client.search(QUESTION, 5)
        [(past,)] = connection.execute("select at from public.past").fetchall()
        ids = connection.execute(
            "select artifact_id from hartonomous.artifact where tenant_id in (0, 1) and deleted_at is null order by 1"
        ).fetchall()
        return {
            "search": found,
            "past": client.search(QUESTION, 5, as_of=past),
            "past vectors": client.search_vector(np.ones(8), 1000, "outside", as_of=past),
            "content": [client.content(artifact_id) for (artifact_id,) in ids],
            "lineage": [client.lineage(row.artifact_id) for row in found],
            "embed": client.embed(QUESTION).tobytes(),
            "coefficients": connection.execute(
                "select tensor_atom_id, start, valid_from::text, valid_to::text"
                " from hartonomous.tensor_atom_coefficient__all() order by 1, 2, 3"
            ).fetchall(),
            "prices": connection.execute(
                "select item, amount, valid_from::text, valid_to::text from public.price__all() order by 1, 2"
            ).fetchall(),
        }


def check(full, dsn, target):
    """target equals dsn's database, and works."""
    with psycopg.connect(dsn, autocommit=True) as old, psycopg.connect(target, autocommit=True) as new:
        assert state.exact(new) == state.exact(old)
        assert state.logical(new) == state.logical(old)
        stored, counted = state.references(new)
        assert {key: count for key, count in stored.items() if count} == counted
        words = "lexemes is not distinct from hartonomous._word_vector(tenant_id, canonical_text)"
        assert new.execute(f"select bool_and({words}) from hartonomous.artifact").fetchone() == (True,)
    assert answers(target) == answers(dsn)
    with psycopg.connect(target, autocommit=True) as new, pytest.raises(psycopg.Error) as caught:
        new.execute("select * from public.price__as_of(now() - interval '366 days')")
    assert caught.value.sqlstate == "ZH008"
    with hartonomous.connect(target) as client:
        known = client.artifact_show([client.search(QUESTION, 1)[0].artifact_id])[0]
        fresh = client.ingest_text("new here")  # sequences go on where they were, or ids would collide
        assert client.ingest_text(known.canonical_text) == known.artifact_id
        assert client.embed_artifacts([fresh]) == 1
        assert client.search("new here", 1)[0].artifact_id == fresh
        assert np.isfinite(client.embed_many(["a", "b"])).all()
        assert client.tenant_create("another") == 3
        assert client.spatial_summary() == []  # a dump leaves it out
        client.spatial_summary_refresh()
        assert {(row.modality, row.public) for row in client.spatial_summary()} >= {("text", False), ("text", True)}
        sql = "select concat('POINT(', x, ' ', y, ')') from hartonomous.artifact where artifact_id = %(a)s"
        near = client.query(sql, {"a": fresh}).fetchone()
        assert client.atom_nearest(near[0], 1)[0].distance == 0
        client.metadata_index_add("title")  # a dump has that it was indexed, and no index
        assert [(index.field, index.built) for index in client.metadata_index_list()] == [("title", True)]


def test_into_a_database_beside(dsn, server, full):
    with server.database("test_restored") as target:
        restore(full, target)
        check(full, dsn, target)
        with psycopg.connect(target, autocommit=True) as connection:
            assert as_role(connection, ROLE, "select hartonomous.current_tenant()") == (2,)
            assert as_role(connection, ROLE, "select count(*) from hartonomous.artifact") == (
                2,
            )  # its own and a public one


@pytest.fixture
def fresh_server(tmp_path):
    with OwnServer(tmp_path) as server:
        server.create("restored")
        yield server


def test_into_a_fresh_server(dsn, full, fresh_server, tmp_path):
    target = fresh_server.dsn("restored")
    restore(full, target)
    check(full, dsn, target)
    exported = tmp_path / "exported.safetensors"
    cli.run(target, "models", "export", "tiny", exported)
    expected = tiny_model.tensor_hashes((full.parent / "tiny" / "model.safetensors").read_bytes())
    assert tiny_model.tensor_hashes(exported.read_bytes()) == expected
    with fresh_server.connect("restored") as connection:  # the row that maps the role waits for the role
        connection.execute(f"create role {ROLE} login in role hartonomous_writer")
        assert as_role(connection, ROLE, "select hartonomous.current_tenant()") == (2,)
        assert as_role(connection, ROLE, "select count(*) from hartonomous.artifact") == (2,)


def test_history_goes_on_after_a_restore(full, fresh_server):
    """A fresh server counts transactions from the beginning, so it meets the old server's transaction ids again."""
    restore(full, fresh_server.dsn("restored"))
    with fresh_server.connect("restored") as connection:
        old = connection.execute("select transaction_id from public.writer").fetchone()[0]
        advance(connection, old - 1)
        before = connection.execute("select now()::text").fetchone()[0]
        with connection.transaction():
            assert connection.execute("select pg_current_xact_id()::text::bigint").fetchone() == (old,)
            connection.execute("update public.price set amount = 11 where item = 'a'")
        versions = connection.execute(
            "select amount, valid_from::text, valid_to::text from public.price__all()"
            " where item = 'a' order by valid_from"
        ).fetchall()
        assert [int(amount) for amount, _, _ in versions] == [1, 10, 11]
        assert versions[1][2] == versions[2][1] > before


def advance(connection, transaction):
    """Spends transaction ids until the next one is the one after."""
    connection.execute(
        f"do $$ begin while pg_current_xact_id()::text::bigint < {transaction} loop commit; end loop; end $$"
    )


def test_dump_of_a_dump(full, server, tmp_path):
    """Nothing wears off: the dump of what was restored, restored, is equal still."""
    with server.database("test_first") as first, server.database("test_second") as second:
        restore(full, first)
        dump(first, tmp_path / "dump")
        restore(tmp_path / "dump", second)
        with psycopg.connect(first, autocommit=True) as a, psycopg.connect(second, autocommit=True) as b:
            assert state.exact(a) == state.exact(b)


def test_a_dump_of_the_schema_alone_restores_too(dsn, full, server, tmp_path):
    schema = tmp_path / "schema"
    subprocess.run(["pg_dump", "-Fc", "--schema-only", "-f", schema, "-d", dsn], check=True)
    with server.database("test_schema") as target:
        restore(schema, target)
        with hartonomous.connect(target) as client:
            client.tenant_role_add(client.tenant_create("first"), "postgres")
            assert client.content(client.ingest_text("works")) == b"works"
