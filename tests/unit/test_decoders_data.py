"""Decoders of tensors, series, graphs and code."""

import io
import json
import struct

import media
import networkx
import numpy as np
import pytest
from decoding import box, decode, line
from hartonomous_server import errors
from hartonomous_server.atoms.decoders import code, graph, sensor, tensor
from hartonomous_server.atoms.decoders.source import TooLarge


def npy(array, **options):
    file = io.BytesIO()
    np.save(file, array, **options)
    return file.getvalue()


def safetensors(tensors):
    header, data = {}, b""
    for name, (dtype, array) in tensors.items():
        offsets = [len(data), len(data) + array.nbytes]
        header[name] = {"dtype": dtype, "shape": list(array.shape), "data_offsets": offsets}
        data += array.tobytes()
    head = json.dumps(header).encode()
    return struct.pack("<Q", len(head)) + head + data


@pytest.mark.parametrize("shape", [(), (0, 5), (7,), (600, 300), (3, 200, 300), (5, 70_000), (2, 200_000)])
@pytest.mark.parametrize("order", ["C", "F"])
def test_tiles_cover_a_tensor_and_measure_it(shape, order):
    array = np.asarray(np.random.default_rng(1).normal(size=shape).astype(np.float32), order=order)
    if order == "F" and len(shape) > 2:
        with pytest.raises(TooLarge):
            decode(tensor, npy(array))
        return
    found = decode(tensor, npy(array))
    assert found.facts["shape"] == list(shape) and found.facts["dtype"] == "float32"
    matrix = array.reshape(-1, shape[-1] if shape else 1)
    seen = np.zeros(matrix.shape, int)
    for shape_ in found.shapes:
        left, top, right, bottom = (int(edge) for edge in box(shape_.geom))
        seen[top:bottom, left:right] += 1
        tile = matrix[top:bottom, left:right].astype(float)
        expected = {"norm": np.linalg.norm(tile), "min": tile.min(), "max": tile.max()}
        assert shape_.properties == pytest.approx(expected, rel=1e-6)
    assert (seen == 1).all()


def test_values_of_each_type():
    for dtype in "?bBhHiIlLqQefdFD":
        found = decode(tensor, npy(np.arange(6).reshape(2, 3).astype(dtype)))
        assert found.shapes[0].properties["max"] in (1, 5)
    extreme = decode(tensor, npy(np.array([1e308, -1e308, np.nan, np.inf]))).shapes[0].properties
    assert extreme == {"not_finite": 2, "min": -1e308, "max": 1e308, "norm": pytest.approx(2**0.5 * 1e308)}
    assert decode(tensor, npy(np.full(3, np.nan))).shapes[0].properties == {"not_finite": 3}


def test_safetensors():
    half = np.array([1.5, -2.0, 3.0], np.float32)
    bf16 = (half.view(np.uint32) >> 16).astype(np.uint16)
    content = safetensors({"a": ("F32", half), "b": ("BF16", bf16), "none": ("I8", np.zeros((0, 4), np.int8))})
    found = decode(tensor, content)
    assert found.facts == {"format": "safetensors", "tensors": 3}
    assert [shape.properties["tensor"] for shape in found.shapes] == ["a", "b"]
    assert {(shape.properties["min"], shape.properties["max"]) for shape in found.shapes} == {(-2, 3)}
    with pytest.raises(TooLarge, match="F8_E4M3"):
        decode(tensor, safetensors({"a": ("F8_E4M3", bf16.view(np.uint8))}))


def test_series_of_a_csv():
    content = b"# a comment\nwhen;a;b;unit\n2024-01-01;1;;C\n2024-01-03;3;7;C\n2024-01-02T12:00:00+01:00;2;5;C\n"
    found = decode(sensor, content)
    day = 86400.0
    assert found.facts == {"format": "csv", "series": {"a": 3, "b": 2}, "first": 19723 * day, "last": 19725 * day}
    lines = {shape.properties["series"]: line(shape.geom, 3).tolist() for shape in found.shapes}
    noon = 19724 * day + 11 * 3600
    assert lines == {"a": [[19723 * day, 1, 19723 * day], [noon, 2, noon], [19725 * day, 3, 19725 * day]],
                     "b": [[noon, 5, noon], [19725 * day, 7, 19725 * day]]}  # fmt: skip


def test_series_of_json_lines_and_without_header():
    assert decode(sensor, b'{"t": 1, "v": 2.5, "unit": "C"}\n\n{"t": 3, "v": null}\n').facts == {
        "format": "json lines", "series": {"v": 1}, "first": 1, "last": 1,
    }  # fmt: skip
    assert decode(sensor, b"0,1\n1,2\n").facts["series"] == {"1": 2}


