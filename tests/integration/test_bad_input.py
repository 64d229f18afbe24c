"""Bad arguments of the SQL functions: each a clear error, and nothing is written."""

import random
import re

import hartonomous
import psycopg
import pytest
import state
import tiny_model
from hartonomous import models

NOISE = re.compile(r"\b(\w*Error|NoneType|Traceback|violates|unnest|spiexceptions\.\w+)\b")
HUGE_URI = "uri:" + random.Random(0).randbytes(20_000).hex()
LONG = 2**63 - 1


@pytest.fixture(scope="module", autouse=True)
def filled(dsn, tmp_path_factory):
    """Some of everything."""
    with hartonomous.connect(dsn) as client:
        models.ingest(client, tiny_model.write(tmp_path_factory.mktemp("models") / "tiny"), "tiny")
        arguments = {"architecture": "BertModel", "config": {"config": tiny_model.files()["config.json"]}}
        unfinished = client.model_begin("unfinished", **arguments)
        client.tensor_put(unfinished, "pooler.dense.bias", "F32", [32], 0, bytes(128))
        client.ingest_document("u/1", "# A\n\nSome text.\n\n# B\n\nOther text.", "markdown")
        client.artifact_delete(client.ingest_text("deleted"))
        client.embed_artifacts(client.embedding_pending())


IDS = {
    ":artifact": "(select min(artifact_id) from hartonomous.artifact where deleted_at is null)",
    ":finished": "(select model_id from hartonomous.model where name = 'tiny')",
    ":unfinished": "(select model_id from hartonomous.model where name = 'unfinished')",
}


def with_ids(call):
    """A call as SQL: ids are opaque, so calls name what they mean."""
    for name, query in IDS.items():
        call = call.replace(name, query)
    return call


def refused(connection, call, code, text, arguments=()):
    """The call fails with a code and a text that fit the patterns, and changes nothing."""
    before = state.contents(connection)
    with pytest.raises(psycopg.Error) as raised, connection.transaction(force_rollback=True):
        connection.execute(f"select {with_ids(call)}", arguments)
    error, message = raised.value, raised.value.diag.message_primary
    assert re.fullmatch(code, error.sqlstate) and re.search(text, message), f"{error.sqlstate}: {error}"
    assert not NOISE.search(message) and not message.endswith("."), message
    assert state.contents(connection) == before


