"""Calls are built from names and bound parameters, and the methods of Client are the functions of the extension."""

import inspect
import re
from dataclasses import dataclass
from pathlib import Path
from types import SimpleNamespace

import hartonomous
import pytest
from hartonomous.calls import statement
from hartonomous.client import Client, check_version
from hartonomous.errors import ExtensionMissing, InvalidParameter, VersionMismatch
from hartonomous.records import row_of

ROOT = Path(__file__).resolve().parents[2]
CREATE = re.compile(
    r"create or replace function hartonomous\.([a-z]\w*)\s*\((.*?)\)\s*(?:returns|language)\b", re.DOTALL
)
NOT_FOR_CLIENTS = {"transaction_time_resolve"}  # maintenance that the server runs itself


def sql_functions():
    for path in sorted((ROOT / "sql").glob("*/*.sql")):
        for name, arguments in CREATE.findall(path.read_text()):
            if name not in NOT_FOR_CLIENTS:
                yield name, sql_arguments(arguments)


def sql_arguments(text):
    text = re.sub(r"'[^']*'", "''", text)
    named = [part.split() for part in text.split(",") if part.strip()]
    return [(words[0], "default" in words) for words in named if words[0] not in ("out", "inout")]


FUNCTIONS = dict(sql_functions())


def test_the_sql_was_read():
    assert {"ingest", "search", "lineage", "tensor_put"} <= set(FUNCTIONS)


@pytest.mark.parametrize("name", FUNCTIONS)
def test_each_function_has_its_method(name):
    parameters = list(inspect.signature(getattr(Client, name)).parameters.values())[1:]
    assert [p.name for p in parameters] == [argument for argument, _ in FUNCTIONS[name]]
    optional = {p.name for p in parameters if p.default is not p.empty}
    assert optional == {argument for argument, has_default in FUNCTIONS[name] if has_default}


def test_optional_arguments_that_are_none_are_left_out():
    text, arguments = statement("search", {"query": None}, {"k": 3, "model": None})
    assert text == "select * from hartonomous.search(query => %(query)s, k => %(k)s)"
    assert arguments == {"query": None, "k": 3}
    assert statement("version", {}, {}) == ("select * from hartonomous.version()", {})


@pytest.mark.parametrize(
    "call", [lambda on: on.ingest("\\x4142"), lambda on: on.ingest_many([b"A", "B"], "text"),
             lambda on: on.ingest_part(1, 0, "A")]
)  # fmt: skip
def test_text_is_not_taken_for_bytes(call):
    with pytest.raises(InvalidParameter, match="content is a str, expected bytes\nHINT: .*ingest_text"):
        call(Client(None, ""))  # before anything is sent


def test_rows_pass_over_unknown_columns():
    @dataclass
    class Row:
        a: int
        b: int = 0

    columns = [SimpleNamespace(name=name) for name in ("new", "a")]
    assert row_of(Row)(SimpleNamespace(description=columns))((7, 1)) == Row(1)


def test_the_version_is_the_extensions():
    control = (ROOT / "extension.control").read_text()
    assert f"default_version = '{hartonomous.__version__}'" in control


class FakeConnection:
    info = SimpleNamespace(dbname="d")

    def __init__(self, *available):
        self.available = available

    def execute(self, _):
        return [(name,) for name in self.available]


def test_versions(monkeypatch):
    monkeypatch.setattr("hartonomous.client.VERSION", "0.10.0")
    check_version(FakeConnection(), "0.10.0")
    check_version(FakeConnection(), "0.11")
    with pytest.raises(
        VersionMismatch, match=r"client 0\.10\.0 is newer than the extension 0\.9\.3\n.*alter extension"
    ) as raised:
        check_version(FakeConnection(), "0.9.3")
    assert raised.value.hint


@pytest.mark.parametrize(
    ("available", "hint"),
    [
        ((), "install postgresql-plpython3-17"),
        (("plpython3u",), "make install"),
        (("plpython3u", "hartonomous"), "create extension hartonomous cascade"),
    ],
)
def test_a_missing_extension_is_explained(available, hint):
    with pytest.raises(ExtensionMissing) as raised:
        check_version(FakeConnection(*available), None)
    assert hint in raised.value.hint
