"""Pack a document's blocks into passages.

Neighbouring blocks of one section are merged, smallest pair first. Whether two blocks merge depends on their sizes and
on those of the blocks around them, never on the distance to the section's start, so an edit changes only the passages
near it and the same neighbours give the same passage on every page.
"""

from __future__ import annotations

import heapq
import re
import zlib
from dataclasses import dataclass, field, replace
from enum import IntEnum
from functools import lru_cache
from itertools import groupby

TINY_SECTION = 20  # tokens; sections below it join their tiny siblings
STEP = 0.1  # of the target: pairs this close in size are ordered by content, which keeps chains of dependence short
LEAD_SHARE = 0.2  # of the target: room for the terms and headers that a passage repeats


class Boundary(IntEnum):
    """What stands between a block and the one before it, from the closest tie to the loosest."""

    LABEL = 0  # a term, caption or header and what it names
    INTRODUCED = 1  # "the options are:" and the options; code and the paragraph before it
    SENTENCE = 2
    PARAGRAPH = 3
    ITEM = 4
    ENTRY = 5  # definitions, table rows: each is an idea of its own


# Two groups merge while their text stays within this share of the target.
_LIMIT = {
    Boundary.LABEL: 1.08,
    Boundary.INTRODUCED: 1.08,
    Boundary.SENTENCE: 1.0,
    Boundary.PARAGRAPH: 1.0,
    Boundary.ITEM: 1.0,
    Boundary.ENTRY: 0.5,
}
# Added to the size of a pair, in shares of the target: the lowest sum merges first.
_DISTANCE = {
    Boundary.LABEL: -20.0,
    Boundary.INTRODUCED: -10.0,
    Boundary.SENTENCE: 0.0,
    Boundary.PARAGRAPH: 0.2,
    Boundary.ITEM: 0.3,
    Boundary.ENTRY: 0.5,
}
_JOINER = {
    Boundary.LABEL: "\n",
    Boundary.INTRODUCED: "\n",
    Boundary.SENTENCE: " ",
    Boundary.PARAGRAPH: "\n\n",
    Boundary.ITEM: "\n",
    Boundary.ENTRY: "\n",
}


@dataclass(slots=True)
class Block:
    text: str
    boundary: Boundary = Boundary.PARAGRAPH
    leads: tuple[str, ...] = ()  # terms and headers it stands under, outermost first
    anchor: str | None = None
    preformatted: bool = False
    joiner: str | None = None


@dataclass(slots=True)
class Section:
    path: tuple[str, ...]
    blocks: list[Block] = field(default_factory=list)
    headed: bool = False  # begins with a heading of its own, not after a nested section


_WORD = re.compile(r"([A-Za-z]+)|([0-9]+)|([^\W\d_A-Za-z]+)|[^\w\s]|_|\d")
_WIDE = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af\U00020000-\U0003ffff]")


def count_tokens(text: str) -> int:
    """Estimate the WordPiece tokens of a text without a vocabulary.

    Punctuation costs 1 per character, a word 1 plus what its length adds, digits 1 per pair, other scripts about 1 per
    character. Against the MiniLM vocabulary the sum over English prose is high by 2 %; a passage of names may be low.
    """
    return round(sum(_cost(m.lastindex or 0, m.group()) for m in _WORD.finditer(text)))


@lru_cache(maxsize=65536)
def _cost(kind: int, word: str) -> float:
    length = len(word)
    if kind == 0 or length == 1:
        return 1.0
    if kind == 1:
        return 1.05 if length < 5 else 1.2 if length < 10 else 1.9 if length < 14 else length / 2.8
    if kind == 2:
        return max(1.0, length / 2)
    return float(length) if _WIDE.search(word) else max(1.0, length / 1.5)


def pack(sections: list[Section], target: int) -> list[tuple[tuple[str, ...], str | None, str]]:
    """Heading path, anchor and text of every passage, in document order."""
    passages = []
    for section in _join_tiny(sections):
        for block in section.blocks:
            block.leads = _leads_within(block.leads, LEAD_SHARE * target)
        blocks = [piece for block in section.blocks for piece in _split(block, target)]
        for group in _merge(blocks, target):
            passages.append((section.path, group[0].anchor, _render(group)))
    return passages


def _join_tiny(sections: list[Section]) -> list[Section]:
    joined: list[Section] = []
    for parent, group in groupby(sections, _parent_if_tiny):
        run = list(group)
        joined += run if parent is None or len(run) == 1 else [_under_parent(run)]
    return joined


def _parent_if_tiny(section: Section) -> tuple[str, ...] | None:
    if not section.path or sum(count_tokens(block.text) for block in section.blocks) >= TINY_SECTION:
        return None
    return section.path[:-1]


def _under_parent(run: list[Section]) -> Section:
    blocks = []
    for section in run:
        first, *rest = section.blocks
        heading = Block(section.path[-1], Boundary.ITEM, anchor=first.anchor)
        blocks += [heading, replace(first, boundary=Boundary.LABEL), *rest]
    return Section(run[0].path[:-1], blocks)


@lru_cache(maxsize=256)
def _leads_within(leads: tuple[str, ...], room: float) -> tuple[str, ...]:
    """The innermost leads that fit the room; the innermost is cut, not dropped."""
    kept: list[str] = []
    for lead in reversed(leads):
        cost = count_tokens(lead)
        if cost > room:
            if not kept:
                kept.append(_words_within(lead, room))
            break
        kept.append(lead)
        room -= cost
    return tuple(reversed(kept))