CASES = [
    # contents
    ("hartonomous.ingest(null)", "22004", "content is NULL"),
    ("hartonomous.ingest('x'::bytea, 'smell')", "22023", "unknown modality 'smell'"),
    ("hartonomous.ingest('x'::bytea, null)", "22023", "unknown modality NULL"),
    ("hartonomous.ingest_text(null)", "22004", "content is NULL"),
    ("hartonomous.ingest_many(null, 'text')", "22004", "content is NULL"),
    ("hartonomous.ingest_many(array['a', null]::bytea[], 'text')", "22004", "content is NULL"),
    (
        "hartonomous.ingest_many(array['a', 'b']::bytea[], 'text', array['only one'])",
        "22023",
        "found 2 contents, but 1 source",
    ),
    ("hartonomous.ingest_many(array['a']::bytea[], 'text', null, array[]::jsonb[])", "22023", "found 1 contents"),
    ("hartonomous.ingest_document(null, 'x')", "22023", "no source uri"),
    ("hartonomous.ingest_document('', 'x')", "22023", "no source uri"),
    ("hartonomous.ingest_document('u/2', null)", "22023", "NULL content"),
    (
        "hartonomous.ingest_document('u/2', 'x', 'docx')",
        "22023",
        'format is "docx", expected one of text, markdown, html',
    ),
    ("hartonomous.ingest_document('u/2', 'x', null)", "22023", "format is NULL, expected text, markdown or html"),
    ("hartonomous.ingest_document('u/2', 'x', 'text', '[1]')", "22023", "metadata"),
    ("hartonomous.ingest_document('u/2', 'x', 'text', '\"x\"')", "22023", "metadata"),
    ("hartonomous.ingest_text('x', 'u/2', '[1]')", "22023", "metadata"),
    ("hartonomous.content(-1)", "ZH010", "no artifact -1"),
    ("hartonomous.content_slice(-1, 0, 1)", "ZH010", "no artifact -1"),
    ("hartonomous.content_slice(:artifact, -1, null)", "22011", r"slice \(-1, NULL\) is negative"),
    ("hartonomous.artifact_delete(-1)", "ZH010", "no artifact -1"),
    ("hartonomous.artifact_delete(null)", "ZH010", "no artifact NULL"),
    ("hartonomous.artifact_restore(-1)", "ZH010", "no artifact -1"),
    ("hartonomous.lineage(-1)", "ZH010", "no artifact -1"),
    ("hartonomous.impact(null)", "ZH010", "no artifact"),
    ("hartonomous.lineage(:artifact, -1)", "22023", "max_depth is -1, expected 0 to 1000"),
    ("hartonomous.lineage(:artifact, null)", "22023", "max_depth is NULL"),
    ("hartonomous.lineage(:artifact, 1001)", "22023", "max_depth is 1001"),
    ("hartonomous.lineage(:artifact, as_of => now())", "0A000", "as_of is not available"),
    ("hartonomous.hilbert_encode(-1, 0)", "22003", "outside"),
    ("hartonomous.hilbert_encode(0, 2147483648)", "22003", "outside"),
    ("hartonomous.hilbert_decode(-1)", "22003", "outside"),
    ("hartonomous.atom_identity('x', 'smell')", "22023", "unknown modality"),
    # models
    (
        "hartonomous.model_begin('m', 'MambaForCausalLM', '{}')",
        "ZH024",
        "MambaForCausalLM is not supported, expected one of BertModel",
    ),
    ("hartonomous.model_begin('m', 'BertModel', '{}')", "ZH025", 'configuration has no key "config"'),
    ("hartonomous.model_begin('m', 'BertModel', '[]')", "ZH025", "configuration"),
    ("hartonomous.model_begin('m', 'BertModel', null)", "22004", "must not be NULL"),
    ("hartonomous.model_begin('m', null, '{}')", "22004", "must not be NULL"),
    ("hartonomous.model_begin('a@b', 'BertModel', '{}')", "22023", "without @"),
    ("hartonomous.model_begin(null, 'BertModel', '{}')", "22023", "NULL"),
    ("hartonomous.tensor_put(-1, 't', 'F32', '{1}', 0, '')", "ZH020", "no model with id -1"),
    ("hartonomous.tensor_put(null, 't', 'F32', '{1}', 0, '')", "ZH020", "no model"),
    ("hartonomous.tensor_put(:finished, 't', 'F32', '{1}', 0, '')", "ZH021", "finished"),
    ("hartonomous.tensor_put(:unfinished, 't', 'F99', '{1}', 0, '')", "ZH023", "unknown dtype 'F99'"),
    ("hartonomous.tensor_put(:unfinished, 't', null, '{1}', 0, '')", "ZH023", "unknown dtype NULL"),
    ("hartonomous.tensor_put(:unfinished, 't', 'F32', '{-1}', 0, '')", "ZH023", "shape {-1}|shape .*-1"),
    ("hartonomous.tensor_put(:unfinished, 't', 'F32', '{2000000000,2000000000}', 0, '')", "ZH023", "2\\^50"),
    ("hartonomous.tensor_put(:unfinished, 't', 'F32', '{1}', 0, '12345')", "ZH023", "outside its 4 bytes"),
    ("hartonomous.tensor_put(:unfinished, 't', 'F32', '{1}', -1, 'x')", "ZH023", "outside"),
    (f"hartonomous.tensor_put(:unfinished, 't', 'F32', '{{1}}', {LONG}, 'x')", "ZH023", "outside"),
    ("hartonomous.tensor_put(:unfinished, null, 'F32', '{1}', 0, '1234')", "22004", "must not be NULL"),
    ("hartonomous.tensor_put(:unfinished, 't', 'F32', '{1}', 0, null)", "22004", "must not be NULL"),
    ("hartonomous.tensor_put(:unfinished, 'pooler.dense.bias', 'F16', '{32}', 0, '')", "ZH023", "was put as F32"),
    (
        "hartonomous.tensor_put(:unfinished, 'pooler.dense.bias', 'F32', '{32}', 0, repeat('x', 128)::bytea)",
        "ZH023",
        "overlap",
    ),
    ("hartonomous.tensor_put(:unfinished, 'pooler.dense.bias', 'F32', '{32}', 4, '1234')", "ZH023", "overlap"),
    ("hartonomous.model_commit(:unfinished)", "ZH02[23]", "embeddings"),
    ("hartonomous.model_commit(-1)", "ZH020", "no model with id -1"),
    ("hartonomous.model_deploy('nobody')", "ZH020", "no model 'nobody'"),
    ("hartonomous.model_deploy('unfinished')", "ZH022", "still being loaded"),
    ("hartonomous.model_deploy(null)", "ZH020", "no model NULL"),
    ("hartonomous.model_deploy('tiny', -1)", "22023", "share is -1"),
    ("hartonomous.model_archive('tiny')", "55000", "deployed"),
    ("hartonomous.model_archive('unfinished')", "ZH022", "still being loaded"),
    ("hartonomous.model_rollback('nonsense')", "ZH020", "no earlier deployment of kind 'nonsense'"),
    ("hartonomous.tensor_delta_add('tiny', 'pooler.dense.weight', '{1}', '{1}', 1)", "ZH023", "32 rows and 32 columns"),
    ("hartonomous.tensor_delta_add('tiny', 'pooler.dense.weight', null, '{1}', 1)", "22004", "must not be NULL"),
    ("hartonomous.tensor_delta_add('tiny', 'pooler.dense.bias', '{1}', '{1}', 1)", "ZH023", "expected a matrix"),
    ("hartonomous.model_drop('nobody')", "ZH020", "no model 'nobody'"),
    ("hartonomous.model_files('nobody')", "ZH020", "no  ?model 'nobody'"),
    ("hartonomous.model_storage('tiny@2')", "ZH020", "tiny@2"),
    ("hartonomous.tensor_list('nobody')", "ZH020", "nobody"),
    ("hartonomous.tensor('tiny', 'no.such.weight')", "ZH023", "has no tensor 'no.such.weight'"),
    ("hartonomous.tensor('nobody', 'x')", "ZH020", "nobody"),
    ("hartonomous.tensor('tiny', 'pooler.dense.bias', '2001-01-01')", "ZH020", "no model 'tiny' at 2001-01-01"),
    ("hartonomous.tensor_slice('tiny', 'pooler.dense.bias', -1, 1)", "22011", "negative"),
    ("hartonomous.tensor_slice('tiny', 'pooler.dense.bias', 0, -1)", "22011", "negative"),
    # inference
    ("hartonomous.embed('x', 'nobody')", "ZH020", "no embedding model 'nobody'"),
    ("hartonomous.embed('x', 'unfinished')", "ZH020", "no embedding model 'unfinished'"),
    ("hartonomous.embed('x', as_of => '2001-01-01')", "ZH020", "no embedding model was deployed at 2001-01-01"),
    ("hartonomous.tokenize('x', 'nobody')", "ZH020", "nobody"),
    ("hartonomous.detokenize(array[2, 1000000])", "22023", "token 1000000 is not in the vocabulary"),
    ("hartonomous.detokenize(array[-1])", "22023", "token -1"),
    ("hartonomous.detokenize(array[2, null])", "22004|22023", "NULL"),
    ("hartonomous.embed_many(array['x', null])", "22004", "text 2 is NULL"),
    ("hartonomous.embed_many(array['x'], 'nobody')", "ZH020", "nobody"),
    ("hartonomous.embed_artifacts(array[:artifact, -1])", "ZH010", "no artifact -1"),
    ("hartonomous.embed_artifacts(array[null]::bigint[])", "ZH010", "no artifact NULL"),
    ("hartonomous.embed_artifacts(array[:artifact], 'nobody')", "ZH020", "nobody"),
    ("hartonomous.embedding_pending(worker => 2, workers => 2)", "22023", "worker 2 of 2"),
    ("hartonomous.embedding_pending(workers => 0)", "22023", "workers|worker 0 of 0"),
    ("hartonomous.embedding_pending(batch => -1)", "22023", "batch is -1, expected at least 1"),
    ("hartonomous.semantics_pending(-1)", "22023", "batch is -1, expected at least 1"),
    ("hartonomous.embedding_model_register('x', 0)", "22023", "dimensions is 0, expected 1 to 16000"),
    ("hartonomous.embedding_model_register(null, 3)", "22023", "model name NULL"),
    ("hartonomous.embedding_model_register('tiny', 32)", "ZH021", "tiny@1 exists"),
    ("hartonomous.embedding_put_many(array[:artifact], array['[1]'::public.vector], 'tiny')", "ZH031", "makes its own"),
    ("hartonomous.embedding_put_many(null, null, 'tiny')", "22004", "must not be NULL"),
    ("hartonomous.embedding_model_analyze('nobody')", "ZH020", "nobody"),
    ("hartonomous.embedding_basis_refresh(batch => 0)", "22023", "batch is 0, expected 1 to 10000000"),
    ("hartonomous.recall_audit('nobody')", "ZH020", "nobody"),
    ("hartonomous.recall_audit(sample => 0)", "22023", "sample is 0, expected 1 to 10000"),
    # search
    ("hartonomous.search_spatial('[1]', 'POINT Z (0 0 0)', 1)", "ZH040", "expected 32 dimensions, not 1"),
    ("hartonomous.search_ensemble('x', null)", "22023", "no models"),
    ("hartonomous.search_ensemble('x', array['tiny'], '{1,2}')", "22023", "for 1 models"),
    ("hartonomous.search_ensemble(null, array['tiny'])", "22004", "query is NULL"),
    ("hartonomous.search_keyword('x', after_id => 3)", "22023", "after_score is NULL and after_id 3"),
    ("hartonomous.search_vector(null)", "22004", "query is NULL"),
    ("hartonomous.search_vector('[1]')", "ZH040", "expected 32 dimensions, not 1"),
    ("hartonomous.search_explain('[1]')", "ZH040", "expected 32 dimensions, not 1"),
    ("hartonomous.search_explain(null)", "22004", "query is NULL"),
    ("hartonomous.search(null)", "22004", "query is NULL"),
    ("hartonomous.search('x', 0)", "22023", "k is 0, expected 1 to 10000"),
    ("hartonomous.search('x', -1)", "22023", "k is -1"),
    ("hartonomous.search('x', 10001)", "22023", "k is 10001"),
    ("hartonomous.search('x', null)", "22023", "k is NULL"),
    ("hartonomous.search('x', recall => 1.5)", "22023", "recall is 1.5"),
    ("hartonomous.search('x', recall => 'NaN')", "22023", "recall is NaN"),
    ("hartonomous.search('x', model => 'nobody')", "ZH020", "nobody"),
    ("hartonomous.search('x', as_of => '2001-01-01')", "ZH020", "no embedding model was deployed at 2001-01-01"),
    ("hartonomous.search('x', filter => '{\"colour\": \"red\"}')", "ZH041", 'unknown filter key "colour"'),
    ("hartonomous.search('x', filter => '[]')", "ZH041", "array"),
    ("hartonomous.search('x', filter => '{\"subtype\": 1}')", "ZH041", '"subtype" is a JSON number'),
    ("hartonomous.search('x', filter => '{\"metadata\": \"x\"}')", "ZH041", '"metadata" is a JSON string'),
    ("hartonomous.search('x', filter => '{\"created_after\": \"soon\"}')", "ZH041", "times"),
    ("hartonomous.search('x', filter => '{\"modality\": \"smell\"}')", "22023|ZH041", "modality"),
    ("hartonomous.search_vector(null)", "22004", "query is NULL"),
    ("hartonomous.search_vector('[1,2,3]')", "ZH040", "expected 32 dimensions, not 3"),
    ("hartonomous.search_vector(array_fill(0, array[32])::real[]::vector)", "ZH040", "zero vector"),
    ("hartonomous.search_vector('[NaN]')", "22000", "NaN"),
    ("hartonomous.search_vector(array_fill('NaN'::real, array[32])::vector)", "22000", "NaN"),
    ("hartonomous.model_begin('m', 'BertModel', '{\"config\": []}')", "ZH025", "config"),
    ("hartonomous.model_begin('m', 'BertModel', '{\"config\": {\"hidden_size\": 0}}')", "ZH025", "hidden_size is 0"),
    ("hartonomous.project('[1,2]')", "ZH040", "expected 32 dimensions, not 2"),
    # tenants
    ("hartonomous.tenant_create('')", "22023", "empty"),
    ("hartonomous.tenant_create('default')", "23505", 'tenant "default" exists already'),
    ("hartonomous.tenant_role_add(1, 'nobody at all')", "42704", 'role "nobody at all" does not exist'),
    ("hartonomous.tenant_role_add(-1, 'postgres')", "22023", "tenant -1 does not exist"),
]


