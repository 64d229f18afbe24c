"""What the splitter reads on a page: headings, anchors, terms, tables, code; what it leaves out."""

import pytest
from hartonomous_server import errors
from hartonomous_server.atoms import document

LONG = "This sentence about the subject is here to fill a passage with its twenty or so words until the end. " * 5


def split(body, title="Guide", target=200):
    head = f"<head><title>{title}</title></head>" if title else ""
    return document.split(f"<html>{head}<body>{body}</body></html>", "html", target)


def paths(body, **options):
    return [p.heading_path for p in split(body, **options).passages]


def only(body, **options):
    (passage,) = split(body, **options).passages
    return passage


def test_headings_make_the_path_with_the_title_first():
    body = f"<h1>Guide</h1><p>{LONG}</p><h2>Set up</h2><p>{LONG}</p><h3>Linux</h3><p>{LONG}</p><h2>Use</h2><p>a</p>"
    assert paths(body) == [
        ("Guide",),
        ("Guide", "Set up"),
        ("Guide", "Set up", "Linux"),
        ("Guide", "Use"),
    ]


@pytest.mark.parametrize("title", ["Guide | Site", "Site \u2014 Guide", "Site: Guide", "Guide - Site", None])
def test_the_site_name_is_no_part_of_the_title(title):
    found = split("<h1>Guide</h1><p>Text</p>", title=title)
    assert found.title == "Guide"
    assert found.passages[0].heading_path == ("Guide",)


def test_a_nested_section_ends_with_its_element():
    body = f'<div id="a"><h2>A</h2><p>{LONG}</p><div id="b"><h3>B</h3><p>{LONG}</p></div><p>Back in A.</p></div>'
    found = split(body).passages
    assert [(p.heading_path[-1], p.anchor) for p in found] == [("A", "a"), ("B", "b"), ("A", "a")]


def test_a_heading_in_a_wrapper_counts_for_what_follows():
    body = '<div class="titlepage"><div><h2 id="a">A <a href="#a" class="id_link">#</a></h2></div></div><p>Text</p>'
    passage = only(body)
    assert (passage.heading_path, passage.anchor, passage.text) == (("Guide", "A"), "a", "Text")


def test_a_heading_with_nothing_under_it_is_text_of_its_parent():
    assert only("<h2>A</h2><h3>Planned</h3>").heading_path == ("Guide", "A")
    assert only("<h2>A</h2><h3>Planned</h3>").text == "Planned"


def test_tiny_sections_of_one_parent_are_joined():
    passage = only("<h2>Authors</h2><p>Ann Ox</p><h2>Licence</h2><p>MIT</p>")
    assert passage.heading_path == ("Guide",)
    assert passage.text == "Authors\nAnn Ox\nLicence\nMIT"
    assert len(paths(f"<h2>Authors</h2><p>Ann Ox</p><h2>Licence</h2><p>{LONG}</p>")) == 2


@pytest.mark.parametrize(
    ("body", "anchor"),
    [
        ('<div id="s"><p>Text</p></div>', "s"),
        ('<div id="s"><p id="p">Text</p></div>', "p"),
        ('<div id="s"><a name="n"></a><p>Text</p></div>', "n"),
        ('<div id="s"><p><a id="i"></a>Text</p></div>', "i"),
        ('<div id="s"><p>Text <a id="later"></a> more</p></div>', "s"),
        ('<div id="s"><a id="entry" class="indexterm"></a><p>Text</p></div>', "s"),
        ('<div id="s"><dl><dt id="d">term</dt><dd><p>Text</p></dd></dl></div>', "d"),
        ('<h2 id="h">Head</h2><p>Text</p>', "h"),
        ("<p>Text</p>", None),
    ],
)
def test_anchor(body, anchor):
    assert only(body).anchor == anchor


def test_an_anchor_ends_with_its_container():
    found = split(f'<div id="s"><dl><dt id="d">term</dt><dd>{LONG}</dd></dl><p>{LONG}</p></div>').passages
    assert [p.anchor for p in found] == ["d", "s"]


@pytest.mark.parametrize(
    "unseen",
    [
        "<nav>Menu</nav>",
        "<header>Site</header>",
        "<footer>Imprint</footer>",
        "<script>var x</script>",
        "<style>p {}</style>",
        "<template>later</template>",
        "<!-- remark -->",
        '<div class="navheader">Prev Next</div>',
        '<div class="navfooter">Prev Next</div>',
        '<div class="toc"><a href="x">Chapter</a></div>',
        '<div role="navigation">Menu</div>',
        "<p hidden>Draft</p>",
        '<span aria-hidden="true">*</span>',
    ],
)
def test_what_is_not_read(unseen):
    assert only(f"{unseen}<p>Text</p>{unseen}").text == "Text"


