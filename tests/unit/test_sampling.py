"""Options are checked, draws follow their chances, pieces of text are whole."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
import tiny_decoder
from hartonomous_server import errors
from hartonomous_server.inference.pieces import Pieces
from hartonomous_server.inference.sampling import Options, Sampler
from hartonomous_server.models.tokenizer import Tokenizer

PLAIN = {"max_tokens": 1, "temperature": 1, "top_k": 0, "top_p": 1, "repetition_penalty": 1, "seed": 1}


def options(**changes: Any) -> Options:
    return Options.parse({**PLAIN, **changes})


@pytest.mark.parametrize(
    ("changes", "message"),
    [
        ({"max_tokens": 0}, "max_tokens is 0, expected at least 1"),
        ({"max_tokens": None}, "max_tokens is NULL"),
        ({"temperature": -0.1}, "temperature is -0.1, expected 0"),
        ({"temperature": "NaN"}, "temperature is NaN"),
        ({"temperature": "Infinity"}, "temperature is Infinity"),
        ({"temperature": None}, "temperature is NULL"),
        ({"top_k": -1}, "top_k is -1, expected 0"),
        ({"top_p": 0}, "top_p is 0, expected more than 0"),
        ({"top_p": 1.5}, "top_p is 1.5"),
        ({"top_p": "NaN"}, "top_p is NaN"),
        ({"repetition_penalty": 0}, "repetition_penalty is 0"),
        ({"stop": [""]}, "stop has a text of 0 characters"),
        ({"stop": ["a", None]}, "stop has a text NULL"),
        ({"stop": ["x" * 1001]}, "stop has a text of 1001 characters"),
        ({"stop": ["a"] * 17}, "stop has 17 texts, expected at most 16"),
        ({"beams": 3}, "option beams is unknown, expected one of max_tokens"),
    ],
)
def test_options_that_are_refused(changes: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.InvalidParameter, match=message):
        options(**changes)


def test_a_seed_is_made_where_one_is_needed() -> None:
    assert options(seed=None, temperature=0).seeded().seed is None
    made = {options(seed=None).seeded().seed for _ in range(3)}
    assert len(made) == 3 and all(-(2**63) <= seed < 2**63 for seed in made)
    assert options(seed=5).seeded().seed == 5


def test_draws_follow_their_chances() -> None:
    logits = np.log(np.array([0.5, 0.25, 0.15, 0.1], np.float32))
    sampler = Sampler(options(), [], 4)
    counts = np.bincount([sampler.choose(logits) for _ in range(20_000)], minlength=4) / 20_000
    assert np.abs(counts - [0.5, 0.25, 0.15, 0.1]).max() < 4 * math.sqrt(0.25 / 20_000)
    narrow = Sampler(options(top_k=2), [], 4)
    assert {narrow.choose(logits) for _ in range(200)} == {0, 1}
    nucleus = Sampler(options(top_p=0.6), [], 4)
    assert {nucleus.choose(logits) for _ in range(200)} == {0, 1}
    cold = Sampler(options(temperature=1e-30), [], 4)
    assert {cold.choose(logits) for _ in range(20)} == {0}


def test_the_same_seed_draws_the_same() -> None:
    """Kept: a seed of a recorded request must draw the same after an update."""
    logits = np.zeros(1000, np.float32)
    sampler = Sampler(options(seed=42), [], 1000)
    assert [sampler.choose(logits) for _ in range(5)] == [639, 25, 275, 223, 736]


def test_repetition_costs_what_was_there() -> None:
    logits = np.array([2.0, 1.9, -1.0], np.float32)
    greedy = options(temperature=0, repetition_penalty=1.5)
    sampler = Sampler(greedy, [2], 3)
    assert [sampler.choose(logits) for _ in range(2)] == [0, 1]
    assert Sampler(greedy, [0, 1], 3).choose(np.array([-1, -1, -1.4], np.float32)) == 2


def pieces(text: str, stops: tuple[str, ...] = (), prompt: str = "the ") -> tuple[list[str], bool]:
    files = {"config": tiny_decoder.config("GPT2LMHeadModel")}
    tokens = Tokenizer.from_files({"tokenizer": tiny_decoder.tokenizer()}, files, "GPT2LMHeadModel")
    made = Pieces(tokens.decode, tokens.encode_whole(prompt), stops)
    found = []
    for token in tokens.encode_whole(text):
        found.append(made.add(token))
        if made.stopped:
            break
    return [*found, made.end()], made.stopped


def test_pieces_hold_whole_characters() -> None:
    text = " the data \u00e9\u6c34\U0001f600 e\u0301 \ufffd."
    for prompt in ("", "the ", "x\U0001f600"):
        found, _ = pieces(text, prompt=prompt)
        assert "".join(found) == text
        assert all("\ufffd" not in piece or piece.startswith("\ufffd") for piece in found)
    assert "\u6c34" in pieces(text)[0] and "\U0001f600" in pieces(text)[0]


@pytest.mark.parametrize(
    ("text", "stops", "expected"),
    [
        ("one two three", ("two",), "one "),
        ("one two three", ("three", "two"), "one "),
        ("ababac", ("abac",), "ab"),
        ("ab\u6c34cd", ("\u6c34",), "ab"),
        ("one tw", ("two",), None),
        ("a\n\nb", ("\n\n",), "a"),
        ("the end", ("t",), ""),
    ],
)
def test_a_text_ends_before_a_stop_text(text: str, stops: tuple[str, ...], expected: str | None) -> None:
    found, stopped = pieces(text, stops)
    assert stopped == (expected is not None)
    assert "".join(found) == (text if expected is None else expected)


def test_broken_bytes_are_replaced_as_the_library_does() -> None:
    files = {"config": tiny_decoder.config("GPT2LMHeadModel")}
    tokens = Tokenizer.from_files({"tokenizer": tiny_decoder.tokenizer()}, files, "GPT2LMHeadModel")
    random = np.random.default_rng(0)
    for _ in range(50):
        ids = random.integers(1, len(tiny_decoder.VOCABULARY), 40).tolist()
        made = Pieces(tokens.decode, [], ())
        assert "".join([made.add(token) for token in ids] + [made.end()]) == tokens.decode(ids).replace("\0", "\ufffd")
