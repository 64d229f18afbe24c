"""Weights of the past go when nobody has to keep them, and what is gone is refused."""

import re
from datetime import timedelta

import hartonomous
import numpy as np
import psycopg
import pytest
import tiny_decoder
import tiny_model
import waiting
from hartonomous import errors, models
from sessions import meanwhile

WEIGHT = "encoder.layer.0.intermediate.dense.weight"
VERSIONED = ("model", "model_layer", "model_tensor", "model_deployment", "tensor_atom_coefficient")
ZERO = timedelta(0)


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return tiny_model.write(folder / "tiny"), tiny_decoder.write(folder / "gpt", "GPT2LMHeadModel")


@pytest.fixture
def loaded(client, folders):
    """An embedding model and a decoder; afterwards no model, history or setting."""
    models.ingest(client, folders[0], "tiny")
    models.ingest(client, folders[1], "gpt")
    yield client
    client.connection.rollback()
    for model in client.model_list():
        client.model_drop(f"{model.name}@{model.version}")
    retain(client)
    everything_goes(client)
    assert stored(client) == (0, 0)
    client.query("delete from hartonomous.version_retention")


def now(client):
    return client.query("select clock_timestamp()").fetchone()[0]


def retain(client, *tables, keep=ZERO):
    for table in tables or VERSIONED:
        client.system_versioning_retain(f"hartonomous.{table}", keep)


def everything_goes(client):
    while client.history_prune():
        pass
    while client.model_collect_garbage(ZERO):
        pass


def stored(client):
    count = "(select count(*) from hartonomous.{})"
    return client.query(f"select {count.format('tensor_atom')}, {count.format('tokenizer')}").fetchone()


def change(client, name=WEIGHT, model="tiny"):
    rows, columns = client.tensor(model, name).shape
    return client.tensor_delta_add(model, name, np.arange(rows), np.ones(columns), 0.01)


def held(client):
    """Tiles that a model holds."""
    return client.query("select count(distinct tensor_atom_id) from hartonomous.tensor_atom_coefficient").fetchone()[0]


def test_a_dropped_model_goes_with_its_history(loaded):
    at, vector = now(loaded), loaded.embed("the data", "tiny")
    whole, (_, tokenizers) = held(loaded), stored(loaded)
    loaded.model_drop("gpt")
    loaded.model_drop("tiny")
    assert loaded.model_collect_garbage(ZERO) == 0 and stored(loaded) == (whole, tokenizers), "the history holds them"
    retain(loaded, keep=timedelta(days=1))
    everything_goes(loaded)
    assert stored(loaded) == (whole, tokenizers)
    assert np.array_equal(loaded.embed("the data", "tiny", at), vector)
    retain(loaded)
    while loaded.history_prune():
        pass
    assert loaded.model_collect_garbage() == 0, "by default a day goes by"
    assert loaded.model_collect_garbage(ZERO, 3) == 5, "three tiles and two tokenizers"
    everything_goes(loaded)
    assert stored(loaded) == (0, 0)
    for table in VERSIONED:
        assert loaded.query(f"select count(*) from hartonomous.{table}_history").fetchone() == (0,)


def test_what_models_and_kept_histories_hold_stays(loaded, folders):
    models.ingest(loaded, folders[0], "again")
    part = change(loaded)
    loaded.coefficient_set(part, 0.5)
    vector, weights = loaded.embed("the data", "tiny"), loaded.tensor("tiny", WEIGHT)
    loaded.model_drop("again")
    loaded.model_drop("gpt")
    retain(loaded)
    everything_goes(loaded)
    assert stored(loaded) == (held(loaded), 1)
    assert np.array_equal(loaded.embed("the data", "tiny"), vector)
    since = now(loaded)
    loaded.coefficient_set(part, 0)
    assert np.array_equal(loaded.tensor("tiny", WEIGHT, since), weights)
    assert np.array_equal(loaded.embed("the data", "tiny", since), vector)


ASKED = (
    lambda client, at: client.embed("the data", "tiny", at),
    lambda client, at: client.tensor("tiny", WEIGHT, at),
    lambda client, at: client.tensor_slice("tiny", WEIGHT, 0, 4, at),
    lambda client, at: client.tensor_list("tiny", at),
    lambda client, at: client.generate("the data", "gpt", max_tokens=2, as_of=at),
    lambda client, at: client.generate_many(["the data"], "gpt", max_tokens=2, as_of=at),
    lambda client, at: list(client.generate_stream("the data", "gpt", max_tokens=2, as_of=at)),
)


@pytest.mark.parametrize("table", VERSIONED)
def test_no_verb_answers_from_a_history_with_holes(loaded, dsn, table):
    """Whichever of the tables was pruned, though the model is as it was, loaded and all."""
    at = now(loaded)
    loaded.query("update hartonomous.version_retention set keep = null")
    retain(loaded, table)
    loaded.history_prune()
    with hartonomous.connect(dsn) as other:
        for ask in ASKED:
            if table != "model_layer":  # which no verb reads
                with pytest.raises(errors.HistoryNotKept, match=f"the history of hartonomous.{table} is kept since"):
                    ask(other, at)
                other.connection.rollback()
            else:
                ask(other, at)
            ask(other, now(other))


