"""The seam to arrays of a device: all of the network passes it, and what is missing is told once."""

from __future__ import annotations

import sys

import device_arrays
import numpy as np
import pytest
import tiny_decoder
import tiny_model
from hartonomous_server import errors
from hartonomous_server.inference import decoder_packing, engine, limits
from hartonomous_server.inference.decoder import Decoder
from hartonomous_server.inference.device import PROCESSOR, Gpu
from hartonomous_server.inference.encoder import Encoder
from hartonomous_server.models import running
from unit import test_bert, test_decoder

LENGTHS = [2, 3, 17, 17, 40, 64, 5, 1, 33]


@pytest.fixture
def module() -> device_arrays.Module:
    return device_arrays.Module()


@pytest.fixture
def gpu(module: device_arrays.Module) -> Gpu:
    return Gpu(module, "a test's device")


@pytest.mark.parametrize("name", ["BertModel", "MPNetModel"])
def test_encoders_pass_the_seam(name: str, gpu: Gpu, module: device_arrays.Module) -> None:
    files = test_bert.family_files(name)
    ids = test_bert.random_ids(LENGTHS, files["config"]["vocab_size"])
    here, there = (
        Encoder(name, files, test_bert.large_packed(name, files, device), device=device) for device in (PROCESSOR, gpu)
    )
    assert there.packs, "of an array module that computes as numpy does"
    assert np.abs(here.encode(ids) - there.encode(ids)).max() < 2e-6
    for mine, its in zip(here.hidden(ids), there.hidden(ids), strict=True):
        assert isinstance(its, np.ndarray) and np.abs(mine - its).max() < 1e-5
    assert module.calls["matmul"] > 2 * 6 and module.calls["exp"] > 0


@pytest.mark.parametrize("name", test_decoder.NAMES)
def test_decoders_pass_the_seam(name: str, gpu: Gpu, module: device_arrays.Module) -> None:
    config = test_decoder.parsed(name)
    weights = tiny_decoder.tensors(tiny_decoder.shapes(name), 0)
    packed = decoder_packing.pack(config, weights.__getitem__)
    here, there = Decoder(config, packed), Decoder(config, packed, gpu)
    ids = np.random.default_rng(1).integers(0, config.vocabulary, 40).tolist()
    assert np.abs(here.logits(ids) - there.logits(ids)).max() < 1e-5
    assert np.abs(here.likelihoods(ids) - there.likelihoods(ids)).max() < 1e-5
    texts = test_decoder.generated(there, name, test_decoder.PROMPTS)
    assert texts == test_decoder.generated(here, name, test_decoder.PROMPTS) and any(texts)
    assert module.calls["dot"] > 0


def test_weights_are_taken_to_the_device_once(gpu: Gpu, module: device_arrays.Module) -> None:
    files = test_bert.tiny_files()
    packed = test_bert.pack(files, tiny_model.tensors(), device=gpu)
    encoder = Encoder("BertModel", files, packed, device=gpu)
    for _ in range(3):
        encoder.encode(test_bert.random_ids(LENGTHS, files["config"]["vocab_size"]))
    assert [size for size in module.taken if size >= packed.size] == [packed.size]


def test_a_call_past_the_seam_fails(module: device_arrays.Module) -> None:
    """The wall itself: each way around the seam that a careless line could take."""
    host = np.ones((2, 2), np.float32)
    there = module.asarray(host)
    for careless in (
        lambda: np.add(there, there), lambda: np.max(there), lambda: np.asarray(there), lambda: host + there,
        lambda: np.matmul(host, host, out=there), lambda: module.add(there, host), lambda: there + host,
        lambda: host.__setitem__(0, there), lambda: there.__setitem__(0, host), lambda: module.maximum.reduce(there),
    ):  # fmt: skip
        with pytest.raises((TypeError, ValueError, AttributeError)):
            careless()
    assert np.array_equal(module.asnumpy(np.float32(1) / there), host)


class Session:
    """A backend: what an administrator set, and what it was told."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, given: str | None) -> None:
        self.told: list[str] = []
        monkeypatch.setattr(limits, "_device", None)
        monkeypatch.setattr(limits, "query", lambda *_: [{"given": given or "cpu"}])

    def notice(self, message: str, hint: str) -> None:
        self.told.append(message)


def test_what_computes_is_chosen_once(monkeypatch: pytest.MonkeyPatch, module: device_arrays.Module) -> None:
    monkeypatch.setitem(sys.modules, "cupy", None)
    assert limits.device(Session(monkeypatch, None)) is PROCESSOR
    missing = Session(monkeypatch, "gpu")
    assert [limits.device(missing) for _ in range(3)] == [PROCESSOR] * 3
    assert len(missing.told) == 1 and missing.told[0].startswith("no GPU is used: import of cupy halted")

    monkeypatch.setitem(sys.modules, "cupy", module)
    monkeypatch.setattr(device_arrays.Array, "get", device_arrays.Array.copy, raising=False)
    present = Session(monkeypatch, "gpu")
    found = limits.device(present)
    assert isinstance(found, Gpu) and found.name == "cupy of a test on a test's device" and present.told == []
    with pytest.raises(errors.InvalidParameter, match='is "tpu", expected cpu or gpu'):
        limits.device(Session(monkeypatch, "tpu"))


def test_a_running_model_computes_with_what_was_chosen(monkeypatch: pytest.MonkeyPatch, gpu: Gpu) -> None:
    monkeypatch.setattr(engine.Tokenizer, "from_prepared", lambda *_: None)
    files = test_bert.tiny_files()
    facts = {"files": files, "architecture": "BertModel", "tokens_independent": False}
    form = running.Form(test_bert.pack(files, tiny_model.tensors()), b"", facts)
    encoder = engine.Running(form, gpu).encoder
    assert encoder.device is gpu and encoder.packs, "found out for the device, not taken from the processor"
    assert not engine.Running(form, PROCESSOR).encoder.packs

    name = test_decoder.NAMES[0]
    weights = tiny_decoder.tensors(tiny_decoder.shapes(name), 0)
    packed = decoder_packing.pack(test_decoder.parsed(name), weights.__getitem__)
    form = running.Form(packed, b"", {"files": {"config": tiny_decoder.config(name)}, "architecture": name})
    assert engine.Running(form, gpu).decoder.device is gpu
