"""Decoders: configurations, packing, and the promise that a text depends on itself alone."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import tiny_decoder
from hartonomous_server import errors
from hartonomous_server.inference import continuation, decoder_packing
from hartonomous_server.inference.decoder import CHUNK, Cache, Decoder, cache_bytes
from hartonomous_server.inference.sampling import Options
from hartonomous_server.models import architecture, decoders, tokenizer
from hartonomous_server.models.decoders import DecoderConfig
from hartonomous_server.models.tokenizer import Tokenizer

NAMES = list(decoders.SUPPORTED)
PLAIN = {"max_tokens": 20, "temperature": 0, "top_k": 0, "top_p": 1, "repetition_penalty": 1}
PROMPTS = ["the data", "a", "", "\u00e9\u6c34 x", "data " * 6]
MEMORY = 1 << 30


def parsed(name: str, **changes: Any) -> DecoderConfig:
    return DecoderConfig.parse(name, {"config": tiny_decoder.config(name, **changes)})


def decoder(name: str, seed: int = 0, **changes: Any) -> Decoder:
    weights = tiny_decoder.tensors(tiny_decoder.shapes(name, **changes), seed)
    config = parsed(name, **changes)
    return Decoder(config, decoder_packing.pack(config, weights.__getitem__))


def words(name: str) -> Tokenizer:
    return Tokenizer.from_files({"tokenizer": tiny_decoder.tokenizer()}, {"config": tiny_decoder.config(name)}, name)


def generated(network: Decoder, name: str, prompts: list[str], memory: int = MEMORY, **options: Any) -> list[str]:
    tokens = words(name)
    checked = Options.parse({**PLAIN, **options}).seeded()
    ids = [continuation.begin(network.config, tokens.encode_whole(text), checked.max_tokens) for text in prompts]
    texts = [""] * len(ids)
    for piece in continuation.continued(network, tokens.decode, ids, checked, memory, lambda: None):
        texts[piece.prompt] += piece.text
    return texts


@pytest.mark.parametrize("name", NAMES)
def test_tensors_and_facts(name: str) -> None:
    config = parsed(name)
    required, optional = architecture.expected_tensors(config)
    found = {tensor: ("BF16", shape) for tensor, shape in required.items()}
    architecture.check_tensors(found, required, optional)
    missing = min(required)
    with pytest.raises(errors.TensorMismatch, match=f"tensor {missing} is missing"):
        architecture.check_tensors({k: v for k, v in found.items() if k != missing}, required, optional)
    facts = architecture.facts(name, {"config": tiny_decoder.config(name)})
    assert facts == {"kind": "generation", "dimensions": None, "max_tokens": tiny_decoder.POSITIONS}
    largest = {k: np.ones(shape, np.float32) for k, shape in required.items()}
    used = []
    decoder_packing.pack(config, lambda tensor: used.append(tensor) or largest[tensor])
    assert set(used) == set(required)  # every weight counts


def test_gpt2_without_its_prefix() -> None:
    assert decoders.canonical("GPT2LMHeadModel", "h.0.ln_1.bias") == "transformer.h.0.ln_1.bias"
    assert decoders.canonical("GPT2LMHeadModel", "transformer.wte.weight") == "transformer.wte.weight"
    assert decoders.canonical("LlamaForCausalLM", "model.norm.weight") == "model.norm.weight"


@pytest.mark.parametrize(
    ("name", "changes", "error", "message"),
    [
        ("GPT2LMHeadModel", {"n_embd": 30}, errors.ModelCorrupt, "n_embd 30 is not a multiple of n_head 4"),
        ("GPT2LMHeadModel", {"n_layer": 0}, errors.ModelCorrupt, "n_layer is 0, expected a positive"),
        ("GPT2LMHeadModel", {"n_layer": 1001}, errors.ModelCorrupt, "n_layer is 1001, expected at most 1000"),
        ("GPT2LMHeadModel", {"n_positions": None}, errors.ModelCorrupt, "no n_positions"),
        ("GPT2LMHeadModel", {"n_positions": 1 << 21}, errors.ModelCorrupt, "expected at most 1048576"),
        ("GPT2LMHeadModel", {"activation_function": "swish"}, errors.ArchitectureUnsupported, "swish"),
        ("GPT2LMHeadModel", {"scale_attn_by_inverse_layer_idx": True}, errors.ArchitectureUnsupported, "inverse"),
        ("GPT2LMHeadModel", {"layer_norm_epsilon": 0}, errors.ModelCorrupt, "layer_norm_epsilon is 0"),
        ("LlamaForCausalLM", {"num_key_value_heads": 3}, errors.ModelCorrupt, "4 is not a multiple"),
        ("LlamaForCausalLM", {"head_dim": 7}, errors.ModelCorrupt, "head_dim 7 is not a multiple"),
        ("LlamaForCausalLM", {"hidden_act": "gelu"}, errors.ArchitectureUnsupported, "hidden_act gelu"),
        ("LlamaForCausalLM", {"attention_bias": True}, errors.ArchitectureUnsupported, "attention_bias"),
        ("LlamaForCausalLM", {"rope_theta": -1}, errors.ModelCorrupt, "rope_theta is -1"),
        ("LlamaForCausalLM", {"rope_scaling": {"type": "yarn"}}, errors.ArchitectureUnsupported, "rope_type yarn"),
        ("LlamaForCausalLM", {"rope_scaling": {"type": "llama3"}}, errors.ModelCorrupt, "factor is nan"),
        ("LlamaForCausalLM", {"rope_scaling": "linear"}, errors.ModelCorrupt, "rope_scaling is 'linear'"),
    ],
)
def test_configurations_that_are_refused(name: str, changes: dict[str, Any], error: Any, message: str) -> None:
    with pytest.raises(error, match=message):
        parsed(name, **changes)


@pytest.mark.parametrize("name", NAMES)
def test_a_text_does_not_depend_on_its_neighbours(name: str) -> None:
    network = decoder(name)
    for options in ({}, {"temperature": 1.5, "seed": 7}, {"temperature": 0.9, "seed": -1, "top_k": 9, "top_p": 0.8}):
        alone = [generated(network, name, [prompt], **options)[0] for prompt in PROMPTS]
        assert len(set(alone)) == len(PROMPTS)
        assert generated(network, name, PROMPTS, **options) == alone
        assert generated(network, name, PROMPTS[::-1] * 7, **options) == alone[::-1] * 7
        small = cache_bytes(network.config, 60)  # room for one or two at a time
        assert generated(network, name, PROMPTS, memory=small, **options) == alone
        assert generated(decoder(name), name, PROMPTS, **options) == alone  # another backend


@pytest.mark.parametrize("name", NAMES)
def test_logits_of_a_step_are_the_same_bits_in_every_company(name: str) -> None:
    network = decoder(name)
    random = np.random.default_rng(0)
    texts = [random.integers(0, 200, length).tolist() for length in (1, 5, 31, 50, 3, 3, 17)]

    def caches() -> list[Cache]:
        found = [Cache(network.config, tiny_decoder.POSITIONS) for _ in texts]
        for cache, ids in zip(found, texts, strict=True):
            network.read(cache, ids)
        return found

    together, alone = caches(), caches()
    for token in random.integers(0, 200, 20).tolist():
        side_by_side = network.step(together, [token] * len(texts))
        one_by_one = np.concatenate([network.step([cache], [token]) for cache in alone])
        assert np.array_equal(side_by_side, one_by_one)


def test_seeds_differ() -> None:
    network = decoder("GPT2LMHeadModel")
    texts = {generated(network, "GPT2LMHeadModel", ["a"], temperature=1, seed=seed)[0] for seed in (0, 1, 2, -1)}
    assert len(texts) == 4


def test_a_prompt_of_several_chunks() -> None:
    network = decoder("LlamaForCausalLM", max_position_embeddings=1000)
    ids = np.random.default_rng(1).integers(0, 200, 3 * CHUNK + 5).tolist()
    cache = Cache(network.config, len(ids))
    assert np.abs(network.read(cache, ids) - network.logits(ids)[-1]).max() < 1e-4
    assert cache.used == len(ids)


def test_what_does_not_fit_is_refused() -> None:
    network = decoder("GPT2LMHeadModel")
    with pytest.raises(errors.InvalidParameter, match="prompt of 90 tokens and max_tokens 20 exceed the 96"):
        generated(network, "GPT2LMHeadModel", ["x" * 90])
    with pytest.raises(errors.InvalidParameter, match="prompt has 1000000 characters, 96 tokens .* have at most"):
        generated(network, "GPT2LMHeadModel", ["x" * 1_000_000])
    with pytest.raises(errors.MemoryExceeded, match="at most the 0 kB of hartonomous.inference_memory"):
        generated(network, "GPT2LMHeadModel", ["x"], memory=1000)
    nothing = parsed("GPT2LMHeadModel", bos_token_id=None)
    with pytest.raises(errors.InvalidParameter, match="prompt has no tokens"):
        continuation.begin(nothing, [], 1)
    assert continuation.begin(network.config, [], 1) == [0]


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("value", [np.nan, 1e30])
def test_weights_that_overflow(name: str, value: float) -> None:
    weights = tiny_decoder.tensors(tiny_decoder.shapes(name))
    part = "h.1.mlp.c_fc.weight" if name == NAMES[0] else "layers.1.mlp.up_proj.weight"
    weights[next(tensor for tensor in weights if tensor.endswith(part))] *= np.float32(value)
    config = parsed(name)
    network = Decoder(config, decoder_packing.pack(config, weights.__getitem__))
    with pytest.raises(errors.PredictionInvalid, match="prediction is (nan|inf), expected a finite number"):
        generated(network, name, ["the data"])


def test_the_end_token_ends() -> None:
    name = "GPT2LMHeadModel"
    network, tokens = decoder(name), words(name)
    cache = Cache(network.config, 20)
    chosen = [int(network.read(cache, tokens.encode_whole("the")).argmax())]
    while len(chosen) < 6:
        chosen.append(int(network.step([cache], chosen[-1:])[0].argmax()))
    ended = decoder(name, eos_token_id=[300_000, chosen[5]])
    at = chosen.index(chosen[5])
    assert at > 0
    assert generated(ended, name, ["the"]) == [tokens.decode(chosen[:at])]
    assert generated(network, name, ["the"], max_tokens=6) == [tokens.decode(chosen)]


def test_check_is_called_between_layers_and_stops_the_work() -> None:
    network = decoder("LlamaForCausalLM")
    cache = Cache(network.config, 90)
    calls = []
    network.read(cache, [1] * 50, lambda: calls.append(1))
    assert len(calls) >= 2 * tiny_decoder.LAYERS

    def stop() -> None:
        raise InterruptedError

    with pytest.raises(InterruptedError):
        network.step([cache], [1], stop)
    again = decoder("LlamaForCausalLM")
    assert generated(network, "LlamaForCausalLM", ["a"]) == generated(again, "LlamaForCausalLM", ["a"])


def test_tokenizers_of_decoders() -> None:
    files = {"config": tiny_decoder.config("GPT2LMHeadModel")}
    for expression, fits in [*((known, True) for known in tokenizer.KNOWN_EXPRESSIONS), ("(a+)+$", False)]:
        content = tiny_decoder.tokenizer()
        split = {"type": "Split", "pattern": {"Regex": expression}, "behavior": "Isolated", "invert": False}
        bytes_only = {**content["pre_tokenizer"], "use_regex": False}
        content["pre_tokenizer"] = {"type": "Sequence", "pretokenizers": [split, bytes_only]}
        if fits:
            tokenizer.check({"tokenizer": content}, "GPT2LMHeadModel", files)
            tokens = Tokenizer.from_files({"tokenizer": content}, files, "GPT2LMHeadModel")
            assert tokens.decode(tokens.encode_whole("the data\n\n  12345's")) == "the data\n\n  12345's"
        else:
            with pytest.raises(errors.TokenizerInvalid, match="expression of its own"):
                tokenizer.check({"tokenizer": content}, "GPT2LMHeadModel", files)
    few = {"config": tiny_decoder.config("GPT2LMHeadModel", vocab_size=100)}
    with pytest.raises(errors.TokenizerInvalid, match="token id 263, expected ids below vocab_size 100"):
        tokenizer.check({"tokenizer": tiny_decoder.tokenizer()}, "GPT2LMHeadModel", few)


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("length", [1, 2, CHUNK, CHUNK + 1, 2 * CHUNK + 7])
def test_likelihoods_are_those_of_the_logits(name: str, length: int) -> None:
    network = decoder(name, **{"n_positions" if name.startswith("GPT2") else "max_position_embeddings": 400})
    ids = np.random.default_rng(0).integers(0, network.config.vocabulary, length).tolist()
    logits = network.logits(ids)[:-1].astype(np.float64)
    expected = logits - np.log(np.exp(logits).sum(axis=1, keepdims=True))
    assert np.allclose(network.likelihoods(ids), expected[np.arange(length - 1), ids[1:]], atol=1e-5)
