"""A tenant is erased while sessions write: what came before goes along, what comes after is refused."""

import os
import random
import threading
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from datetime import timedelta

import hartonomous
import psycopg
import pytest
import sessions
import state
import tiny_model
import waiting
from hartonomous import errors, models, privacy

ROUNDS, SESSIONS = 6, 4
PAGE = "# Page {0}\n\nWhat stands on page {0}.\n\n## More\n\nAnd more of {0}, and of everybody."


@pytest.fixture(scope="module")
def role(server):
    """A role that is of one tenant after another."""
    with made(server, f"test_erasure_{os.getpid()}") as name:
        yield name


@pytest.fixture(scope="module")
def pool_role(server):
    """A role of no tenant, for those who come with a key."""
    with made(server, f"test_erasure_pool_{os.getpid()}") as name:
        yield name


@contextmanager
def made(server, name):
    server.execute("create role {} login in role hartonomous_writer", name)
    yield name
    server.execute("drop role {}", name)


@pytest.fixture(scope="module")
def publics(dsn, tmp_path_factory):
    """A public model for all tenants."""
    with hartonomous.connect(dsn) as client:
        client.tenant_role_add(0, "postgres")
        models.ingest(client, tiny_model.write(tmp_path_factory.mktemp("models") / "tiny"))
        client.tenant_role_add(1, "postgres")


def tenant(client, name, role):
    made = client.tenant_create(name)
    client.tenant_role_add(made, role)
    return made


def acting(dsn, role):
    return f"{dsn} options='-c role={role}'"


def work(dsn, seed, ended, refused):
    """Writes what comes to mind until the tenant is gone; returns the calls that succeeded."""
    chance, done = random.Random(seed), 0
    with hartonomous.connect(dsn) as client:
        while not ended.is_set():
            number = chance.randrange(30)
            call = chance.choice([write_document, write_bytes, embed, embed_unstored, delete, purge, upload, several])
            try:
                call(client, number, chance)
                done += 1
            except errors.NoTenant:
                refused.append(seed)
                return done
            except errors.ArtifactNotFound:
                pass  # another session deleted it
    return done


def write_document(client, number, chance):
    client.ingest_document(f"page/{number}", PAGE.format(chance.randrange(100)), "markdown")


def write_bytes(client, number, chance):
    client.ingest(bytes(chance.randrange(100, 200_000)), source_uri=f"bytes/{number}")


def embed(client, number, chance):
    client.embed_artifacts(client.embedding_pending(batch=4))


def embed_unstored(client, number, chance):
    client.embed_many([f"text {number}"])


def delete(client, number, chance):
    client.artifact_delete(client.ingest_text(f"text {number}"))


def purge(client, number, chance):
    with client.transaction():
        artifact = client.ingest(bytes(150_000) + chance.randbytes(8))
        client.artifact_delete(artifact)
        client.artifact_purge(artifact)


def upload(client, number, chance):
    begun = client.ingest_begin("binary", f"upload/{chance.random()}")
    client.ingest_part(begun, 0, bytes([number]) * 100_000)
    if chance.random() < 0.5:
        client.ingest_commit(begun)


def several(client, number, chance):
    """One transaction that locks rows of several kinds, in an order of its own."""
    with client.transaction():
        delete(client, number, chance)
        write_document(client, number, chance)


