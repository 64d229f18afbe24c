"""Searches as of recorded times, after several sessions have changed everything: they answer what was answered then."""

import os
import random
from contextlib import suppress
from functools import partial

import hartonomous
import numpy as np
import pytest
import tiny_model
from hartonomous import errors
from sessions import together

ROUNDS, STEPS, OUTSIDE = 5, 14, 8
WORDS = ["the", "data", "base", "tea", "milk", "book", "sea", "land", "again", "more", "green", "roast"]
WEIGHT = "encoder.layer.0.intermediate.dense.weight"
VECTOR = np.random.default_rng(1).standard_normal((3, OUTSIDE)).astype(np.float32)
HIDDEN = np.random.default_rng(2).standard_normal((2, tiny_model.HIDDEN)).astype(np.float32)


@pytest.fixture(scope="module")
def publisher(server):
    name = f"test_search_as_of_{os.getpid()}"
    server.execute("create role {} login in role hartonomous_writer", name)
    yield name
    server.execute("drop owned by {}", name)
    server.execute("drop role {}", name)


@pytest.fixture(scope="module")
def world(dsn, publisher, tmp_path_factory):
    """Two public models with weights, one of the tenant's own without; a role that publishes."""
    folder = tmp_path_factory.mktemp("models")
    with hartonomous.connect(dsn) as client:
        client.tenant_role_add(0, "postgres")
        tiny_model.ingest(client, folder)
        client.tenant_role_add(1, "postgres")
        client.tenant_role_add(0, publisher)
        client.embedding_model_register("outside", OUTSIDE)
    return f"{dsn} options='-c role={publisher}'"


class Writer:
    """Changes artifacts of its own, in one way after another, now and then several in a transaction."""

    def __init__(self, name, public):
        self.name, self.public, self.chance = name, public, random.Random(name)
        self.texts, self.gone, self.bare, self.number = {}, [], [], 0

    def work(self, client):
        for _ in range(STEPS):
            if self.chance.random() < 0.2:
                with suppress(ZeroDivisionError), client.transaction():
                    before = dict(self.texts), list(self.gone), list(self.bare)
                    self.step(client)
                    self.step(client)
                    if self.chance.random() < 0.5:
                        self.texts, self.gone, self.bare = before
                        raise ZeroDivisionError
            else:
                self.step(client)

    def step(self, client):
        ways = [self.ingest, self.embed, self.note, self.delete, self.restore, self.write, self.bytes, self.tell]
        more = [] if self.public else [self.put, self.put]
        self.chance.choice([*ways, self.ingest, self.embed, *more])(client)

    def text(self):
        return " ".join(self.chance.choices(WORDS, k=self.chance.randint(2, 6)))

    def metadata(self):
        return {"n": self.chance.randrange(3), "title": self.chance.choice(WORDS)}

    def uri(self):
        return f"{self.name}/{self.chance.randrange(6)}"

    def some(self, most):
        return self.chance.sample(sorted(self.texts), min(most, len(self.texts)))

    def ingest(self, client):
        self.number += 1
        texts = [f"{self.text()} {self.name}{self.number} {part}" for part in range(self.chance.randint(1, 3))]
        ids = client.ingest_many([text.encode() for text in texts], "text", [self.uri() for _ in texts],
                                 [self.metadata() for _ in texts])  # fmt: skip
        self.texts |= dict(zip(ids, texts, strict=True))

    def bytes(self, client):
        self.number += 1
        content = f"{self.name} bytes {self.number}".encode()
        client.ingest(content, source_uri=self.uri())
        self.bare.append(content)

    def tell(self, client):
        if self.bare:
            client.ingest(self.bare.pop(), source_uri=self.uri(), canonical_text=self.text())

    def note(self, client):
        for artifact_id in self.some(2):
            client.ingest_text(self.texts[artifact_id], self.uri(), self.metadata())

    def embed(self, client):
        model = self.chance.choice(["tiny", "other"])
        pending = client.embedding_pending(model, batch=1000)
        mine = set(self.texts) & set(pending)
        client.embed_artifacts(sorted(mine), model)

    def put(self, client):
        ids = self.some(3)
        vectors = np.random.default_rng(self.chance.randrange(10**9)).standard_normal((len(ids), OUTSIDE))
        client.embedding_put_many(ids, vectors.astype(np.float32), "outside")

    def delete(self, client):
        for artifact_id in self.some(1):
            client.artifact_delete(artifact_id)
            self.gone.append((artifact_id, self.texts.pop(artifact_id)))

    def restore(self, client):
        if self.gone:
            artifact_id, text = self.gone.pop()
            client.artifact_restore(artifact_id)
            self.texts[artifact_id] = text

    def write(self, client):
        body = "\n\n".join(f"# {self.chance.choice(WORDS)}\n\n{self.text()} of {self.name}." for _ in range(2))
        client.ingest_document(f"{self.name}/doc{self.chance.randrange(2)}", body, "markdown", self.metadata())


