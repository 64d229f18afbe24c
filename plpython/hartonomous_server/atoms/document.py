"""Split a document into the passages that are stored, embedded and found."""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import Any

from hartonomous_server import errors
from hartonomous_server.atoms.document_pack import pack

FORMATS = ("text", "markdown", "html")
MIN_TARGET = 20


@dataclass(slots=True)
class Passage:
    text: str
    heading_path: tuple[str, ...]
    anchor: str | None
    position: int


@dataclass(slots=True)
class Document:
    title: str
    passages: list[Passage]


def split(content: str, format: str, target_tokens: int = 200) -> Document:
    """Split into passages of about target_tokens tokens, the same for the same content.

    Tokens are estimated (`document_pack.count_tokens`); a passage's text stays below 1.08 times the target, which with
    200 leaves a model that reads 256 tokens room for the heading path. The path is not part of the text.
    """
    if format not in FORMATS:
        raise errors.InvalidParameter(f'format is "{format}", expected one of {", ".join(FORMATS)}')
    if target_tokens < MIN_TARGET:
        raise errors.InvalidParameter(f"target_tokens is {target_tokens}, expected at least {MIN_TARGET}")
    _check(content)
    title, sections = _parse(content, format, target_tokens)
    packed = pack(sections, target_tokens)
    return Document(title, [Passage(text, path, anchor, i) for i, (path, anchor, text) in enumerate(packed)])


def title(content: str, format: str) -> str:
    """The title that `split` finds."""
    return _parse(content, format, 200)[0]


def _parse(content: str, format: str, target_tokens: int) -> Any:
    # The parsers' libraries are loaded in backends that need them only.
    return import_module(f"hartonomous_server.atoms.document_{format}").parse(content, target_tokens)


def _check(content: str) -> None:
    hint = "call ingest for content that is not text"
    if (at := content.find("\x00")) >= 0:
        raise errors.ContentMalformed(f"document has a NUL at character {at}, expected text", hint=hint)
    try:
        content.encode()
    except UnicodeEncodeError as error:
        raise errors.ContentMalformed(
            f"document has a lone surrogate at character {error.start}, expected text", hint=hint
        ) from None
