"""Quality floors of what is extracted from texts, on labelled sentences.

The rules were written with the known sentences in view. The held-out ones were labelled afterwards, and the rules stay
as they are when one of those is missed: they tell what to expect of other texts.
"""

import json
import time
from collections import Counter
from pathlib import Path

import pytest
from hartonomous_server.atoms import entities, semantics

DATA = Path(__file__).parents[1] / "data"
KNOWN, HELD_OUT = (json.loads((DATA / f"extraction_{name}.json").read_text()) for name in ("known", "held_out"))
# entities: micro F1; language and sentiment: accuracy
FLOORS = [(KNOWN, {"entities": 0.93, "language": 0.94, "sentiment": 0.85}),
          (HELD_OUT, {"entities": 0.80, "language": 0.90, "sentiment": 0.75})]  # fmt: skip


def accuracy(pairs):
    pairs = list(pairs)
    return sum(got == wanted for got, wanted in pairs) / len(pairs)


def scores(sentences, read):
    found = [read(sentence["text"]) for sentence in sentences]
    count = Counter()
    for got, sentence in zip(found, sentences, strict=True):
        named = {(entity["type"], entity["text"]) for entity in got["entities"]}
        wanted = {(entity["type"], entity["text"]) for entity in sentence["entities"]}
        count += Counter(right=len(named & wanted), got=len(named), wanted=len(wanted))
    judged = [(got, sentence) for got, sentence in zip(found, sentences, strict=True) if "sentiment" in sentence]
    return {
        "entities": 2 * count["right"] / (count["got"] + count["wanted"]),
        "language": accuracy((got.get("language"), s["language"]) for got, s in zip(found, sentences, strict=True)),
        "sentiment": accuracy((polarity(got), sentence["sentiment"]) for got, sentence in judged),
    }


def polarity(got):
    value = got.get("sentiment", 0.0)
    return "positive" if value >= 0.05 else "negative" if value <= -0.05 else "neutral"


def test_the_sentences_are_many_and_of_many_kinds():
    assert len(KNOWN) >= 60 and len(HELD_OUT) >= 60
    assert len({sentence["language"] for sentence in HELD_OUT}) >= 20
    assert not {sentence["text"] for sentence in KNOWN} & {sentence["text"] for sentence in HELD_OUT}
    kinds = {entity["type"] for sentence in KNOWN + HELD_OUT for entity in sentence["entities"]}
    assert kinds == {"person", "place", "organization", "date", "quantity", "email", "url", "phone"}


@pytest.mark.parametrize(("sentences", "floors"), FLOORS, ids=["known", "held out"])
def test_quality(sentences, floors):
    reached = scores(sentences, semantics.read)
    assert all(reached[what] >= floor for what, floor in floors.items()), reached


def test_the_floors_are_not_reached_by_guessing():
    guess = {"language": "en", "sentiment": 0.0, "entities": []}
    for sentences, floors in FLOORS:
        reached = scores(sentences, lambda _: guess)
        assert all(reached[what] < floor for what, floor in floors.items()), reached


def test_spans_are_characters_of_the_text():
    text = "Zoë, 10 km von 東京: Marie Curie, +44 20 7946 0958 😀 a@b.example, in München."
    found = entities.find(text, "de")
    assert [entity["type"] for entity in found] == ["quantity", "person", "phone", "email", "place"]
    assert all(text[entity["start"] : entity["end"]] == entity["text"] for entity in found)
    assert all(a["end"] <= b["start"] for a, b in zip(found, found[1:], strict=False))


@pytest.mark.parametrize("text", ["", " ", "1234 5678", "😀😀", "\u202e\u200b"])
def test_a_text_without_letters_has_no_language(text):
    found = semantics.read(text)
    assert "language" not in found and "sentiment" not in found


def test_sentiment_is_judged_in_english_only():
    assert semantics.read("I love this wonderful book.")["sentiment"] > 0.5
    assert "sentiment" not in semantics.read("Ich liebe dieses wunderbare Buch sehr.")
    assert -1 <= semantics.read("I love love love it! " * 900)["sentiment"] <= 1


REPEATED = ("a.", "1.", "1,", "A ", "A. ", "a@", "www.", "http://", "+1 ", "Dr. ", "12 May ", "Of of ", "1/1/", "3-",
            "é", "\n", "Ann of ", "a-", "1 million ", "$1 ", "'", "Inc, ")  # fmt: skip


@pytest.mark.parametrize("unit", REPEATED)
def test_no_text_takes_long(unit):
    started = time.process_time()
    found = semantics.read((unit * 20_000)[:20_000])
    assert time.process_time() - started < 5
    assert len(found["entities"]) <= entities.MOST