def test_a_long_series_keeps_its_extremes():
    values = np.random.default_rng(3).normal(size=50_001)
    content = "".join(f"{at},{value!r}\n" for at, value in enumerate(values.tolist())).encode()
    found = decode(sensor, content)
    points = [line(shape.geom, 3) for shape in found.shapes]
    assert all((a[-1] == b[0]).all() for a, b in zip(points, points[1:], strict=False))  # no gap
    every = found.shapes[0].properties["extremes_of"]
    kept = np.concatenate([points[0], *[part[1:] for part in points[1:]]])
    assert len(kept) <= sensor.EXACT + 2 and (np.diff(kept[:, 0]) > 0).all()
    assert (values[kept[:, 0].astype(int)] == kept[:, 1]).all()
    runs = [values[at : at + every] for at in range(0, len(values), every)]
    assert {run.min() for run in runs} | {run.max() for run in runs} <= set(kept[:, 1])


NODES, EDGES = [{"id": 1, "name": "a"}, {"id": "1"}], [{"source": 1, "target": "1", "w": 2}]
NODE_LINK = json.dumps({"nodes": NODES, "links": EDGES})


def test_graphs_of_each_format():
    source = networkx.karate_club_graph()
    text = {"gml": "\n".join(networkx.generate_gml(source)), "graphml": "\n".join(networkx.generate_graphml(source)),
            "node-link": json.dumps(networkx.node_link_data(source))}  # fmt: skip
    for format, content in text.items():
        found = decode(graph, content.encode())
        assert found.facts == {"format": format, "directed": False, "nodes": 34, "edges": 78, "layout": "ring"}
        clubs = [shape.properties["club"] for shape in found.shapes if shape.kind == "node"]
        assert clubs == [club for _, club in source.nodes(data="club")]
        weights = [shape.properties["weight"] for shape in found.shapes if shape.kind == "edge"]
        assert weights == [weight for _, _, weight in source.edges(data="weight")]
        places = [shape.geom for shape in found.shapes if shape.kind == "node"]
        assert len(set(places)) == 34
        assert places == [shape.geom for shape in decode(graph, content.encode()).shapes[:34]]


def test_places_that_a_graph_gives():
    content = "graph [ node [ id 0 graphics [ x 1.5 y -2 ] ] node [ id 1 x 3 y 4 ] edge [ source 0 target 1 ] ]"
    found = decode(graph, content.encode())
    assert found.facts["layout"] == "given"
    assert line(found.shapes[2].geom, 2).tolist() == [[1.5, -2], [3, 4]]


def test_numbers_and_strings_name_different_nodes():
    found = decode(graph, NODE_LINK.encode())
    assert [shape.properties for shape in found.shapes] == [
        {"id": 1, "name": "a"}, {"id": "1"}, {"source": 1, "target": "1", "w": 2},
    ]  # fmt: skip


def test_functions_and_classes_of_python():
    content = b"class A:\n    def b(self):\n        async def c(): pass\n\n@cache\ndef d():\n    return 1\n"
    found = decode(code, content)
    assert found.facts == {"lines": 7, "language": "python"}
    assert [(shape.kind, shape.properties["name"], box(shape.geom)) for shape in found.shapes] == [
        ("class", "A", (0, 0, 27, 3)), ("function", "A.b", (4, 1, 27, 3)), ("function", "A.b.c", (8, 2, 27, 3)),
        ("function", "d", (0, 5, 12, 7)),
    ]  # fmt: skip


OTHER_CODE = [b"", b"int main(void) { return 0; }\n", b"\xff\xfe\0", b"(" * 100_000, b"-" * 100_000 + b"1",
              b"a" + b".a" * 100_000, b"x = [" + b"[" * 150 + b"]" * 150 + b"]"]  # fmt: skip


@pytest.mark.parametrize("content", OTHER_CODE, ids=range(len(OTHER_CODE)))
def test_code_that_is_not_python_is_code(content):
    found = decode(code, content)
    assert found.facts["lines"] == len(content.splitlines()) and found.shapes == []