def test_erasing_while_all_write(dsn, connection, client, role, pool_role, publics):
    quiet = tenant(client, "stays as it is", role)
    with hartonomous.connect(acting(dsn, role)) as staying:
        staying.ingest_document("book", PAGE.format("one"), "markdown")
        staying.ingest(b"x" * 150_000)
        staying.embed_artifacts(staying.embedding_pending())
    key = client.api_key_create(client.tenant_create("stays and writes"))
    tenant(client, "between", role)
    before = state.of_tenants(connection, [0, 1, quiet])
    for number in range(ROUNDS):
        goes = tenant(client, f"goes {number}", role)
        ended, refused = threading.Event(), []
        with ThreadPoolExecutor(SESSIONS + 2) as pool:
            works = [pool.submit(work, acting(dsn, role), number * 100 + i, ended, refused) for i in range(SESSIONS)]
            beside = pool.submit(write_beside, acting(dsn, pool_role), key, ended, number)
            collecting = pool.submit(collect, dsn, ended)
            try:
                until_embedded(connection, goes, [*works, beside, collecting])
                counts = privacy.erase(client, goes)
            finally:
                ended.set()
            done = [running.result(waiting.PATIENCE) for running in works]
            beside.result(waiting.PATIENCE)
            collecting.result(waiting.PATIENCE)
        assert sum(done) > 0 and len(refused) <= SESSIONS
        assert counts["hartonomous.artifact"]["removed"] > 0
        assert left(connection, goes) == {}
        assert state.of_tenants(connection, [0, 1, quiet]) == before
        stored, counted = state.references(connection)
        assert {at: count for at, count in stored.items() if count} == counted


def test_a_call_that_waits_for_the_erasure_is_refused(dsn, client, connection, role):
    """Whoever was permitted, but has not written, is told; nobody meets a violated foreign key, and no atom is left."""
    goes = tenant(client, "goes while another waits", role)
    with psycopg.connect(dsn) as eraser:
        eraser.execute("select hartonomous.tenant_erase(%s)", [goes])
        with sessions.meanwhile(acting(dsn, role), lambda late: refusal(late.ingest_text, "late")) as running:
            assert not running.done()
            eraser.commit()
            assert running.result(waiting.PATIENCE) == f"tenant {goes} was erased"
    assert left(connection, goes) == {}


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_an_older_snapshot_of_the_tenant_writes_nothing(dsn, client, connection, role, level):
    goes = tenant(client, f"goes under {level}", role)
    with hartonomous.connect(acting(dsn, role)) as late:
        late.connection.execute(f"begin isolation level {level}")
        assert late.current_tenant() == goes
        client.tenant_erase(goes)
        with pytest.raises(errors.Error) as raised:
            late.ingest_text("late")
        assert raised.value.sqlstate == "40001"
        late.connection.execute("rollback")
    assert left(connection, goes) == {}


@pytest.mark.parametrize("level", ["repeatable read", "serializable"])
def test_erasing_needs_to_see_what_was_just_written(dsn, client, role, level):
    goes = tenant(client, f"stays under {level}", role)
    with psycopg.connect(dsn) as eraser:
        eraser.execute(f"set transaction isolation level {level}")
        with pytest.raises(psycopg.errors.ActiveSqlTransaction, match=f"the transaction is {level}"):
            eraser.execute("select hartonomous.tenant_erase(%s)", [goes])


def test_administrators_who_write_meanwhile(dsn, client, connection, role, pool_role):
    """Keys and roles are of the tenant too: what an administrator adds waits, and then finds no tenant."""
    goes = tenant(client, "goes with its keys", role)
    key = client.api_key_create(goes)
    key_id = int(key.split("_")[1])
    policy = client.access_policy_put(1, "allow", tenant_id=goes)
    for late in (
        lambda other: other.rate_limit_put(goes, 5, timedelta(hours=1)),
        lambda other: other.access_policy_put(2, "allow", tenant_id=goes),
        lambda other: other.access_policy_drop(policy),
        lambda other: other.api_key_create(goes),
        lambda other: other.tenant_role_add(goes, pool_role),
        lambda other: other.api_key_rotate(key_id),
        lambda other: other.api_key_revoke(key_id),
    ):
        with psycopg.connect(dsn) as eraser:
            eraser.execute("select hartonomous.tenant_erase(%s)", [goes])
            with sessions.meanwhile(dsn, lambda other, late=late: refusal(late, other)) as running:
                assert not running.done()
                eraser.rollback()
                running.result(waiting.PATIENCE)
    with psycopg.connect(dsn) as eraser:
        eraser.execute("select hartonomous.tenant_erase(%s)", [goes])
        with sessions.meanwhile(dsn, lambda other: refusal(other.api_key_create, goes)) as running:
            eraser.commit()
            assert running.result(waiting.PATIENCE) == f"tenant {goes} does not exist"
    assert left(connection, goes) == {}


