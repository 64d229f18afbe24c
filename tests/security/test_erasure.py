"""After tenant_erase nothing of a tenant is served, stored or, once tables are rewritten, on the disk."""

import os
import signal
import subprocess
from base64 import b64encode
from concurrent.futures import ThreadPoolExecutor

import cli
import corpus
import hartonomous
import psycopg
import pytest
import state
import tiny_model
import waiting
from cluster import OwnServer
from hartonomous import errors, models, privacy

MARKER = "qzjvxkerasemewqzjv"  # in no other word, so that it can be looked for in files


@pytest.fixture
def own(tmp_path):
    """A server of the test's own with tenants 1 (the superuser's) and 2, and what they store."""
    with OwnServer(tmp_path) as server:
        server.create("erasure", extension=True)
        with server.connect("erasure") as connection:
            connection.execute("create role acme login in role hartonomous_writer")
            connection.execute("select hartonomous.tenant_role_add(hartonomous.tenant_create('acme'), 'acme')")
        yield server


def fill(client, folder, mark=""):
    """Rows in every room, with a mark in texts, names, metadata and bytes."""
    models.ingest(client, tiny_model.write(folder / f"model{mark}", seed=1), f"tiny{mark}")
    models.ingest(client, tiny_model.write(folder / f"passing{mark}", seed=2), f"passing{mark}")
    client.model_deploy(f"passing{mark}", 0.5)
    client.model_drop(f"passing{mark}")
    for name, page in corpus.pages(3).items():
        client.ingest_document(f"{mark}{name}", page + f"<p>{mark} ends the page.</p>", "html", {"note": mark})
    for number in range(300):  # so many that statistics have samples of them
        client.ingest_text(f"{mark} {number}", f"uri:{mark}:{number}", {"note": mark})
    client.ingest(os.urandom(100_000) + mark.encode())
    client.artifact_delete(client.ingest_document("gone.md", f"# Gone\n\n{mark} is gone.", "markdown"))
    learnt = client.embedding_pending(batch=20)
    client.embed_artifacts(learnt)
    client.model_train_head(f"head{mark}", learnt, [f"a{mark}", f"b{mark}"] * 10, penalty=0.01)
    client.evaluation_put(f"set{mark}", "classification", [f"a text {mark}"], [f"a{mark}"])


def acme(server):
    return hartonomous.connect(server.dsn("erasure", options="-c role=acme"))


def files_with(folder, text):
    """Files of a data directory in which a text stands, the write-ahead log left out."""
    found = []
    for path in sorted((folder / "data").rglob("*")):
        if path.is_file() and "pg_wal" not in path.parts and text.encode() in path.read_bytes():
            found.append(str(path.relative_to(folder / "data")))
    return found


def relation(connection, file):
    """Name of the table or index that a file is of."""
    found = connection.execute(
        "select pg_filenode_relation(0, %s)::regclass::text", [file.split("/")[-1].split(".")[0]]
    )
    return found.fetchone()[0] or file


def test_the_bytes_leave_the_disk_with_the_vacuum_that_is_named(own, tmp_path):
    with acme(own) as client:
        fill(client, tmp_path, MARKER)
    with own.connect("erasure") as connection:
        connection.execute("analyze")
        connection.execute("checkpoint")
        assert len(files_with(tmp_path, MARKER)) > 5
        printed = cli.run(own.dsn("erasure"), "tenants", "erase", 2, "--yes").stdout
        connection.execute("checkpoint")
        assert files_with(tmp_path, MARKER)  # dead rows are rows still
        for statement in printed[printed.index("  delete") :].strip().rstrip(";").split(";"):
            connection.execute(statement)
        connection.execute("checkpoint")  # files of replaced tables go with the checkpoint after
        assert [relation(connection, name) for name in files_with(tmp_path, MARKER)] == []
        assert connection.execute("select count(*) from hartonomous.tenant").fetchone() == (2,)


def test_killed_in_the_middle(own, tmp_path):
    """A server that dies while it erases has erased nothing; the same call again erases all."""
    with acme(own) as client:
        fill(client, tmp_path)
    with own.connect("erasure") as connection:
        before = state.contents(connection)
    dsn = own.dsn("erasure")
    with (
        ThreadPoolExecutor(1) as pool,
        own.connect("erasure") as eraser,
        own.connect("erasure") as watch,
        pytest.raises(psycopg.OperationalError),
        waiting.locked(dsn, "artifact"),
    ):
        running = pool.submit(eraser.execute, "select hartonomous.tenant_erase(2)")
        waiting.until_blocked(watch, "artifact")  # what refers to artifacts is deleted by now
        os.kill(eraser.info.backend_pid, signal.SIGKILL)
        running.result(waiting.PATIENCE)
    waiting.until("the server has recovered", lambda: answers(own))
    with own.connect("erasure") as connection:
        assert state.contents(connection) == before
        assert (
            connection.execute("select hartonomous.tenant_erase(2)").fetchone()[0]["hartonomous.artifact"]["removed"]
            > 300
        )
        left = "select sum(remaining) from hartonomous._tenant_rows(2)"
        assert connection.execute(left).fetchone() == (0,)


