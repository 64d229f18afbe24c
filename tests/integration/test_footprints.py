"""Which parts of a layer carry most weight: footprints against numpy, where they lie, and what changes with a delta."""

import numpy as np
import pytest
import tiny_model
from hartonomous import errors, models

INNER = 3000
WEIGHT = "encoder.layer.0.intermediate.dense.weight"  # (3000, 32) float32: two tiles, cut after row 2048
LAYER = "encoder.layer.0"


@pytest.fixture(scope="module")
def folder(tmp_path_factory):
    return tiny_model.write(tmp_path_factory.mktemp("models") / "tiny", inner=INNER)


@pytest.fixture
def tiny(client, folder):
    models.ingest(client, folder, "tiny")
    yield client
    client.model_drop("tiny")


def corners(client, found):
    sql = "select st_xmin(g), st_xmax(g), st_ymin(g), st_ymax(g), st_zmin(g), st_zmax(g) from st_geomfromewkb(%s) as g"
    return tuple(map(int, client.query(sql, [found.geom]).fetchone()))


def test_energies_are_those_of_the_weights(tiny):
    found = tiny.tensor_footprints("tiny")
    weights = tiny_model.tensors(inner=INNER)
    assert {row.tensor for row in found} == set(weights)
    assert [row.energy for row in found] == sorted((row.energy for row in found), reverse=True)
    for name, weight in weights.items():
        parts = [row for row in found if row.tensor == name]
        assert sum(row.energy for row in parts) == pytest.approx(float(np.sum(weight.astype("f8") ** 2)), rel=1e-5)
        assert max(row.largest for row in parts) == pytest.approx(float(np.abs(weight).max()))


def test_tiles_lie_where_their_rows_are(tiny):
    weight = tiny_model.tensors(inner=INNER)[WEIGHT].astype("f8")
    parts = sorted((corners(tiny, row), row) for row in tiny.tensor_footprints("tiny", LAYER) if row.tensor == WEIGHT)
    assert [place for place, _ in parts] == [(0, 32, 0, 2048, 0, 0), (0, 32, 2048, INNER, 0, 0)]
    for (_, _, top, bottom, _, _), row in parts:
        assert row.norm == pytest.approx(np.linalg.norm(weight[top:bottom]), rel=1e-6)
        assert row.mean == pytest.approx(weight[top:bottom].mean(), abs=1e-6)


def test_a_region_finds_what_meets_it(tiny):
    region = tiny.query("select st_makeenvelope(0, 2100, 10, 2200)").fetchone()[0]
    found = [row for row in tiny.tensor_footprints("tiny", LAYER, region) if row.tensor == WEIGHT]
    assert [corners(tiny, row)[2:4] for row in found] == [(2048, INNER)]
    plan = tiny.query(
        "explain select from hartonomous.tensor_footprint where model_layer_id = 1"
        " and geom && st_makeenvelope(0, 2100, 10, 2200)"
    ).fetchall()
    assert any("tensor_footprint_place" in line for (line,) in plan)


def test_a_delta_has_the_whole_matrix_and_its_own_energy(tiny):
    random = np.random.default_rng(1)
    u, v = random.standard_normal(INNER, np.float32), random.standard_normal(32, np.float32)
    part = tiny.tensor_delta_add("tiny", WEIGHT, u, v, 0.5)
    (row,) = (row for row in tiny.tensor_footprints("tiny", LAYER) if row.coefficient_id == part)
    product = np.multiply.outer(u.astype("f8"), v)
    assert corners(tiny, row) == (0, 32, 0, INNER, 0, 0)
    assert row.norm == pytest.approx(np.linalg.norm(product), rel=1e-6) and row.largest is None
    assert row.energy == pytest.approx(0.25 * np.sum(product**2), rel=1e-6)
    assert row.mean == pytest.approx(product.mean(), abs=1e-6)
    tiny.coefficient_set(part, 0)
    assert next(row for row in tiny.tensor_footprints("tiny") if row.coefficient_id == part).energy == 0


def test_integers_come_last(client, tmp_path):
    folder = tiny_model.write(tmp_path / "positions")
    positions = {"embeddings.position_ids": np.arange(tiny_model.POSITIONS, dtype="<i8")[None]}
    tiny_model.save(folder / "model.safetensors", positions | tiny_model.tensors(), {"format": "pt"})
    models.ingest(client, folder, "positions")
    found = client.tensor_footprints("positions")
    assert found[-1].tensor == "embeddings.position_ids"
    assert found[-1].energy > found[0].energy
    client.model_drop("positions")


def test_a_layer_that_is_not_there(tiny):
    with pytest.raises(errors.TensorMismatch, match="no layer 'encoder.layer.9'"):
        tiny.tensor_footprints("tiny", "encoder.layer.9")
    with pytest.raises(errors.ModelNotFound):
        tiny.tensor_footprints("nobody")


def test_they_go_with_the_model(tiny, folder):
    count = "select count(*) from hartonomous.tensor_footprint"
    before = tiny.query(count).fetchone()
    models.ingest(tiny, folder, "again")
    assert tiny.query(count).fetchone()[0] == 2 * before[0]
    tiny.model_drop("again")
    assert tiny.query(count).fetchone() == before
