"""One engine as a process: embeds sets of texts when asked, and says how long it took, tokenizing included.

main() is called with KIND MODEL-FOLDER TEXTS THREADS by the interpreter that has the engine's library. It says its
build, then answers each line of JSON, {"set": name}, with the seconds it took; with "file": path it writes the vectors
there first.
"""

from __future__ import annotations

import json
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

BATCHES = (32, 8)  # texts at once; each rival runs the size that was faster in its own warm-up
MAX_TOKENS = 256

Encode = Callable[[Sequence[str], int], Any]


def sentence_transformers(model: str, threads: int) -> tuple[str, Encode]:
    """As users run it: its own batching, by falling length."""
    import sentence_transformers as library
    import torch

    torch.set_num_threads(threads)
    network = library.SentenceTransformer(model, device="cpu")
    build = f"sentence-transformers {library.__version__}, torch {torch.__version__} ({_blas(torch)})"
    return build, lambda texts, batch: network.encode(list(texts), batch_size=batch, show_progress_bar=False)


def torch_network(model: str, threads: int) -> tuple[str, Encode]:
    """transformers, batches of similar length, mean, unit length."""
    import torch
    import transformers

    torch.set_num_threads(threads)
    tokenizer = transformers.AutoTokenizer.from_pretrained(model)
    network = transformers.AutoModel.from_pretrained(model).eval()

    def encode(texts: Sequence[str]) -> Any:
        inputs = tokenizer(texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        with torch.inference_mode():
            hidden = network(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1)
        pooled = (hidden * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(pooled, dim=1).numpy()

    build = f"transformers {transformers.__version__}, torch {torch.__version__} ({_blas(torch)})"
    return build, lambda texts, batch: in_batches(encode, texts, batch)


def onnxruntime(model: str, threads: int) -> tuple[str, Encode]:
    """All optimisations of graphs on, as they are when nothing is said."""
    import onnxruntime as library
    import tokenizers

    options = library.SessionOptions()
    options.intra_op_num_threads = threads
    session = library.InferenceSession(f"{model}/model.onnx", options, providers=["CPUExecutionProvider"])
    tokenizer = tokenizers.Tokenizer.from_file(f"{model}/tokenizer.json")
    tokenizer.enable_truncation(MAX_TOKENS)
    tokenizer.enable_padding()

    def encode(texts: Sequence[str]) -> Any:
        found = tokenizer.encode_batch(texts)
        ids = np.array([text.ids for text in found])
        mask = np.array([text.attention_mask for text in found])
        (hidden,) = session.run(None, {"input_ids": ids, "attention_mask": mask})
        pooled = np.matmul(mask[:, None].astype(np.float32), hidden)[:, 0]  # its length goes in what follows
        return pooled / np.linalg.norm(pooled, axis=1, keepdims=True)

    return f"onnxruntime {library.__version__}, float32", lambda texts, batch: in_batches(encode, texts, batch)


def ours(model: str, threads: int) -> tuple[str, Encode]:
    """The engine without a database around it."""
    from hartonomous_server.inference import packing
    from hartonomous_server.inference.encoder import Encoder
    from hartonomous_server.models.encoders import EncoderConfig
    from hartonomous_server.models.tokenizer import Tokenizer
    from safetensors.numpy import load_file

    names = {"config": "config", "sentence_bert_config": "sentence_bert_config", "pooling": "1_Pooling/config",
             "modules": "modules"}  # fmt: skip
    files = {key: json.loads(Path(model, f"{name}.json").read_text()) for key, name in names.items()}
    words = {key: json.loads(Path(model, f"{key}.json").read_text()) for key in ("tokenizer", "tokenizer_config")}
    tokenizer = Tokenizer.from_files(words, files)
    weights = load_file(f"{model}/model.safetensors")
    config = EncoderConfig.parse("BertModel", files["config"])
    encoder = Encoder("BertModel", files, packing.pack(config, weights.__getitem__))
    return "engine alone", lambda texts, _: encoder.encode(tokenizer.encode_batch(texts), threads=threads)


def in_batches(encode: Callable[[Sequence[str]], Any], texts: Sequence[str], batch: int) -> Any:
    """Vectors of texts, those of similar length together."""
    order = sorted(range(len(texts)), key=lambda text: len(texts[text]))
    parts = [order[start : start + batch] for start in range(0, len(order), batch)]
    found = [encode([texts[text] for text in part]) for part in parts]
    vectors = np.empty((len(texts), found[0].shape[1]), np.float32)
    vectors[order] = np.concatenate(found)
    return vectors


def _blas(torch: Any) -> str:
    settings = torch.__config__.show().partition("Build settings:")[2]
    blas = next((part.partition("=")[2] for part in settings.split(", ") if part.strip().startswith("BLAS_INFO")), "")
    return f"BLAS {blas}"


def run(encode: Encode, name: str, texts: Sequence[str], batch: int) -> Any:
    """A set named single is asked for text by text."""
    if name == "single":
        return np.concatenate([encode([text], 1) for text in texts])
    return encode(texts, batch)


def seconds(encode: Encode, name: str, texts: Sequence[str], batch: int) -> float:
    started = time.perf_counter()
    run(encode, name, texts, batch)
    return time.perf_counter() - started


KINDS = {
    "sentence-transformers": sentence_transformers, "torch": torch_network, "onnxruntime": onnxruntime, "engine": ours
}  # fmt: skip


def main() -> None:
    kind, model, file, threads = sys.argv[1:]
    answers, sys.stdout = sys.stdout, sys.stderr  # libraries may print
    build, encode = KINDS[kind](model, int(threads))
    print(json.dumps(build), file=answers, flush=True)
    sets = json.loads(Path(file).read_text())
    sizes: dict[str, int] = {}
    for line in sys.stdin:
        asked = json.loads(line)
        name = asked["set"]
        texts = sets[name]
        if name not in sizes:
            some = texts[: BATCHES[0]]
            run(encode, name, some, BATCHES[0])
            taken = {size: seconds(encode, name, some, size) for size in BATCHES}
            sizes[name] = min(taken, key=taken.__getitem__)
        if "file" in asked:
            np.save(asked["file"], run(encode, name, texts, sizes[name]))
        print(json.dumps(seconds(encode, name, texts, sizes[name])), file=answers, flush=True)