def answers(server):
    try:
        server.execute("select 1")
    except psycopg.OperationalError:
        return False
    return True


def test_nothing_is_served_from_memory(own, tmp_path):
    """Sessions that have the tenant's model loaded do not run it any more, for whomever they act."""
    with acme(own) as client:
        fill(client, tmp_path)
        vector = client.embed("the data")
        with own.connect("erasure") as connection:
            privacy.erase(hartonomous.Client(connection, own.dsn("erasure")), 2)
            for call in (
                lambda: client.embed("the data"),
                lambda: client.tokenize("the data"),
                lambda: client.search("the data"),
            ):
                with pytest.raises(errors.NoTenant):
                    call()
            connection.execute("select hartonomous.tenant_role_add(1, 'acme')")
            for call in (
                lambda: client.embed("the data"),
                lambda: client.embed("the data", "tiny"),
                lambda: client.tokenize("x"),
            ):
                with pytest.raises(errors.ModelNotFound):
                    call()
            models.ingest(client, tiny_model.write(tmp_path / "other", seed=3), "tiny")
            assert (client.embed("the data") != vector).any()


def test_the_command_asks_for_the_name(own):
    dsn = own.dsn("erasure")
    for typed, code, said in (("acne\n", 1, "nothing was erased"), ("acme\n", 0, "hartonomous.tenant_role")):
        process = subprocess.run(
            [*cli.COMMAND, "tenants", "erase", "2"], env={**cli.ENVIRONMENT, "HARTONOMOUS_DSN": dsn}, input=typed,
            text=True, capture_output=True, timeout=waiting.PATIENCE, check=False,
        )  # fmt: skip
        assert process.returncode == code and said in process.stdout + process.stderr
    assert "does not exist" in cli.run(dsn, "tenants", "erase", 2, "--yes", code=1).stderr
    (counts,) = cli.lines(dsn, "tenants", "erase", 1, "--yes")
    assert counts["tables"]["hartonomous.tenant"] == {"removed": 1, "pseudonymised": 0, "remaining": 0}


def test_a_refused_command_leaves_the_tenant_open(own, tmp_path):
    with acme(own) as client, own.connect("erasure") as connection:
        mine = client.ingest_text("mine")
        connection.execute("select hartonomous._graph_node_put(2, 'artifact', array[%s])", [mine])
        connection.execute(
            "select hartonomous._graph_edge_put(1, 'artifact', array[-1], 'DerivedFrom', 'artifact', array[%s])", [mine]
        )
        assert "refer to rows of tenant 2" in cli.run(own.dsn("erasure"), "tenants", "erase", 2, "--yes", code=1).stderr
        assert client.content(mine) == b"mine" and client.ingest_text("it goes on")


def test_the_audit_log_holds_and_tells_nothing_of_whom_it_was(own):
    with acme(own) as client, own.connect("erasure") as connection:
        connection.execute("select hartonomous.tenant_role_add(2, 'acme'), hartonomous.api_key_create(2, 'nightly')")
        with pytest.raises(errors.NotPermitted):
            client.tenant_erase(2)
        connection.execute("select hartonomous.tenant_close(2)")
        with pytest.raises(errors.NoTenant):
            client.ingest_text("refused, which is recorded")
        head = connection.execute("select head from hartonomous.audit_seal()").fetchone()[0]
        exported = "\n".join(hartonomous.Client(connection, "").tenant_export(2))
        assert "nightly" in exported and '"salt"' not in exported
        connection.execute("select hartonomous.tenant_erase(2)")
        connection.execute("select hartonomous.audit_collect()")
        assert connection.execute("select * from hartonomous.audit_verify(%s)", [head]).fetchall() == []
        entries = str(connection.execute("select row_to_json(l) from hartonomous.audit_log as l").fetchall())
        assert "tenant_erase" in entries and "'acme'" not in entries and "nightly" not in entries


def test_secrets_stay_where_they_are(own):
    ciphertext = bytes(range(60))
    with own.connect("erasure") as connection:
        connection.execute("insert into hartonomous.secret values (2, 'provider', %s, 1)", [ciphertext])
        exported = "\n".join(hartonomous.Client(connection, "").tenant_export(2))
        assert '"provider"' in exported and b64encode(ciphertext).decode()[:20] not in exported
        counts = connection.execute("select hartonomous.tenant_erase(2)").fetchone()[0]
        assert counts["hartonomous.secret"]["removed"] == 1


def test_a_verb_of_scope_write_reads_where_nothing_can_be_written(own):
    """No lock is needed there, and none could be had."""
    with acme(own) as client:
        client.connection.execute("set default_transaction_read_only = on")
        assert client.secret_list() == []
        with pytest.raises(errors.Error) as raised:
            client.ingest_text("x")
        assert raised.value.sqlstate == "25006"
