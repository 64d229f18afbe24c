"""Text to token ids and back, by the tokenizers library from a model's own files."""

from __future__ import annotations

import json
import os
from collections.abc import Mapping, Sequence
from functools import cached_property
from typing import Any

from hartonomous_server import errors
from hartonomous_server.models import architecture
from hartonomous_server.models.decoders import DecoderConfig

# Read by the library at its first batch: a backend must not grow a thread pool.
os.environ["TOKENIZERS_PARALLELISM"] = "false"

# tokenizer_config.json -> normalizer of tokenizer.json
_NORMALIZER_SETTINGS = {
    "do_lower_case": "lowercase",
    "strip_accents": "strip_accents",
    "tokenize_chinese_chars": "handle_chinese_chars",
}
# Only so many tokens count, so only so much of a text is read: the library keeps some hundred bytes for each character.
CHARACTERS_A_TOKEN = 16
MAX_CHARACTERS = 1_000_000  # of a text with hardly any words in it; what stands after them is not read

UNKNOWN = "\U00012000"  # cuneiform, which hardly a vocabulary has

MAX_WORD = 1000  # characters of a word: it is looked up in the square of its length

# The expressions by which known families of models cut a text into words: no text keeps the library busy with them.
_CONTRACTIONS = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}%s| ?[^\s\p{L}\p{N}]+[\r\n]*"
_SPACES = r"|\s*[\r\n]+|\s+(?!\S)|\s+"
KNOWN_EXPRESSIONS = (
    r"'s|'t|'re|'ve|'m|'ll|'d| ?\p{L}+| ?\p{N}+| ?[^\s\p{L}\p{N}]+|\s+(?!\S)|\s+",  # GPT-2
    _CONTRACTIONS % "{1,3}" + _SPACES,  # Llama 3
    _CONTRACTIONS % "" + _SPACES,  # Qwen 2
)
# Of runs of spaces, by which exporters of sentencepiece models write what it does itself.
KNOWN_REPLACED = (" {2,}",)

_SPECIAL_TOKENS = ("unk_token", "sep_token", "pad_token", "cls_token", "mask_token", "bos_token", "eos_token")