QUESTIONS = [
    partial(hartonomous.Client.search_vector, query=VECTOR[0], k=5, model="outside"),
    partial(hartonomous.Client.search_vector, query=VECTOR[1], k=1000, model="outside", filter={"metadata": {"n": 1}}),
    partial(hartonomous.Client.search_vector, query=HIDDEN[0], k=7),
    partial(hartonomous.Client.search_vector, query=HIDDEN[1], k=1000, model="other", snippets=False),
    partial(hartonomous.Client.search_vector, query=HIDDEN[1], k=9, filter={"source_uri_prefix": "b/"}),
    partial(hartonomous.Client.search_spatial, query=VECTOR[2], center="POINT Z (0.1 0 0)", radius=0.4,
            model="outside"),
    partial(hartonomous.Client.search_keyword, query="tea green roast", k=6),
    partial(hartonomous.Client.search_keyword, query='"the data" -milk mor*', k=1000, filter={"modality": "text"}),
    partial(hartonomous.Client.search_keyword, query="book doc bytes", k=1000, filter={"metadata": {"n": 2}}),
    partial(hartonomous.Client.search, query="green tea at sea", k=8),
    partial(hartonomous.Client.search, query="the data book", k=1000, filter={"metadata": {"n": 0}}),
    partial(hartonomous.Client.search_hybrid, query="roast on land", k=6),
    partial(hartonomous.Client.search_hybrid, query="more milk", k=1000, weights={"text": 1, "vector": 2}),
    partial(hartonomous.Client.search_hybrid, query="more", region="LINESTRING Z (-1 -1 -1, 0.2 0.2 0.2)"),
    partial(hartonomous.Client.search_ensemble, query="tea again", models=["tiny", "other"], k=7),
]  # fmt: skip


def answers(client, at=None):
    return [question(client, as_of=at) for question in QUESTIONS]


def assert_same(found, expected, said):
    """Equal rows; what has the score of the last may be another one of those that have it."""
    assert [row.score for row in found] == pytest.approx([row.score for row in expected], abs=1e-5), said
    assert {row.verdict for row in found} == {row.verdict for row in expected}, said
    last = expected[-1].score + 1e-5 if expected and expected[-1].verdict != "short" else -np.inf
    one, other = ({row.artifact_id: (row.source_uri, row.snippet) for row in rows if row.score > last}
                  for rows in (found, expected))  # fmt: skip
    assert one == other, said


def test_answers_of_recorded_times(dsn, world):
    writers = [Writer("a", False), Writer("b", False), Writer("p", True)]
    recorded = []
    with hartonomous.connect(dsn) as reader, hartonomous.connect(dsn) as long, hartonomous.connect(world) as public:
        for number in range(ROUNDS):
            with long.transaction():  # open beyond the time that is recorded: what it wrote is not of that time
                [late] = long.ingest_many([f"green tea data {number}".encode()], "text", ["late/1"], [{"n": 1}])
                long.embedding_put_many([late], VECTOR[:1], "outside")
                together(dsn, [writer.work for writer in writers[:2]])
                together(world, [writers[2].work])
                recorded.append((reader.query("select clock_timestamp()").fetchone()[0], answers(reader)))
            if number % 2:
                public.tensor_delta_add("tiny", WEIGHT, np.ones(64, np.float32), np.ones(32, np.float32), 0.1 * number)
        recorded.append((reader.query("select clock_timestamp()").fetchone()[0], answers(reader)))
        found_by_question = zip(*(found for _, found in recorded), strict=True)
        assert all(map(any, found_by_question)), "each question finds something"
        assert len({str(found) for _, found in recorded}) == len(recorded)
        for at, expected in random.Random(0).sample(recorded, len(recorded)):
            for place, (found, then) in enumerate(zip(answers(reader, at), expected, strict=True)):
                assert_same(found, then, f"{QUESTIONS[place]} at {at}")


def test_a_time_before_everything(dsn, world):
    with hartonomous.connect(dsn) as client, pytest.raises(errors.ModelNotFound):
        client.search("tea", as_of=client.query("select timestamptz '2001-01-01'").fetchone()[0])