@pytest.mark.parametrize(
    ("call", "code", "text"), CASES, ids=[case[0].removeprefix("hartonomous.")[:60] for case in CASES]
)
def test_refused(connection, call, code, text):
    refused(connection, call, code, text)


@pytest.mark.parametrize("call", ["ingest_text('x', %s)", "ingest_document(%s, 'x')"])
def test_a_uri_too_long_for_an_index(connection, call):
    refused(connection, f"hartonomous.{call}", "22023", "source uri", [HUGE_URI])


@pytest.mark.parametrize(
    ("call", "expected"),
    [
        ("cardinality(hartonomous.ingest_many(array[['a', 'b'], ['c', 'd']]::bytea[], 'text'))", 4),
        ("cardinality(hartonomous.embed_many(array[['a', 'b'], ['c', 'd']]))", 4),
        ("hartonomous.detokenize(array[[7, 8], [9, 10]])", "c d e f"),
        (
            "hartonomous.embed_artifacts((select array[[min(artifact_id)], [max(artifact_id)]]"
            " from hartonomous.artifact_text))",
            0,
        ),
        ("cardinality(hartonomous.embed_many(array[['a', null]]))", None),
    ],
)
def test_nested_arrays(connection, call, expected):
    """Arrays of more dimensions than one, which SQL cannot declare away, are read in order or refused."""
    try:
        with connection.transaction(force_rollback=True):
            assert connection.execute(f"select {with_ids(call)}").fetchone() == (expected,)
    except psycopg.Error as error:
        assert error.sqlstate in ("22004", "22023", "2202E", "0A000"), str(error)
        assert not NOISE.search(error.diag.message_primary), str(error)


