"""Models as they were: weights, embeddings and texts of a time, bit for bit, whatever became of the model since."""

import hartonomous
import numpy as np
import psycopg
import pytest
import tiny_decoder
import tiny_model
from hartonomous import errors, models

WEIGHT = "encoder.layer.0.intermediate.dense.weight"
VERSIONED = ("model", "model_layer", "model_tensor", "model_deployment", "tensor_atom_coefficient")
TEXT, PROMPT = "the data base", "the data"
DRAWN = {"max_tokens": 20, "temperature": 0.9, "seed": 5}


@pytest.fixture(scope="module")
def folders(tmp_path_factory):
    folder = tmp_path_factory.mktemp("models")
    return {
        "tiny": tiny_model.write(folder / "tiny", inner=3000),  # a matrix of two tiles
        "gpt": tiny_decoder.write(folder / "gpt", "GPT2LMHeadModel"),
    }


@pytest.fixture
def loaded(client, folders):
    """An embedding model and a decoder; afterwards nobody has them, nor a history."""
    for name, folder in folders.items():
        models.ingest(client, folder, name)
    yield client
    for model in client.model_list():
        client.model_drop(f"{model.name}@{model.version}")
    for table in VERSIONED:
        client.query(f"delete from hartonomous.{table}_history")


def now(client):
    return client.query("select clock_timestamp()").fetchone()[0]


def change(client, model="tiny", name=WEIGHT, sigma=0.5, seed=0):
    random = np.random.default_rng(seed)
    rows, columns = client.tensor(model, name).shape
    u, v = random.standard_normal(rows, np.float32), random.standard_normal(columns, np.float32)
    return client.tensor_delta_add(model, name, u, v, sigma)


def tile(client):
    """The second one of the matrix."""
    part = "select c.coefficient_id from hartonomous.tensor_atom_coefficient as c"
    join = "join hartonomous.model_tensor as t using (model_tensor_id) where t.name = %s and c.start > 0"
    return client.query(f"{part} {join}", [WEIGHT]).fetchone()[0]


def seen(client, model="tiny", at=None):
    """Everything that can be asked of an embedding model, as bytes."""
    weights = {row.name: client.tensor(model, row.name, at).tobytes() for row in client.tensor_list(model, at)}
    return client.embed(TEXT, model, at).tobytes(), weights, client.tensor_slice(model, WEIGHT, 262_100, 1000, at)


def test_every_state_can_be_asked_for(loaded, dsn):
    states = []
    for number in range(3):
        states.append((now(loaded), seen(loaded)))
        change(loaded, seed=number)
    assert len({embedding for _, (embedding, _, _) in states}) == 3
    with hartonomous.connect(dsn) as other:  # a backend that has none of the states loaded
        for at, state in reversed(states):
            assert seen(other, at=at) == state
    for at, state in states:
        assert seen(loaded, at=at) == state
    assert seen(loaded, at=now(loaded)) == seen(loaded)


def test_a_text_of_the_past_is_drawn_again(loaded):
    before, text = now(loaded), loaded.generate(PROMPT, "gpt", **DRAWN)
    change(loaded, "gpt", "transformer.h.0.mlp.c_fc.weight", 5)
    assert loaded.generate(PROMPT, "gpt", **DRAWN) != text
    assert loaded.generate(PROMPT, "gpt", **DRAWN, as_of=before) == text
    assert "".join(loaded.generate_stream(PROMPT, "gpt", **DRAWN, as_of=before)) == text
    assert loaded.generate_many([PROMPT, ""], "gpt", **DRAWN, as_of=before)[0] == text
    used = "select state_hash, output_hash from hartonomous.inference_request where operation = 'generate'"
    first, since, again = loaded.query(f"{used} order by created_at").fetchall()
    assert first == again != since, "the record says which state it was"


def test_dropped_and_archived_models_are_there_in_the_past(loaded, folders):
    archived = now(loaded), seen(loaded)
    models.ingest(loaded, folders["tiny"], "tiny", version="2")
    loaded.model_deploy("tiny@2")
    loaded.model_archive("tiny@1")
    assert seen(loaded, "tiny@1", archived[0]) == archived[1]
    change(loaded, "tiny@2")
    dropped, text = now(loaded), loaded.generate(PROMPT, "gpt", **DRAWN)
    second = seen(loaded, "tiny@2")
    for name in ("tiny@1", "tiny@2", "gpt"):
        loaded.model_drop(name)
    assert seen(loaded, "tiny@1", archived[0]) == archived[1]
    assert seen(loaded, "tiny@2", dropped) == seen(loaded, None, dropped) == second != archived[1]
    assert loaded.generate(PROMPT, as_of=dropped, **DRAWN) == text
    with pytest.raises(errors.ModelNotFound, match="no embedding model 'tiny' at"):
        loaded.embed(TEXT, "tiny", now(loaded))