def test_a_model_that_goes_while_it_is_asked_for(loaded, dsn):
    """Between finding the state and reading its rows: each statement asks for itself."""
    at = now(loaded)
    model_id, state = loaded.query("select model_id, state_hash from hartonomous.model where name = 'tiny'").fetchone()
    loaded.model_drop("tiny")
    retain(loaded, "tensor_atom_coefficient")
    loaded.history_prune()
    embed = "select hartonomous._embed_past(%(model)s, %(state)s, %(at)s, array['the data'])"
    asked = {"model": model_id, "state": state, "at": at}
    with hartonomous.connect(dsn) as other, pytest.raises(errors.HistoryNotKept):
        other.query(embed, asked)
    retain(loaded)
    everything_goes(loaded)
    with hartonomous.connect(dsn) as other, pytest.raises(errors.ModelNotFound, match=f"no model with id {model_id}"):
        other.query(embed, asked)


def test_a_rollback_goes_back_as_far_as_the_history(loaded, folders):
    models.ingest(loaded, folders[0], "tiny", version="2")
    loaded.model_deploy("tiny@2")
    retain(loaded, "model_deployment")
    loaded.history_prune()
    with pytest.raises(errors.ModelNotFound, match="no earlier deployment"):
        loaded.model_rollback("embedding")
    assert loaded.model_list() and loaded.embed("the data").any()


def test_weights_that_another_is_putting_stay(loaded, folders, dsn):
    loaded.model_drop("gpt")
    loaded.model_drop("tiny")
    retain(loaded)
    while loaded.history_prune():
        pass
    with hartonomous.connect(dsn) as putting:
        putting.connection.autocommit = False
        config = {"config": tiny_model.files()["config.json"]}
        bias = "select data from hartonomous.tensor_atom where octet_length(data) = 128 limit 1"
        data = loaded.query(bias).fetchone()[0]
        model_id = putting.model_begin("half", "BertModel", config)
        putting.tensor_put(model_id, "pooler.dense.bias", "F32", [32], 0, data)
        with meanwhile(dsn, lambda other: other.model_collect_garbage(ZERO)) as collecting:
            assert collecting.result(waiting.PATIENCE) > 0
        putting.connection.commit()
    assert stored(loaded) == (1, 0) == (held(loaded), 0)
    loaded.model_drop("half")


def test_who_puts_weights_that_are_being_collected_puts_them_anew(loaded, folders, dsn):
    loaded.model_drop("gpt")
    loaded.model_drop("tiny")
    retain(loaded)
    while loaded.history_prune():
        pass
    with psycopg.connect(dsn) as collecting:
        assert collecting.execute("select hartonomous.model_collect_garbage('0')").fetchone()[0] > 0
        with meanwhile(dsn, lambda other: models.ingest(other, folders[0], "tiny")) as loading:
            assert not loading.done()
            collecting.commit()
            loading.result(waiting.PATIENCE)
    loaded.model_collect_garbage(ZERO)
    assert stored(loaded) == (held(loaded), 1)
    assert np.isfinite(loaded.embed("the data", "tiny")).all()


def test_weights_are_collected_in_read_committed(dsn):
    with psycopg.connect(dsn) as connection:
        connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        with pytest.raises(psycopg.errors.ActiveSqlTransaction):
            connection.execute("select hartonomous.model_collect_garbage()")


def test_export_and_erasure_beside_it(loaded, server, dsn, folders):
    """An export has what is kept; an erasure takes all of it, and does not meet who prunes."""
    role = "test_retention_other"
    server.execute("create role {} login in role hartonomous_writer", role)
    try:
        tenant = loaded.tenant_create("other")
        loaded.tenant_role_add(tenant, role)
        with hartonomous.connect(f"{dsn} options='-c role={role}'") as other:
            models.ingest(other, folders[0], "theirs")
            change(other, model="theirs")
            other.model_drop("theirs")
        rows = "select count(*) from hartonomous.tensor_atom_coefficient_history where tenant_id = %(tenant)s"
        kept = loaded.query(rows, {"tenant": tenant}).fetchone()[0]
        retain(loaded)
        with psycopg.connect(dsn) as pruning:
            assert pruning.execute("select hartonomous.history_prune(5)").fetchone() == (5,)
            with meanwhile(dsn, lambda admin: admin.tenant_erase(tenant)) as erasing:
                pruning.rollback()
                erased = erasing.result(waiting.PATIENCE)
        found = erased["hartonomous.tensor_atom_coefficient_history"]
        assert found["removed"] == kept and not any(table["remaining"] for table in erased.values())
        lines = loaded.query("select string_agg(l, '') from hartonomous.tenant_export(1) as l").fetchone()[0]
        assert re.search('"table" ?: ?"hartonomous.model_tensor"', lines)
    finally:
        server.execute("drop role {}", role)
