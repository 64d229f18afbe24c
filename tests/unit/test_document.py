"""The splitter's contract: formats, sizes, errors, determinism, locality of edits."""

import re

import pytest
from hartonomous_server import errors
from hartonomous_server.atoms import document
from hartonomous_server.atoms.document_pack import count_tokens
from hypothesis import given, settings
from hypothesis import strategies as st

TARGET = 200
WORDS = re.compile(r"\w+")


def texts(content, format="html", target=TARGET):
    return [p.text for p in document.split(content, format, target).passages]


def paragraph(seed, sentences=4):
    nouns = ["planner", "vacuum", "index", "replica", "checkpoint", "tablespace", "cursor", "lock", "buffer", "queue"]
    return " ".join(
        f"The {nouns[(seed + i) % 10]} number {seed * 7 + i} waits until the {nouns[(seed * 3 + i) % 10]} is done."
        for i in range(sentences)
    )


@pytest.mark.parametrize("format", document.FORMATS)
@pytest.mark.parametrize("content", ["", " \n\n\t", "\ufeff"])
def test_empty_document_has_no_passages(format, content):
    found = document.split(content, format)
    assert found.title == ""
    assert [p for p in found.passages if p.text != "\ufeff"] == []


def test_unknown_format():
    with pytest.raises(errors.InvalidParameter, match='format is "pdf", expected one of text, markdown, html'):
        document.split("a", "pdf")


def test_target_too_small():
    with pytest.raises(errors.InvalidParameter, match="target_tokens is 3, expected at least 20"):
        document.split("a", "text", 3)


@pytest.mark.parametrize("format", document.FORMATS)
@pytest.mark.parametrize(
    ("content", "message"), [("ab\x00c", "NUL at character 2"), ("a\ud800", "lone surrogate at character 1")]
)
def test_what_is_not_text(format, content, message):
    with pytest.raises(errors.ContentMalformed, match=message) as caught:
        document.split(content, format)
    assert "ingest" in caught.value.hint


def test_text_is_split_at_blank_lines():
    content = f"{paragraph(1, 8)}\r\n\r\n{paragraph(2, 8)}\n \n{paragraph(3, 1)}"
    first, second = document.split(content, "text").passages
    assert first.text == paragraph(1, 8)
    assert second.text == f"{paragraph(2, 8)}\n\n{paragraph(3, 1)}"
    assert (first.heading_path, first.anchor, first.position) == ((), None, 0)
    assert second.position == 1


def test_markdown():
    content = (
        f"# Guide\n\n{paragraph(1)}\n\n## Setup\n\nRun the\ncommand:\n\n```sql\nselect 1;\n  -- two\n```\n\n"
        "| name | use |\n|---|---|\n| a | first |\n| b | second |\n"
    )
    found = document.split(content, "markdown")
    assert found.title == "Guide"
    assert [p.heading_path for p in found.passages] == [("Guide",), ("Guide", "Setup")]
    assert "Run the command:\nselect 1;\n  -- two" in found.passages[1].text
    assert "name | use\na | first\nb | second" in found.passages[1].text


def test_markdown_too_deep():
    with pytest.raises(errors.ContentMalformed, match="nested 100 deep"):
        document.split(">" * 150 + " deep", "markdown")


@pytest.mark.parametrize("target", [40, 200])
@pytest.mark.parametrize(
    "content",
    [
        paragraph(1, 60),
        "word " * 3000,
        "x" * 20000,
        "\u6570\u636e\u5e93" * 2000,
        "no end, " * 2000,
        "\u3053\u3093\u306b\u3061\u306f\u3002" * 500,
    ],
)
def test_long_paragraphs_are_cut_and_nothing_is_lost(content, target):
    found = texts(content, "text", target)
    assert max(map(count_tokens, found)) <= 1.08 * target
    assert re.sub(r"\s", "", "".join(found)) == re.sub(r"\s", "", content)


def test_prose_is_cut_at_sentence_ends():
    found = texts(paragraph(1, 60), "text")
    assert len(found) > 3
    assert all(text.endswith("done.") for text in found)


def test_code_keeps_its_lines():
    code = "\n".join(f"    select {i} from generate_series(1, {i});" for i in range(100))
    found = texts(f"<p>Many statements:</p><pre>\n{code}\n</pre>")
    assert found[0].startswith("Many statements:\n    select 0")
    assert "\n".join(found).split("\n")[1:] == code.split("\n")


