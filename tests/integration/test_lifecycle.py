"""What is deleted comes back or is purged whole, and only what is the tenant's own is looked at."""

import json
import os

import hartonomous
import pytest
from psycopg.sql import SQL, Identifier

DOCUMENT = "# One\n\nOf one alone.\n\n# Both\n\nOf both."
OTHER = "# Both\n\nOf both.\n\n# Two\n\nOf two alone."
OF_OTHERS = 3000
SEEN = 60  # rows that a statement may look at for one small document
ROLE = f"test_lifecycle_{os.getpid()}"


def passages(client, uri):
    """Texts of a document's passages, as they stand."""
    return [body for (body,) in client.query(
        "select a.canonical_text from hartonomous.artifact_source as s"
        " join hartonomous.artifact as a using (tenant_id, artifact_id)"
        " where s.document_uri = %s and s.position is not null and a.deleted_at is null order by s.position", [uri]
    )]  # fmt: skip


@pytest.fixture
def document(client):
    """A deleted document; everything goes afterwards."""
    artifact = client.ingest_document("one", DOCUMENT, "markdown")
    assert passages(client, "one") == ["Of one alone.", "Of both."]
    client.artifact_delete(artifact)
    assert passages(client, "one") == []
    yield artifact
    for table in ("artifact_source_removed", "artifact", "graph_edge", "graph_node"):
        client.query(f"delete from hartonomous.{table}")


def test_a_passage_that_came_again_alone_is_the_documents(client, document):
    again = client.ingest_text("Of both.")
    client.artifact_restore(document)
    assert passages(client, "one") == ["Of one alone.", "Of both."]
    assert document in [row.node_id for row in client.lineage(again, max_depth=1)]
    assert client.ingest_document("one", DOCUMENT, "markdown") == document
    assert client.ingest_text("Of both.") == again


def test_a_passage_that_came_again_with_another_document_is_of_both(client, document):
    other = client.ingest_document("two", OTHER, "markdown")
    client.artifact_restore(document)
    assert passages(client, "one") == ["Of one alone.", "Of both."]
    assert passages(client, "two") == ["Of both.", "Of two alone."]
    client.artifact_delete(other)
    assert passages(client, "one") == ["Of one alone.", "Of both."]


def test_all_that_came_again_is_refused_by_its_name(client, document):
    again = client.ingest_document("one", DOCUMENT, "markdown")
    with pytest.raises(hartonomous.errors.Error) as raised:
        client.artifact_restore(document)
    assert raised.value.sqlstate == "23505" and f"content of artifact {document} was" in str(raised.value)
    assert f"use artifact {again}" in raised.value.hint
    client.artifact_delete(again)
    client.artifact_restore(document)
    assert passages(client, "one") == ["Of one alone.", "Of both."]


def test_a_document_has_one_version_at_a_time(client, document):
    newer = client.ingest_document("one", DOCUMENT + " Newer.", "markdown")
    with pytest.raises(hartonomous.errors.Error, match=f"'one' has a newer version, artifact {newer}") as raised:
        client.artifact_restore(document)
    assert raised.value.sqlstate == "23505"
    assert passages(client, "one") == ["Of one alone.", "Of both. Newer."]
    client.artifact_delete(newer)
    client.artifact_restore(document)
    assert passages(client, "one") == ["Of one alone.", "Of both."]


def test_a_passage_that_two_deleted_documents_have_comes_back_with_either(client, document):
    client.artifact_restore(document)
    other = client.ingest_document("two", OTHER, "markdown")
    for first, second in ((document, other), (other, document)):
        client.artifact_delete(first)
        client.artifact_delete(second)
        client.artifact_restore(first)
        client.artifact_restore(second)
        assert passages(client, "one") == ["Of one alone.", "Of both."]
        assert passages(client, "two") == ["Of both.", "Of two alone."]


def test_a_passage_that_was_deleted_by_itself_stays_so(client, document):
    client.artifact_restore(document)
    client.artifact_delete(client.ingest_text("Of both."))
    client.artifact_delete(document)
    client.artifact_restore(document)
    assert passages(client, "one") == ["Of one alone."]


