"""The tokenizer cuts where the model says, never pads, and refuses files that do not fit."""

from __future__ import annotations

import base64
import json
import struct
from typing import Any

import pytest
import tiny_model
from hartonomous_server import errors
from hartonomous_server.models import tokenizer
from hartonomous_server.models.tokenizer import Tokenizer

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "the", "cat", "sat", "##s", "Cat", "e", "é"]
IDS = {word: number for number, word in enumerate(WORDS)}
CLS, SEP, UNK = IDS["[CLS]"], IDS["[SEP]"], IDS["[UNK]"]


def tokenizer_json(**changes: Any) -> dict[str, Any]:
    special = {token: {"id": token, "ids": [IDS[token]], "tokens": [token]} for token in ("[CLS]", "[SEP]")}
    around = [{"SpecialToken": {"id": "[CLS]", "type_id": 0}}, {"Sequence": {"id": "A", "type_id": 0}}]
    around.append({"SpecialToken": {"id": "[SEP]", "type_id": 0}})
    return {
        "version": "1.0",
        "truncation": {"max_length": 4, "strategy": "LongestFirst", "stride": 0, "direction": "Right"},
        "padding": {
            "strategy": {"Fixed": 4},
            "direction": "Right",
            "pad_to_multiple_of": None,
            "pad_id": 0,
            "pad_type_id": 0,
            "pad_token": "[PAD]",
        },
        "added_tokens": [],
        "normalizer": {
            "type": "BertNormalizer",
            "clean_text": True,
            "handle_chinese_chars": True,
            "strip_accents": None,
            "lowercase": True,
        },
        "pre_tokenizer": {"type": "BertPreTokenizer"},
        "post_processor": {"type": "TemplateProcessing", "single": around, "pair": around, "special_tokens": special},
        "decoder": {"type": "WordPiece", "prefix": "##", "cleanup": True},
        "model": {
            "type": "WordPiece",
            "unk_token": "[UNK]",
            "continuing_subword_prefix": "##",
            "max_input_chars_per_word": 100,
            "vocab": IDS,
        },
    } | changes


def model_files(**changes: Any) -> dict[str, Any]:
    sizes = ("hidden_size", "num_hidden_layers", "num_attention_heads", "intermediate_size", "type_vocab_size")
    config = dict.fromkeys(sizes, 1) | {"vocab_size": len(WORDS), "max_position_embeddings": 12}
    return {"config": config | changes.pop("config", {})} | changes


def test_truncation_and_padding_of_the_file_are_not_the_models() -> None:
    tokens = Tokenizer.from_json(tokenizer_json(), max_length=6)
    assert tokens.encode("the cat") == [CLS, 5, 6, SEP]
    assert tokens.encode("the cat sat the cat sat") == [CLS, 5, 6, 7, 5, SEP]
    assert tokens.encode("") == [CLS, SEP]


def test_length_comes_from_the_sentence_configuration() -> None:
    files = {"tokenizer": tokenizer_json()}
    assert len(Tokenizer.from_files(files, model_files()).encode("the " * 50)) == 12
    shorter = model_files(sentence_bert_config={"max_seq_length": 5})
    assert len(Tokenizer.from_files(files, shorter).encode("the " * 50)) == 5


def test_batch_equals_single_texts_in_order() -> None:
    tokens = Tokenizer.from_json(json.dumps(tokenizer_json()), max_length=12)
    texts = ["cats sat", "", "the", "dog", "\x00\x01the\u200b cat\ufffd"]
    assert tokens.encode_batch(texts) == [tokens.encode(text) for text in texts]
    assert tokens.encode("cats dog") == [CLS, 6, 8, UNK, SEP]


def test_settings_of_tokenizer_config_win() -> None:
    def ids(**settings: Any) -> list[int]:
        return Tokenizer.from_json(tokenizer_json(), 12, tokenizer_config=settings).encode("Cat é")[1:-1]

    assert ids() == [IDS["cat"], IDS["e"]]
    assert ids(do_lower_case=False) == [IDS["Cat"], IDS["é"]]
    assert ids(strip_accents=False) == [IDS["cat"], IDS["é"]]
    lower = Tokenizer.from_json(tokenizer_json(), 12, {"do_lower_case": False}, lower_case=True)
    assert lower.encode("CAT")[1:-1] == [IDS["cat"]]


def test_special_tokens_in_a_text_are_whole() -> None:
    special = {"cls_token": "[CLS]", "sep_token": {"content": "[SEP]", "lstrip": False}, "unk_token": "[UNK]"}
    tokens = Tokenizer.from_json(tokenizer_json(), 12, special_tokens_map=special)
    assert tokens.encode("the[SEP]cat") == [CLS, 5, SEP, 6, SEP]
    with pytest.raises(errors.TokenizerInvalid, match=r"special token <s> is not in the vocabulary"):
        Tokenizer.from_json(tokenizer_json(), 12, special_tokens_map={"cls_token": "<s>"})


def test_decode() -> None:
    tokens = Tokenizer.from_json(tokenizer_json(), 12, special_tokens_map={"cls_token": "[CLS]", "sep_token": "[SEP]"})
    assert tokens.decode(tokens.encode("The cats")) == "the cats"
    assert tokens.decode([]) == ""
    for wrong in (-1, len(WORDS)):
        with pytest.raises(errors.InvalidParameter, match=f"token {wrong} is not in the vocabulary of 12 tokens"):
            tokens.decode([wrong])


@pytest.mark.parametrize("files", [None, {}, {"tokenizer": None}])
def test_missing_tokenizer(files: dict[str, Any] | None) -> None:
    with pytest.raises(errors.TokenizerInvalid, match=r"model has no tokenizer\.json"):
        Tokenizer.from_files(files, model_files())


