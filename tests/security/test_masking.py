"""A masked caller gets masks from every verb and no rows from tables; the enumeration fails on a verb nobody judged."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime
from types import SimpleNamespace

import hartonomous
import psycopg
import pytest
import waiting
from hartonomous import errors
from psycopg.sql import SQL, Identifier
from sessions import meanwhile

PASSWORD = "of a test"
TEXT, BYTES, JSON = "xxxx", b"xxxx", {"masked": True}

# Every function that a reader, writer or worker may call, judged (docs/decisions/15-masking.md says why).
MASKED = {
    "content", "content_slice", "artifact_show", "artifact_deleted", "search", "search_vector", "search_ensemble",
    "search_explain", "related", "duplicates", "lineage", "impact",
    "tensor_list", "detokenize", "generate", "generate_many", "generate_stream", "atom_path", "spatial_summary",
}  # fmt: skip
REFUSED = {
    "tensor", "tensor_slice", "tensor_footprints", "model_files", "secret_get", "atom_nearest", "atom_parts",
    "artifact_shapes", "artifact_overlap",
    "image_pixels", "audio_samples", "sensor_samples", "text_lines", "search_spatial", "search_keyword",
    "search_hybrid", "search_suggest", "key_phrases",
    "predict", "predict_many", "model_validate",
}  # fmt: skip
CALLERS_OWN = {
    "attention", "embed", "embed_many", "project", "tokenize", "atom_identity", "hilbert_encode", "hilbert_decode",
}  # fmt: skip
NO_VALUES = {
    "version", "current_tenant", "authenticate", "authenticate_jwt", "server_check", "embedding_pending", "model_list",
    "model_storage", "tensor_missing", "ingest", "ingest_many", "ingest_text", "ingest_document", "artifact_delete",
    "artifact_restore", "artifact_purge", "ingest_begin", "ingest_part", "ingest_missing", "ingest_commit",
    "ingest_abort", "atom_explode", "embed_artifacts", "model_begin", "tensor_put", "model_commit", "model_deploy",
    "model_drop", "secret_put", "secret_list", "secret_drop",
    "metadata_schema_put", "metadata_schema_drop", "metadata_schema_list", "ingestion_log_error",
    "semantics_pending", "semantics_extract",
    "synonym_put", "synonym_drop", "synonym_list",
    "model_archive", "model_rollback", "tensor_delta_add", "coefficient_set",
    "recall_audit", "recall_status", "embedding_model_register", "embedding_put_many", "embedding_model_analyze",
    "embedding_basis_refresh",
    "model_train_head", "model_retrain", "model_student", "evaluation_put", "evaluation_list", "evaluation_drop",
}  # fmt: skip
TABLES_READ = {"__all", "__as_of", "__as_of_snapshot", "__between"}  # as their caller, under row security

FUNCTIONS = """
select distinct p.proname::text from pg_proc as p
where p.pronamespace = 'hartonomous'::regnamespace and p.proname !~ '^_'
  and (has_function_privilege('hartonomous_writer', p.oid, 'execute')
       or has_function_privilege('hartonomous_worker', p.oid, 'execute'))
"""
RELATIONS = """
select c.relname::text from pg_class as c
where c.relnamespace = 'hartonomous'::regnamespace and c.relkind in ('r', 'p', 'v', 'm') and not c.relispartition
  and has_any_column_privilege('hartonomous_writer', c.oid, 'select')
"""
# of a version, or what administrators set for all; no tenant's rows
CONSTANTS = {"modality", "operation", "tenant_table", "versioned_table", "version_retention"}


@pytest.fixture(scope="module")
def masked(dsn, tenants):
    """bob's sessions, masked by role and by key, and one of his that is not; what the unmasked one knows."""
    condition = {"==": [{"var": "role"}, tenants.bob]}
    with psycopg.connect(dsn, autocommit=True) as connection:
        run = connection.execute
        run("delete from hartonomous.access_policy")
        create = "select hartonomous.api_key_create(%s)"
        plain, secret = (run(create, [tenants.ids[tenants.bob]]).fetchone()[0] for _ in range(2))
        key_id = int(secret.split("_")[1])
        pool = f"{tenants.bob}_pool"
        run(SQL("create role {} login password {} in role hartonomous_writer").format(Identifier(pool), PASSWORD))
        for judged in (condition, {"in": [{"var": "key_id"}, [key_id]]}):
            run("select hartonomous.access_policy_put(1, 'mask', condition => %s)", [json.dumps(judged)])
        as_bob = f"{dsn} user={tenants.bob} password='{PASSWORD}'"
        as_pool = f"{dsn} user={pool} password='{PASSWORD}'"
        yield SimpleNamespace(as_bob=as_bob, as_pool=as_pool, secret=secret, plain=plain, known=known(as_pool, plain))
        run("delete from hartonomous.access_policy")
        run(SQL("drop role {}").format(Identifier(pool)))


