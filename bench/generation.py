"""Tokens a second of generation, ours beside transformers on the same weights and the same BLAS, one core each.

Greedy, so both write the same text; runs take turns, medians are compared. See METHODOLOGY.md.
"""

from __future__ import annotations

import json
import os
import statistics
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import lib
import torch
import transformers
from hartonomous_server.inference import continuation, decoder_packing
from hartonomous_server.inference.decoder import Decoder
from hartonomous_server.inference.sampling import Options
from hartonomous_server.models.decoders import DecoderConfig
from transformers import AutoModelForCausalLM, GPT2Config, GPT2LMHeadModel, LlamaConfig, LlamaForCausalLM

TRAINED = Path("/usr/local/share/hartonomous/decoder")
ROUNDS, TOKENS, PROMPT = 5, 48, 64
LEAST = 1.5  # times the tokens a second of transformers
MEMORY = 1 << 32
GREEDY = {"max_tokens": TOKENS, "temperature": 0, "top_k": 0, "top_p": 1, "repetition_penalty": 1}


def networks() -> dict[str, Any]:
    """Small, and of the shapes of GPT-2 (124 million weights) and of a Llama of 135 million, with random weights."""
    torch.manual_seed(1)
    llama = LlamaConfig(
        vocab_size=49152, hidden_size=576, intermediate_size=1536, num_hidden_layers=30, num_attention_heads=9,
        num_key_value_heads=3, tie_word_embeddings=True,
    )  # fmt: skip
    return {
        "trained on the manual, 0.4M": AutoModelForCausalLM.from_pretrained(TRAINED),
        "GPT-2 shape, 124M": GPT2LMHeadModel(GPT2Config()),
        "Llama shape, 135M": LlamaForCausalLM(llama),
    }


def ours(network: Any) -> Callable[[Sequence[Sequence[int]]], int]:
    config = DecoderConfig.parse(
        type(network).__name__, {"config": json.loads(network.config.to_json_string(use_diff=False))}
    )._replace(last=())
    weights = {name: tensor.numpy() for name, tensor in network.state_dict().items()}
    decoder = Decoder(config, decoder_packing.pack(config, weights.__getitem__))
    options = Options.parse(GREEDY)
    return lambda prompts: sum(
        piece.tokens
        for piece in continuation.continued(decoder, lambda ids: "", prompts, options, MEMORY, lambda: None)
    )


def theirs(network: Any) -> Callable[[Sequence[Sequence[int]]], int]:
    def generate(prompts: Sequence[Sequence[int]]) -> int:
        ids = torch.tensor(prompts)
        with torch.inference_mode():
            found = network.generate(
                ids, attention_mask=torch.ones_like(ids), do_sample=False, min_new_tokens=TOKENS,
                max_new_tokens=TOKENS, pad_token_id=0,
            )  # fmt: skip
        return int(found[:, ids.shape[1] :].numel())

    return generate


def measure(systems: dict[str, Callable[[Sequence[Sequence[int]]], int]], prompts: Sequence[Sequence[int]]) -> Any:
    """Tokens a second by system: median and all, the systems taking turns."""
    found: dict[str, list[float]] = {name: [] for name in systems}
    for system in systems.values():
        system(prompts)
    for _ in range(ROUNDS):
        for name, system in systems.items():
            started = time.perf_counter()
            found[name].append(system(prompts) / (time.perf_counter() - started))
    return {name: statistics.median(rates) for name, rates in found.items()}, found


def main() -> None:
    torch.set_num_threads(1)
    os.sched_setaffinity(0, {max(os.sched_getaffinity(0))})
    transformers.utils.logging.set_verbosity_error()
    machine = lib.calibrate() | {"torch": torch.__version__, "transformers": transformers.__version__}
    print("machine:", ", ".join(f"{key} {value}" for key, value in machine.items()))
    rows, runs = [], []
    for what, network in networks().items():
        systems = {"hartonomous": ours(network.eval()), "transformers": theirs(network)}
        random = lib.np.random.default_rng(2)
        for texts in (1, 8):
            prompts = random.integers(0, network.config.vocab_size, (texts, PROMPT)).tolist()
            rates, all_rates = measure(systems, prompts)
            ratio = rates["hartonomous"] / rates["transformers"]
            name = f"{what}, {texts} text{'s' * (texts > 1)}"
            rows.append(lib.row(f"{name}: ratio", "times", {"ours": ratio}, 2, least=LEAST if texts == 1 else None))
            rows.append(lib.row(name, "tok/s", rates))
            runs.append({"what": name, "rates": all_rates, "ratio": ratio})
    lib.show(rows)
    path = lib.write("generation", {"machine": machine, "tokens": TOKENS, "prompt": PROMPT, "runs": runs})
    print(f"written to {path}")
    if not all(row["holds"] for row in rows):
        raise SystemExit("a bar does not hold")


if __name__ == "__main__":
    main()
