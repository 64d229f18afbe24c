"""Texts that are odd for their words are stored and found like others, without a word about it."""

import pytest

LONG = "x" * 3000  # the parser of words passes over one of 2,048 bytes and more, and says so


@pytest.mark.parametrize("between", [" ", "\n\n", ". "])
def test_long_words_are_passed_over_silently(client, between):
    told = []
    client.connection.add_notice_handler(lambda notice: told.append(notice.message_primary))
    text = between.join(("kettle", LONG, f"teapot {len(between)}{ord(between[0])}"))
    for artifact in (
        client.ingest(text.encode(), "text"),
        client.ingest_text(text + " "),
        *client.ingest_many([f"{text}  ".encode()], "code"),
        client.ingest_document(f"uri:{between!r}", f"# {LONG}\n\n{text}", "markdown"),
    ):
        client.artifact_delete(artifact)
        client.artifact_restore(artifact)
    found = client.search_keyword("kettle teapot")
    assert len(found) >= 3 and told == []
