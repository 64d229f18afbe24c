"""The encoder against a plain float64 implementation, and the promise that a vector does not depend on its batch."""

from __future__ import annotations

import json
import math
import subprocess
import sys
import threading
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import tiny_model
from hartonomous_server import blas, errors
from hartonomous_server.inference import packing, panels
from hartonomous_server.inference.device import PROCESSOR, Processor
from hartonomous_server.inference.encoder import Encoder
from hartonomous_server.models import architecture
from hartonomous_server.models.encoders import EncoderConfig

Weights = Mapping[str, np.ndarray]
Activation = Callable[[float], float]
MEAN = {"pooling_mode_mean_tokens": True}
LENGTHS = [2, 3, 17, 17, 17, 40, 64, 5, 1, 33, 33]
LARGE = {
    "hidden_size": 384,
    "num_hidden_layers": 2,
    "num_attention_heads": 12,
    "intermediate_size": 1536,
    "vocab_size": 200,
    "max_position_embeddings": 602,
    "type_vocab_size": 2,
}


def tiny_files(pooling: Mapping[str, Any] = MEAN, **config: Any) -> dict[str, Any]:
    files = tiny_model.files()
    return {"config": files["config.json"] | config, "pooling": dict(pooling), "modules": files["modules.json"]}


def family_files(name: str) -> dict[str, Any]:
    """Of the tiny model, as one of BERT's relatives."""
    files = tiny_files()
    if name == "MPNetModel":
        files["config"] |= {"relative_attention_num_buckets": 32, "max_position_embeddings": 66, "pad_token_id": 1}
    return files


def tiny_encoder(**changes: Any) -> Encoder:
    files = tiny_files(**changes)
    return bert(files, pack(files, tiny_model.tensors()))


def bert(files: Mapping[str, Any], packed: Any) -> Encoder:
    return Encoder("BertModel", files, packed)


def pack(files: Mapping[str, Any], weights: Weights, buffer: Any = None, device: Processor = PROCESSOR) -> Any:
    return packing.pack(EncoderConfig.parse("BertModel", files["config"]), weights.__getitem__, buffer, device)


def large_packed(name: str, files: Mapping[str, Any], device: Processor = PROCESSOR) -> Any:
    random = np.random.default_rng(3)
    config = EncoderConfig.parse(name, files["config"])
    shapes, _ = architecture.expected_tensors(config)
    weights = {name: random.normal(0, 0.05, shape).astype(np.float32) for name, shape in shapes.items()}
    return packing.pack(config, weights.__getitem__, device=device)


def random_ids(lengths: Sequence[int], vocabulary: int, seed: int = 0) -> list[list[int]]:
    random = np.random.default_rng(seed)
    return [random.integers(0, vocabulary, length).tolist() for length in lengths]


def textbook(config: Mapping[str, Any], weights: Weights, ids: Sequence[int], act: Activation) -> np.ndarray:
    """Last hidden states (tokens, hidden) in float64."""
    w = {name: tensor.astype(np.float64) for name, tensor in weights.items()}
    heads = config["num_attention_heads"]

    def linear(x: np.ndarray, name: str) -> np.ndarray:
        return x @ w[f"{name}.weight"].T + w[f"{name}.bias"]

    def norm(x: np.ndarray, name: str) -> np.ndarray:
        centred = x - x.mean(-1, keepdims=True)
        deviation = np.sqrt((centred**2).mean(-1, keepdims=True) + config["layer_norm_eps"])
        return centred / deviation * w[f"{name}.weight"] + w[f"{name}.bias"]

    words, positions, types = (w[f"embeddings.{kind}_embeddings.weight"] for kind in ("word", "position", "token_type"))
    x = norm(words[list(ids)] + positions[: len(ids)] + types[0], "embeddings.LayerNorm")
    for number in range(config["num_hidden_layers"]):
        layer = f"encoder.layer.{number}"
        query, key, value = (
            linear(x, f"{layer}.attention.self.{part}").reshape(len(ids), heads, -1).swapaxes(0, 1)
            for part in ("query", "key", "value")
        )
        scores = np.exp(query @ key.swapaxes(1, 2) / math.sqrt(query.shape[-1]))
        context = scores @ value / scores.sum(-1, keepdims=True)
        context = context.swapaxes(0, 1).reshape(len(ids), -1)
        x = norm(x + linear(context, f"{layer}.attention.output.dense"), f"{layer}.attention.output.LayerNorm")
        inner = np.vectorize(act)(linear(x, f"{layer}.intermediate.dense"))
        x = norm(x + linear(inner, f"{layer}.output.dense"), f"{layer}.output.LayerNorm")
    return x