def test_a_key_in_use_does_not_wait_for_the_erasure(dsn, client, role, pool_role):
    """Noting the use of a key locks it: if that waited, key and tenant would be locked in either order."""
    goes = tenant(client, "goes while its key is used", role)
    key = client.api_key_create(goes)
    with psycopg.connect(dsn) as eraser, hartonomous.connect(acting(dsn, pool_role)) as late:
        eraser.execute("select from hartonomous.tenant where tenant_id = %s for update", [goes])
        with late.transaction():
            assert late.authenticate(key) == goes
            eraser.execute("set local lock_timeout = '1s'")
            assert eraser.execute("select hartonomous.tenant_erase(%s)", [goes]).fetchone()
            eraser.commit()
            assert refusal(late.ingest_text, "late") == f"tenant {goes} was erased"


def refusal(call, *arguments):
    """What a call was refused with."""
    try:
        call(*arguments)
    except errors.Error as error:
        return error.message
    return None


def test_two_erase_the_same_tenant(dsn, client, role):
    goes = tenant(client, "goes once", role)
    with psycopg.connect(dsn) as eraser:
        eraser.execute("select hartonomous.tenant_erase(%s)", [goes])
        with sessions.meanwhile(dsn, lambda other: refusal(other.tenant_erase, goes)) as running:
            eraser.commit()
            assert running.result(waiting.PATIENCE) == f"tenant {goes} does not exist"


def test_a_busy_tenant_is_erased(dsn, client, connection, role):
    """Sessions whose transactions overlap without a gap: closed, the tenant comes to rest."""
    goes = tenant(client, "busy", role)
    with hartonomous.connect(acting(dsn, role)) as a, hartonomous.connect(acting(dsn, role)) as b:
        open_transactions = [enter(a, "a"), enter(b, "b")]
        with sessions.meanwhile(dsn, lambda other: privacy.erase(other, goes)) as erasing:
            for client_, opened in zip((a, b), open_transactions, strict=True):
                opened.__exit__(None, None, None)
                told = refusal(client_.ingest_text, "the next one")
                assert told in {
                    f"tenant {goes} is closed",
                    f"tenant {goes} was erased",
                    f"role {role} belongs to no tenant",
                }
            assert erasing.result(waiting.PATIENCE)["hartonomous.artifact"]["removed"] == 2
    assert left(connection, goes) == {}


def enter(client, text):
    opened = client.transaction()
    opened.__enter__()
    client.ingest_text(text)
    return opened


def until_embedded(connection, tenant_id, others):
    """Until there is something to erase; whoever has failed by then is heard at the end."""
    waiting.until(
        "some is embedded",
        lambda: rows(connection, tenant_id, "atom_embedding") > 10 or any(running.done() for running in others),
    )


def write_beside(dsn, key, ended, number):
    """The tenant that stays goes on meanwhile."""
    with hartonomous.connect(dsn, api_key=key) as client:
        client.ingest_text(f"beside {number}")
        while not ended.is_set():
            client.embed_artifacts([client.ingest_text(f"beside {number} {random.random()}")])


def collect(dsn, ended):
    """Maintenance of all tenants goes on meanwhile."""
    with hartonomous.connect(dsn) as client:
        while not ended.is_set():
            client.atom_collect_garbage()
            client.upload_expire(timedelta(days=1))


def rows(connection, tenant_id, table):
    return connection.execute(f"select count(*) from hartonomous.{table} where tenant_id = %s", [tenant_id]).fetchone()[
        0
    ]


def left(connection, tenant_id):
    """Rows of a tenant in any table that has such a column, registered or not."""
    tables = connection.execute(
        "select c.oid::regclass::text from pg_class as c join pg_attribute as a on a.attrelid = c.oid"
        " where a.attname = 'tenant_id' and c.relkind in ('r', 'p') and c.relnamespace = 'hartonomous'::regnamespace"
    ).fetchall()
    counts = {table: rows(connection, tenant_id, table.removeprefix("hartonomous.")) for (table,) in tables}
    return {table: count for table, count in counts.items() if count}