def test_what_was_deployed_then_answers(loaded, folders):
    before, first = now(loaded), loaded.embed(TEXT)
    models.ingest(loaded, folders["tiny"], "other")
    change(loaded, "other")
    loaded.model_deploy("other")
    between, second = now(loaded), loaded.embed(TEXT)
    loaded.model_rollback()
    assert np.array_equal(loaded.embed(TEXT, as_of=before), first)
    assert np.array_equal(loaded.embed(TEXT, as_of=between), second) and not np.array_equal(first, second)
    assert np.array_equal(loaded.embed(TEXT), first)


def test_the_split_of_then_chooses_the_model(loaded, folders):
    models.ingest(loaded, folders["gpt"], "other")
    change(loaded, "other", "transformer.h.0.mlp.c_fc.weight", 5)
    loaded.model_deploy("other", 0.5)
    prompts = [f"{PROMPT} {number}" for number in range(6)]
    texts = [loaded.generate(prompt, **DRAWN) for prompt in prompts]
    plain = [loaded.generate(prompt, "gpt", **DRAWN) for prompt in prompts]
    assert 0 < sum(one != other for one, other in zip(texts, plain, strict=True)) < 6
    at = now(loaded)
    loaded.model_deploy("gpt")
    assert [loaded.generate(prompt, **DRAWN) for prompt in prompts] == plain
    assert [loaded.generate(prompt, **DRAWN, as_of=at) for prompt in prompts] == texts


def test_nothing_uncommitted_and_nothing_of_before(loaded, dsn):
    before = now(loaded)
    old = seen(loaded)
    with psycopg.connect(dsn) as other:
        other.execute("select hartonomous.coefficient_set(%s, 0.5)", [tile(loaded)])
        assert seen(loaded, at=now(loaded)) == old
        other.rollback()
    born = loaded.query("select min(valid_from) from hartonomous.model__all()").fetchone()[0]
    with pytest.raises(errors.ModelNotFound, match="at"):
        loaded.embed(TEXT, "tiny", born.replace(year=2001))
    with pytest.raises(errors.ModelNotFound):
        loaded.tensor("tiny", WEIGHT, born.replace(year=2001))
    assert seen(loaded, at=before) == old


def test_a_coefficient_scales_a_part_and_back(loaded):
    old, states = loaded.tensor("tiny", WEIGHT), [loaded.model_list()]
    part = change(loaded)
    new = loaded.tensor("tiny", WEIGHT)
    states.append(loaded.model_list())
    loaded.coefficient_set(part, 0)
    assert np.array_equal(loaded.tensor("tiny", WEIGHT), old)
    states.append(loaded.model_list())
    loaded.coefficient_set(part, 0.5)
    assert np.array_equal(loaded.tensor("tiny", WEIGHT), new) and not np.array_equal(old, new)
    hashes = [next(row.state_hash for row in state if row.name == "tiny") for state in states]
    assert hashes[0] == hashes[2] != hashes[1]
    loaded.coefficient_set(part, 0)
    loaded.coefficient_set(tile(loaded), -2)
    scaled = old.copy().reshape(-1)
    scaled[65536:] *= -2
    assert np.array_equal(loaded.tensor("tiny", WEIGHT).reshape(-1), scaled)


def test_coefficients_that_cannot_be(loaded):
    part = change(loaded)
    for value, code in ((float("nan"), "ZH023"), (float("inf"), "ZH023"), (3e38, "ZH023"), (None, "22004")):
        with pytest.raises(errors.Error) as caught:
            loaded.query("select hartonomous.coefficient_set(%s, %s::real)", [part, value])
        assert caught.value.sqlstate == code, value
    with pytest.raises(errors.TensorMismatch, match="no coefficient 1"):
        loaded.coefficient_set(1, 1)


def test_a_dropped_unfinished_model_leaves_nothing(loaded, folders):
    def counts():
        tables = ["tokenizer", *(f"{table}_history" for table in VERSIONED)]
        return [loaded.query(f"select count(*) from hartonomous.{table}").fetchone() for table in tables]

    before = counts()
    config = {"config": tiny_model.files()["config.json"]}
    model_id = loaded.model_begin("half", "BertModel", config, {"another": "tokenizer"})
    loaded.tensor_put(model_id, "a.weight", "F32", [2, 2], 0, bytes(16))
    loaded.model_drop("half")
    assert counts() == before


def test_models_share_a_tokenizer(loaded, folders):
    count = "select count(*) from hartonomous.tokenizer"
    assert loaded.query(count).fetchone() == (2,)
    models.ingest(loaded, folders["tiny"], "again")
    assert loaded.query(count).fetchone() == (2,)
