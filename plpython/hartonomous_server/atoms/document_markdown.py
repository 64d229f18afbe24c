"""Markdown (CommonMark with tables) to sections of blocks, by way of HTML."""

from __future__ import annotations

import re

from markdown_it import MarkdownIt

from hartonomous_server import errors
from hartonomous_server.atoms import document_html
from hartonomous_server.atoms.document_pack import Section

MARKS = re.compile(r"[*_~]+|[\[\]<`&]")
MAX_MARKS = 3000  # in one paragraph: the parser's time grows with their square
PLAIN_MARKS = re.compile(r"[#$%&+\-:=>@^{}!]")  # the parser copies what it has of a line at each
MAX_COPIED = 4_000_000_000  # characters of a line times such marks in it: about a second
MAX_NESTING = 100  # the renderer leaves out what is nested deeper
DELIMITERS = re.compile(r"[ \t>*+.)\d|:-]*")  # the line under a table's head, wherever the table stands
MAX_ADDED_CELLS = 65536  # short rows get cells until they are as long as the head: rows times columns in all


def parse(content: str, target: int) -> tuple[str, list[Section]]:
    """The title, which is the first heading, and the sections of a document."""
    markdown = MarkdownIt("commonmark", {"maxNesting": MAX_NESTING}).enable(["table", "strikethrough"])
    _refuse_wide(content)
    _refuse_slow(markdown, content)
    tokens = markdown.parse(content)
    if max((token.level for token in tokens), default=0) >= MAX_NESTING - 1:
        raise errors.ContentMalformed(f"markdown is nested {MAX_NESTING} deep, expected less")
    return document_html.parse(markdown.renderer.render(tokens, markdown.options, {}), target)


def _refuse_wide(content: str) -> None:
    """Refuses tables that would grow far beyond what was written, and paragraphs of link definitions."""
    columns = added = definitions = 0
    for line in content.splitlines():
        marks = line.count("|")
        if not line.strip():
            columns = definitions = 0
        elif marks > columns and "-" in line and DELIMITERS.fullmatch(line):
            columns = marks
        added += max(columns - marks, 0)
        definitions += "]:" in line
        if definitions > MAX_MARKS:
            raise errors.ContentMalformed(f"a paragraph has more than {MAX_MARKS} link definitions")
    if added > MAX_ADDED_CELLS:
        raise errors.ContentMalformed(f"table rows lack {added} cells, expected at most {MAX_ADDED_CELLS}")


def _refuse_slow(markdown: MarkdownIt, content: str) -> None:
    markdown.disable("inline")
    for token in markdown.parse(content):
        if token.type != "inline":
            continue
        if (marks := len(MARKS.findall(token.content))) > MAX_MARKS:
            found = f"a paragraph has {marks} emphasis, link and entity marks"
            raise errors.ContentMalformed(f"{found}, expected at most {MAX_MARKS}")
        longest = max(token.content.split("\n"), key=len)
        if (marks := len(PLAIN_MARKS.findall(longest))) * len(longest) > MAX_COPIED:
            found = f"a line of {len(longest)} characters has {marks} punctuation marks"
            raise errors.ContentMalformed(f"{found}, expected at most {MAX_COPIED // len(longest)}")
    markdown.enable("inline")