@pytest.mark.parametrize("verb", ["artifact_delete", "artifact_restore", "artifact_purge"])
def test_rows_of_others_are_not_looked_at(client, document, verb):
    """However many have gone with documents of the same name at the same time."""
    if verb == "artifact_delete":
        client.artifact_restore(document)
    (gone,) = client.query(
        "select coalesce(deleted_at, now()) from hartonomous.artifact where artifact_id = %s", [document]
    ).fetchone()
    other = client.tenant_create(f"volume {verb}")
    client.query(
        "insert into hartonomous.artifact (tenant_id, modality, content_hash, content_length, h_xy, h_yz, h_zm, x, y,"
        " deleted_at) select %s, 1, sha256(int4send(i)), 4, 0, 0, i, 0, 0, %s from generate_series(1, %s) as i",
        [other, gone, OF_OTHERS],
    )
    for table in ("artifact_source", "artifact_source_removed"):
        client.query(
            f"insert into hartonomous.{table} select artifact_id, tenant_id, artifact_id, 'one', 'one', 1, '{{}}',"
            f" now() {'' if table == 'artifact_source' else ', deleted_at'}"
            " from hartonomous.artifact where tenant_id = %s",
            [other],
        )
    client.query("analyze hartonomous.artifact, hartonomous.artifact_source, hartonomous.artifact_source_removed")
    statements = explained(client, verb, document)
    assert len(statements) > 5
    for statement in statements:
        assert all(seen(node) <= SEEN for node in nodes(statement["Plan"])), json.dumps(statement, indent=1)


@pytest.fixture
def role(client, server):
    """A reader of tenant 1."""
    client.query(SQL("create role {} in role hartonomous_reader").format(Identifier(ROLE)))
    client.tenant_role_add(1, ROLE)
    yield ROLE
    client.query("reset role")
    client.tenant_role_remove(ROLE)
    server.execute("drop role {}", ROLE)


@pytest.mark.parametrize("analyzed", [True, False])
def test_the_last_deleted_are_read_from_an_index_until_there_are_enough(client, document, role, analyzed):
    client.query(
        "insert into hartonomous.artifact (tenant_id, modality, content_hash, content_length, h_xy, h_yz, h_zm, x, y,"
        " deleted_at) select 1, 1, sha256(int4send(i)), 4, 0, 0, i, 0, 0, now() - i / 2 * interval '1 s'"
        " from generate_series(1, %s) as i",
        [OF_OTHERS],
    )
    if analyzed:
        client.query("analyze hartonomous.artifact")
    wanted = client.query(
        "select artifact_id from hartonomous.artifact where tenant_id = 1 and deleted_at is not null"
        " order by deleted_at desc, artifact_id"
    ).fetchall()
    found = client.artifact_deleted(k=OF_OTHERS * 2)
    ids = [row.artifact_id for row in found]
    assert ids == [row for (row,) in wanted if row in set(ids)] and OF_OTHERS < len(ids) < len(wanted)
    client.query(SQL("set role {}").format(Identifier(role)))
    assert [row.artifact_id for row in client.artifact_deleted(k=3)] == ids[:3]
    statements = explained(client, "artifact_deleted", None, 3)
    found = [node for statement in statements for node in nodes(statement["Plan"])]
    read = [node for node in found if node.get("Relation Name") == "artifact"]
    assert read and all(node["Index Name"] == "artifact_deleted_order" and seen(node) <= 6 for node in read), read


def explained(client, verb, *arguments):
    """Plans of all statements inside a call, executed."""
    found = []
    client.connection.add_notice_handler(lambda notice: found.append(notice.message_primary))
    (role,) = client.query("select current_setting('role')").fetchone()
    client.query("reset role")
    for setting in ("log_min_duration = 0", "log_nested_statements = on", "log_analyze = on", "log_format = json"):
        client.query("load 'auto_explain'")
        client.query(f"set auto_explain.{setting}")
    client.query("set client_min_messages = log")
    client.query(SQL("set role {}").format(SQL(role)))
    getattr(client, verb)(*arguments)
    client.query("reset role")
    client.query("set client_min_messages = warning")
    client.query("set auto_explain.log_min_duration = -1")
    return [json.loads(message[message.index("{") :]) for message in found if "plan:" in message]


def nodes(plan):
    yield plan
    for below in plan.get("Plans", []):
        yield from nodes(below)


def seen(node):
    """Rows that a node took from a table or an index; the server's catalogs are nobody's."""
    if "Scan" not in node["Node Type"] or node.get("Relation Name", node.get("Index Name", "")).startswith("pg_"):
        return 0
    removed = sum(count for key, count in node.items() if key.startswith("Rows Removed by"))
    return node["Actual Loops"] * (node["Actual Rows"] + removed)
