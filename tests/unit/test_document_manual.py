"""The splitter on a real book: PostgreSQL's manual, page by page."""

import os
import re
from collections import Counter
from pathlib import Path

import lxml.html
import pytest
from hartonomous_server.atoms import document
from hartonomous_server.atoms.document_pack import count_tokens

MANUAL = Path(os.environ.get("HARTONOMOUS_MANUAL", "/usr/local/share/postgresql-doc/html"))
WORDS = re.compile(r"[^\W_]+")
LEFT_OUT = "//*[@class='navheader' or @class='navfooter' or @class='toc' or @class='id_link'] | //script | //style"
INLINE = re.compile(r"code|span|em|a|strong|acronym|sup|sub|abbr|tt|i|b|br")


@pytest.fixture(scope="module")
def manual():
    pages = {path.name: path.read_text() for path in sorted(MANUAL.glob("*.html"))}
    assert len(pages) > 1000, f"the manual is missing at {MANUAL}"
    return {name: (content, document.split(content, "html")) for name, content in pages.items()}


def visible_words(content):
    """Every word of the page's body, found without the splitter."""
    root = lxml.html.document_fromstring(content.encode(), parser=lxml.html.HTMLParser(encoding="utf-8"))
    for element in root.xpath(LEFT_OUT):
        element.drop_tree()
    for element in root.body.iter():
        if element.tag == "br" or not INLINE.fullmatch(element.tag):
            element.tail = f" {element.tail or ''}"
    return Counter(WORDS.findall(root.body.text_content().translate({0xAD: None, 0x200B: None})))


def test_no_word_is_lost(manual):
    for name, (content, found) in manual.items():
        paths = {p.heading_path[:depth] for p in found.passages for depth in range(1, len(p.heading_path) + 1)}
        headings = [path[-1] for path in paths | {(found.title,)}]
        said = Counter(WORDS.findall(" ".join([*headings, *(p.text for p in found.passages)])))
        assert not visible_words(content) - said, name


def test_passages(manual):
    for name, (content, found) in manual.items():
        assert found.title, name
        assert [p.position for p in found.passages] == list(range(len(found.passages)))
        for passage in found.passages:
            assert passage.text == passage.text.strip("\n")
            assert passage.text.strip()
            assert count_tokens(passage.text) <= 216
            assert passage.heading_path[0] == found.title
            assert passage.anchor and (f'id="{passage.anchor}"' in content or f'name="{passage.anchor}"' in content)


def test_a_parameter_is_found_with_its_description(manual):
    found = [p for p in manual["runtime-config-wal.html"][1].passages if p.anchor == "GUC-FSYNC"]
    assert all(p.text.startswith("fsync (boolean)\n") for p in found)
    assert {p.heading_path for p in found} == {("19.5. Write Ahead Log", "19.5.1. Settings")}


def test_an_edit_changes_few_passages(manual):
    content, before = manual["runtime-config-wal.html"]
    old = {p.text for p in before.passages}
    for paragraph in re.findall(r"(?s)<p>\s*[A-Z][^<]{40,}", content)[::5]:
        after = document.split(content.replace(paragraph, f"{paragraph} which was not said before", 1), "html")
        assert len({p.text for p in after.passages} - old) <= 3