GOOD = [
    ("hartonomous.ingest('\\x0001'::bytea)", None),
    ("hartonomous.ingest(''::bytea)", None),
    ("hartonomous.ingest_text('')", None),
    ("cardinality(hartonomous.ingest_many('{}', 'text'))", 0),
    ("hartonomous.ingest_document('u/empty', '')", None),
    ("hartonomous.ingest_document('u/nul', '<p>before &#0; after</p>', 'html')", None),
    ("hartonomous.ingest_document('u/huge', repeat('a word ', 300000))", None),
    ("hartonomous.ingest_document('u/long', repeat('x', 2000000))", None),
    ("hartonomous.content(null)", None),
    ("hartonomous.content_slice(:artifact, 9223372036854775807, 10)", b""),
    ("hartonomous.content_slice(:artifact, 0, 0)", b""),
    ("hartonomous.tensor_slice('tiny', 'pooler.dense.bias', 1000000, 10)", b""),
    ("hartonomous.embed(null)", None),
    ("hartonomous.embed_many(null)", None),
    ("cardinality(hartonomous.embed_many('{}'))", 0),
    ("hartonomous.embed_artifacts('{}')", 0),
    ("hartonomous.embed_artifacts(null)", 0),
    ("hartonomous.tokenize(null)", None),
    ("hartonomous.tokenize('')", [2, 3]),
    ("hartonomous.detokenize(null)", None),
    ("hartonomous.detokenize('{}')", ""),
    ("hartonomous.project(null)", None),
    ("cardinality(hartonomous.tokenize(repeat('word ', 300000)))", 64),
    ("hartonomous.hilbert_encode(null, 1)", None),
]