@pytest.mark.parametrize(
    ("hidden_act", "act"),
    [
        ("gelu", lambda x: 0.5 * x * (1 + math.erf(x / math.sqrt(2)))),
        ("gelu_new", lambda x: 0.5 * x * (1 + math.tanh(math.sqrt(2 / math.pi) * (x + 0.044715 * x**3)))),
        ("relu", lambda x: max(x, 0.0)),
    ],
)
def test_hidden_states_equal_the_textbook(hidden_act: str, act: Activation) -> None:
    encoder = tiny_encoder(hidden_act=hidden_act)
    ids = random_ids(LENGTHS, len(tiny_model.VOCABULARY))
    config = tiny_files()["config"]
    for found, text in zip(encoder.hidden(ids), ids, strict=True):
        assert np.abs(found - textbook(config, tiny_model.tensors(), text, act)).max() < 1e-5


def test_vectors_are_unit_means_of_the_hidden_states() -> None:
    encoder = tiny_encoder()
    ids = random_ids(LENGTHS, len(tiny_model.VOCABULARY))
    vectors = encoder.encode(ids)
    assert vectors.shape == (len(ids), encoder.dimensions) and vectors.dtype == np.float32
    for vector, states in zip(vectors, encoder.hidden(ids), strict=True):
        mean = states.astype(np.float64).mean(0)
        assert np.abs(vector - mean / np.linalg.norm(mean)).max() < 1e-6


def test_other_poolings_are_joined() -> None:
    modes = ("cls_token", "max_tokens", "mean_sqrt_len_tokens")
    encoder = tiny_encoder(pooling={f"pooling_mode_{mode}": True for mode in modes})
    ids = random_ids([7], len(tiny_model.VOCABULARY))
    states = encoder.hidden(ids)[0].astype(np.float64)
    joined = np.concatenate([states[0], states.max(0), states.sum(0) / math.sqrt(7)])
    assert np.abs(encoder.encode(ids)[0] - joined / np.linalg.norm(joined)).max() < 1e-6


def test_without_normalize_module_lengths_stay() -> None:
    files = tiny_files()
    files["modules"] = files["modules"][:2]
    ids = random_ids([9], len(tiny_model.VOCABULARY))
    encoder = bert(files, pack(files, tiny_model.tensors()))
    assert np.abs(encoder.encode(ids)[0] - encoder.hidden(ids)[0].mean(0)).max() < 1e-6


def test_no_texts_give_no_vectors() -> None:
    assert tiny_encoder().encode([]).shape == (0, tiny_model.HIDDEN)


def test_a_model_without_pooling_cannot_embed() -> None:
    with pytest.raises(errors.EmbeddingUnsupported, match="no pooling configuration"):
        tiny_encoder(pooling={})


@pytest.mark.parametrize(
    ("ids", "message"),
    [
        ([], "text has 0 tokens, expected 1 to 64"),
        ([1] * 65, "text has 65 tokens, expected 1 to 64"),
        ([1, len(tiny_model.VOCABULARY)], "token ids reach from 1 to"),
        ([-1], "token ids reach from -1 to -1"),
    ],
)
def test_ids_outside_the_model_are_refused(ids: list[int], message: str) -> None:
    with pytest.raises(errors.InvalidParameter, match=message):
        tiny_encoder().encode([[1, 2], ids])


def test_packed_weights_can_be_mapped(tmp_path: Path) -> None:
    config = EncoderConfig.parse("BertModel", tiny_files()["config"])
    memory = pack(tiny_files(), tiny_model.tensors())
    assert memory.nbytes == packing.size(config)
    file = tmp_path / "packed"
    file.write_bytes(bytes(packing.size(config)))
    mapped = np.memmap(file, np.uint8, "r+")
    pack(tiny_files(), tiny_model.tensors(), mapped)
    mapped.flush()
    assert file.read_bytes() == memory.tobytes()
    ids = random_ids([5, 9], len(tiny_model.VOCABULARY))
    read_only = bert(tiny_files(), np.memmap(file, np.uint8, "r"))
    assert np.array_equal(read_only.encode(ids), bert(tiny_files(), memory).encode(ids))
    with pytest.raises(errors.ModelCorrupt, match=f"packed model has 64 bytes, expected {packing.size(config)}"):
        packing.unpack(config, bytes(64))


