"""The decoders against the reference: torch's GPT-2 and Llama in float32 and float64, and its greedy text."""

from __future__ import annotations

import json
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import corpus
import numpy as np
import pytest
import torch
from hartonomous_server.inference import continuation, decoder_packing
from hartonomous_server.inference.decoder import Cache, Decoder
from hartonomous_server.inference.sampling import Options, candidates
from hartonomous_server.models.decoders import DecoderConfig
from hartonomous_server.models.tokenizer import Tokenizer
from safetensors.numpy import load
from transformers import (
    AutoModelForCausalLM,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedTokenizerFast,
    TemperatureLogitsWarper,
    TopKLogitsWarper,
    TopPLogitsWarper,
)

TRAINED = Path("/usr/local/share/hartonomous/decoder")
VOCABULARY = 500
TIE = 1e-4
PROMPTS, PROMPT_TOKENS, NEW_TOKENS, END = 200, 112, 64, 0
GREEDY = {"max_tokens": NEW_TOKENS, "temperature": 0, "top_k": 0, "top_p": 1, "repetition_penalty": 1}

GPT2 = {"vocab_size": VOCABULARY, "n_embd": 96, "n_layer": 3, "n_head": 4, "n_positions": 512}
LLAMA = {
    "vocab_size": VOCABULARY, "hidden_size": 96, "intermediate_size": 260, "num_hidden_layers": 3,
    "num_attention_heads": 6, "num_key_value_heads": 2, "max_position_embeddings": 512,
}  # fmt: skip
STRETCHED = {"rope_type": "llama3", "rope_theta": 500000.0, "factor": 8.0, "low_freq_factor": 1.0,
             "high_freq_factor": 4.0, "original_max_position_embeddings": 128}  # fmt: skip
SHAPES = {
    "GPT-2": GPT2Config(**GPT2),
    "GPT-2, another activation, untied": GPT2Config(
        **GPT2, activation_function="relu", n_inner=200, tie_word_embeddings=False
    ),
    "GPT-2, exact gelu": GPT2Config(**GPT2, activation_function="gelu", layer_norm_epsilon=1e-3),
    "Llama": LlamaConfig(**LLAMA),
    "Llama, tied, every head its own keys": LlamaConfig(
        **{**LLAMA, "num_key_value_heads": 6}, tie_word_embeddings=True, rms_norm_eps=1e-5
    ),
    "Llama, wide heads, stretched rotary": LlamaConfig(
        **{**LLAMA, "num_key_value_heads": 1}, head_dim=64, rope_parameters=STRETCHED
    ),
}


@pytest.fixture(autouse=True)
def one_thread() -> None:
    torch.set_num_threads(1)


def reference(shape: Any) -> Any:
    """With weights large enough that every part of the network counts."""
    torch.manual_seed(3)
    network = (GPT2LMHeadModel if isinstance(shape, GPT2Config) else LlamaForCausalLM)(shape).eval()
    with torch.no_grad():
        for weight in network.parameters():
            weight.mul_(3) if weight.dim() > 1 else weight.add_(torch.randn_like(weight) * 0.2)
    return network


def ours(network: Any, dtype: str | None = None) -> Decoder:
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    config = {"config": json.loads(network.config.to_json_string(use_diff=False))}
    parsed = DecoderConfig.parse(type(network).__name__, config)
    return Decoder(parsed, decoder_packing.pack(parsed, weights.__getitem__))


def reference_logits(network: Any, ids: Sequence[int]) -> np.ndarray:
    with torch.inference_mode():
        return network(torch.tensor([ids])).logits[0].numpy()


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_logits_are_as_close_to_float64_as_torch(shape: Any) -> None:
    network = reference(shape)
    decoder = ours(network)
    random = np.random.default_rng(1)
    texts = [random.integers(0, VOCABULARY, length).tolist() for length in (1, 2, 17, 127, 128, 129, 300, 512)]
    single = [reference_logits(network, text) for text in texts]
    double = [reference_logits(network.double(), text) for text in texts]

    def errors(found: Sequence[np.ndarray]) -> np.ndarray:
        return np.concatenate([np.abs(f - d).ravel() for f, d in zip(found, double, strict=True)])

    found, torchs = errors([decoder.logits(text) for text in texts]), errors(single)
    assert found.max() <= 5 * torchs.max()
    assert np.sqrt((found**2).mean()) <= 5 * np.sqrt((torchs**2).mean())


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES)
def test_cached_tokens_get_the_logits_of_a_prompt(shape: Any) -> None:
    decoder = ours(reference(shape))
    ids = np.random.default_rng(2).integers(0, VOCABULARY, 300).tolist()
    whole = decoder.logits(ids)
    for begun in (1, 127, 128, 129, 200):
        cache = Cache(decoder.config, len(ids))
        found = [decoder.read(cache, ids[:begun])]
        found += [decoder.step([cache], [token])[0] for token in ids[begun:-1]]
        expected = whole[begun - 1 : -1]
        assert np.abs(np.array(found) - expected).max() < 2e-5 * np.abs(whole).max()
        assert (np.argmax(found, axis=1) == expected.argmax(1)).all()