class Tokenizer:
    """A tokenizer that cuts at ``max_length`` and never pads."""

    def __init__(self, library_tokenizer: Any, max_length: int, lower_case: bool = False) -> None:
        self._tokenizer = library_tokenizer
        self._max_length = max_length
        self._lower_case = lower_case

    @classmethod
    def from_json(
        cls,
        tokenizer_json: str | Mapping[str, Any],
        max_length: int,
        tokenizer_config: Mapping[str, Any] | None = None,
        special_tokens_map: Mapping[str, Any] | None = None,
        lower_case: bool = False,
    ) -> Tokenizer:
        """From tokenizer.json. Its own truncation and padding are settings of the export, not of the model: dropped."""
        content = json.loads(tokenizer_json) if isinstance(tokenizer_json, str) else dict(tokenizer_json)
        tokenizer = _build(_with_settings(content, tokenizer_config or {}))
        tokenizer.no_padding()
        tokenizer.enable_truncation(max_length)
        special = _special_tokens(special_tokens_map or {}, tokenizer_config or {})
        for token in special:
            if tokenizer.token_to_id(token) is None:
                raise errors.TokenizerInvalid(f"special token {token} is not in the vocabulary")
        tokenizer.add_special_tokens(special)
        return cls(tokenizer, max_length, lower_case)

    @classmethod
    def from_files(
        cls, tokenizer_files: Mapping[str, Any] | None, model_files: Mapping[str, Any], name: str = "BertModel"
    ) -> Tokenizer:
        """From what a model is stored with: its tokenizer files, its configuration files, its architecture's name."""
        if not isinstance(tokenizer_files, Mapping) or not isinstance(tokenizer_files.get("tokenizer"), Mapping):
            raise errors.TokenizerInvalid(
                "model has no tokenizer.json",
                hint='pass {"tokenizer": <tokenizer.json>, ...} to hartonomous.model_begin',
            )
        return cls.from_json(
            tokenizer_files["tokenizer"],
            architecture.max_tokens(name, model_files),
            tokenizer_files.get("tokenizer_config"),
            tokenizer_files.get("special_tokens_map"),
            _lower_case(model_files),
        )

    @classmethod
    def from_prepared(cls, content: bytes, model_files: Mapping[str, Any], name: str) -> Tokenizer:
        """From what prepared() gave, which was checked."""
        import tokenizers

        tokenizer = tokenizers.Tokenizer.from_buffer(bytes(content))  # the library keeps none of it
        return cls(tokenizer, architecture.max_tokens(name, model_files), _lower_case(model_files))

    def prepared(self) -> bytes:
        """All of it, settings applied, in the library's own form."""
        return self._tokenizer.to_str().encode()

    @property
    def largest_id(self) -> int:
        return max(self._tokenizer.get_vocab().values())

    def encode_batch(self, texts: Sequence[str]) -> list[list[int]]:
        """Token ids of each text, special tokens included."""
        ids = [encoding.ids for encoding in self._tokenizer.encode_batch_fast([self._head(text) for text in texts])]
        for i, text in enumerate(texts):
            characters = self._max_length * CHARACTERS_A_TOKEN
            while len(ids[i]) < self._max_length and characters < min(len(text), MAX_CHARACTERS):
                characters *= 8
                ids[i] = self._tokenizer.encode(self._head(text, characters)).ids
        return ids

    def encode(self, text: str) -> list[int]:
        return self.encode_batch([text])[0]

    def encode_whole(self, text: str) -> list[int]:
        """Token ids of all of a text that a decoder goes on from; a text that is too long is an error."""
        most = min(MAX_CHARACTERS, self._max_length * self.longest_token)
        if len(text) > most:
            raise errors.InvalidParameter(
                f"prompt has {len(text)} characters, {self._max_length} tokens of this model have at most {most}",
                hint="shorten the prompt",
            )
        return self.encode_all(text)

    def encode_all(self, text: str) -> list[int]:
        """Token ids of all of a text, however long."""
        self._tokenizer.no_truncation()
        try:
            return self._tokenizer.encode(text).ids
        finally:
            self._tokenizer.enable_truncation(self._max_length)

    @cached_property
    def longest_token(self) -> int:
        """Characters of the longest token; in the vocabulary a character stands for itself or for one byte of it."""
        return max(map(len, self._tokenizer.get_vocab()))

    def _head(self, text: str, characters: int = 0) -> str:
        """The beginning of a text, whole words: what a word becomes does not depend on the words after it."""
        characters = min(characters or self._max_length * CHARACTERS_A_TOKEN, MAX_CHARACTERS)
        if len(text) > characters:
            words = text[:characters].rsplit(maxsplit=1)
            text = words[0] if len(words) == 2 else text[:characters]
        return text.lower() if self._lower_case else text

    def decode(self, ids: Sequence[int]) -> str:
        """Text of token ids, special tokens left out; an id outside the vocabulary is an error."""
        for token in ids:
            if token < 0 or self._tokenizer.id_to_token(token) is None:
                size = self._tokenizer.get_vocab_size()
                raise errors.InvalidParameter(f"token {token} is not in the vocabulary of {size} tokens")
        return self._tokenizer.decode(list(ids))


def _lower_case(model_files: Mapping[str, Any]) -> bool:
    return bool((model_files.get("sentence_bert_config") or {}).get("do_lower_case"))