def known(dsn: str, key: str) -> SimpleNamespace:
    """Values and ids that an unmasked caller sees."""
    with hartonomous.connect(dsn, key) as client:
        found = client.search("the data base", 5)
        ids = [row.artifact_id for row in found]
        shown = client.artifact_show(ids)
        tensors = client.tensor_list("tiny")
        assert all(row.snippet and row.source_uri and row.score for row in found)
        named = "select name, artifact_id from hartonomous.artifact join hartonomous.modality using (modality)"
        media = dict(client.query(named).fetchall())
        assert client.artifact_shapes(media["image"]) and client.artifact_shapes(media["audio"])
        client.artifact_delete(client.ingest_text("gone", "gone:1"))
        (gone,) = client.artifact_deleted("gone:")
        return SimpleNamespace(found=found, ids=ids, shown=shown, tensors=tensors, media=media,
                               deleted=gone.artifact_id, vector=client.embed("the data base"))  # fmt: skip


@pytest.fixture(params=["role", "key"])
def client(request, masked):
    by_role = request.param == "role"
    arguments = (masked.as_bob,) if by_role else (masked.as_pool, masked.secret)
    with hartonomous.connect(*arguments) as opened:
        yield opened


def test_every_function_is_judged(connection):
    found = {name for (name,) in connection.execute(FUNCTIONS)}
    versions = {name for name in found if any(name.endswith(suffix) for suffix in TABLES_READ)}
    assert found - versions == MASKED | REFUSED | CALLERS_OWN | NO_VALUES


def test_content(client, masked):
    artifact = masked.known.ids[0]
    assert client.content(artifact) == BYTES
    assert client.content_slice(artifact, 0, 1) == client.content_slice(artifact, 10**9, 10) == BYTES
    with pytest.raises(errors.ArtifactNotFound):
        client.content(2**60)


def test_geometry(client, masked):
    artifact = masked.known.ids[0]
    with pytest.raises(errors.NotPermitted, match="places of atoms are masked for this caller"):
        client.atom_nearest("POINT(0 0)")
    with pytest.raises(errors.NotPermitted, match="places of atoms are masked for this caller"):
        client.atom_parts(artifact)
    way = client.atom_path(artifact, artifact)
    assert [(row.artifact_id, row.cost) for row in way] == [(artifact, None)]
    assert {row.bbox for row in client.spatial_summary()} <= {None}


def test_artifact_show(client, masked):
    shown = client.artifact_show(masked.known.ids)
    assert [row.artifact_id for row in shown] == [row.artifact_id for row in masked.known.shown]
    for row in shown:
        assert (row.subtype, row.source_uri, row.canonical_text) == (TEXT, TEXT, TEXT)
        assert (row.metadata, row.semantics, row.content_hash) == (JSON, JSON, BYTES)


def test_artifact_deleted(client, masked):
    rows = client.artifact_deleted()
    assert masked.known.deleted in {row.artifact_id for row in rows}
    assert {(row.source_uri, row.content_length) for row in rows} == {(TEXT, None)}
    assert {row.subtype for row in rows} <= {TEXT, None}
    with pytest.raises(errors.NotPermitted, match="source uris are masked for this caller"):
        client.artifact_deleted("gone:")


def test_search(client, masked):
    vector = masked.known.vector
    ensemble = client.search_ensemble("the data base", ["tiny"], k=5)
    related = client.related(masked.known.ids[0])
    assert client.duplicates(0.5) and {row.similarity for row in client.duplicates(0.5)} == {None}
    [at] = client.query("select clock_timestamp()").fetchone()
    past = [client.search("the data base", 5, as_of=at), client.search_vector(vector, 5, as_of=at),
            client.search_ensemble("the data base", ["tiny"], k=5, as_of=at)]  # fmt: skip
    for found in (client.search("the data base", 5), client.search_vector(vector, 5), ensemble, related, *past):
        assert found
        assert {(row.score, row.source_uri, row.snippet) for row in found} == {(None, TEXT, TEXT)}
    assert [row.artifact_id for row in client.search("the data base", 5)] == masked.known.ids


