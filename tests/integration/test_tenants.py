"""Two tenants, each by a role that logs in: the same bytes twice, nothing of each other, the public tenant for both."""

import os

import hartonomous
import psycopg
import pytest
import state
import tiny_model
from hartonomous import errors, models

TEXT = "the same text for both of them"
NAMES = [f"test_tenants_{name}_{os.getpid()}" for name in ("ann", "bob", "publisher")]


@pytest.fixture(scope="module")
def roles(server, dsn):
    """The connection strings of the two tenants' roles and of one that writes for tenant 0."""
    with hartonomous.connect(dsn) as client:
        for name in NAMES:
            server.execute("create role {} login password 'secret' in role hartonomous_writer", name)
            client.tenant_role_add(0 if "publisher" in name else client.tenant_create(name), name)
    yield [psycopg.conninfo.make_conninfo(dsn, user=name, password="secret") for name in NAMES]
    for name in NAMES:
        server.execute("drop role {}", name)


@pytest.fixture
def ann(roles):
    with hartonomous.connect(roles[0]) as opened:
        yield opened


@pytest.fixture
def bob(roles):
    with hartonomous.connect(roles[1]) as opened:
        yield opened


@pytest.fixture
def publisher(roles):
    with hartonomous.connect(roles[2]) as opened:
        yield opened


@pytest.fixture
def public_model(publisher, tmp_path):
    models.ingest(publisher, tiny_model.write(tmp_path / "shared"), "shared")


def rows(client, query):
    return client.connection.execute(query).fetchall()


def test_the_same_bytes_are_two_artifacts(ann, bob, connection):
    mine, theirs = (
        client.ingest_text(TEXT, "letters/1", {"of": name}) for client, name in ((ann, "ann"), (bob, "bob"))
    )
    assert mine != theirs
    assert ann.content(mine) == bob.content(theirs) == TEXT.encode()
    places = connection.execute(
        "select distinct h_zm from hartonomous.artifact where artifact_id = any(%s)", [[mine, theirs]]
    ).fetchall()
    assert len(places) == 2  # equal places would tell one tenant what the other has
    large = os.urandom(200_000)
    ann.ingest(large), bob.ingest(large)
    stored, counted = state.references(connection)
    assert stored == counted


def test_each_sees_its_own(ann, bob):
    mine, theirs = ann.ingest_text(TEXT, "letters/1"), bob.ingest_text(TEXT, "letters/1")
    ann.ingest_document("book/1", "# Of Ann\n\nOnly hers.", "markdown")
    for client, own, foreign in ((ann, mine, theirs), (bob, theirs, mine)):
        assert [found.artifact_id for found in client.artifact_show([own, foreign])] == [own]
        seen = rows(client, "select artifact_id from hartonomous.artifact")
        assert (own,) in seen and (foreign,) not in seen
        for table in state.tables(client.connection) - {"permit_check"}:
            columns = rows(
                client,
                f"select count(*) from information_schema.columns where table_schema = 'hartonomous'"
                f" and table_name = '{table}' and column_name = 'tenant_id'",
            )
            if columns == [(1,)] and table != "tenant_role":
                visible = {tenant for (tenant,) in rows(client, f"select distinct tenant_id from hartonomous.{table}")}
                assert visible <= {0, client.current_tenant()}, table
    assert not [
        row for row in rows(bob, "select source_uri from hartonomous.artifact_source") if row[0].startswith("book/")
    ]


@pytest.mark.parametrize(
    "call",
    [
        lambda client, artifact: client.content(artifact),
        lambda client, artifact: client.content_slice(artifact, 0, 1),
        lambda client, artifact: client.lineage(artifact),
        lambda client, artifact: client.impact(artifact),
        lambda client, artifact: client.atom_path(artifact, artifact),
        lambda client, artifact: client.artifact_delete(artifact),
        lambda client, artifact: client.artifact_restore(artifact),
        lambda client, artifact: client.embed_artifacts([artifact]),
    ],
)
def test_a_foreign_artifact_is_as_none(ann, bob, publisher, public_model, connection, call):
    foreign = ann.ingest_text(TEXT)
    before = state.logical(connection)
    with pytest.raises(errors.ArtifactNotFound) as of_another:
        call(bob, foreign)
    with pytest.raises(errors.ArtifactNotFound) as of_nobody:
        call(bob, 10**12)
    assert str(of_another.value).replace(str(foreign), "ID") == str(of_nobody.value).replace(str(10**12), "ID")
    assert state.logical(connection) == before


