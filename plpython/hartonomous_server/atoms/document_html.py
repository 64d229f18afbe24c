"""HTML to sections of blocks: what a reader sees, without navigation, under the headings it stands under."""

from __future__ import annotations

import re

from lxml.etree import _Element as Element

from hartonomous_server.atoms.document_pack import Block, Boundary, Section, count_tokens
from hartonomous_server.atoms.document_tree import (
    HEADINGS,
    LABEL_TAGS,
    PRE_TAGS,
    classes,
    first_id,
    is_inline,
    names,
    normal,
    own_id,
    page_tree,
    stray_text,
    text_of,
    visible,
)

FLAT_DEPTH = 100  # deeper elements are read as plain text, so that recursion stays bounded
MAX_LEAD = 1000  # characters; packing keeps less
LONG_ROW = 0.75  # of the target: a longer table row becomes several blocks under its first cell

_ADMONITIONS = names("note tip warning caution important admonition attention danger hint")
_LABEL_CLASSES = names("title caption admonition-title")
_TITLE_SEPARATOR = re.compile(r"\s*[|\u2013\u2014\u00b7\u00bb]\s*|\s+-\s+|:\s+")


def parse(content: str, target: int) -> tuple[str, list[Section]]:
    """The title and the sections of a page."""
    title, root = page_tree(content)
    reader = _Reader(target)
    if root is not None:
        reader.read(root)
    return _finish(title, reader.sections)


def _finish(title: str, sections: list[Section]) -> tuple[str, list[Section]]:
    """Put the title first in every path; a heading with nothing under it becomes text of its parent."""
    first = next((s.path[0] for s in sections if s.path), "")
    if not title or first in _TITLE_SEPARATOR.split(title):  # the rest is the site's name
        title = first
    paths = [*(s.path for s in sections), ()]
    for index, section in enumerate(sections):
        path = section.path
        depth = len(path)
        if section.headed and not section.blocks and path not in (paths[index + 1][:depth], (title,)):
            section.blocks.append(Block(path[-1]))
            path = path[:-1]
        section.path = path if path[:1] == (title,) or not title else (title, *path)
    return title, [s for s in sections if s.blocks]


class _Reader:
    """Walks the tree in document order and collects blocks under the current headings, anchor and leads."""

    def __init__(self, target: int, depth: int = 0) -> None:
        self.target = target
        self.sections = [Section(())]
        self.leads: tuple[str, ...] = ()
        self.depth = depth
        self._headings: tuple[tuple[int, str], ...] = ()
        self._anchor: str | None = None
        self._boundary = Boundary.PARAGRAPH
        self._just_closed = False

    def read(self, element: Element) -> None:
        tag = element.tag
        if self.depth > FLAT_DEPTH:
            self.emit(text_of(element), first_id(element))
        elif tag in HEADINGS:
            self._heading(element)
        elif tag in PRE_TAGS:
            self._preformatted(element)
        elif tag in LABEL_TAGS or (tag == "p" and not _LABEL_CLASSES.isdisjoint(classes(element))):
            self.open(Boundary.ENTRY)
            self.label(text_of(element), first_id(element))
        else:
            self._container(element)

    # --- containers ---

    def _container(self, element: Element) -> None:
        """What a container sets for its content ends with it; but a wrapped heading reaches beyond its wrapper."""
        anchor, headings, leads, sections = self._anchor, self._headings, self.leads, len(self.sections)
        self._anchor = own_id(element) or anchor
        self.depth += 1
        self._content(element)
        self.depth -= 1
        self.leads = leads
        if len(self.sections) == sections:
            self._anchor = anchor
        elif _is_section(element) and any(s.blocks for s in self.sections[sections:]):
            self._anchor, self._headings = anchor, headings
            self._start_section(headed=False)

    def _content(self, element: Element) -> None:
        boundary = _boundary_around(element)
        self.open(boundary)
        if any(child.tag == "dt" for child in element):
            self._definitions(element)
        elif element.tag == "table" and not _is_layout(element):
            _TableReader(self, boundary).read(element)
        else:
            self.children(element)
        self.close(boundary)

    def children(self, element: Element) -> None:
        """Blocks one by one; runs of text and inline elements between them are paragraphs."""
        run, anchor, lasting = [element.text or ""], None, False
        begun = bool(run[0].strip())
        for child in element:
            if is_inline(child):
                if anchor is None and not begun:
                    anchor, lasting = first_id(child), "indexterm" not in classes(child)
                run += [*child.itertext(), child.tail or ""]
                begun = begun or bool(text_of(child) or run[-1].strip())
                continue
            self._paragraph("".join(run), anchor, lasting)
            self.read(child)
            run, anchor, lasting = [child.tail or ""], None, False
            begun = bool(run[0].strip())
        self._paragraph("".join(run), anchor, lasting)

    def _paragraph(self, text: str, anchor: str | None, lasting: bool) -> None:
        text = normal(text)
        if text:
            self.emit(text, anchor)
        elif anchor and lasting:
            self._anchor = anchor

    def _definitions(self, element: Element) -> None:
        terms: list[Element] = []
        definitions: list[Element] = []
        for child in element:
            if child.tag == "dd":
                definitions.append(child)
                continue
            if child.tag != "dt" or definitions:
                self._entry(terms, definitions)
                terms, definitions = [], []
            if child.tag == "dt":
                terms.append(child)
            else:
                self.read(child)
        self._entry(terms, definitions)
        self.emit(stray_text(element))

    def _entry(self, terms: list[Element], definitions: list[Element]) -> None:
        leads, anchor = self.leads, self._anchor
        self._anchor = next(filter(None, map(first_id, terms)), anchor)
        self.open(Boundary.ENTRY)
        self.label(", ".join(filter(None, map(text_of, terms))))
        for definition in definitions:
            self._container(definition)
        self.close(Boundary.ENTRY)
        self.leads, self._anchor = leads, anchor

    # --- leaves ---

    def _heading(self, element: Element) -> None:
        text, anchor = text_of(element), first_id(element)
        if not _ADMONITIONS.isdisjoint(classes(element.getparent())):
            self.label(text, anchor)
        elif text:
            level = int(element.tag[1])
            self._headings = (*(h for h in self._headings if h[0] < level), (level, text))
            self._anchor = anchor or self._anchor
            self._start_section(headed=True)

    def _start_section(self, headed: bool) -> None:
        self.sections.append(Section(tuple(text for _, text in self._headings), headed=headed))
        self._boundary, self._just_closed = Boundary.PARAGRAPH, False

    def _preformatted(self, element: Element) -> None:
        text = visible("".join(element.itertext()))
        lines = [line.rstrip() for line in text.splitlines()]
        self.emit("\n".join(lines).strip("\n"), first_id(element), preformatted=True)

    def label(self, text: str, anchor: str | None = None, repeat: bool = True) -> None:
        """A text that names what follows it; passages that begin further on repeat it."""
        if not text:
            return
        self.emit(text, anchor)
        self._boundary = Boundary.LABEL
        if repeat:
            self.leads = (*self.leads, text[:MAX_LEAD])

    def emit(self, text: str, anchor: str | None = None, preformatted: bool = False) -> None:
        if not text:
            return
        blocks, boundary = self.sections[-1].blocks, self._boundary
        if blocks and boundary != Boundary.LABEL and not self._just_closed:
            code = preformatted and not blocks[-1].preformatted and boundary == Boundary.PARAGRAPH
            if code or blocks[-1].text.endswith(":"):
                boundary = Boundary.INTRODUCED
        blocks.append(Block(text, boundary, self.leads, anchor or self._anchor, preformatted))
        self._boundary, self._just_closed = Boundary.PARAGRAPH, False

    def open(self, boundary: Boundary) -> None:
        """Something begins that stands apart, but not from the label before it."""
        if self._boundary != Boundary.LABEL:
            self._boundary = max(self._boundary, boundary)

    def close(self, boundary: Boundary) -> None:
        if boundary > Boundary.PARAGRAPH:
            self._boundary = boundary if self._boundary == Boundary.LABEL else max(self._boundary, boundary)
            self._just_closed = True