def page(paragraphs):
    """A page with headings, prose, a definition list and a table over the same paragraphs."""
    third = len(paragraphs) // 3
    prose, terms, rows = paragraphs[:third], paragraphs[third : 2 * third], paragraphs[2 * third :]
    entries = "".join(f"<dt>term_{i}</dt><dd><p>{p}</p></dd>" for i, p in enumerate(terms))
    table = "".join(f"<tr><td>row_{i}</td><td>{p}</td></tr>" for i, p in enumerate(rows))
    return (
        f"<title>Long page</title><h1>Long page</h1>{''.join(f'<p>{p}</p>' for p in prose)}"
        f"<h2>Terms</h2><dl>{entries}</dl><h2>Rows</h2><table><tr><th>Row</th><th>Use</th></tr>{table}</table>"
    )


def test_edits_are_local():
    paragraphs = [paragraph(i, 1 + i % 5) for i in range(150)]
    before = set(texts(page(paragraphs)))
    changed = []
    for at in range(0, 150, 3):
        edited = [*paragraphs]
        edited[at] = edited[at].replace("waits", "sleeps soundly", 1)
        changed.append(len(set(texts(page(edited))) - before))
    assert max(changed) <= 3
    assert sorted(changed)[len(changed) // 2] == 1


def test_inserted_and_deleted_paragraphs_are_local():
    paragraphs = [paragraph(i, 1 + i % 5) for i in range(50)]
    before = set(texts("\n\n".join(paragraphs), "text"))
    for at in range(50):
        inserted = [*paragraphs[:at], paragraph(999, 3), *paragraphs[at:]]
        deleted = [*paragraphs[:at], *paragraphs[at + 1 :]]
        assert len(set(texts("\n\n".join(inserted), "text")) - before) <= 4
        assert len(set(texts("\n\n".join(deleted), "text")) - before) <= 4


def test_the_same_section_gives_the_same_passages_on_every_page():
    shared = "<h2>Common options</h2>" + "".join(f"<p>{paragraph(i, 3)}</p>" for i in range(20))
    one = set(texts(f"<title>A</title><p>{paragraph(50)}</p>{shared}"))
    two = set(texts(f"<title>B</title><h1>B</h1><p>{paragraph(60)}</p><p>{paragraph(61)}</p>{shared}<h2>C</h2>"))
    assert len(one & two) == len(one) - 1


TAGS = re.findall(
    r"\w+", "p div span b table tr td th dl dt dd ul ol li pre h1 h2 h3 br a section article caption main code"
)
PIECES = ['<div id="x">', '<dt id="y">', "<p class=title>", "<div class=note>", "&amp;", "&#0;", "&#31;", "<!-- c -->"]
SOUP = st.lists(
    st.one_of(
        st.sampled_from([f"<{t}>" for t in TAGS] + [f"</{t}>" for t in TAGS]),
        st.sampled_from(PIECES),
        st.text("abc .\n\u00e9\u6570", max_size=12),
    ),
    max_size=60,
).map("".join)


@settings(max_examples=400, deadline=None)
@given(SOUP)
def test_any_markup_is_read_without_loss_of_words(soup):
    found = document.split(soup, "html", 40)
    shown = re.sub(r"(?s)<!--.*?-->|<[^>]*>|&#\d+;|&amp;", " ", soup)
    said = [*WORDS.findall(" ".join([found.title, *(f"{' '.join(p.heading_path)} {p.text}" for p in found.passages)]))]
    # inline elements join what they part, so compare characters
    assert set("".join(WORDS.findall(shown))) <= set("".join(said))
    assert all(p.text.strip() and "\x00" not in p.text for p in found.passages)
    assert [p.position for p in found.passages] == list(range(len(found.passages)))
    assert found == document.split(soup, "html", 40)


ANY_TEXT = st.text(st.characters(exclude_characters="\x00", exclude_categories=["Cs"]), max_size=2000)


@settings(max_examples=200, deadline=None)
@given(ANY_TEXT, st.sampled_from(document.FORMATS))
def test_any_text_is_read(content, format):
    for passage in document.split(content, format, 40).passages:
        assert passage.text.strip()
        passage.text.encode()