FULL = npy(np.arange(10.0))
REFUSED = [
    (tensor, b"", "0 bytes, expected tensors"),
    (tensor, FULL[:-1], "header declares 208 bytes, found 207"),
    (tensor, FULL + b"\0", "header declares 208 bytes, found 209"),
    (tensor, FULL[:40], "no tensor that can be decoded"),
    (tensor, FULL.replace(b"(10,)", b"(-1,)"), "header declares"),
    (tensor, FULL.replace(b"'<f8'", b"'<f3'"), "no tensor that can be decoded"),
    (tensor, struct.pack("<Q", 1 << 40) + b"{}", "header declares 1099511627776 bytes for itself"),
    (tensor, safetensors({"a": ("F32", np.zeros(3, np.float32))})[:-1], "header declares"),
    (tensor, safetensors({"a": ("F64", np.zeros(3, np.float32))}), "expected 24 from 0"),
    (tensor, struct.pack("<Q", 9) + b'{"a": 1}}', "no tensor"),
    (sensor, b"", "0 rows"),
    (sensor, b"\xff\xfe", "no series that can be decoded"),
    (sensor, b"some prose, of no series at all", "0 rows"),
    (sensor, b"t,v\n1,2\nlater,3\n", "line 3 has the time 'later'"),
    (sensor, b"t,v\n1,2\n2,nan\n", "line 3 has nan in series 'v'"),
    (sensor, b"t,v\n1,2\n2,-inf\n", "line 3 has -inf"),
    (sensor, b"t,v\n1,2\n2,x\n", "line 3 has 'x' in series 'v'"),
    (sensor, b"t,v\n1,2,3\n", "line 2 has 3 columns, expected 2"),
    (sensor, b"t,v,v\n1,2,3\n", "names a series twice"),
    (sensor, b't,v\n1,"2\n', "no series that can be decoded"),
    (sensor, b"nan,1\n", "has the time 'nan'"),
    (sensor, b'{"v": 1}\n', "line 1 has no time"),
    (sensor, b'{"t": 1, "v": 1}\n[]\n', "line 2 is no JSON object"),
    (sensor, b'{"t": 1, "v": 1', "no series"),
    (graph, b"", "expected graph"),
    (graph, b"prose", "expected graph"),
    (graph, b"graph [ node [ id 0 ]", "no whole GML"),
    (graph, b"graph [ ] ]", "has a ]"),
    (graph, b"graph [ node [ id 0 ] node [ id 0 ] ]", "is there twice"),
    (graph, b"graph [ node [ id 0 ] edge [ source 0 target 1 ] ]", "'int 1', which is not there"),
    (graph, b"graph [ node [ id 0 x 1 y nan ] ]", "property 'y' is nan"),
    (graph, b"<graphml><graph><node id='a'/>", "no GraphML"),
    (graph, b"<html/>", "XML of <html>"),
    (graph, b"<!DOCTYPE graphml [<!ENTITY a 'b'>]><graphml><graph><node id='&a;'/></graph></graphml>", "document type"),
    (graph, b"<!DOCTYPE g [<!ENTITY x SYSTEM 'file:///etc/passwd'>]><graphml><graph/></graphml>", "document type"),
    (graph, b'{"nodes": [1]}', "no lists"),
    (graph, b'{"nodes": [1], "links": []}', "no graph that can be decoded"),
    (graph, b"[" * 100_000, "."),
    (graph, b'{"nodes": [' + b"[" * 100_000, "."),
]


@pytest.mark.parametrize(("decoder", "content", "message"), REFUSED, ids=[str(n) for n in range(len(REFUSED))])
def test_content_that_is_not_what_it_says_is_refused(decoder, content, message):
    with pytest.raises(errors.ContentMalformed, match=message) as raised:
        decode(decoder, content)
    assert "binary" in raised.value.hint


@pytest.mark.parametrize("depth", [9, 40])
def test_entities_do_not_explode(depth):
    declared = "".join(f"<!ENTITY e{n} '{f'&e{n - 1};' * 10}'>" for n in range(1, depth))
    content = f"<!DOCTYPE g [<!ENTITY e0 'x'>{declared}]><graphml><graph id='&e{depth - 1};'/></graphml>"
    with pytest.raises(errors.ContentMalformed):
        decode(graph, content.encode())


def test_limits_are_named(monkeypatch):
    nodes = NODE_LINK.encode()
    for module, name, content in (
        (tensor, "MAX_VALUES", FULL), (sensor, "MAX_BYTES", b"0,1\n"), (sensor, "MAX_SERIES", b"0,1\n"),
        (graph, "MAX_BYTES", nodes), (graph, "MAX_ELEMENTS", nodes),
    ):  # fmt: skip
        with monkeypatch.context() as lowered:
            lowered.setattr(module, name, 0)
            with pytest.raises(TooLarge, match="at most 0 are decoded"):
                decode(module, content)
    with monkeypatch.context() as lowered, pytest.raises(TooLarge, match="line 2 has 16 characters, at most 15 are"):
        lowered.setattr(sensor, "MAX_LINE", 15)
        decode(sensor, b'{"t":1,"a":2}\n{"t":2,"a":3.5}\n')
    monkeypatch.setattr(code, "MAX_BYTES", 3)
    assert decode(code, b"abcd").facts == {"undecoded": "4 bytes, at most 3 are decoded"}


def test_pickles_are_never_loaded():
    class Bomb:
        def __reduce__(self):
            return (pytest.fail, ("loaded",))

    with pytest.raises(TooLarge, match="Python objects"):
        decode(tensor, npy(np.array([Bomb()], object), allow_pickle=True))


def test_real_files():
    array = np.load(media.SAMPLES / "bivariate_normal.npy")
    [tile] = decode(tensor, media.sample("bivariate_normal.npy")).shapes
    assert tile.properties["norm"] == pytest.approx(np.linalg.norm(array), rel=1e-6)
    for name in ("football.gml", "celegansneural.gml", "power.gml"):
        lines = media.sample(name).decode().split()
        found = decode(graph, media.sample(name)).facts
        assert (found["nodes"], found["edges"]) == (lines.count("node"), lines.count("edge"))
