"""Parts of texts that decoders are measured on: every token is predicted once, given as many as the model can read."""

import pytest
import tiny_decoder
from hartonomous_server.evaluation import perplexity
from hartonomous_server.models.decoders import DecoderConfig


def parsed(**changes):
    return DecoderConfig.parse("GPT2LMHeadModel", {"config": tiny_decoder.config("GPT2LMHeadModel", **changes)})


@pytest.mark.parametrize("length", [1, 2, 6, 7, 8, 13, 14, 40])
@pytest.mark.parametrize("first", [0, None])
def test_each_token_is_predicted_once(length, first):
    config = parsed(n_positions=7, bos_token_id=first)
    ids = list(range(1, 1 + length))
    parts = list(perplexity.windows(config, ids))
    assert [token for part in parts for token in part[1:]] == (ids if first == 0 else ids[1:])
    assert all(2 <= len(part) <= 7 for part in parts)
    assert all(before[-1] == after[0] for before, after in zip(parts, parts[1:], strict=False))


def test_a_first_token_is_not_doubled():
    assert list(perplexity.windows(parsed(), [0, 5, 6])) == [[0, 5, 6]]


def test_no_token_no_part():
    assert list(perplexity.windows(parsed(bos_token_id=None), [])) == []
