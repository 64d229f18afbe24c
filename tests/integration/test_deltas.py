"""Rank-1 deltas: every dtype, what reads them, their history."""

import hashlib

import hartonomous
import numpy as np
import psycopg
import pytest
import tiny_model
from hartonomous import errors, models, safetensors
from sessions import together

WEIGHT = "encoder.layer.0.intermediate.dense.weight"
TEXT = "the data base"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model.write(tmp_path_factory.mktemp("models") / "tiny", inner=3000)  # a matrix of two tiles


@pytest.fixture
def tiny(client, folder):
    models.ingest(client, folder, "tiny")
    yield client
    client.model_drop("tiny")


def pair(weight, seed=0):
    random = np.random.default_rng(seed)
    return random.standard_normal(len(weight), np.float32), random.standard_normal(weight.shape[1], np.float32)


def state_hash(client):
    return next(model.state_hash for model in client.model_list() if model.name == "tiny")


def test_the_sum_is_float32_in_the_order_of_adding(tiny):
    expected = tiny.tensor("tiny", WEIGHT)
    for number in range(3):
        u, v = pair(expected, number)
        tiny.tensor_delta_add("tiny", WEIGHT, u, v, 0.1 * number + 0.01)
        expected = expected + np.float32(0.1 * number + 0.01) * np.multiply.outer(u, v)
    assert np.array_equal(tiny.tensor("tiny", WEIGHT), expected)
    data = expected.tobytes()
    for start, length in ((0, 1), (1, 131), (262_100, 1000), (len(data) - 5, 100)):
        assert tiny.tensor_slice("tiny", WEIGHT, start, length) == data[start : start + length]


def test_an_embedding_and_an_export_see_it(tiny, folder, tmp_path):
    before, old = tiny.embed(TEXT), state_hash(tiny)
    weights = tiny_model.tensors(inner=3000)
    u, v = pair(weights[WEIGHT])
    tiny.tensor_delta_add("tiny", WEIGHT, u, v, 0.5)
    weights[WEIGHT] = weights[WEIGHT] + np.float32(0.5) * np.multiply.outer(u, v)
    tiny_model.write(tmp_path / "same", inner=3000)
    tiny_model.save(tmp_path / "same" / "model.safetensors", weights, {"format": "pt"})
    models.ingest(tiny, tmp_path / "same", "same")
    found = {model.name: model.state_hash for model in tiny.model_list()}
    assert found["tiny"] == found["same"] != old, "the state is that of a model loaded with these weights"
    assert np.array_equal(tiny.embed(TEXT, "tiny"), tiny.embed(TEXT, "same"))
    assert not np.array_equal(tiny.embed(TEXT, "tiny"), before)
    models.export(tiny, "tiny", tmp_path / "exported")
    hashes = tiny_model.tensor_hashes((tmp_path / "exported").read_bytes())
    assert hashes == tiny_model.tensor_hashes((tmp_path / "same" / "model.safetensors").read_bytes())
    tiny.model_drop("same")


def test_history_keeps_the_weights_before(tiny, dsn):
    count = "select count(*) from hartonomous.tensor_atom_coefficient{} where ordinal > 0"
    with psycopg.connect(dsn, autocommit=True) as other:
        seen = other.execute("select pg_current_snapshot()").fetchone()[0]
        weight = tiny.tensor("tiny", WEIGHT)
        tiny.tensor_delta_add("tiny", WEIGHT, *pair(weight), 0.5)
        assert other.execute(count.format("")).fetchone() == (1,)
        assert other.execute(count.format("__as_of_snapshot(%s)"), [seen]).fetchone() == (0,)


@pytest.mark.parametrize("dtype", ["F16", "BF16"])
def test_rounded_once_to_the_stored_dtype(client, connection, dtype):
    """The tiny model with one matrix in another dtype."""
    files = tiny_model.files()
    config = {"config": files["config.json"], "pooling": files["1_Pooling/config.json"]}
    model_id = client.model_begin(f"typed-{dtype}", "BertModel", config, {"tokenizer": files["tokenizer.json"]})
    name, dense = "pooler.dense.weight", None
    for tensor, array in tiny_model.tensors().items():
        kind, data = "F32", array.tobytes()
        if tensor == name:
            kind = dtype
            if dtype == "BF16":
                data = (array.view(np.uint32) >> 16).astype("<u2").tobytes()
            else:
                data = array.astype("<f2").tobytes()
            dense = safetensors.to_numpy(data, dtype, array.shape).astype(np.float32)
        client.tensor_put(model_id, tensor, kind, array.shape, 0, data)
    client.model_commit(model_id)
    u, v = pair(dense)
    client.tensor_delta_add(f"typed-{dtype}", name, u, v, 0.3)
    exact = dense + np.float32(0.3) * np.multiply.outer(u, v)
    if dtype == "BF16":
        lower = (exact.view(np.uint32) & 0xFFFF0000).view(np.float32)
        upper = ((exact.view(np.uint32) & 0xFFFF0000) + 0x10000).view(np.float32)
        even = (lower.view(np.uint32) >> 16) % 2 == 0
        near = np.abs(exact - lower) - np.abs(upper - exact)
        expected = np.where((near < 0) | (near == 0) & even, lower, upper)
    else:
        expected = exact.astype("<f2")
    assert np.array_equal(client.tensor(f"typed-{dtype}", name), expected)
    if dtype == "F16":
        with pytest.raises(errors.TensorMismatch, match="not finite in F16"):
            client.tensor_delta_add(f"typed-{dtype}", name, np.full(len(u), 300.0), np.full(len(v), 300.0), 1)
    client.model_drop(f"typed-{dtype}")