def check(tokenizer_files: Mapping[str, Any] | None, name: str, model_files: Mapping[str, Any]) -> None:
    """Refuses a tokenizer that cannot be built or that yields ids the model has no embedding for."""
    tokenizer = Tokenizer.from_files(tokenizer_files, model_files, name)
    config = architecture.parse(name, model_files)
    rows = config.vocabulary if isinstance(config, DecoderConfig) else config.vocab_size
    largest = tokenizer.largest_id
    if largest >= rows:
        raise errors.TokenizerInvalid(f"tokenizer has token id {largest}, expected ids below vocab_size {rows}")
    if not isinstance(config, DecoderConfig) and not tokenizer.encode(""):
        raise errors.TokenizerInvalid("tokenizer gives no token for an empty text, expected its special tokens")
    try:
        tokenizer.encode(UNKNOWN)
    except Exception as error:  # the library raises nothing narrower
        raise errors.TokenizerInvalid(f"tokenizer has no token for what it does not know: {error}") from error


def _refuse_explosive(content: Mapping[str, Any]) -> None:
    """Refuses what lets a short text fill the memory, or keeps the library busy where no cancel reaches it."""
    tables = sum(_refuse_explosive_step(content.get(step)) for step in ("normalizer", "pre_tokenizer", "decoder"))
    if tables > 1:  # each would multiply what the one before it made
        raise errors.TokenizerInvalid(f"tokenizer has {tables} steps Precompiled, expected at most one")
    model = content.get("model")
    longest = model.get("max_input_chars_per_word") if isinstance(model, Mapping) else None
    if isinstance(longest, int) and longest > MAX_WORD:
        raise errors.TokenizerInvalid(f"max_input_chars_per_word is {longest}, expected at most {MAX_WORD}")


def _refuse_explosive_step(step: Any) -> int:
    """How many tables of replacements a step has."""
    if isinstance(step, list):
        return sum(map(_refuse_explosive_step, step))
    if not isinstance(step, Mapping):
        return 0
    kind, pattern = step.get("type"), step.get("pattern")
    text = pattern.get("String", "") if isinstance(pattern, Mapping) else ""
    expression = pattern.get("Regex") if isinstance(pattern, Mapping) else None
    known = {"Split": KNOWN_EXPRESSIONS, "Replace": KNOWN_REPLACED}.get(str(kind), ())
    if expression is not None and expression not in known:
        raise errors.TokenizerInvalid(f"tokenizer step {kind} has an expression of its own: not supported")
    if kind == "Replace" and len(str(step.get("content"))) > len("  " if expression else str(text)):
        raise errors.TokenizerInvalid("tokenizer step Replace makes texts longer, expected one that does not")
    if kind == "Precompiled":
        from hartonomous_server.models import charsmap  # only here: few models have one

        charsmap.check(step.get("precompiled_charsmap"))
    return (kind == "Precompiled") + sum(map(_refuse_explosive_step, step.values()))


def _build(content: Mapping[str, Any]) -> Any:
    import tokenizers

    _refuse_explosive(content)
    try:
        return tokenizers.Tokenizer.from_str(json.dumps(content))
    except Exception as error:  # the library raises nothing narrower
        raise errors.TokenizerInvalid(f"tokenizer.json is not valid: {error}") from error


def _with_settings(content: dict[str, Any], tokenizer_config: Mapping[str, Any]) -> dict[str, Any]:
    """The file, with what its configuration states otherwise: a stated value wins, as in the reference."""
    cutter = content.get("pre_tokenizer") or {}
    if cutter.get("type") == "ByteLevel" and "add_prefix_space" in tokenizer_config:
        content = content | {"pre_tokenizer": cutter | {"add_prefix_space": tokenizer_config["add_prefix_space"]}}
    normalizer = content.get("normalizer") or {}
    if normalizer.get("type") != "BertNormalizer":
        return content
    settings = _NORMALIZER_SETTINGS.items()
    stated = {ours: tokenizer_config[theirs] for theirs, ours in settings if theirs in tokenizer_config}
    return content | {"normalizer": normalizer | stated}


def _special_tokens(special_tokens_map: Mapping[str, Any], tokenizer_config: Mapping[str, Any]) -> list[str]:
    stated = {**tokenizer_config, **special_tokens_map}
    tokens = [stated[key] for key in _SPECIAL_TOKENS if stated.get(key)]
    return [token["content"] if isinstance(token, Mapping) else token for token in tokens]