def test_headers_inside_the_content_are_read():
    passage = only("<header><h1>Guide</h1></header><article><header><p>By Ann</p></header><p>Text</p></article>")
    assert passage.text == "By Ann\n\nText"


def test_white_space_and_inline_elements():
    assert only("<p>\n a&nbsp; <b>b</b>c<br>d <code>e  f</code>&shy;g</p>").text == "a bc d e fg"


def test_every_part_of_a_long_definition_has_its_term():
    paragraphs = f"<p>{LONG}</p>" * 3
    body = f"<dl><dt>wal_level (enum)</dt><dd>{paragraphs}</dd><dt>fsync</dt><dd>{LONG}</dd></dl>"
    found = [p.text.split("\n")[0] for p in split(body).passages]
    assert found == ["wal_level (enum)"] * (len(found) - 1) + ["fsync"]
    assert len(found) > 2


def test_short_definitions_are_joined_and_long_ones_stand_alone():
    entries = [f"<dt>-{c}</dt><dd>Sets option {c}.</dd>" for c in "abc"]
    assert only(f"<dl>{''.join(entries)}</dl>").text == "-a\nSets option a.\n-b\nSets option b.\n-c\nSets option c."
    assert len(split(f"<dl>{entries[0]}<dt>-z</dt><dd>{LONG}</dd>{entries[1]}</dl>").passages) == 3


def test_terms_without_definition_and_definitions_without_term():
    assert only("<dl><dt>a</dt><dt>b</dt><dd>two</dd><dt>c</dt></dl>").text == "a, b\ntwo\nc"
    stray = only("<dl><dd>two</dd>stray<div><dt>d</dt><dd>three</dd></div></dl>")
    assert stray.text.split() == ["two", "stray", "d", "three"]


def test_a_list_stays_with_its_introduction():
    found = split(f"<p>{LONG}</p><p>The kinds are:</p><ul><li>one</li><li>two</li></ul><p>{LONG}</p>").passages
    assert any("The kinds are:\none\ntwo" in p.text for p in found)


def test_code_stays_with_its_introduction():
    assert only("<p>For example</p><pre>\n  a\n\n b  \n</pre>").text == "For example\n  a\n\n b"


def test_table_header_and_caption_are_repeated():
    uses = [f"Does {i} things to its argument and returns them." for i in range(30)]
    rows = "".join(f"<tr><td>f</td><td></td><td>{use}</td></tr>" for use in uses)
    body = f"<table><caption>Functions</caption><tr><th>Name</th><th>Type</th><th>Use</th></tr>{rows}</table>"
    found = [p.text.split("\n") for p in split(body).passages]
    assert all(lines[:2] == ["Functions", "Name | Type | Use"] for lines in found)
    assert [line for lines in found for line in lines[2:]] == [f"f |  | {use}" for use in uses]


def test_a_long_row_repeats_its_first_cell():
    row = f"<tr><td>f</td><td><p>{LONG}</p><p>{LONG}</p></td></tr>"
    found = split(f"<table><tr><th>Name</th><th>Use</th></tr>{row}</table>")
    assert len(found.passages) > 1
    assert all(p.text.startswith("Name | Use\nf\n") for p in found.passages)


def test_layout_tables_are_containers():
    inner = "<table><tr><td>x</td><td>y</td></tr></table>"
    body = f"<table><tr><td>Side</td><td><h2>A</h2><p>{LONG}</p>{inner}</td></tr></table>"
    found = split(body).passages
    assert [p.heading_path for p in found] == [("Guide",), ("Guide", "A"), ("Guide", "A")][: len(found)]
    assert found[-1].text.endswith("x | y")


def test_an_admonition_title_is_no_heading():
    passage = only('<p>Text</p><div class="note"><h3 class="title">Note</h3><p>Beware.</p></div><p>More</p>')
    assert passage.heading_path == ("Guide",)
    assert "Note\nBeware." in passage.text


def test_broken_html():
    found = split("<p>one<td>two</b><li>three<dd>four<table>five<tr>six<td>seven</table>eight</p", title=None)
    said = " ".join(p.text for p in found.passages).split()
    assert sorted(said) == sorted(["one", "two", "three", "four", "five", "six", "|", "seven", "eight"])


def test_control_characters_and_xml_declaration():
    page = '<?xml version="1.0" encoding="ascii"?><html><body><p>a\x01b&#2;c&#x1F;\ufffe\u00e9</p></body></html>'
    assert [p.text for p in document.split(page, "html").passages] == ["a b c \u00e9"]


@pytest.mark.parametrize("depth", [150, 2000])
def test_deep_nesting_is_read(depth):
    assert only("<div>" * depth + "one<p>two" + "</div>" * depth, title=None).text.split() == ["one", "two"]


def test_nesting_beyond_the_parser_is_an_error():
    with pytest.raises(errors.ContentMalformed, match="nested more than 2048 deep"):
        split("<div>" * 100_000 + "text")