@pytest.mark.parametrize("content", [{}, tokenizer_json(model={"type": "Nonsense"})])
def test_broken_tokenizer(content: dict[str, Any]) -> None:
    with pytest.raises(errors.TokenizerInvalid, match=r"tokenizer\.json is not valid"):
        tokenizer.check({"tokenizer": content or {"version": "1.0"}}, "BertModel", model_files())


def replace(pattern: dict[str, str], content: str) -> dict[str, Any]:
    return {"type": "Sequence", "normalizers": [{"type": "Replace", "pattern": pattern, "content": content}]}


@pytest.mark.parametrize(
    "changes",
    [
        {"normalizer": replace({"String": "a"}, "aa")},
        {"normalizer": replace({"String": ""}, "a")},
        {"normalizer": replace({"Regex": "(a+)+$"}, "")},
        {"normalizer": {"type": "Precompiled", "precompiled_charsmap": "AAAA"}},
        {"pre_tokenizer": {"type": "Split", "pattern": {"Regex": "a"}, "behavior": "Isolated", "invert": False}},
        {"decoder": replace({"String": "a"}, "aa")},
        {"model": {**tokenizer_json()["model"], "max_input_chars_per_word": 10**9}},
    ],
)
def test_a_tokenizer_that_could_explode(changes: dict[str, Any]) -> None:
    with pytest.raises(errors.TokenizerInvalid, match="expected|not supported"):
        tokenizer.check({"tokenizer": tokenizer_json(**changes)}, "BertModel", model_files())
    shorter = tokenizer_json(normalizer=replace({"String": "ab"}, "a"))
    tokenizer.check({"tokenizer": shorter}, "BertModel", model_files())


def test_check_compares_with_the_embedding_table() -> None:
    tokenizer.check({"tokenizer": tokenizer_json()}, "BertModel", model_files())
    with pytest.raises(errors.TokenizerInvalid, match="token id 11, expected ids below vocab_size 11"):
        tokenizer.check({"tokenizer": tokenizer_json()}, "BertModel", model_files(config={"vocab_size": 11}))
    with pytest.raises(errors.TokenizerInvalid, match="no token for an empty text"):
        tokenizer.check({"tokenizer": tokenizer_json(post_processor=None)}, "BertModel", model_files())
    with pytest.raises(errors.TokenizerInvalid, match="no token for what it does not know"):
        words = {"type": "Unigram", "unk_id": None, "vocab": [[word, 0.0] for word in WORDS], "byte_fallback": False}
        tokenizer.check({"tokenizer": tokenizer_json(model=words)}, "BertModel", model_files())


def test_a_stated_space_before_the_text_wins() -> None:
    vocabulary = {word: at for at, word in enumerate(["the", "\u0120the", *"the\u0120"])}
    model = {"type": "BPE", "vocab": vocabulary, "ignore_merges": True, "merges": []}
    cutter = {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": True, "use_regex": True}
    content = tokenizer_json(model=model, pre_tokenizer=cutter, normalizer=None, post_processor=None, decoder=None)
    assert Tokenizer.from_json(content, 12).encode("the the") == [0, 1]
    assert Tokenizer.from_json(content, 12, {"add_prefix_space": True}).encode("the the") == [1, 1]


def table(content: bytes | None = None, more: tuple[dict[str, Any], ...] = ()) -> dict[str, Any]:
    """A tokenizer that begins with a table of replacements."""
    encoded = base64.b64encode(tiny_model.charsmap("\u00bd", "the") if content is None else content).decode()
    step = {"type": "Precompiled", "precompiled_charsmap": encoded}
    return tokenizer_json(normalizer={"type": "Sequence", "normalizers": [step, *more]})


def changed(at: int, unit: int) -> bytes:
    """The table with another unit."""
    whole = bytearray(tiny_model.charsmap("\u00bd", "\u00e9"))
    whole[4 + 4 * at : 8 + 4 * at] = struct.pack("<I", unit)
    return bytes(whole)


SPACES = {"type": "Replace", "pattern": {"Regex": " {2,}"}, "content": "\u2581"}


def test_a_table_of_replacements_is_applied() -> None:
    tokens = Tokenizer.from_json(table(more=(SPACES, {"type": "Strip", "strip_left": False, "strip_right": True})), 12)
    assert tokens.encode("\u00bd cat") == [CLS, 5, 6, SEP]
    tokenizer.check({"tokenizer": table()}, "BertModel", model_files())


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (table(b""), "has 0 bytes, expected a trie and its texts"),
        (table(tiny_model.charsmap()[:700]), "has 700 bytes, expected a trie"),
        (table(tiny_model.charsmap("\u00bd", 65 * "a")), "replaces by 65 bytes, expected at most 64"),
        (table(tiny_model.charsmap("\u00bd", "a" * 10) + b"\xff"), "leads out of its own table"),
        (table(changed(0, 4096 << 10)), "leads out of its own table"),
        (table(changed(512, 1 << 31 | 9999)), "leads out of its own table"),
        (table(changed(512, 1 << 31 | 1)), "leads out of its own table"),  # into a character
        (table(more=(table()["normalizer"],)), "tokenizer has 2 steps Precompiled, expected at most one"),
        (table(more=(SPACES | {"content": "abc"},)), "Replace makes texts longer"),
        (table(more=(SPACES | {"pattern": {"Regex": " {3,}"}},)), "has an expression of its own"),
        (table(more=({"type": "Precompiled", "precompiled_charsmap": "?"},)), "precompiled_charsmap is not base64"),
    ],
)
def test_a_table_that_could_explode(content: dict[str, Any], message: str) -> None:
    with pytest.raises(errors.TokenizerInvalid, match=message):
        tokenizer.check({"tokenizer": content}, "BertModel", model_files())