# Run by processes whose BLAS is made to use the kernels of another core.
BATCHES = """
import json, os, sys
sys.path[:0] = json.loads(sys.argv[1])
import hartonomous_server
if sys.argv[2]:
    os.environ["OPENBLAS_CORETYPE"] = sys.argv[2]
from hartonomous_server import blas
np = blas.numpy()
from hartonomous_server.inference.device import PROCESSOR
from hartonomous_server.inference.encoder import Encoder
from unit import test_bert
files, name = json.loads(sys.argv[3]), sys.argv[4]
encoder = Encoder(name, files, test_bert.large_packed(name, files))
random = np.random.default_rng(5)
lengths = [2, 3, 10, 10, 10, 16, 31, 32, 33, 128, 129, 176, 177, 206, 206, 255, 256, 600]
ids = [random.integers(0, 200, length).tolist() for length in lengths]
alone = np.concatenate([encoder.encode([text]) for text in ids])
assert np.isfinite(alone).all()
for trial in range(6):
    some = random.permutation(len(ids))[: random.integers(2, len(ids) + 1)]
    batch = encoder.encode([ids[text] for text in some], threads=1 + trial % 2)
    assert np.array_equal(batch, alone[some]), "a vector depends on its batch"
print(blas.core_name(), PROCESSOR.layout, encoder.packs)
"""


def cores() -> list[str]:
    """The core OpenBLAS chooses (an empty name), and older ones that this processor can run."""
    flags = set()
    for line in Path("/proc/cpuinfo").read_text().splitlines():
        if line.startswith("flags"):
            flags = set(line.split())
    older = [("Sandybridge", "avx"), ("Haswell", "avx2"), ("Zen", "avx2"), ("SkylakeX", "avx512vl")]
    older.append(("Cooperlake", "avx512_bf16"))
    return [""] + [core for core, flag in older if flag in flags]


@pytest.mark.parametrize(("name", "core"), [*(("BertModel", core) for core in cores()), ("MPNetModel", "")])
def test_a_vector_does_not_depend_on_its_batch(name: str, core: str) -> None:
    files = {"config": LARGE, "pooling": MEAN, "modules": [{"type": "Normalize"}]}
    arguments = [json.dumps(sys.path), core, json.dumps(files), name]
    done = subprocess.run([sys.executable, "-c", BATCHES, *arguments], capture_output=True, text=True)
    assert done.returncode == 0, done.stderr
    found, layout, packs = done.stdout.split()
    assert not core or found == core
    if found in panels.TRIED.get(blas.version(), ()):
        assert (layout, packs) == ("panels", "True")


def test_tiny_batches_too() -> None:
    encoder = tiny_encoder()
    ids = random_ids(LENGTHS * 20, len(tiny_model.VOCABULARY))
    alone = np.concatenate([encoder.encode([text]) for text in ids])
    assert np.array_equal(encoder.encode(ids), alone)
    assert np.array_equal(encoder.encode(ids, threads=3), alone)


class Cancelled(Exception):
    pass


@pytest.mark.parametrize("threads", [1, 2])
def test_check_stops_the_work_and_the_encoder_stays_usable(threads: int) -> None:
    encoder = tiny_encoder()
    ids = random_ids([64] * 2000, len(tiny_model.VOCABULARY))
    calls = 0

    def check() -> None:
        nonlocal calls
        calls += 1
        assert threading.current_thread() is threading.main_thread()
        if calls == 2:
            raise Cancelled

    running = threading.active_count()
    with pytest.raises(Cancelled):
        encoder.encode(ids, check, threads)
    assert threading.active_count() == running
    assert np.array_equal(encoder.encode(ids[:3], threads=threads), encoder.encode(ids[:3]))


def test_an_error_in_a_thread_reaches_the_caller(monkeypatch: pytest.MonkeyPatch) -> None:
    encoder = tiny_encoder()

    def broken(*arguments: Any) -> None:
        raise MemoryError("no room")

    monkeypatch.setattr(encoder, "_run", broken)
    with pytest.raises(MemoryError, match="no room"):
        encoder.encode([[1, 2], [3]], threads=2)
