"""Configurations and tensor lists are accepted or refused with the right error."""

from __future__ import annotations

import pytest
from hartonomous_server import errors
from hartonomous_server.models import architecture

CONFIG = {
    "hidden_size": 8,
    "num_hidden_layers": 2,
    "num_attention_heads": 2,
    "intermediate_size": 16,
    "vocab_size": 30,
    "max_position_embeddings": 12,
    "type_vocab_size": 2,
    "hidden_act": "gelu",
}
POOLING = {"word_embedding_dimension": 8, "pooling_mode_cls_token": False, "pooling_mode_mean_tokens": True}
MODULES = [{"type": f"sentence_transformers.models.{kind}"} for kind in ("Transformer", "Pooling", "Normalize")]


def files(**changes: object) -> dict[str, object]:
    return {"config": CONFIG, "pooling": POOLING, "modules": MODULES} | changes


def found_tensors() -> dict[str, tuple[str, tuple[int, ...]]]:
    return {name: ("F32", shape) for shapes in expected() for name, shape in shapes.items()}


def expected() -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    return architecture.expected_tensors(architecture.BertConfig.parse(CONFIG))


def test_expected_tensors_cover_every_layer() -> None:
    shapes, _ = expected()
    assert shapes["embeddings.word_embeddings.weight"] == (30, 8)
    assert shapes["encoder.layer.1.intermediate.dense.weight"] == (16, 8)
    assert shapes["encoder.layer.1.output.dense.weight"] == (8, 16)
    assert len([name for name in shapes if name.startswith("encoder.layer.0.")]) == 16
    assert not any(name.startswith("encoder.layer.2.") for name in shapes)


def test_complete_tensors_pass_with_and_without_the_optional_ones() -> None:
    required, optional = expected()
    found = found_tensors()
    found["embeddings.position_ids"] = ("I64", (1, 12))
    architecture.check_tensors(found, required, optional)
    for name in optional:
        del found[name]
    architecture.check_tensors(found, required, optional)


@pytest.mark.parametrize(
    ("name", "value", "message"),
    [
        ("encoder.layer.1.output.dense.bias", None, "encoder.layer.1.output.dense.bias is missing, expected shape [8]"),
        ("embeddings.LayerNorm.bias", ("F32", (9,)), "embeddings.LayerNorm.bias has shape [9], expected [8]"),
        ("embeddings.LayerNorm.bias", ("I32", (8,)), "has dtype I32, expected one of F32, F16, BF16"),
        ("pooler.dense.bias", ("F32", (1,)), "pooler.dense.bias has shape [1], expected [8]"),
        ("classifier.weight", ("F32", (2, 8)), "classifier.weight is not part of the architecture"),
    ],
)
def test_a_wrong_tensor_is_named(name: str, value: tuple[str, tuple[int, ...]] | None, message: str) -> None:
    found = found_tensors()
    if value is None:
        del found[name]
    else:
        found[name] = value
    with pytest.raises(errors.TensorMismatch) as caught:
        architecture.check_tensors(found, *expected())
    assert message in str(caught.value)


def test_unsupported_architecture_names_the_supported_ones() -> None:
    with pytest.raises(errors.ArchitectureUnsupported, match="architecture RobertaModel .* expected one of BertModel"):
        architecture.parse("RobertaModel", {"config": CONFIG})


@pytest.mark.parametrize("key", [key for key in CONFIG if key != "hidden_act"])
def test_missing_size_is_named(key: str) -> None:
    with pytest.raises(errors.ModelCorrupt, match=f"configuration has no {key}"):
        architecture.BertConfig.parse({name: value for name, value in CONFIG.items() if name != key})


@pytest.mark.parametrize("value", [0, -1, "8", 8.0, True])
def test_size_must_be_a_positive_integer(value: object) -> None:
    with pytest.raises(errors.ModelCorrupt, match="hidden_size is .*, expected a positive integer"):
        architecture.BertConfig.parse(CONFIG | {"hidden_size": value})


@pytest.mark.parametrize(
    ("change", "error"),
    [
        ({"num_hidden_layers": 10**7}, errors.ModelCorrupt),
        ({"num_attention_heads": 3}, errors.ModelCorrupt),
        ({"layer_norm_eps": "small"}, errors.ModelCorrupt),
        ({"hidden_act": "silu"}, errors.ArchitectureUnsupported),
        ({"position_embedding_type": "relative_key"}, errors.ArchitectureUnsupported),
        ({"is_decoder": True}, errors.ArchitectureUnsupported),
        ({"add_cross_attention": True}, errors.ArchitectureUnsupported),
    ],
)
def test_what_the_engine_cannot_run_is_refused(change: dict[str, object], error: type[Exception]) -> None:
    with pytest.raises(error):
        architecture.BertConfig.parse(CONFIG | change)


def test_facts() -> None:
    assert architecture.facts("BertModel", files()) == {"kind": "embedding", "dimensions": 8, "max_tokens": 12}
    both = files(pooling=POOLING | {"pooling_mode_cls_token": True}, sentence_bert_config={"max_seq_length": 10})
    assert architecture.facts("BertModel", both) == {"kind": "embedding", "dimensions": 16, "max_tokens": 10}
    with pytest.raises(errors.ModelCorrupt, match='no key "config"'):
        architecture.facts("BertModel", {})


def test_max_tokens_never_exceeds_the_positions() -> None:
    assert architecture.max_tokens("BertModel", files(sentence_bert_config={"max_seq_length": 4096})) == 12
    with pytest.raises(errors.ModelCorrupt, match="max_seq_length is 1, expected an integer of at least 2"):
        architecture.max_tokens("BertModel", files(sentence_bert_config={"max_seq_length": 1}))


def test_unknown_pooling_and_modules_are_refused() -> None:
    with pytest.raises(errors.ArchitectureUnsupported, match="pooling mode lasttoken is not supported"):
        architecture.pooling_modes(files(pooling={"pooling_mode_lasttoken": True}))
    with pytest.raises(errors.ArchitectureUnsupported, match="module Dense is not supported"):
        architecture.normalizes(files(modules=[*MODULES, {"type": "sentence_transformers.models.Dense"}]))
    assert not architecture.normalizes(files(modules=MODULES[:2]))