def test_many_sessions_add_to_one_matrix(dsn, tiny):
    """Integers, so that the order does not matter."""
    weight = tiny.tensor("tiny", WEIGHT)
    tiny.tensor_delta_add("tiny", WEIGHT, np.zeros(len(weight)), np.zeros(weight.shape[1]), 1)
    ones = np.ones(len(weight)), np.ones(weight.shape[1])
    together(dsn, [lambda client: client.tensor_delta_add("tiny", WEIGHT, *ones, 1024) for _ in range(4)])
    step = np.float32(1024)
    assert np.array_equal(tiny.tensor("tiny", WEIGHT), weight + step + step + step + step)
    named = next(row.content_hash for row in tiny.tensor_list("tiny") if row.name == WEIGHT)
    assert hashlib.sha256(tiny.tensor("tiny", WEIGHT).tobytes()).digest() == named


def test_rollback_goes_back_step_by_step(client, tmp_path):
    for number in range(4):
        models.ingest(client, tiny_model.write(tmp_path / str(number), seed=number), f"m{number}")
    client.model_deploy("m1")
    client.model_deploy("m2", 0.25)
    client.model_deploy("m3")
    client.model_archive("m1")
    assert deployed(client) == {"m3": 1}
    assert client.model_rollback() == "m0@1", "m1, which had the candidate, is archived"
    client.model_deploy("m1")
    client.model_deploy("m2", 0.25)
    client.model_deploy("m3")
    assert client.model_rollback() == "m1@1"
    assert deployed(client) == {"m1": 0.75, "m2": 0.25}
    assert client.model_rollback() == "m1@1" and deployed(client) == {"m1": 1}
    assert client.model_rollback() == "m0@1"
    with pytest.raises(errors.ModelNotFound, match="no earlier deployment"):
        client.model_rollback()
    client.model_deploy("m3")
    client.model_drop("m3")
    assert deployed(client) == {"m0": 1}, "what was deployed before takes over"
    for number in range(3):
        client.model_drop(f"m{number}")
    assert deployed(client) == {}


def deployed(client):
    return {model.name: model.share for model in client.model_list() if model.share is not None}


def test_a_search_by_the_candidate(client, tmp_path):
    """Contents are routed by their hash: the same ones again, and so many."""
    models.ingest(client, tiny_model.write(tmp_path / "a"), "a")
    models.ingest(client, tiny_model.write(tmp_path / "b", seed=1), "b")
    artifact = client.ingest_text("some text")
    client.embed_artifacts([artifact], "a")
    client.model_deploy("b", 0.5)
    found = {f"question {n}": bool(client.search(f"question {n}")) for n in range(40)}
    assert 8 < sum(found.values()) < 32, "b has no embeddings"
    assert {text: bool(client.search(text)) for text in found} == found
    assert all(client.search(text, model="a") for text in found)


def test_foreign_models_are_as_missing_ones(client, connection, dsn):
    connection.execute("create role stranger login in role hartonomous_writer")
    try:
        client.tenant_role_add(client.tenant_create("strange"), "stranger")
        with hartonomous.connect(f"{dsn} options='-c role=stranger'") as stranger:
            for call in (
                lambda name: stranger.tensor_delta_add(name, WEIGHT, [1], [1], 1),
                stranger.model_archive,
                lambda name: stranger.model_deploy(name, 0.5),
            ):
                said = []
                for name in ("a@1", "x@1"):
                    with pytest.raises(errors.ModelNotFound) as raised:
                        call(name)
                    said.append(raised.value.message.replace(name, "?"))
                assert said[0] == said[1]
    finally:
        connection.execute("drop role stranger")