@pytest.mark.parametrize(("call", "expected"), GOOD, ids=[case[0].removeprefix("hartonomous.")[:60] for case in GOOD])
def test_accepted(connection, call, expected):
    """At the edge of what makes sense, and not over it."""
    with connection.transaction(force_rollback=True):
        found = connection.execute(f"select {with_ids(call)}").fetchone()[0]
        if expected is not None or "null" in call:
            assert found == expected


def test_hints_name_the_way_back(client):
    artifact = client.ingest(b"hints")
    with pytest.raises(hartonomous.Error) as raised:
        client.image_pixels(artifact)
    assert f"artifact_delete({artifact})" in raised.value.hint and raised.value.hint.endswith("as image")
    client.artifact_delete(artifact)
    for gone in (artifact, artifact + 1):  # whether it was ever there is not told
        with pytest.raises(hartonomous.Error, match=f"no artifact {gone}") as raised:
            client.content(gone)
        assert raised.value.hint.endswith(f"those that hartonomous.artifact_restore({gone}) brings back")


def test_a_document_may_become_empty_and_come_back(connection):
    with connection.transaction(force_rollback=True):
        for content, passages in (("Text.", 1), ("", 0), ("Text.", 1)):
            connection.execute("select hartonomous.ingest_document('u/blinking', %s)", [content])
            assert connection.execute(
                "select count(*) from hartonomous.artifact_source join hartonomous.artifact using (artifact_id)"
                " where document_uri = 'u/blinking' and canonical_text is not null and deleted_at is null"
            ).fetchone() == (passages,)