def _words_within(text: str, room: float) -> str:
    words = text.split()[: int(room) + 1]
    while len(words) > 1 and count_tokens(" ".join(words)) > room:
        words.pop()
    return " ".join(words)[:200]


# --- long blocks ---

_SENTENCE_END = re.compile(r"(?<=[.!?])[\"')\]\u201d\u2019]*\s+(?=[^\sa-z])|(?<=[\u3002\uff01\uff1f])")
_CLAUSE_END = re.compile(r"(?<=[,;:|\u2014\uff0c\u3001])\s*(?=\s|[^\x00-\x7f])")


def _split(block: Block, target: int) -> list[Block]:
    """Cut a block longer than the target at line, sentence, clause or word ends; merging joins the pieces again."""
    room = target - _lead_cost(block)
    if count_tokens(block.text) <= room:
        return [block]
    pieces = _lines(block) if block.preformatted else _sentences(block)
    first, *rest = [part for piece in pieces for part in _split_sentence(piece, room)]
    return [replace(first, boundary=block.boundary, joiner=block.joiner), *rest]


def _sentences(block: Block) -> list[Block]:
    return [replace(block, text=text, boundary=Boundary.SENTENCE) for text in _cut(_SENTENCE_END, block.text)]


def _cut(pattern: re.Pattern[str], text: str) -> list[str]:
    """Pieces of text; what the pattern matched stays with the piece before it."""
    ends = [m.end() for m in pattern.finditer(text)]
    bounds = zip([0, *ends], [*ends, len(text)], strict=True)
    return [piece for start, end in bounds if (piece := text[start:end].strip())]


def _lines(block: Block) -> list[Block]:
    pieces, blank = [], 0
    for line in block.text.split("\n"):
        if not line.strip():
            blank += 1
            continue
        boundary = Boundary.PARAGRAPH if blank else Boundary.SENTENCE
        pieces.append(replace(block, text=line.rstrip(), boundary=boundary, joiner="\n" * (blank + 1)))
        blank = 0
    return pieces


def _split_sentence(sentence: Block, room: int) -> list[Block]:
    if count_tokens(sentence.text) <= room:
        return [sentence]
    texts = []
    for clause in _cut(_CLAUSE_END, sentence.text):
        texts += [clause] if count_tokens(clause) <= room else _fill(clause, room)
    first = replace(sentence, text=texts[0])
    return [first, *(replace(sentence, text=t, boundary=Boundary.SENTENCE, joiner=" ") for t in texts[1:])]


def _fill(clause: str, room: int) -> list[str]:
    words = [part for word in clause.split() for part in _word_parts(word, room)]
    return _join_within(words, " ", room)


def _word_parts(word: str, room: int) -> list[str]:
    """A word longer than the room is cut at punctuation, failing that anywhere."""
    if count_tokens(word) <= room:
        return [word]
    runs = re.findall(r"\w+|\W+", word)
    return _join_within([run[i : i + room] for run in runs for i in range(0, len(run), room)], "", room)


def _join_within(parts: list[str], joiner: str, room: int) -> list[str]:
    texts: list[str] = []
    line: list[str] = []
    cost = 0
    for part in parts:
        more = count_tokens(part)
        if line and cost + more > room:
            texts.append(joiner.join(line))
            line, cost = [], 0
        line.append(part)
        cost += more
    return [*texts, joiner.join(line)]


# --- merging ---


def _lead_cost(block: Block) -> int:
    return sum(count_tokens(lead) for lead in block.leads)


def _merge(blocks: list[Block], target: int) -> list[list[Block]]:
    """Merge the lowest pair until no pair fits. Equal ones are ordered by their content, not by their place."""
    size = [count_tokens(b.text) for b in blocks]
    leads = [_lead_cost(b) for b in blocks]
    check = [zlib.crc32(b.text.encode()) for b in blocks]
    after = [i + 1 for i in range(len(blocks))]  # where the group that starts at i ends
    before = [i - 1 for i in range(len(blocks))]  # where the group before the one at i starts
    heap: list[tuple[float, int, int, int]] = []

    def offer(right: int) -> None:
        left, boundary = before[right], blocks[right].boundary
        together = size[left] + size[right]
        if together + leads[left] <= _LIMIT[boundary] * target:
            rank = (together / target + _DISTANCE[boundary]) // STEP
            heapq.heappush(heap, (rank, check[right], right, together))

    for right in range(1, len(blocks)):
        offer(right)
    while heap:
        _, _, right, together = heapq.heappop(heap)
        left = before[right]
        if left < 0 or after[left] != right or size[left] + size[right] != together:
            continue
        size[left], after[left], before[right] = together, after[right], -1
        if after[left] < len(blocks):
            before[after[left]] = left
            offer(after[left])
        if before[left] >= 0:
            offer(left)
    starts = [i for i in range(len(blocks)) if i == 0 or before[i] >= 0]
    return [blocks[i : after[i]] for i in starts]


def _render(group: list[Block]) -> str:
    parts = [f"{lead}\n" for lead in group[0].leads] + [group[0].text]
    for block in group[1:]:
        parts += [block.joiner or _JOINER[block.boundary], block.text]
    return "".join(parts)
