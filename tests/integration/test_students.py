"""Students: truncated copies that are smaller, run, and say how good they are."""

import hashlib

import hartonomous
import numpy as np
import psycopg
import pytest
import tiny_model
from hartonomous import errors, models

WEIGHT = "encoder.layer.0.intermediate.dense.weight"
NAMES = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l", "m", "n", "o", "p"]


@pytest.fixture(scope="module")
def parent(dsn, tmp_path_factory):
    """A model of which the matrices have little energy outside of few directions."""
    folder = tiny_model.write(tmp_path_factory.mktemp("models") / "parent", inner=256)
    weights, random = tiny_model.tensors(inner=256), np.random.default_rng(0)
    for name, array in weights.items():
        if array.ndim == 2 and name.startswith("encoder"):
            few = random.standard_normal((array.shape[0], 4)) @ random.standard_normal((4, array.shape[1])) / 8
            weights[name] = (few + 0.02 * random.standard_normal(array.shape)).astype("<f4")
    tiny_model.save(folder / "model.safetensors", weights, {"format": "pt"})
    with hartonomous.connect(dsn) as client:
        models.ingest(client, folder, "parent")
        for number in range(200):
            client.ingest_text(" ".join(random.choice(NAMES, 8)), f"text/{number}")
    return weights


@pytest.fixture
def student(client, parent, request):
    name = request.node.name.partition("[")[0]
    yield client.model_student("parent", name, 0.95), name
    client.model_drop(name)


def test_it_is_smaller_and_close(client, student):
    made, name = student
    storage = client.model_storage(name)
    whole = client.model_storage("parent")
    assert (made.raw_bytes, made.stored_bytes) == (storage.raw_bytes, storage.stored_bytes)
    assert made.raw_bytes == whole.raw_bytes and made.stored_bytes < 0.6 * whole.stored_bytes
    assert made.quality["matrices"] >= 12 and made.quality["mean_rank"] < 10
    assert made.quality["texts"] == 50 and made.quality["cosine"] > 0.95
    assert 0.3 < made.quality["agreement@5"] <= 1
    apart = client.embed("a b c", name) @ client.embed("a b c", "parent")
    assert 0.9 < apart < 1
    assert {model.name for model in client.model_list() if model.share} == {"parent"}, "it is not deployed"


def test_a_matrix_keeps_its_energy(client, parent, student):
    _, name = student
    for tensor in client.tensor_list(name):
        found, was = client.tensor(name, tensor.name), parent[tensor.name]
        assert hashlib.sha256(found.tobytes()).digest() == tensor.content_hash
        if found.ndim == 2 and not np.array_equal(found, was):
            table = tensor.name.startswith("embeddings") or tensor.name.startswith("pooler")
            centre = was.mean(axis=0) if table else 0
            left = np.sum((found - was.astype(float)) ** 2) / np.sum((was - centre) ** 2)
            # where outputs count, elements come second
            assert left < (0.05 if table else 0.2), tensor.name


def test_reads_of_slices_are_of_the_product(client, student):
    _, name = student
    whole = client.tensor(name, WEIGHT).tobytes()
    for start, length in ((0, 1), (127, 130), (5000, 3000), (len(whole) - 1, 9)):
        assert client.tensor_slice(name, WEIGHT, start, length) == whole[start : start + length]


def test_a_student_takes_a_delta_and_goes(client, student):
    _, name = student
    was = client.tensor(name, WEIGHT)
    u, v = np.ones(len(was), np.float32), np.ones(was.shape[1], np.float32)
    client.tensor_delta_add(name, WEIGHT, u, v, 0.5)
    assert np.array_equal(client.tensor(name, WEIGHT), was + np.float32(0.5))


def test_dropping_it_leaves_its_parent(client, parent):
    client.model_student("parent", "short-lived", 0.5)
    client.model_drop("short-lived")
    assert all(np.array_equal(client.tensor("parent", name), array) for name, array in parent.items())


def test_all_energy_is_the_parent(client, parent):
    made = client.model_student("parent", "whole", 1)
    tensors = {tensor.name: tensor.content_hash for tensor in client.tensor_list("whole")}
    same = {tensor.name for tensor in client.tensor_list("parent") if tensors[tensor.name] == tensor.content_hash}
    assert same == tensors.keys() and made.stored_bytes == client.model_storage("parent").stored_bytes
    client.model_drop("whole")


def test_without_texts_it_is_plain(dsn, connection, client, parent, tmp_path):
    """A tenant of its own, that has no texts: elements are nearest, nothing is measured."""
    connection.execute("create role textless login in role hartonomous_writer")
    try:
        client.tenant_role_add(client.tenant_create("textless"), "textless")
        folder = tiny_model.write(tmp_path / "m", inner=256)
        tiny_model.save(folder / "model.safetensors", parent, {"format": "pt"})
        with hartonomous.connect(f"{dsn} options='-c role=textless'") as other:
            with pytest.raises(errors.ModelNotFound):
                other.model_student("parent", "stolen", 0.95)
            models.ingest(other, folder, "own")
            made = other.model_student("own", "plain", 0.95)
            assert made.quality["texts"] == 0 and made.quality["matrices"] >= 12
            mean = parent[WEIGHT].mean(axis=0, dtype=float)
            left, sizes, right = np.linalg.svd(parent[WEIGHT] - mean, full_matrices=False)
            rank = np.searchsorted(np.cumsum(sizes**2), 0.95 * np.sum(sizes**2)) + 1
            nearest = mean + left[:, :rank] * sizes[:rank] @ right[:rank]
            assert np.abs(other.tensor("plain", WEIGHT) - nearest).max() < 1e-3 * np.abs(nearest).max()
    finally:
        connection.execute("drop role textless")


def test_bad_input(client, parent):
    for error, text, arguments in [
        (errors.ModelNotFound, "nosuch", ("nosuch", "x", 0.9)),
        (errors.ModelExists, "parent@1 exists", ("parent", "parent", 0.9)),
        (errors.InvalidParameter, "without @", ("parent", "x@1", 0.9)),
        *((errors.InvalidParameter, "energy is", ("parent", "x", energy)) for energy in (0, -1, 1.5, np.nan)),
    ]:
        with pytest.raises(error, match=text):
            client.model_student(*arguments)
    assert not [model for model in client.model_list() if model.status == "loading"]


def test_a_cancel_leaves_nothing(dsn, client, parent):
    with psycopg.connect(dsn, autocommit=True) as other:
        other.execute("set statement_timeout = '20ms'")
        with pytest.raises(psycopg.errors.QueryCanceled):
            other.execute("select hartonomous.model_student('parent', 'cancelled', 0.95)")
    assert "cancelled" not in {model.name for model in client.model_list()}
