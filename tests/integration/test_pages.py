"""Page after page of a search is what one call for all of them finds: now, as of a time, and by candidates."""

import hartonomous
import numpy as np
import pytest
import tiny_model
from hartonomous import Client

WORDS = ["the", "data", "base", "tea", "milk", "book", "sea", "land", "green", "roast"]
TEXTS, WHOLE, OUTSIDE = 240, 1000, 24
VECTOR = np.random.default_rng(1).standard_normal(OUTSIDE).astype(np.float32)
HALF = {"metadata": {"half": 1}}

CALLS = {
    "search": (Client.search, {"query": "green tea data"}),
    "search, filter": (Client.search, {"query": "the base", "filter": HALF}),
    "hybrid": (Client.search_hybrid, {"query": "green tea data"}),
    "hybrid, rare": (Client.search_hybrid, {"query": "roast nothing"}),
    "hybrid, region": (Client.search_hybrid, {"query": "milk", "region": "LINESTRING Z (-2 -2 -2, 0.1 2 2)"}),
    "hybrid, weights": (Client.search_hybrid, {"query": "sea book", "weights": {"text": 1, "vector": 2}}),
    "ensemble": (Client.search_ensemble, {"query": "green tea", "models": ["tiny", "other"]}),
    "keyword": (Client.search_keyword, {"query": "tea data"}),
    "vector": (Client.search_vector, {"query": VECTOR, "model": "outside"}),
}


def texts(count, seed):
    """Every other one says what the one before says."""
    chance = np.random.default_rng(seed)
    said = [" ".join(chance.choice(WORDS, 4)) for _ in range(count // 2)]
    return [text for text in said for _ in range(2)]


@pytest.fixture(scope="module")
def stored(dsn, tmp_path_factory):
    """Texts of everybody's and of the tenant's, by two models and from outside; a time, and changes since then."""
    folder = tmp_path_factory.mktemp("models")
    with hartonomous.connect(dsn) as client:
        client.tenant_role_add(0, "postgres")
        tiny_model.ingest(client, folder)
        fill(client, "public", 40)
        client.tenant_role_add(1, "postgres")
        client.embedding_model_register("outside", OUTSIDE)
        ids = fill(client, "own", TEXTS)
        chance = np.random.default_rng(3)
        client.embedding_put_many(ids, np.repeat(chance.standard_normal((TEXTS // 2, OUTSIDE)), 2, axis=0), "outside")
        at = client.query("select clock_timestamp()").fetchone()[0]
        before = {name: whole(client, name) for name in CALLS}
        for artifact_id in ids[::5]:
            client.artifact_delete(artifact_id)
        client.embedding_put_many(ids[1:100:5], chance.standard_normal((20, OUTSIDE)), "outside")
        fill(client, "since", 40)
    return at, before


def fill(client, name, count):
    """The last fifth has no embedding."""
    found = client.ingest_many(
        [f"{name} {number}".encode() for number in range(count)],
        "text",
        [f"{name}/{number}" for number in range(count)],
        [{"half": number // 2 % 2} for number in range(count)],
        canonical_texts=texts(count, len(name)),
    )
    for model in ("tiny", "other"):
        client.embed_artifacts(found[: count * 4 // 5], model)
    return found


def whole(client, name, k=WHOLE, **more):
    verb, given = CALLS[name]
    return [(row.artifact_id, row.score, row.source_uri, row.snippet) for row in verb(client, k=k, **given, **more)]


def pages(client, name, k, **more):
    found = page = whole(client, name, k, **more)
    while page and len(found) < WHOLE:
        page = whole(client, name, k, after_score=page[-1][1], after_id=page[-1][0], **more)
        found = found + page
    return found


@pytest.mark.parametrize("name", CALLS)
def test_pages_make_the_whole(client, stored, name):
    found = whole(client, name)
    assert len(found) > 30
    for k in (13, 110):
        assert pages(client, name, k) == found


@pytest.mark.parametrize("name", CALLS)
def test_pages_of_the_past_make_what_was_there(client, stored, name):
    at, before = stored
    assert whole(client, name) != before[name]
    assert pages(client, name, 37, as_of=at) == before[name]
    assert pages(client, name, 110, as_of=at) == before[name]


@pytest.fixture(scope="module")
def analyzed(dsn, stored):
    """So many vectors that they are searched by candidates; queries between them."""
    chance = np.random.default_rng(5)
    with hartonomous.connect(dsn) as client:
        ids = client.ingest_many([b"one of many %d" % number for number in range(1500)], "binary")
        given = chance.standard_normal((1500, OUTSIDE)).astype(np.float32)
        client.embedding_model_register("many", OUTSIDE)
        client.embedding_put_many(ids, given, "many")
        client.query("analyze hartonomous.artifact, hartonomous.atom_embedding")
        client.embedding_model_analyze("many")
        # the cheapest depends on the machine
        client.query(
            "update hartonomous.embedding_statistics set scan_us = 100, bits_us = 0.1, fetch_us = 1, filter_us = 1"
        )
    return [(one + 0.7 * other) for one, other in zip(given[:12], given[12:24], strict=True)]


def test_what_candidates_miss_is_missing_once(client, analyzed):
    """No row comes twice, the first page is as good as was asked, and after those by candidates nothing is left out."""
    met, missed = [], 0
    for query in analyzed:
        true = client.search_vector(query, WHOLE, "many", recall=1)
        place = {row.artifact_id: number for number, row in enumerate(true)}
        rows = page = client.search_vector(query, 10, "many", recall=0.8)
        while len(rows) < 300:
            last = page[-1]
            page = client.search_vector(
                query, 10, "many", recall=0.8, after_score=last.score, after_id=last.artifact_id
            )
            rows = rows + page
        assert {row.verdict for row in rows} == {"recall>=0.8", "exact"}
        places = [place[row.artifact_id] for row in rows]
        assert places == sorted(set(places))
        assert places[-100:] == list(range(places[-100], places[-1] + 1))
        met.append(sum(place < 10 for place in places[:10]) / 10)
        missed += places[-1] + 1 - len(places)
    assert np.mean(met) >= 0.8 and missed > 0


def test_fused_pages_are_the_whole_where_candidates_answer_too(client, stored):
    fill(client, "more", 1500)
    client.embedding_model_analyze("tiny")
    costs = "scan_us = 1000, bits_us = 0.01, fetch_us = 0.1, filter_us = 0.1"
    client.query(f"update hartonomous.embedding_statistics set {costs}")
    client.query("update hartonomous.embedding_curve set far = 2, lower_bound = 1, worst = 1 where candidates > 100")
    found = whole(client, "hybrid, rare", recall=0.5)
    exact = whole(client, "hybrid, rare", recall=1)
    assert found != exact
    for k in (7, 60, 110):
        assert pages(client, "hybrid, rare", k, recall=0.5)[:900] == found[:900]