@pytest.fixture(scope="module")
def trained() -> tuple[Any, Decoder, Tokenizer]:
    """The decoder that was trained on the manual: the reference's, ours, and its tokenizer."""
    names = ("config", "tokenizer_config")
    files = {name: json.loads((TRAINED / f"{name}.json").read_text()) for name in names}
    words = {"tokenizer": json.loads((TRAINED / "tokenizer.json").read_text()), **files}
    config = DecoderConfig.parse("GPT2LMHeadModel", files)
    weights = load((TRAINED / "model.safetensors").read_bytes())
    decoder = Decoder(config, decoder_packing.pack(config, weights.__getitem__))
    network = AutoModelForCausalLM.from_pretrained(TRAINED).eval()
    return network, decoder, Tokenizer.from_files(words, files, "GPT2LMHeadModel")


@pytest.fixture(scope="module")
def prompts(trained: tuple[Any, Decoder, Tokenizer]) -> list[list[int]]:
    """Token ids of passages of the manual, at least 50 distinct ones each."""
    *_, tokenizer = trained
    pages = [corpus.text(page) for page in corpus.pages(400).values()]
    passages = [page[at : at + 600] for page in pages for at in (200, 1100, 2000)]
    ids = [tokenizer.encode_whole(text)[:PROMPT_TOKENS] for text in passages]
    found = [prompt for prompt in ids if len(prompt) == PROMPT_TOKENS and len(set(prompt)) >= 50]
    assert len(found) >= PROMPTS
    return found[:PROMPTS]


def test_token_ids_are_equal(trained: tuple[Any, Decoder, Tokenizer], prompts: list[list[int]]) -> None:
    *_, tokenizer = trained
    theirs = PreTrainedTokenizerFast(tokenizer_file=str(TRAINED / "tokenizer.json"))
    texts = [tokenizer.decode(prompt) for prompt in prompts]
    for text in [*texts, "", " ", "\u00e9\u6c34\U0001f600 a\t\n  b", "'ll 1234 x"]:
        assert tokenizer.encode_whole(text) == theirs(text)["input_ids"]
        assert tokenizer.decode(tokenizer.encode_whole(text)) == text


@pytest.mark.parametrize("penalty", [1.0, 2.0])
def test_greedy_text_is_equal(
    trained: tuple[Any, Decoder, Tokenizer], prompts: list[list[int]], penalty: float
) -> None:
    """Where the reference's two best tokens are a tie by float32, either may come; such prompts are listed."""
    network, decoder, tokenizer = trained
    options = Options.parse({**GREEDY, "repetition_penalty": penalty})
    texts = [""] * len(prompts)
    for piece in continuation.continued(decoder, tokenizer.decode, prompts, options, 1 << 30, lambda: None):
        texts[piece.prompt] += piece.text
    ties, distinct = [], []
    for number, (tokens, margin) in enumerate(greedy(network, prompts, penalty)):
        distinct.append(len(set(tokens)))
        if texts[number] != tokenizer.decode(tokens):
            assert margin < TIE, f"prompt {number}: {texts[number]!r}, expected {tokenizer.decode(tokens)!r}"
            ties.append(number)
    print("ties below", TIE, ties, "distinct tokens", sorted(distinct)[:: PROMPTS // 10])
    assert len(ties) <= 4
    assert penalty == 1 or np.quantile(distinct, 0.1) >= 50  # without a penalty so small a model soon repeats itself


def greedy(network: Any, prompts: Sequence[Sequence[int]], penalty: float) -> Iterator[tuple[list[int], float]]:
    """What the reference generates for each prompt, and how close the second logit came to the best one."""
    with torch.inference_mode():
        ids = torch.tensor(prompts)
        found = network.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=NEW_TOKENS, pad_token_id=0,
            repetition_penalty=penalty, output_scores=True, return_dict_in_generate=True,
        )  # fmt: skip
    best = torch.topk(torch.stack(found.scores), 2).values  # (tokens, prompts, 2)
    for number, tokens in enumerate(found.sequences[:, ids.shape[1] :].tolist()):
        length = tokens.index(END) + 1 if END in tokens else len(tokens)
        yield tokens[:length], float((best[:length, number, 0] - best[:length, number, 1]).min())


@pytest.mark.parametrize(
    ("temperature", "top_k", "top_p"),
    [(1.0, 0, 1.0), (0.7, 0, 1.0), (1.0, 1, 1.0), (1.0, 7, 1.0), (1.0, 0, 0.5), (1.3, 40, 0.9), (0.2, 9999, 0.01)],
)
def test_candidates_are_those_of_the_reference(temperature: float, top_k: int, top_p: float) -> None:
    options = Options.parse({**GREEDY, "temperature": temperature, "top_k": top_k, "top_p": top_p})
    random = np.random.default_rng(4)
    for _ in range(50):
        logits = random.normal(0, 3, 400).astype(np.float32)
        scores = TemperatureLogitsWarper(temperature)(None, torch.tensor(logits.astype(np.float64))[None])
        scores = TopKLogitsWarper(top_k)(None, scores) if top_k else scores
        scores = TopPLogitsWarper(top_p)(None, scores) if top_p < 1 else scores
        expected = torch.softmax(scores, -1)[0].numpy()
        tokens, chances = candidates(logits, options)
        found = np.zeros(400)
        found[tokens] = chances / chances.sum()
        assert set(tokens) == set(np.flatnonzero(expected))
        assert np.abs(found - expected).max() < 1e-12
