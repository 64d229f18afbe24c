"""Searches by vectors while others store, replace and delete them."""

import random

import hartonomous
import numpy as np
import pytest
from sessions import together

ROWS, DIMENSIONS, ROUNDS = 1200, 24, 25
MODEL = "outside"


def vectors(seed, count):
    return np.random.default_rng(seed).standard_normal((count, DIMENSIONS)).astype(np.float32)


def store(client, seed, count):
    """Artifacts of a seed, and their vectors."""
    ids = client.ingest_many([b"%d of %d" % (number, seed) for number in range(count)], "binary")
    given = vectors(seed, count)
    client.embedding_put_many(ids, given, MODEL)
    return ids, given


@pytest.fixture(scope="module")
def stored(dsn):
    """Rows that stay, so many that they are searched by candidates."""
    with hartonomous.connect(dsn) as client:
        client.embedding_model_register(MODEL, DIMENSIONS)
        ids, given = store(client, 0, ROWS)
        client.query("analyze hartonomous.artifact, hartonomous.atom_embedding")
        client.embedding_model_analyze(MODEL)
        # the cheapest depends on the machine
        costs = "scan_us = 100, bits_us = 0.1, fetch_us = 1, filter_us = 1"
        client.query(f"update hartonomous.embedding_statistics set {costs}")
        explained = client.search_explain(given[0], model=MODEL, recall=0.9)
        assert explained["parts"][0]["path"] == "bits"
    return ids, given


def searching(stored, seed, recall):
    """What stays is found at any time, k rows are, and none twice."""
    ids, given = stored
    chance = random.Random(seed)

    def search(client):
        for _ in range(4 * ROUNDS):
            place = chance.randrange(ROWS)
            found = client.search_vector(given[place], 10, MODEL, recall=recall, snippets=False)
            assert found[0].artifact_id == ids[place] and found[0].score == pytest.approx(1)
            assert len({row.artifact_id for row in found}) == 10
            assert [row.score for row in found] == sorted((row.score for row in found), reverse=True)

    return search


def writing(seed):
    """Finds what it has stored when it has, replaced as it is now, and deleted no longer."""

    def write(client):
        def nearest(vector, recall):
            return client.search_vector(vector, 1, MODEL, recall=recall, snippets=False)[0].artifact_id

        for number in range(ROUNDS):
            (one, other), given = store(client, 1000 * seed + number, 2)
            moved = vectors(10**6 * seed + number, 1)
            for recall in (0.9, 1):
                assert nearest(given[0], recall) == one
            client.embedding_put_many([one], moved, MODEL)
            client.artifact_delete(other)
            for recall in (0.9, 1):
                assert nearest(moved[0], recall) == one
                assert nearest(given[1], recall) != other

    return write


def test_searches_beside_writers(dsn, stored):
    together(dsn, [writing(1), writing(2), searching(stored, 3, 0.9), searching(stored, 4, 1)])


def test_a_search_sees_its_snapshot(dsn, stored):
    """What another session commits within a transaction with repeatable read is not found in it, and then is."""
    vector = vectors(77, 1)[0]
    with hartonomous.connect(dsn) as reader, hartonomous.connect(dsn) as writer:
        with reader.transaction():
            reader.query("set transaction isolation level repeatable read")
            before = reader.search_vector(vector, 1, MODEL, recall=0.9)
            [new] = writer.ingest_many([b"new"], "binary")
            writer.embedding_put_many([new], [vector], MODEL)
            assert reader.search_vector(vector, 1, MODEL, recall=0.9) == before
        for recall in (0.9, 1):
            assert reader.search_vector(vector, 1, MODEL, recall=recall)[0].artifact_id == new
