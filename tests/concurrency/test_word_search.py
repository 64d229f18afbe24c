"""Searches by words, and by words and meaning, while others ingest, embed, delete and restore."""

import random

import hartonomous
import pytest
import tiny_model
from hartonomous import models
from sessions import together

ROWS, ROUNDS = 300, 20


@pytest.fixture(scope="module")
def stored(dsn, tmp_path_factory):
    """Texts that stay, each with a word of its own and one that all have."""
    with hartonomous.connect(dsn) as client:
        models.ingest(client, tiny_model.write(tmp_path_factory.mktemp("models") / "tiny"), "tiny")
        texts = [f"common words and own{number}word" for number in range(ROWS)]
        ids = client.ingest_many([text.encode() for text in texts], "text", canonical_texts=texts)
        client.embed_artifacts(ids)
    return ids


def searches(client, query, k):
    """What the two find."""
    return [
        {row.artifact_id for row in found}
        for found in (client.search_keyword(query, k), client.search_hybrid(query, k=k))
    ]


def searching(stored, seed):
    """What stays is found at any time, and none twice."""
    chance = random.Random(seed)

    def search(client):
        for _ in range(2 * ROUNDS):
            place = chance.randrange(ROWS)
            for found in searches(client, f"own{place}word", 5):
                assert stored[place] in found
            for found in (client.search_keyword("common", 1000), client.search_hybrid("common", k=1000)):
                ids = [row.artifact_id for row in found]
                assert len(ids) == len(set(ids)) and set(stored) <= set(ids)
                assert [row.score for row in found] == sorted((row.score for row in found), reverse=True)

    return search


def writing(seed):
    """Finds what it has stored when it has, deleted no longer, and restored again."""

    def write(client):
        for number in range(ROUNDS):
            word = f"new{seed}x{number}"
            one = client.ingest_text(f"common words and {word}", f"w/{word}", {"title": f"over{word}"})
            for query in (word, f"over{word}", f"{word[:-1]}*", f'"words and {word}"'):
                assert all(one in found for found in searches(client, query, 50))
            client.embed_artifacts([one])
            assert all(one in found for found in searches(client, word, 5))
            client.artifact_delete(one)
            assert not any(one in found for found in searches(client, word, 1000))
            if number % 2:
                client.artifact_restore(one)
                assert all(one in found for found in searches(client, word, 5))

    return write


def test_searches_beside_writers(dsn, stored):
    together(dsn, [writing(1), writing(2), searching(stored, 3)])


def test_a_search_sees_its_snapshot(dsn, stored):
    """What another session commits within a transaction with repeatable read is not found in it, and then is."""
    with hartonomous.connect(dsn) as reader, hartonomous.connect(dsn) as writer:
        with reader.transaction():
            reader.query("set transaction isolation level repeatable read")
            before = reader.search_keyword("common snapshotted", 1000)
            new = writer.ingest_text("common snapshotted words")
            assert reader.search_keyword("common snapshotted", 1000) == before
        assert reader.search_keyword("common snapshotted", 1)[0].artifact_id == new


def test_who_ingests_a_word_waits_for_nobody(dsn):
    """Two transactions bring the same new words; what both committed is suggested."""
    with hartonomous.connect(dsn) as one, hartonomous.connect(dsn) as other:
        other.query("set lock_timeout = '5s'")
        with one.transaction():
            one.ingest_text("the marmalade sandwich of one")
            with other.transaction():
                other.ingest_text("the marmalade sandwich of another")
                assert other.search_suggest("marmalde")[0].suggestion == "marmalade"
        found = one.query("select count(*) from hartonomous.search_word where word = 'marmalade'").fetchone()
        assert found[0] == 2 and [row.suggestion for row in one.search_suggest("marmalde")].count("marmalade") == 1
