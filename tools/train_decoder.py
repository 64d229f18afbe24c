"""Trains the small decoder that tests and benchmarks generate with: a GPT-2 of 0.4 million weights, on the manual.

Run while the test image is built: train_decoder.py MANUAL FOLDER. What it writes is a model as others are published.
"""

from __future__ import annotations

import html
import json
import os
import re
import struct
import sys
from collections.abc import Iterator
from pathlib import Path

os.environ["OPENBLAS_NUM_THREADS"] = "1"  # its threads wait for each other by spinning

import numpy as np
import torch
from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers

VOCABULARY, HIDDEN, LAYERS, HEADS, POSITIONS = 1024, 96, 3, 3, 192
BATCH, STEPS, RATE = 8, 1000, 3e-3
END = "<|endoftext|>"


def pages(manual: Path) -> Iterator[str]:
    """Each page's text."""
    for path in sorted(manual.glob("*.html")):
        body = path.read_text(encoding="utf-8").partition("<body")[2]
        text = html.unescape(re.sub(r"<[^>]*>", " ", body.partition(">")[2]))
        yield re.sub(r"\s*\n\s*", "\n", re.sub(r"[ \t\xa0]+", " ", text)).strip()


def tokenizer(texts: list[str]) -> Tokenizer:
    found = Tokenizer(models.BPE())
    found.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    found.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    found.train_from_iterator(
        texts, trainers.BpeTrainer(vocab_size=VOCABULARY, special_tokens=[END], initial_alphabet=alphabet)
    )
    return found


class Block(torch.nn.Module):
    later: torch.Tensor

    def __init__(self) -> None:
        super().__init__()
        self.ln_1, self.ln_2 = torch.nn.LayerNorm(HIDDEN), torch.nn.LayerNorm(HIDDEN)
        self.c_attn, self.c_proj = torch.nn.Linear(HIDDEN, 3 * HIDDEN), torch.nn.Linear(HIDDEN, HIDDEN)
        self.register_buffer("later", torch.full((POSITIONS, POSITIONS), -torch.inf).triu(1), persistent=False)
        self.c_fc, self.down = torch.nn.Linear(HIDDEN, 4 * HIDDEN), torch.nn.Linear(4 * HIDDEN, HIDDEN)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        batch, length, _ = x.shape
        parts = self.c_attn(self.ln_1(x)).view(batch, length, 3, HEADS, -1).permute(2, 0, 3, 1, 4)
        query, key, value = parts
        scores = query @ key.transpose(2, 3) / (HIDDEN // HEADS) ** 0.5 + self.later[:length, :length]
        context = torch.softmax(scores, -1) @ value  # torch's own attention is many times slower in Debian's build
        x = x + self.c_proj(context.transpose(1, 2).reshape(x.shape))
        return x + self.down(torch.nn.functional.gelu(self.c_fc(self.ln_2(x)), approximate="tanh"))


class Network(torch.nn.Module):
    def __init__(self) -> None:
        super().__init__()
        self.wte, self.wpe = torch.nn.Embedding(VOCABULARY, HIDDEN), torch.nn.Embedding(POSITIONS, HIDDEN)
        self.h = torch.nn.ModuleList(Block() for _ in range(LAYERS))
        self.ln_f = torch.nn.LayerNorm(HIDDEN)
        for weight in self.parameters():
            if weight.dim() > 1:
                torch.nn.init.normal_(weight, std=0.02)

    def forward(self, ids: torch.Tensor) -> torch.Tensor:
        x = self.wte(ids) + self.wpe.weight[: ids.shape[1]]
        for block in self.h:
            x = block(x)
        return self.ln_f(x) @ self.wte.weight.T

    def tensors(self) -> dict[str, np.ndarray]:
        """By the names that GPT-2 gives them; it has the weights of linear layers the other way round."""
        found = {}
        for name, weight in self.state_dict().items():
            name = re.sub(r"\.(c_attn|c_proj)\.", r".attn.\1.", name).replace(".c_fc.", ".mlp.c_fc.")
            name = name.replace(".down.", ".mlp.c_proj.")
            turned = weight.T if name.startswith("h.") and weight.dim() > 1 else weight
            found[f"transformer.{name}"] = turned.contiguous().numpy()
        return found


def train(network: Network, ids: torch.Tensor) -> float:
    """The last steps' mean loss."""
    optimizer = torch.optim.AdamW(network.parameters(), lr=RATE, betas=(0.9, 0.98))
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, RATE, total_steps=STEPS, pct_start=0.1)
    losses = []
    for step in range(STEPS):
        starts = torch.randint(0, len(ids) - POSITIONS - 1, (BATCH,))
        batch = torch.stack([ids[start : start + POSITIONS + 1] for start in starts])
        loss = torch.nn.functional.cross_entropy(network(batch[:, :-1]).flatten(0, 1), batch[:, 1:].flatten())
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        losses.append(loss.item())
        if step % 20 == 0:
            print(f"step {step}: loss {loss.item():.3f}", flush=True)
    return float(np.mean(losses[-20:]))


def save(tensors: dict[str, np.ndarray], path: Path) -> None:
    """Writes a safetensors file of float32."""
    header, at = {}, 0
    for name, array in tensors.items():
        header[name] = {"dtype": "F32", "shape": array.shape, "data_offsets": [at, at + array.nbytes]}
        at += array.nbytes
    text = json.dumps(header).encode()
    path.write_bytes(struct.pack("<Q", len(text)) + text + b"".join(array.tobytes() for array in tensors.values()))


def main(manual: Path, folder: Path) -> None:
    torch.set_num_threads(1)
    torch.manual_seed(17)
    texts = list(pages(manual))[::8]
    words = tokenizer(texts)
    ids = [token for encoding in words.encode_batch(texts) for token in (*encoding.ids, words.token_to_id(END))]
    network = Network()
    loss = train(network, torch.tensor(ids))
    folder.mkdir(parents=True, exist_ok=True)
    save(network.tensors(), folder / "model.safetensors")
    words.save(str(folder / "tokenizer.json"))
    config = {
        "architectures": ["GPT2LMHeadModel"], "model_type": "gpt2", "vocab_size": VOCABULARY, "n_embd": HIDDEN,
        "n_layer": LAYERS, "n_head": HEADS, "n_positions": POSITIONS, "activation_function": "gelu_new",
        "layer_norm_epsilon": 1e-5, "bos_token_id": 0, "eos_token_id": 0, "tie_word_embeddings": True,
        "resid_pdrop": 0.0, "embd_pdrop": 0.0, "attn_pdrop": 0.0,
    }  # fmt: skip
    (folder / "config.json").write_text(json.dumps(config, indent=2))
    (folder / "tokenizer_config.json").write_text(json.dumps({"bos_token": END, "eos_token": END, "unk_token": END}))
    print(f"{len(ids)} tokens, loss {loss:.3f}, written to {folder}")


if __name__ == "__main__":
    main(Path(sys.argv[1]), Path(sys.argv[2]))
