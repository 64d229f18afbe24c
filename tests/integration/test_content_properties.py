"""Any bytes come back: whole, in slices, from one call or many, packed or not; places are the same in SQL and numpy."""

import hashlib
import random

import hartonomous
import pytest
from hartonomous_server.atoms import block, hilbert
from hartonomous_server.blas import numpy
from hypothesis import given, settings
from hypothesis import strategies as st

MODALITIES = ("binary", "text")  # others are decoded
EDGES = (0, 1, 63, 64, 65, 2047, 2048, 2049, 8192, 65_535, 65_536, 65_537, 131_072)


def filled(kind, seed, size):
    """Bytes that do not compress, that repeat, that are all the same, or that look like a block's frame."""
    noise = random.Random(seed).randbytes(size)
    if kind == "noise":
        return noise
    if kind == "frame":
        return block.pack(bytes(size) + noise[:300])[: size + 20]
    if kind == "magic":
        return (block.MAGIC + noise)[:size]
    return (noise[:99] * (size // 99 + 1))[:size] if kind == "periods" else bytes([seed]) * size


SIZES = st.one_of(st.sampled_from(EDGES), st.integers(0, 200), st.integers(0, 300_000))
PIECE = st.builds(filled, st.sampled_from(["noise", "frame", "magic", "periods", "same"]), st.integers(0, 9), SIZES)
CONTENT = st.one_of(st.binary(max_size=200), PIECE, st.lists(PIECE, min_size=2, max_size=3).map(b"".join))


@pytest.fixture(scope="module")
def session(dsn):
    with hartonomous.connect(dsn) as opened:
        yield opened


@given(st.lists(CONTENT, min_size=1, max_size=4), st.sampled_from(MODALITIES), st.data())
@settings(deadline=None, max_examples=60)
def test_any_bytes_come_back_whole_and_in_slices(session, contents, modality, data):
    artifacts = session.ingest_many(contents, modality)
    for artifact, content in zip(artifacts, contents, strict=True):
        assert session.content(artifact) == content
        assert session.ingest(content, modality) == artifact
        for _ in range(2):
            start, length = data.draw(st.integers(0, len(content) + 9)), data.draw(st.integers(0, len(content) + 9))
            assert session.content_slice(artifact, start, length) == content[start : start + length]


@given(CONTENT, st.data())
@settings(deadline=None, max_examples=30)
def test_an_edit_at_any_place_is_another_content_and_the_first_stays(session, content, data):
    artifact = session.ingest(content)
    at, cut = data.draw(st.integers(0, len(content))), data.draw(st.integers(0, 5000))
    edited = content[:at] + data.draw(st.binary(max_size=50)) + content[at + cut :]
    assert session.content(session.ingest(edited)) == edited
    assert session.content(artifact) == content


@given(CONTENT, st.sampled_from(MODALITIES), st.integers(0, 2**31 - 1))
@settings(deadline=None, max_examples=30)
def test_the_place_of_any_bytes_follows_from_its_coordinates(session, content, modality, tenant):
    found = session.query(
        "select h_xy, h_yz, h_zm, content_hash, x, y, z, m,"
        " hartonomous.hilbert_encode(x, y), hartonomous.hilbert_encode(y, z), hartonomous.hilbert_encode(z, m)"
        " from hartonomous.atom_identity(%b, %s, %s)", (content, modality, tenant)
    ).fetchone()
    assert found[:3] == found[8:]
    assert bytes(found[3]) == hashlib.sha256(content).digest()
    assert all(0 <= coordinate < 2**31 for coordinate in found[4:8])


@given(CONTENT, st.sampled_from(MODALITIES), st.data())
@settings(deadline=None, max_examples=15)
def test_exploded_bytes_come_back(session, content, modality, data):
    content = content[:50_000]
    artifact = session.ingest(content, modality)
    leaves = session.atom_explode(artifact)
    assert leaves >= (len(content) + 63) // 64
    assert session.content(artifact) == content
    start, length = data.draw(st.integers(0, len(content) + 9)), data.draw(st.integers(0, len(content) + 9))
    assert session.content_slice(artifact, start, length) == content[start : start + length]
    assert session.atom_explode(artifact) == leaves


COORDINATE = st.one_of(st.integers(0, 2**31 - 1), st.integers(0, 31).map(lambda bits: 2**bits - 1))


@given(st.lists(st.tuples(COORDINATE, COORDINATE), min_size=1, max_size=50))
@settings(deadline=None, max_examples=50)
def test_numpy_and_sql_follow_the_same_curve_there_and_back(session, points):
    np = numpy()
    x, y = (np.array(column) for column in zip(*points, strict=True))
    keys = hilbert.encode(x, y)
    back = [column.tolist() for column in hilbert.decode(keys)]
    assert [*zip(*back, strict=True)] == points
    rows = session.query(
        "select hartonomous.hilbert_encode(i.x, i.y), d.x, d.y"
        " from unnest(%s::bigint[], %s::bigint[]) with ordinality as i (x, y, ord)"
        " cross join lateral hartonomous.hilbert_decode(hartonomous.hilbert_encode(i.x, i.y)) as d order by i.ord",
        (x.tolist(), y.tolist()),
    ).fetchall()
    assert rows == [(key, *point) for key, point in zip(keys.tolist(), points, strict=True)]