def test_search_and_lineage_stay_within(ann, bob, publisher, public_model):
    everybody = {"ann": ann, "bob": bob, "all": publisher}
    pages, passages = {}, {}
    for name, client in everybody.items():
        pages[name] = client.ingest_document("page", f"# Page\n\nA page of {name}.", "markdown")
        passages[name] = client.ingest_text(f"A page of {name}.")
        client.embed_artifacts(client.embedding_pending("shared", batch=1000), "shared")
    for name, foreign in (("ann", "bob"), ("bob", "ann")):
        found = everybody[name].search("page", 10_000, "shared")
        ids = {row.artifact_id for row in found}
        assert {passages[name], passages["all"]} <= ids and passages[foreign] not in ids
        assert {row.verdict for row in found} == {"short"}
        nodes = everybody[name].lineage(passages[name])
        artifacts = {node.node_id for node in nodes if node.node_type == "artifact"}
        assert pages[name] in artifacts and not {pages[foreign], pages["all"]} & artifacts
        assert "HasTensor" in {node.relation for node in nodes}  # down to the public model's weights


def test_public_content_is_for_all_to_read_and_not_to_write(ann, bob, publisher, connection):
    public = publisher.ingest_text("Known to everybody.", "public/1")
    page = publisher.ingest_document("public/2", "# Public\n\nA public page.", "markdown")
    before = state.logical(connection)
    for client in (ann, bob):
        assert client.content(public) == b"Known to everybody."
        assert client.artifact_show([public])[0].source_uri == "public/1"
        assert client.lineage(page)[0].node_id == page
        with pytest.raises(errors.NotPermitted):
            client.artifact_delete(public)
        with pytest.raises(errors.ArtifactNotFound):
            client.embed_artifacts([public])
        for statement in (
            "update hartonomous.artifact set canonical_text = 'x'",
            "delete from hartonomous.artifact",
            "insert into hartonomous.modality values (15, 'smell')",
            "truncate hartonomous.atom",
        ):
            with pytest.raises(psycopg.errors.InsufficientPrivilege):
                client.connection.execute(statement)
    assert state.logical(connection) == before

    # the same bytes and the same uri make something of the tenant's own, and leave the public one alone
    own = ann.ingest_text("Known to everybody.", "public/1")
    own_page = ann.ingest_document("public/2", "# Mine\n\nMy page of the same uri.", "markdown")
    assert own != public and own_page != page
    assert bob.content(public) == b"Known to everybody." and bob.content(page).startswith(b"# Public")
    assert (
        rows(publisher, f"select deleted_at from hartonomous.artifact where artifact_id in ({public}, {page})")
        == [(None,)] * 2
    )


def test_models_of_one_tenant_and_of_all(ann, bob, publisher, public_model, tmp_path):
    models.ingest(ann, tiny_model.write(tmp_path / "own", seed=3), "own")
    assert {model.name for model in bob.model_list()} == {"shared"}
    for call in (lambda: bob.embed("the data", "own"), lambda: bob.tensor_list("own"), lambda: bob.model_drop("own")):
        with pytest.raises(errors.ModelNotFound):
            call()
    with pytest.raises(errors.ModelNotFound):
        bob.model_drop("shared")
    assert (bob.embed("the data") == ann.embed("the data", "shared")).all()

    # a model of the tenant's own hides the public one of its name
    public = bob.embed("the data", "shared")
    models.ingest(bob, tiny_model.write(tmp_path / "mine", seed=4), "shared")
    assert (bob.embed("the data", "shared") != public).any()
    assert (ann.embed("the data", "shared") == public).all()
    bob.model_drop("shared")
    ann.model_drop("own")


def test_a_role_of_no_tenant(server, dsn, roles):
    name = f"test_tenants_nobody_{os.getpid()}"
    server.execute("create role {} login password 'secret' in role hartonomous_writer", name)
    try:
        with hartonomous.connect(psycopg.conninfo.make_conninfo(dsn, user=name, password="secret")) as nobody:
            assert nobody.current_tenant() is None
            for call in (lambda: nobody.ingest_text("x"), lambda: nobody.model_list(), lambda: nobody.search("x")):
                with pytest.raises(errors.NoTenant) as raised:
                    call()
                assert "tenant_role_add" in raised.value.hint
    finally:
        server.execute("drop role {}", name)
