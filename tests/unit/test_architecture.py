"""Configurations and tensor lists are accepted or refused with the right error."""

from __future__ import annotations

import pytest
from hartonomous_server import errors
from hartonomous_server.models import architecture
from hartonomous_server.models.encoders import EncoderConfig

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
    return architecture.expected_tensors(EncoderConfig.parse("BertModel", CONFIG))


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
    with pytest.raises(errors.ArchitectureUnsupported, match="architecture AlbertModel .* expected one of BertModel"):
        architecture.parse("AlbertModel", {"config": CONFIG})


@pytest.mark.parametrize("key", [key for key in CONFIG if key != "hidden_act"])
def test_missing_size_is_named(key: str) -> None:
    with pytest.raises(errors.ModelCorrupt, match=f"configuration has no {key}"):
        EncoderConfig.parse("BertModel", {name: value for name, value in CONFIG.items() if name != key})


@pytest.mark.parametrize("value", [0, -1, "8", 8.0, True])
def test_size_must_be_a_positive_integer(value: object) -> None:
    with pytest.raises(errors.ModelCorrupt, match="hidden_size is .*, expected a positive integer"):
        EncoderConfig.parse("BertModel", CONFIG | {"hidden_size": value})


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
        EncoderConfig.parse("BertModel", CONFIG | change)


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


def changed(architecture: str, **changes: object) -> EncoderConfig:
    return EncoderConfig.parse(architecture, CONFIG | changes)


def test_positions_begin_after_the_padding_token() -> None:
    assert changed("BertModel").positions == 12 and changed("RobertaModel").positions == 10
    assert changed("XLMRobertaModel", pad_token_id=0).positions == 11
    assert changed("MPNetModel", pad_token_id=5).positions == 10  # it is always 1
    assert architecture.max_tokens("RobertaModel", files()) == 10


@pytest.mark.parametrize(
    ("name", "change", "message"),
    [
        ("RobertaModel", {"pad_token_id": None}, "pad_token_id is None, expected a token id below vocab_size 30"),
        ("RobertaModel", {"pad_token_id": 30}, "pad_token_id is 30, expected a token id below vocab_size 30"),
        ("RobertaModel", {"pad_token_id": -1}, "pad_token_id is -1, expected a token id"),
        ("XLMRobertaModel", {"pad_token_id": 11}, "max_position_embeddings is 12, expected more than the 12"),
        ("MPNetModel", {"relative_attention_num_buckets": 16}, "16 is not supported, expected 32"),
        ("ElectraModel", {}, "embedding_size 128 is not supported, expected 8"),
    ],
)
def test_relatives_of_bert_are_refused_by_what_is_theirs(name: str, change: dict[str, object], message: str) -> None:
    found = {key: value for key, value in (CONFIG | change).items() if key != "embedding_size"}
    with pytest.raises((errors.ModelCorrupt, errors.ArchitectureUnsupported), match=message):
        EncoderConfig.parse(name, found)


def test_names_of_tensors_with_a_prefix() -> None:
    assert architecture.canonical("RobertaForMaskedLM", "roberta.encoder.layer.0.x") == "encoder.layer.0.x"
    assert architecture.canonical("RobertaForMaskedLM", "lm_head.bias") == "lm_head.bias"
    assert architecture.canonical("RobertaModel", "roberta.embeddings.x") == "roberta.embeddings.x"
    assert architecture.canonical("GPT2LMHeadModel", "wte.weight") == "transformer.wte.weight"


def test_pooling_is_as_wide_as_the_network() -> None:
    with pytest.raises(errors.ModelCorrupt, match="word_embedding_dimension is 9, expected hidden_size 8"):
        architecture.facts("BertModel", files(pooling=POOLING | {"word_embedding_dimension": 9}))


def test_prompts() -> None:
    def stated(**content: object) -> dict[str, object]:
        return files(config_sentence_transformers=content)

    both = stated(prompts={"query": "q: ", "passage": "p: ", "other": "o: "}, default_prompt_name="other")
    assert [architecture.prompt(both, role) for role in architecture.ROLES] == ["o: ", "q: ", "p: "]
    for none in (files(), stated(), stated(prompts=None), stated(prompts={}, default_prompt_name=None)):
        assert [architecture.prompt(none, role) for role in architecture.ROLES] == ["", "", ""]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"config_sentence_transformers": []}, "config_sentence_transformers is a list"),
        ({"config_sentence_transformers": {"prompts": {"query": 1}}}, "expected an object of texts"),
        ({"config_sentence_transformers": {"default_prompt_name": "x"}}, "default_prompt_name is 'x', expected one of"),
        (
            {"config_sentence_transformers": {"prompts": {"x": "y"}}, "pooling": POOLING | {"include_prompt": False}},
            "include_prompt false is not supported",
        ),
    ],
)
def test_prompts_that_cannot_be_kept(change: dict[str, object], message: str) -> None:
    with pytest.raises((errors.ModelCorrupt, errors.ArchitectureUnsupported), match=message):
        architecture.facts("BertModel", files(**change))
