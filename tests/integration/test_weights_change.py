"""What is stored of a model's embeddings when its weights change: what is pending, found, compared and learnt from."""

import numpy as np
import psycopg
import pytest
import tiny_model
from hartonomous import errors, models

WEIGHT = "encoder.layer.0.intermediate.dense.weight"
WORDS = "base", "of tea", "of milk", "of books", "and more", "again", "at sea", "on land"
TEXTS = [f"the data {word}" for word in WORDS]


@pytest.fixture
def told(connection):
    """Messages that a connection of this test was sent, and the connection."""
    messages = []
    connection.add_notice_handler(lambda notice: messages.append(notice.message_primary))
    return connection, messages


@pytest.fixture
def filled(client, connection, tmp_path):
    """A model and an other, of names of this test's own, with embeddings of all texts; their ids."""
    name = tmp_path.name.replace("_", "")
    models.ingest(client, tiny_model.write(tmp_path / "a"), name)
    models.ingest(client, tiny_model.write(tmp_path / "b", seed=1), name + "other")
    ids = [client.ingest_text(text, f"u/{text}") for text in TEXTS]
    for model in (name, name + "other"):
        client.embed_artifacts(ids, model)
    return name, ids


def change(client, model, sigma=0.5):
    return client.tensor_delta_add(model, WEIGHT, np.ones(64, np.float32), np.ones(32, np.float32), sigma)


def explained(connection, model):
    query = "select hartonomous.search_explain(hartonomous.embed('tea', %(m)s), 5, %(m)s)"
    return connection.execute(query, {"m": model}).fetchone()[0]["parts"][0]["other_weights"]


def test_embeddings_of_other_weights_are_pending(client, connection, filled):
    model, ids = filled
    assert client.embedding_pending(model) == []
    coefficient = change(client, model)
    assert client.embedding_pending(model) == sorted(ids) and client.embedding_pending(model + "other") == []
    assert client.embed_artifacts(ids[:3], model) == 3
    assert client.embedding_pending(model) == sorted(ids[3:])
    stored = connection.execute(
        "select embedding::real[] from hartonomous.atom_embedding as e join hartonomous.model as m using (model_id)"
        " where m.name = %s and artifact_id = %s", [model, ids[0]],
    ).fetchone()[0]  # fmt: skip
    assert np.array_equal(np.array(stored, np.float32), client.embed(TEXTS[0], model))
    client.coefficient_set(coefficient, 0)  # the weights there were: what was not embedded anew is current again
    assert client.embedding_pending(model) == sorted(ids[:3])
    assert client.embed_artifacts(ids, model) == 3 and client.embed_artifacts(ids, model) == 0


def test_searches_tell(client, told, filled):
    connection, messages = told
    model, ids = filled
    searches = (
        "select hartonomous.search('tea', model => %(m)s)",
        "select hartonomous.search_vector(hartonomous.embed('tea', %(m)s), model => %(m)s)",
        "select hartonomous.search_spatial(hartonomous.embed('tea', %(m)s), 'POINT Z (0 0 0)', 2, model => %(m)s)",
        "select hartonomous.search_hybrid('tea', model => %(m)s)",
        "select hartonomous.search_ensemble('tea', array[%(m)s, %(m)s || 'other'])",
    )
    for search in searches:
        connection.execute(search, {"m": model})
    assert messages == [] and explained(connection, model) is False
    change(client, model)
    for search in searches:
        connection.execute(search, {"m": model})
        assert messages.pop() == f"some embeddings are by other weights than model '{model}@1' has now", search
        assert messages == [], search
    assert explained(connection, model) is True
    client.embed_artifacts(ids[1:], model)
    assert explained(connection, model) is True, "one is enough"
    client.embed_artifacts(ids, model)
    assert explained(connection, model) is False
    connection.execute(searches[0], {"m": model})
    assert messages == []


def test_what_was_measured_of_other_weights_counts_no_more(client, connection, filled):
    model, _ = filled
    connection.execute(
        "insert into hartonomous.embedding_statistics"
        " select e.tenant_id, m.model_id, e.model_state, 1000, 40, 1, 1, 1, 1, 1 from hartonomous.model as m"
        " join hartonomous.atom_embedding as e using (model_id) where m.name = %s limit 1", [model],
    )  # fmt: skip
    query = "select hartonomous.search_explain(hartonomous.embed('tea', %(m)s), 5, %(m)s)"

    def rejected():
        (plan,) = connection.execute(query, {"m": model}).fetchone()
        return {option["path"]: option["rejected"] for option in plan["parts"][0]["options"]}["bits"]

    assert rejected() == "never met that recall when analyzed"
    change(client, model)
    assert rejected() == "analyzed with other weights of the model"


def test_a_comparison_takes_present_weights_only(client, filled):
    model, ids = filled
    client.evaluation_put("questions", "retrieval", TEXTS, [f"u/{text}" for text in TEXTS])
    change(client, model)
    with pytest.raises(errors.InvalidParameter, match="by the present weights of both models"):
        client.model_validate(model, model + "other", "questions")
    client.embed_artifacts(ids[:5], model)
    assert client.model_validate(model, model + "other", "questions")["artifacts"] == 5


def test_a_head_learns_from_one_state(client, filled):
    model, ids = filled
    labels = ["a", "b"] * 4
    client.model_train_head(f"{model}head", ids, labels, model)
    change(client, model)
    client.embed_artifacts(ids[:2], model)
    for train in (
        lambda: client.model_train_head(f"{model}second", ids, labels, model),
        lambda: client.model_retrain(f"{model}head", ids[:2], ["b", "a"]),
    ):
        with pytest.raises(errors.InvalidParameter, match="was embedded before the model's weights changed"):
            train()
    client.embed_artifacts(ids, model)
    assert client.model_retrain(f"{model}head", ids[:2], ["b", "a"]).version == "2"


def test_who_embedded_by_earlier_weights_is_pending_again(dsn, client, filled):
    """The change commits between reading the weights and storing what they gave."""
    model, ids = filled
    fresh = client.ingest_text("another text", "u/fresh")
    with psycopg.connect(dsn) as slow:
        slow.execute("set transaction isolation level repeatable read")
        slow.execute("select hartonomous.embedding_pending(%s)", [model])
        change(client, model)
        assert slow.execute("select hartonomous.embed_artifacts(%s, %s)", [[fresh], model]).fetchone() == (1,)
        slow.commit()
    assert fresh in client.embedding_pending(model)
    assert client.embed_artifacts([fresh], model) == 1