@pytest.mark.parametrize("filter", [{"source_uri_prefix": "p"}, {"metadata": {}}, {"subtype": "text"}])
def test_no_filter_finds_out_what_is_masked(client, masked, filter):
    vector = masked.known.vector
    calls = (
        lambda: client.search("x", filter=filter),
        lambda: client.search_vector(vector, filter=filter),
        lambda: client.search_vector(vector, after_score=0.5, after_id=1),
        lambda: client.search("x", after_score=0.5, after_id=1),
        lambda: client.search_ensemble("x", ["tiny"], after_score=0.5, after_id=1),
        lambda: client.search_ensemble("x", ["tiny"], after_score=0.5, after_id=1, as_of=datetime.now(UTC)),
        lambda: client.search_explain(vector, filter=filter),
        lambda: client.search_ensemble("x", ["tiny"], filter=filter),
        lambda: client.related(masked.known.ids[0], filter=filter),
        lambda: client.search_spatial(vector, "POINT Z (0 0 0)", 9),
        lambda: client.search_keyword("the"),
        lambda: client.search_hybrid("the"),
        lambda: client.search("x", filter=filter, as_of=datetime.now(UTC)),
        lambda: client.search_spatial(vector, "POINT Z (0 0 0)", 9, as_of=datetime.now(UTC)),
        lambda: client.search_keyword("the", as_of=datetime.now(UTC)),
        lambda: client.search_suggest("the"),
        lambda: client.key_phrases(masked.known.ids[0]),
    )
    for call in calls:
        with pytest.raises(errors.NotPermitted, match="masked"):
            call()
    assert client.search("x", filter={"modality": "text"})


def test_lineage_and_impact(client, masked):
    reached = client.lineage(masked.known.ids[0])
    assert len(reached) > 3 and all(node.detail == JSON for node in reached)
    assert all(node.detail == JSON for node in client.impact(masked.known.ids[0]))


def test_models(client, masked):
    assert {row.content_hash for row in client.tensor_list("tiny")} == {BYTES}
    assert [row.name for row in client.tensor_list("tiny")] == [row.name for row in masked.known.tensors]
    tensor = masked.known.tensors[0].name
    for call in (
        lambda: client.query("select hartonomous.tensor('tiny', %(t)s)", {"t": tensor}),
        lambda: client.tensor_slice("tiny", tensor, 0, 4),
        lambda: client.tensor_footprints("tiny"),
        lambda: client.model_files("tiny"),
        lambda: client.predict("a text", "head"),
        lambda: client.predict_many(["a text"], "head"),
        lambda: client.model_validate("head", "head", "labels"),
    ):
        with pytest.raises(errors.NotPermitted, match="masked for this caller"):
            call()


def test_shapes_and_samples(client, masked):
    for modality, calls in {
        "image": (client.artifact_shapes, client.image_pixels, lambda found: client.artifact_overlap(found, found)),
        "audio": (client.artifact_shapes, client.audio_samples, client.sensor_samples, client.text_lines),
    }.items():
        found = masked.known.media[modality]
        for call in calls:
            with pytest.raises(errors.NotPermitted, match="masked for this caller"):
                call(found)
            with pytest.raises(errors.ArtifactNotFound):
                call(2**60)


def test_detokenize(client):
    assert client.detokenize([5, 6]) == TEXT
    assert client.detokenize(client.tokenize("the data")) == TEXT


def test_what_is_the_callers_own_is_not_masked(client, masked):
    assert client.embed("the data base").tobytes() == masked.known.vector.tobytes()
    assert len(client.embed_many(["a", "b"])) == 2
    artifact = client.ingest_text("written by a masked caller")
    assert client.embedding_pending() == [artifact] and client.embed_artifacts([artifact]) == 1
    assert client.content(artifact) == BYTES
    client.artifact_delete(artifact)


def test_tables_give_no_rows(client, connection, masked):
    relations = {name for (name,) in connection.execute(RELATIONS)}
    assert {"artifact", "tenant", "artifact_text", "tensor_atom", "atom_embedding"} <= relations
    sources = [*(relations - CONSTANTS), "tensor_atom_coefficient__all()", "tensor_atom_coefficient__as_of(now())"]
    sources += ["tensor_atom_coefficient__as_of_snapshot(pg_current_snapshot())"]
    with hartonomous.connect(masked.as_pool, masked.plain) as plain:
        seen = {source: rows(plain, source) for source in sources}
    assert sum(seen.values()) > 100 and seen["artifact"] and seen["tensor_atom_coefficient__all()"]
    assert {source: rows(client, source) for source in sources} == dict.fromkeys(sources, 0)


def rows(client, source: str) -> int:
    return client.query(f"select count(tenant_id) from hartonomous.{source}").fetchone()[0]


def test_the_policies_are_asked_once_per_query(connection, tenants):
    with connection.transaction():
        connection.execute(SQL("set local role {}").format(Identifier(tenants.ann)))
        plan = [
            line for (line,) in connection.execute("explain (verbose, costs off) select * from hartonomous.artifact")
        ]
    asked = [plan[at - 2] for at, line in enumerate(plan) if "_tables_readable()" in line]
    assert len(asked) == 1 and "InitPlan" in asked[0], plan


