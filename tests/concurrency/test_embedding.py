"""Several sessions that embed, while documents change."""

import random

import corpus
import hartonomous
import psycopg
import pytest
import tiny_model
import waiting
from hartonomous import embedding, models
from sessions import meanwhile, together

SESSIONS = 4


@pytest.fixture(scope="module", autouse=True)
def loaded(dsn, tmp_path_factory):
    with hartonomous.connect(dsn) as client:
        models.ingest(client, tiny_model.write(tmp_path_factory.mktemp("models") / "tiny"), "tiny")


def current(connection, document):
    """Live passages of a document: id, whether its embedding is of its text as it is."""
    return dict(
        connection.execute(
            "select t.artifact_id, e.input_hash is not distinct from"
            " sha256(convert_to(hartonomous._embedding_input(t.heading, t.body), 'UTF8'))"
            " from hartonomous.artifact_text as t join hartonomous.artifact_source as s using (artifact_id)"
            " left join hartonomous.atom_embedding as e using (artifact_id) where s.document_uri = %s",
            [document],
        ).fetchall()
    )


def test_overlapping_batches(dsn, connection, client):
    for name, text in corpus.pages(6).items():
        client.ingest_document(name, text, "html")
    pending = client.embedding_pending(batch=10_000)
    assert len(pending) > 20

    def embed(seed):
        own = random.Random(seed)
        order = own.sample(pending, len(pending))
        batches = [order[at : at + 7] for at in range(0, len(order), 7)]
        return lambda session: sum(session.embed_artifacts(batch) for batch in batches)

    counts = together(dsn, [embed(seed) for seed in range(SESSIONS)])
    assert sum(counts) == len(pending)
    assert client.embedding_pending() == []
    assert (
        connection.execute("select count(*), count(distinct artifact_id) from hartonomous.atom_embedding").fetchone()
        == (len(pending),) * 2
    )
    # every embedding has one edge, to the request that it names
    assert connection.execute(
        "select count(*) from hartonomous.graph_edge where relation = 'EmbeddedBy'"
    ).fetchone() == (len(pending),)
    assert connection.execute(
        "select count(*) from hartonomous.atom_embedding as e join hartonomous.graph_edge as g"
        " on (g.from_id, g.relation, g.to_id) = (e.artifact_id, 'EmbeddedBy', e.inference_request_id)"
    ).fetchone() == (len(pending),)


def test_the_same_bits_whoever_embeds(dsn, connection, client):
    texts = [f"text number {'x' * number}" for number in range(40)]
    ids = [client.ingest_text(text) for text in texts]
    client.embed_artifacts(ids)
    stored = [
        connection.execute(
            "select vector_send(embedding) = vector_send(hartonomous.embed(canonical_text))"
            " from hartonomous.atom_embedding join hartonomous.artifact using (artifact_id) where artifact_id = %s",
            [artifact_id],
        ).fetchone()[0]
        for artifact_id in ids
    ]
    assert all(stored)
    answers = together(dsn, [lambda session, at=at: session.embed_many(texts[at:]).tobytes() for at in range(SESSIONS)])
    assert all(answers[0].endswith(answer) for answer in answers)


@pytest.mark.parametrize("first", ["embedding", "replacing"])
def test_a_document_replaced_while_it_is_embedded(dsn, connection, client, first):
    uri = f"replaced/{first}"
    page = "# {0}\n\nThis stays.\n\n# Other {0}\n\nThis is of version {0} only ({1})."
    client.ingest_document(uri, page.format("one", first), "markdown")
    old = current(connection, uri)
    embed = "select hartonomous.embed_artifacts(%s)", [list(old)]
    replace = "select hartonomous.ingest_document(%s, %s, 'markdown')", [uri, page.format("two", first)]
    one, other = (embed, replace) if first == "embedding" else (replace, embed)
    with psycopg.connect(dsn) as session:
        session.execute(*one)
        with meanwhile(dsn, lambda second: second.connection.execute(*other)) as second:
            session.commit()
            second.result(waiting.PATIENCE)
    new = current(connection, uri)
    assert new.keys() != old.keys() and len(new) == 2
    assert set(client.embedding_pending()) == {artifact_id for artifact_id, is_current in new.items() if not is_current}
    embedding.embed(client, workers=2)
    assert all(current(connection, uri).values())
    gone = old.keys() - new.keys()
    found = {row.artifact_id for row in client.search("This is of version one only", 1000)}
    assert gone and not gone & found and new.keys() <= found


def test_workers_share_the_work(dsn, client):
    for number in range(30):
        client.ingest_text(f"work {'y' * number}")
    pending = client.embedding_pending()
    shares = [client.embedding_pending(batch=1000, worker=worker, workers=3) for worker in range(3)]
    assert sorted(sum(shares, [])) == pending and sum(map(bool, shares)) > 1
    counts = together(dsn, [lambda session, share=share: session.embed_artifacts(share) for share in shares])
    assert counts == [len(share) for share in shares]


@pytest.mark.parametrize("first", ["embedding", "dropping"])
def test_a_model_dropped_while_it_embeds(dsn, client, tmp_path, first):
    """Whoever comes second is told why it cannot; embeddings of no model never stay."""
    models.ingest(client, tiny_model.write(tmp_path / "m", seed=8), "passing")
    artifact = client.ingest_text(f"for a model that passes, {first} first")
    embed = "select hartonomous.embed_artifacts(%s, 'passing')", [[artifact]]
    drop = "select hartonomous.model_drop('passing')", None
    one, other = (embed, drop) if first == "embedding" else (drop, embed)
    with psycopg.connect(dsn) as session:
        session.execute(*one)
        with meanwhile(dsn, lambda second: second.query(*other)) as second:
            session.commit()
            with pytest.raises(hartonomous.Error) as raised:
                second.result(waiting.PATIENCE)
    assert raised.value.sqlstate == ("23503" if first == "embedding" else "ZH020") and raised.value.hint
    stored = client.query(
        "select count(*) from hartonomous.atom_embedding as e left join hartonomous.model using (model_id)"
        " where name = 'passing' or name is null"
    ).fetchone()
    assert stored == (1 if first == "embedding" else 0,)
    if first == "embedding":
        client.query("delete from hartonomous.atom_embedding where artifact_id = %(id)s", {"id": artifact})
        client.model_drop("passing")
