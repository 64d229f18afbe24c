"""A GPU against the processor: vectors, and the text of decoders. Skipped, with the reason, where there is none."""

from __future__ import annotations

import numpy as np
import pytest
import tiny_decoder
from hartonomous_server.inference import decoder_packing
from hartonomous_server.inference.decoder import Decoder
from hartonomous_server.inference.device import PROCESSOR, Gpu, found
from hartonomous_server.inference.encoder import Encoder
from unit import test_bert, test_decoder

TEXTS = [2, 3, 17, 17, 40, 64, 5, 1, 33] * 20


@pytest.fixture(scope="module")
def gpu() -> Gpu:
    try:
        return found()
    except Exception as error:
        pytest.skip(f"no GPU: {error}")


@pytest.mark.parametrize("name", ["BertModel", "MPNetModel"])
def test_vectors_are_those_of_the_processor(name: str, gpu: Gpu) -> None:
    files = test_bert.family_files(name)
    ids = test_bert.random_ids(TEXTS, files["config"]["vocab_size"])
    here, there = (
        Encoder(name, files, test_bert.large_packed(name, files, device), device=device) for device in (PROCESSOR, gpu)
    )
    vectors = there.encode(ids)
    assert np.abs(here.encode(ids) - vectors).max() < 2e-6
    if there.packs:
        alone = np.concatenate([there.encode([text]) for text in ids[:9]])
        assert np.array_equal(alone, vectors[:9]), "whatever the batch"


@pytest.mark.parametrize("name", test_decoder.NAMES)
def test_texts_are_those_of_the_processor(name: str, gpu: Gpu) -> None:
    config = test_decoder.parsed(name)
    weights = tiny_decoder.tensors(tiny_decoder.shapes(name), 0)
    packed = decoder_packing.pack(config, weights.__getitem__)
    here, there = Decoder(config, packed), Decoder(config, packed, gpu)
    ids = np.random.default_rng(1).integers(0, config.vocabulary, 40).tolist()
    assert np.abs(here.logits(ids) - there.logits(ids)).max() < 1e-4
    texts = test_decoder.generated(there, name, test_decoder.PROMPTS)
    assert texts == test_decoder.generated(here, name, test_decoder.PROMPTS)
