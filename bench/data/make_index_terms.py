"""Sample search terms and their pages from the index page (bookindex.html) of the PostgreSQL manual.

usage: python3 make_index_terms.py MANUAL_HTML_DIR > index_terms.jsonl
"""

import json
import random
import sys
from html.parser import HTMLParser
from pathlib import Path

SAMPLE_SIZE = 500
SEED = 17
MAX_PAGES = 5


class IndexParser(HTMLParser):
    """Collects {"primary" or "primary, secondary": set of pages}, in the order of the index."""

    def __init__(self) -> None:
        super().__init__()
        self.entries: dict[str, set[str]] = {}
        self.path: list[str] = []  # texts of the open entry and of those it stands under
        self.depth = 0  # nesting of <dl>: 1 = primary, 2 = secondary
        self.in_term = False

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag == "dl":
            self.depth += 1
        elif tag == "dt" and self.depth:
            self.path = [*self.path[: self.depth - 1], ""]
            self.in_term = True
        elif tag == "a" and self.depth:
            self.in_term = False
            link = dict(attrs)
            if link.get("class") == "indexterm":  # "see" and "see also" point back into the index
                self.add_page(link["href"] or "")

    def handle_endtag(self, tag: str) -> None:
        if tag == "dl":
            self.depth -= 1
        elif tag == "dt":
            self.in_term = False

    def handle_data(self, data: str) -> None:
        if self.in_term:
            self.path[-1] += data

    def add_page(self, href: str) -> None:
        term = ", ".join(" ".join(text.split()).rstrip(", ") for text in self.path)
        self.entries.setdefault(term, set()).add(href.partition("#")[0])


def usable(pages: set[str]) -> bool:
    return len(pages) <= MAX_PAGES and not all(page.startswith("release") for page in pages)


def main(manual: Path) -> None:
    parser = IndexParser()
    parser.feed((manual / "bookindex.html").read_text(encoding="utf-8"))
    terms = [(term, sorted(pages)) for term, pages in parser.entries.items() if usable(pages)]
    for number, (term, pages) in enumerate(random.Random(SEED).sample(terms, SAMPLE_SIZE), start=1):
        print(json.dumps({"id": number, "question": term, "pages": pages}, ensure_ascii=False))


if __name__ == "__main__":
    main(Path(sys.argv[1]))
