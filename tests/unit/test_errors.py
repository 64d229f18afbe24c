"""One class per error: the server's list, the codes that SQL raises, and the client's mirror agree."""

import inspect
import re
from pathlib import Path

import pytest
from hartonomous import errors as client
from hartonomous_server import errors

ROOT = Path(__file__).parents[2]
CLASSES = [
    cls
    for _, cls in inspect.getmembers(errors, inspect.isclass)
    if issubclass(cls, errors.Error) and cls is not errors.Error
]
RAISED = sorted(
    {
        (found, path.name)
        for path in (ROOT / "sql").rglob("*.sql")
        for found in re.findall(r"errcode\s*=\s*'(\w+)'", path.read_text())
    }
)
# Conditions of PostgreSQL itself that keep their own codes: a wrong argument, value or name, a conflict, a limit.
STANDARD = {"22003", "22004", "22011", "23503", "23505", "25001", "40001", "42501", "42704", "42809", "54000", "55000"}


def test_codes_are_unique():
    codes = [cls.sqlstate for cls in CLASSES]
    assert len(set(codes)) == len(codes)


@pytest.mark.parametrize("cls", CLASSES, ids=lambda cls: cls.__name__)
def test_class(cls):
    assert re.fullmatch(r"ZH[0-9A-Z]{3}|0A000|22023", cls.sqlstate)
    message = cls.__doc__
    assert message and message == message.strip() and not message.endswith(".") and message[0].islower()
    assert str(cls()) == message
    error = cls("found 2, expected 3", detail="more", hint="call hartonomous.version()")
    assert (str(error), error.detail, error.hint) == ("found 2, expected 3", "more", "call hartonomous.version()")


@pytest.mark.parametrize(("code", "file"), RAISED)
def test_sql_raises_known_codes(code, file):
    assert code in {cls.sqlstate for cls in CLASSES} | STANDARD


def test_the_client_has_the_same_errors():
    theirs = {
        name: cls.sqlstate
        for name, cls in inspect.getmembers(client, inspect.isclass)
        if issubclass(cls, client.Error) and cls.sqlstate
    }
    assert theirs == {cls.__name__: cls.sqlstate for cls in (errors.Error, *CLASSES)}
    assert {cls.__name__: cls.__doc__ for cls in CLASSES} == {
        cls.__name__: getattr(client, cls.__name__).__doc__ for cls in CLASSES
    }


@pytest.mark.parametrize("path", sorted((ROOT / "plpython").rglob("*.py")), ids=lambda path: path.name)
def test_messages_of_the_server_package(path):
    """Lower case first, no full stop: checked on messages that are plain or formatted strings."""
    for message in re.findall(r"raise errors\.\w+\(\s*f?\"((?:[^\"\\]|\\.)*)\"", path.read_text()):
        assert not message.endswith(".") and not message[0].isupper(), message


@pytest.mark.parametrize("path", sorted((ROOT / "sql").rglob("*.sql")), ids=lambda path: path.name)
def test_messages_of_sql(path):
    for message, rest in re.findall(r"raise exception '((?:[^']|'')*)'((?:'(?:[^']|'')*'|[^;'])*);", path.read_text()):
        assert not message.endswith(".") and not message[0].isupper(), message
        assert "errcode" in rest, message