def test_weights_that_are_not_numbers(client, connection, tmp_path):
    weights = tiny_model.tensors()
    weights["embeddings.LayerNorm.bias"][:] = float("nan")
    folder = tiny_model.write(tmp_path / "nan")
    tiny_model.save(folder / "model.safetensors", weights)
    models.ingest(client, folder)
    before = state.contents(connection)
    for call in ("embed", "embed_many"):
        with pytest.raises(hartonomous.errors.VectorInvalid, match="not finite"):
            getattr(client, call)("x" if call == "embed" else ["x"], "nan")
    with pytest.raises(hartonomous.errors.VectorInvalid, match="not finite"):
        client.embed_artifacts(client.embedding_pending("nan"), "nan")
    assert state.contents(connection) == before


def test_client_refuses_before_it_sends(client, connection):
    before = state.contents(connection)
    for call, error, text in [
        (lambda: client.ingest_text("a\0b"), "InvalidContent", "NUL"),
        (lambda: client.ingest_text("\ud800"), "InvalidContent", "surrogate"),
        (lambda: client.ingest_document("u", "a\0b"), "InvalidContent", "NUL"),
        (lambda: client.embed("a\0b"), "InvalidContent", "NUL"),
        (lambda: client.search("a\0b"), "InvalidContent", "NUL"),
        (lambda: client.search_vector([float("nan")] * 32), "VectorInvalid", "component 0 is nan"),
        (lambda: client.search_vector([float("inf")] * 32), "VectorInvalid", "component 0 is inf"),
        (lambda: client.search_vector([]), "VectorInvalid", "0 components"),
        (lambda: client.search_vector([[1.0]]), "VectorInvalid", "2 dimensions"),
        (lambda: client.search_vector([1.0, 2.0]), "VectorInvalid", "expected 32 dimensions, not 2"),
        (lambda: client.search("x", filter={"colour": "red"}), "FilterInvalid", "colour"),
        (lambda: client.search("x", k=10_001), "InvalidParameter", "10001"),
    ]:
        with pytest.raises(getattr(hartonomous.errors, error), match=text):
            call()
    assert state.contents(connection) == before


@pytest.fixture(scope="module")
def other_tenant(dsn, server):
    """An artifact and a model that belong to somebody else."""
    role = "test_bad_input_other"
    server.execute("create role {} in role hartonomous_writer", role)
    with hartonomous.connect(dsn) as client:
        client.tenant_role_add(client.tenant_create("other"), role)
        client.connection.execute(f"set role {role}")
        artifact = client.ingest_text("somebody else's")
        model = client.model_begin("theirs", "BertModel", {"config": tiny_model.files()["config.json"]})
    yield artifact, model
    server.execute("drop role {}", role)


@pytest.mark.parametrize(
    "call",
    [
        "content(%s)", "content_slice(%s, 0, 1)", "artifact_delete(%s)", "artifact_restore(%s)", "lineage(%s)",
        "impact(%s)", "embed_artifacts(array[%s])", "atom_path(%s, -1)",
    ],
)  # fmt: skip
def test_another_tenants_artifact_is_as_one_that_is_not_there(connection, other_tenant, call):
    assert answer(connection, call, other_tenant[0]) == answer(connection, call, 987654)


@pytest.mark.parametrize(
    "call",
    [
        "tensor_put(%s, 't', 'F32', '{1}', 0, '1234')",
        "model_commit(%s)",
        "tensor_missing(%s)",
        "artifact_show(array[%s])",
    ],
)
def test_another_tenants_model_is_as_one_that_is_not_there(connection, other_tenant, call):
    assert answer(connection, call, other_tenant[1]) == answer(connection, call, 987654)


def answer(connection, call, identifier):
    """The error, or the rows, with the identifier taken out."""
    try:
        return connection.execute(f"select * from hartonomous.{call % identifier}").fetchall()
    except psycopg.Error as error:
        parts = error.diag.message_primary, error.diag.message_detail, error.diag.message_hint
        return error.sqlstate, *(part and part.replace(str(identifier), "ID") for part in parts)


def test_metadata_of_any_depth(client):
    deep: object = "leaf"
    for _ in range(200):
        deep = {"deeper": [deep]}
    artifact = client.ingest_text("deep metadata", "u/deep", {"deep": deep})
    assert client.artifact_show([artifact])[0].metadata == {"deep": deep}
