"""Small inputs that would keep a backend busy where no cancel reaches it, and large ones that a cancel ends."""

import psycopg
import pytest

TABLE = "\n".join(["|a" * 1500, "|-" * 1500, *["|x"] * 1500])
BOMBS = {
    "rows much shorter than the head of their table": ("markdown", TABLE),
    "such a table in a quotation": ("markdown", "".join(f"> {line}\n" for line in TABLE.splitlines())),
    "a paragraph of link definitions": ("markdown", "[a]: u\n" * 50_000),
    "a paragraph of entities": ("markdown", "&" * 200_000),
    "a paragraph of brackets": ("markdown", "[" * 100_000),
    "a heading of a million marks": ("markdown", "# " * 1_000_000),
    "a line of equal signs": ("markdown", "a" + "=a" * 60_000),
    "nested quotations": ("markdown", ">" * 50_000 + "a"),
    "a tag of many attributes": ("html", f"<a {' '.join(f'a{n}=1' for n in range(100_000))}>x</a>"),
    "a tag of many attributes without space": (
        "html",
        f"<a {''.join(f'a{n}=' + chr(34) * 2 for n in range(100_000))}>x</a>",
    ),
    "such a tag in markdown": ("markdown", f"<a {' '.join(f'a{n}=1' for n in range(100_000))}>x</a>"),
    "nested elements": ("html", "<div>" * 200_000 + "x"),
}

LARGE = {
    "tokens": "hartonomous.detokenize(array_fill(5, array[20000000]), 'tiny')",
    "texts": "hartonomous.embed_many(array_fill('the data'::text, array[1000000]), 'tiny')",
    "ids": "hartonomous.embed_artifacts(array_fill(5::bigint, array[10000000]), 'tiny')",
    "shown ids": "hartonomous.artifact_show(array_fill(5::bigint, array[10000000]))",
    "a shape": "hartonomous.tensor_put(1, 'x', 'F32', array_fill(1, array[20000000]), 0, 'a')",
    "a text": "hartonomous.tokenize(repeat('a ', 50000000), 'tiny')",
    "a query": "hartonomous.search(repeat('word ', 10000000), model => 'tiny')",
    "a nested filter": """hartonomous.search('x', model => 'tiny',
        filter => ('{"metadata": ' || repeat('{"a":', 500000) || '1' || repeat('}', 500001))::jsonb)""",
    "a key": "hartonomous.authenticate('hk_1_' || repeat('a', 100000000))",
    "a token": "hartonomous.authenticate_jwt(repeat('a.', 50000000))",
}


@pytest.mark.parametrize("name", BOMBS)
def test_a_document_that_would_explode_is_refused(as_bob, name):
    format, content = BOMBS[name]
    with pytest.raises(psycopg.Error) as raised:
        as_bob.execute("select hartonomous.ingest_document('bomb', %s, %s)", [content, format])
    assert raised.value.sqlstate == "ZH012"


@pytest.mark.parametrize("name", LARGE)
def test_a_large_argument_gives_an_answer_an_error_or_way_to_a_cancel(as_bob, name):
    """The test ends: that is what it shows."""
    as_bob.execute("set statement_timeout = '300ms'")
    try:
        as_bob.execute(f"select {LARGE[name]}")
    except psycopg.Error as error:
        assert error.sqlstate  # the server's own word
    as_bob.execute("set statement_timeout = 0")
    assert as_bob.execute("select hartonomous.current_tenant()").fetchone()[0]
