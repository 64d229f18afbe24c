"""Names in content that PostgreSQL or an index cannot hold."""

import psycopg
import pytest
import state

NODES = b'{"nodes": [{"id": 1, "name": "%s"}], "links": []}'


@pytest.mark.parametrize(
    ("content", "modality"),
    [
        (b"time,a\0b\n1,2\n2,3\n", "sensor"),
        (b'{"time": 1, "\\u0000": 2}\n', "sensor"),
        (b'{"time": 1, "\\ud800": 2}\n', "sensor"),
        (b'\x3a\0\0\0\0\0\0\0{"\\u0000":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}x', "tensor"),
        (NODES % b"\\u0000", "graph"),
        (NODES % b"\\\\\\u0000", "graph"),
        (NODES % b"half \\udc00", "graph"),
    ],
)
def test_names_that_postgresql_cannot_hold(connection, content, modality):
    before = state.contents(connection)
    with pytest.raises(psycopg.Error, match="has a NUL character or half of a surrogate pair") as raised:
        connection.execute("select hartonomous.ingest(%s, %s)", [content, modality])
    assert raised.value.sqlstate == "ZH012" and state.contents(connection) == before


def test_names_that_look_like_it_are_names(client):
    artifact = client.ingest(NODES % b"\\\\u0000 \\ud83d\\ude00", "graph")
    names = "select properties ->> 'name' from hartonomous.artifact_shapes(%s)"
    assert client.query(names, [artifact]).fetchall() == [("\\u0000 \U0001f600",)]


def test_an_anchor_that_does_not_fit_is_left_out(client):
    anchors = ["a" * 1995, "b" * 1996, "c"]
    page = "".join(f"<h1 id='{anchor}'>{anchor[0]}</h1><p>{f'Of {anchor[0]}. ' * 99}</p>" for anchor in anchors)
    client.ingest_document("u/an", page, "html")
    uris = "select distinct source_uri from hartonomous.artifact_source where document_uri = 'u/an'"
    assert set(client.query(uris)) == {("u/an",), (f"u/an#{anchors[0]}",), ("u/an#c",)}
