"""Plain text to blocks: paragraphs parted by blank lines."""

from __future__ import annotations

import re

from hartonomous_server.atoms.document_pack import Block, Section

_BLANK_LINES = re.compile(r"(?:\r?\n|\r)[^\S\r\n]*(?:\r?\n|\r)\s*")


def parse(content: str, target: int) -> tuple[str, list[Section]]:
    """An empty title and one section without headings."""
    paragraphs = (" ".join(paragraph.split()) for paragraph in _BLANK_LINES.split(content))
    return "", [Section((), [Block(text) for text in paragraphs if text])]
