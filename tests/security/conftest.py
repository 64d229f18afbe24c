"""Two tenants with rows in every table, and the roles that act for them."""

import os
import sys
from pathlib import Path
from types import SimpleNamespace

import hartonomous
import media
import numpy as np
import psycopg
import pytest
import tiny_model
import waiting
from psycopg.sql import SQL, Identifier

sys.path.insert(0, str(Path(__file__).parent))  # the attacks

PASSWORD = "of a test"
CREATE = f"create role {{}} login password '{PASSWORD}' in role hartonomous_writer"

# What embedding_model_analyze writes of 1,000 embeddings and more.
MEASURED = """
with measured as (
    insert into hartonomous.embedding_statistics
        (tenant_id, model_id, model_state, rows, queries, scan_us, bits_us, fetch_us, filter_us, list_us)
    select tenant_id, min(model_id), min(model_state), 1000, 40, 1, 1, 1, 1, 1
    from hartonomous.atom_embedding where tenant_id = %s group by tenant_id
    returning tenant_id, model_id
), sampled as (
    insert into hartonomous.search_sample (tenant_id, model_id, query, k, filter, recall, us, share)
    select e.tenant_id, e.model_id, e.embedding, 10, '{}', 0.9, 1, 1
    from hartonomous.atom_embedding as e join measured using (tenant_id, model_id) limit 1
), watched as (
    insert into hartonomous.recall_state (tenant_id, model_id, watched_at)
    select tenant_id, model_id, now() from measured
), acted as (
    insert into hartonomous.recall_action (tenant_id, model_id, action, reason)
    select tenant_id, model_id, 'analyze', 'of a test' from measured
)
insert into hartonomous.embedding_curve
    (tenant_id, model_id, path, filter_class, k, candidates, recall, lower_bound, worst, far)
select tenant_id, model_id, 'bits', 'none', 10, 20, 1, 1, 1, 1 from measured"""


@pytest.fixture(scope="module")
def tenants(dsn):
    """ann and bob: names of two roles, writers of a tenant each; ids: their tenants. The roles go at the end."""
    found = SimpleNamespace(ann=f"test_ann_{os.getpid()}", bob=f"test_bob_{os.getpid()}", ids={}, password=PASSWORD)
    with psycopg.connect(dsn, autocommit=True) as connection:
        for role in (found.ann, found.bob):
            connection.execute(SQL(CREATE).format(Identifier(role)))
            found.ids[role] = connection.execute("select hartonomous.tenant_create(%s)", [role]).fetchone()[0]
            connection.execute("select hartonomous.tenant_role_add(%s, %s)", [found.ids[role], role])
            connection.execute("select hartonomous.api_key_create(%s)", [found.ids[role]])
            connection.execute("select hartonomous.access_policy_put(1, 'allow', tenant_id => %s)", [found.ids[role]])
            connection.execute("select hartonomous.rate_limit_put(%s, 1000000, '1 s', 'lineage')", [found.ids[role]])
            fill(dsn, role)
            connection.execute(MEASURED, [found.ids[role]])
        yield found
        for role in (found.ann, found.bob):
            waiting.until(f"{role} can be dropped", lambda role=role: _dropped(connection, role))


def _dropped(connection, role):
    """A session that closed may still be clearing away its temporary tables."""
    try:
        connection.execute(SQL("drop role {}").format(Identifier(role)))
    except psycopg.errors.DependentObjectsStillExist:
        return False
    return True


@pytest.fixture
def as_bob(dsn, tenants):
    """A session of bob's own."""
    with psycopg.connect(dsn, user=tenants.bob, password=PASSWORD, autocommit=True) as connection:
        yield connection


@pytest.fixture(scope="session")
def filling():
    return fill


def fill(dsn: str, role: str) -> None:
    """Rows in every table of tenants, written as the role through the verbs."""
    with hartonomous.connect(f"{dsn} options='-c role={role}'") as client:
        client.ingest(media.wav(media.sine(100 + len(role))), "audio", source_uri="a sound")
        for version in ("1", "2"):
            load(client, version)
        client.model_deploy("tiny@2", 0.5)
        client.model_drop("tiny@2")  # leaves history
        pixels = np.frombuffer((role.encode() * 20000)[:120_000], np.uint8).reshape(200, 200, 3)
        picture = media.png(pixels, level=0)  # stored as it is
        client.ingest_many([picture, picture + b"shares chunks"], "image", ["picture", "another"])
        client.ingest(picture + b"shares chunks too", "image", source_uri="a third")
        client.ingest_part(client.ingest_begin("binary", "unfinished"), 0, role.encode())
        client.artifact_delete(client.ingest_document("gone.md", f"# Gone\n\nWhat {role} deleted.\n", "markdown"))
        client.ingest_document("page.md", f"# Of {role}\n\nThe data base of {role}.\n", "markdown")
        labelled = [client.ingest_text(f"text {n} of {role}") for n in range(4)]
        for heading in ("Before", "After"):  # of another heading a passage is embedded anew
            client.ingest_document("again.md", f"# {heading}\n\nWhat {role} says again.\n", "markdown")
            assert client.embed_artifacts(client.embedding_pending()) > 0
        client.model_train_head("head", labelled, ["a", "b", "a", "b"], penalty=0.01)
        client.evaluation_put("labels", "classification", ["a text"], ["a"])
        client.secret_put("provider", f"of {role}")
        client.metadata_schema_put("sensor", {"required": ["unit"]})
        client.synonym_put("undo", ["roll back"])


def load(client: hartonomous.Client, version: str) -> None:
    files = tiny_model.files()
    config = {
        "config": files["config.json"],
        "pooling": files["1_Pooling/config.json"],
        "modules": files["modules.json"],
    }
    tokenizer = {"tokenizer": files["tokenizer.json"], "tokenizer_config": files["tokenizer_config.json"]}
    model = client.model_begin("tiny", "BertModel", config, tokenizer, version)
    for name, tensor in tiny_model.tensors(int(version)).items():
        client.tensor_put(model, name, "F32", tensor.shape, 0, tensor.tobytes())
    client.model_commit(model)