def test_a_session_that_goes_on_is_masked_by_a_new_policy(dsn, masked, tenants, connection):
    """With the plans that it prepared before."""
    with psycopg.connect(dsn, user=tenants.ann, password=PASSWORD, autocommit=True) as ann:
        artifact = ann.execute("select hartonomous.ingest_text('of ann')").fetchone()[0]
        ann.execute("prepare direct as select count(*) > 0 from hartonomous.artifact")
        ann.execute(f"prepare verb as select hartonomous.content({artifact})")

        def seen():
            return tuple(ann.execute(f"execute {name}").fetchone()[0] for name in ("direct", "verb"))

        assert {seen() for _ in range(7)} == {(True, b"of ann")}
        policy = put(connection, "mask", "*", tenants.ids[tenants.ann])
        assert seen() == (False, BYTES)
        connection.execute("select hartonomous.access_policy_drop(%s)", [policy])
        assert seen() == (True, b"of ann")


def test_replacing_a_deny_by_a_mask_shows_nothing_in_between(dsn, masked, tenants, connection):
    """A statement that began under the deny is permitted under the mask: its snapshot has no mask."""
    ann = tenants.ids[tenants.ann]
    as_ann = f"{dsn} user={tenants.ann} password='{PASSWORD}'"
    with hartonomous.connect(as_ann) as client:
        artifact = client.ingest_text("in between")
    deny = put(connection, "deny", "content", ann)
    connection.execute("select pg_advisory_lock(4711)")
    ask = "select hartonomous.content(%(id)s) from (select pg_advisory_lock_shared(4711) offset 0) as waits"
    with meanwhile(as_ann, lambda client: client.query(ask, {"id": artifact}).fetchone()[0]) as running:
        with connection.transaction():
            connection.execute("select hartonomous.access_policy_drop(%s)", [deny])
            mask = put(connection, "mask", "*", ann)
        connection.execute("select pg_advisory_unlock(4711)")
        assert running.result(waiting.PATIENCE) == BYTES
    connection.execute("select hartonomous.access_policy_drop(%s)", [mask])


def test_no_plan_that_the_server_prints_shows_a_condition(connection, dsn, masked, tenants):
    """Any role may have the plans of statements inside verbs printed; parameters are in them, byte by byte."""
    secret = "nobody else's name"
    condition = {"in": [{"var": "role"}, [secret, "x"]]}
    nested = {"and": [{"!": condition}, {"or": [{"==": [{"var": "login"}, secret]}, condition]}]}
    statement = "select hartonomous.access_policy_put(1, 'deny', condition => %s, tenant_id => %s)"
    policy = connection.execute(statement, [json.dumps(nested), tenants.ids[tenants.ann]]).fetchone()[0]
    printed: list[str] = []
    with psycopg.connect(dsn, user=tenants.ann, password=PASSWORD, autocommit=True) as ann:
        ann.add_notice_handler(lambda notice: printed.append(f"{notice.message_primary} {notice.message_detail}"))
        ann.execute("set client_min_messages = log; set debug_pretty_print = off")
        ann.execute("set debug_print_parse = on; set debug_print_rewritten = on; set debug_print_plan = on")
        ann.execute("select hartonomous.embed('planted')")
        ann.execute("select count(*) from hartonomous.artifact")
    connection.execute("select hartonomous.access_policy_drop(%s)", [policy])
    values = re.findall(r":constvalue \d+ \[([-\d\s]*)\]", "".join(printed))
    shown = b" ".join(bytes(int(byte) & 255 for byte in value.split()) for value in values)
    assert b"planted" in shown and b"access_policy" not in shown
    assert secret.encode() not in shown and secret not in "".join(printed)


@pytest.mark.parametrize("isolation", ["read committed", "repeatable read"])
def test_read_only_transactions(client, connection, masked, tenants, isolation):
    statement = "select hartonomous.access_policy_put(0, 'deny', 'lineage', %s, %s)"
    condition = json.dumps({"var": "read_only"})
    policy = connection.execute(statement, [condition, tenants.ids[tenants.bob]]).fetchone()[0]
    assert client.lineage(masked.known.ids[0])
    client.connection.execute("set default_transaction_read_only = on")
    client.connection.execute(f"set default_transaction_isolation = '{isolation}'")
    assert client.content(masked.known.ids[0]) == BYTES
    assert client.search("the data base", 5)[0].snippet == TEXT
    assert rows(client, "artifact") == 0
    with pytest.raises(errors.NotPermitted, match="an access policy denies lineage"):
        client.lineage(masked.known.ids[0])
    connection.execute("select hartonomous.access_policy_drop(%s)", [policy])


def put(connection, effect: str, operation: str, tenant: int) -> int:
    statement = "select hartonomous.access_policy_put(1, %s, %s, tenant_id => %s)"
    return connection.execute(statement, [effect, operation, tenant]).fetchone()[0]