class _TableReader:
    """Rows as entries: cells joined by bars; passages of a table with several columns repeat its header."""

    def __init__(self, reader: _Reader, boundary: Boundary) -> None:
        self.reader = reader
        self.boundary = boundary
        self.header_ended = False

    def read(self, table: Element) -> None:
        for child in table:
            if child.tag in ("thead", "tbody", "tfoot"):
                self.rows(child)
            else:
                self.row_or_other(child)
        self.reader.emit(stray_text(table))

    def rows(self, group: Element) -> None:
        for child in group:
            self.row_or_other(child)
        self.reader.emit(stray_text(group))

    def row_or_other(self, element: Element) -> None:
        if element.tag == "tr":
            self.row(element)
        elif element.tag not in ("colgroup", "col"):
            self.reader.read(element)

    def row(self, element: Element) -> None:
        reader = self.reader
        cells = [self.cell(c) for c in element]
        if stray := stray_text(element):
            cells.append([stray])
        anchor = next(filter(None, map(first_id, (element, *element))), None)
        text = _row_text(cells)
        reader.open(self.boundary)
        if not self.header_ended and all(c.tag == "th" for c in element):
            reader.label(text, anchor, repeat=len(cells) > 1)
            return
        self.header_ended = True
        if count_tokens(text) <= LONG_ROW * reader.target:
            reader.emit(text, anchor)
        else:
            self.long_row(cells, anchor)
        reader.close(self.boundary)

    def long_row(self, cells: list[list[str]], anchor: str | None) -> None:
        leads = self.reader.leads
        first, *rest = cells if len(cells) > 1 else [[line] for line in cells[0]]
        self.reader.label(" ".join(first), anchor)
        for line in (line for cell in rest for line in cell):
            self.reader.emit(line, anchor)
        self.reader.leads = leads

    def cell(self, element: Element) -> list[str]:
        inner = _Reader(self.reader.target, self.reader.depth + 1)
        inner.children(element)
        return [block.text for section in inner.sections for block in section.blocks]


def _row_text(cells: list[list[str]]) -> str:
    if len(cells) == 1:
        return "\n".join(cells[0])
    return " | ".join(" ".join(cell) for cell in cells).rstrip(" |")


def _boundary_around(element: Element) -> Boundary:
    if element.tag == "li":
        return Boundary.ITEM
    if element.tag == "tr":
        return Boundary.ENTRY
    if element.tag == "table":  # one without a header is rather a list
        return Boundary.ITEM if next(element.iter("th"), None) is None else Boundary.ENTRY
    return Boundary.PARAGRAPH


def _is_layout(table: Element) -> bool:
    nested = any(inner is not table for inner in table.iter("table", *HEADINGS))
    return nested or table.get("role") in ("presentation", "none")


def _is_section(element: Element) -> bool:
    return element.tag in ("section", "article", "aside") or (element.tag == "div" and element.get("id") is not None)
