"""Blocks explode once, whoever else explodes, stores, purges or collects; counts and bytes stay right."""

import io
import random

import hartonomous
import numpy as np
import psycopg
import pytest
import waiting
from hypothesis import given, settings
from hypothesis import strategies as st
from sessions import meanwhile, together

EXPLODE = "select hartonomous.atom_explode(%s)"
MODALITIES = ["binary", "text", "code"]


@pytest.fixture
def content():
    chance = random.Random(1)
    block = chance.randbytes(9_000)
    return block + chance.randbytes(20_000) + block + bytes(10_000)


@pytest.fixture
def artifact(client, content):
    artifact = client.ingest(content)
    yield artifact
    assert client.atom_verify() == []
    assert client.content(artifact) == content
    assert client.query("select count(*) from hartonomous.atom where block is not null").fetchone() == (0,)
    leaves = client.atom_explode(artifact)
    assert leaves >= len(content) / 64
    client.artifact_delete(artifact)
    client.artifact_purge(artifact)
    while client.atom_collect_garbage():
        pass
    assert client.query("select count(*) from hartonomous.atom").fetchone() == (0,)
    assert client.atom_verify() == []


@pytest.fixture(scope="module")
def session(dsn):
    with hartonomous.connect(dsn) as opened:
        yield opened


@given(st.binary(max_size=300), st.integers(0, 9), st.integers(0, 9000), st.sampled_from(MODALITIES), st.data())
@settings(deadline=None, max_examples=20)
def test_any_bytes_stay_what_they_are(session, head, seed, size, modality, data):
    content = head + random.Random(seed).randbytes(size)
    artifact = session.ingest(content, modality)
    leaves = session.atom_explode(artifact)
    assert len(content) / 64 <= leaves <= len(content) + 1
    assert session.content(artifact) == content
    start, length = data.draw(st.integers(0, len(content) + 9)), data.draw(st.integers(0, len(content) + 9))
    assert session.content_slice(artifact, start, length) == content[start : start + length]
    assert session.atom_explode(artifact) == leaves
    assert session.ingest(content) == artifact
    assert session.atom_verify() == []
    session.artifact_delete(artifact)
    session.artifact_purge(artifact)
    while session.atom_collect_garbage():
        pass


def test_samples_stay_whole(client):
    """Leaves of a tensor begin with a number, wherever its chunks end; x rises with their mean."""
    file, numbers = io.BytesIO(), np.linspace(-1, 1, 16_000, dtype="<f4")
    np.save(file, numbers)
    artifact = client.ingest(file.getvalue(), "tensor")
    assert client.atom_explode(artifact) > 1000
    rows = client.query(
        "select value, st_x(st_geometryn(geom, 1)) from hartonomous.atom where value is not null and modality = 8"
    ).fetchall()
    leaves = [(np.frombuffer(value, "<f4"), x) for value, x in rows if len(value) == 64]
    whole = {leaf.mean(): x for leaf, x in leaves if np.isin(leaf, numbers).all()}
    assert len(whole) > 980 and [whole[mean] for mean in sorted(whole)] == sorted(whole.values())
    client.artifact_delete(artifact)
    client.artifact_purge(artifact)
    while client.atom_collect_garbage():
        pass


@pytest.mark.parametrize("end", ["commit", "rollback"])
def test_two_explode_the_same(dsn, client, artifact, end):
    with psycopg.connect(dsn) as first:
        (leaves,) = first.execute(EXPLODE, [artifact]).fetchone()
        with meanwhile(dsn, lambda other: other.atom_explode(artifact)) as second:
            assert not second.done()
            getattr(first, end)()
            assert second.result(waiting.PATIENCE) == leaves


def test_many_explode_common_blocks(dsn, client, artifact, content):
    others = [client.ingest(content[at:]) for at in (5_000, 15_000)]
    together(dsn, [lambda own, one=one: own.atom_explode(one) for one in [artifact, *others, artifact]])
    assert [client.content(one) for one in others] == [content[5_000:], content[15_000:]]
    for one in others:
        client.artifact_delete(one)
        client.artifact_purge(one)


def test_who_stores_the_same_blocks_waits(dsn, client, artifact, content):
    more = content + b"and more"
    with psycopg.connect(dsn) as exploding:
        exploding.execute(EXPLODE, [artifact])
        with meanwhile(dsn, lambda other: other.ingest(more)) as storing:
            assert not storing.done()
            exploding.commit()
            stored = storing.result(waiting.PATIENCE)
    assert client.content(stored) == more
    client.atom_explode(stored)
    client.artifact_delete(stored)
    client.artifact_purge(stored)


def test_who_stores_has_not_ended(dsn, client, artifact, content):
    more = content + b"and more"
    with psycopg.connect(dsn) as storing:
        (stored,) = storing.execute("select hartonomous.ingest(%s)", [more]).fetchone()
        client.atom_explode(artifact)
        storing.commit()
    assert client.content(stored) == more
    client.atom_explode(stored)
    client.artifact_delete(stored)
    client.artifact_purge(stored)


def test_the_collector_and_others_pass_by(dsn, client, artifact):
    """Whoever explodes and does not end delays adding up, and nothing else."""
    garbage, kept = client.ingest(b"counted"), client.ingest(b"not yet")
    client.artifact_delete(garbage)
    client.artifact_purge(garbage)
    client.connection.execute("select hartonomous._atom_reference_fold()")
    client.artifact_delete(kept)
    client.artifact_purge(kept)
    other = client.ingest(random.Random(2).randbytes(5_000))
    with psycopg.connect(dsn) as exploding:
        exploding.execute(EXPLODE, [artifact])
        with (
            meanwhile(dsn, lambda session: session.atom_collect_garbage()) as collecting,
            meanwhile(dsn, lambda session: session.atom_explode(other)) as second,
        ):
            passed = collecting.done() and second.done()
            exploding.commit()
    assert passed and collecting.result() == 1 and second.result() == 79
    assert client.atom_collect_garbage() == 1
    client.artifact_delete(other)
    client.artifact_purge(other)


def test_who_deletes_waits(dsn, client, artifact):
    with psycopg.connect(dsn) as exploding:
        exploding.execute(EXPLODE, [artifact])
        with meanwhile(dsn, lambda other: other.artifact_delete(artifact)) as deleting:
            assert not deleting.done()
            exploding.commit()
            deleting.result(waiting.PATIENCE)
    client.artifact_restore(artifact)


def test_one_that_is_deleted_meanwhile_is_not_there(dsn, client, artifact):
    with psycopg.connect(dsn) as deleting:
        deleting.execute("select hartonomous.artifact_delete(%s)", [artifact])
        with meanwhile(dsn, lambda other: other.atom_explode(artifact)) as exploding:
            assert not exploding.done()
            deleting.commit()
            with pytest.raises(hartonomous.errors.ArtifactNotFound):
                exploding.result(waiting.PATIENCE)
    client.artifact_restore(artifact)
    client.atom_explode(artifact)
