"""What an SQL file states of each function, beyond what the catalog can tell apart from a default."""

import re
from pathlib import Path

import pytest

SQL = Path(__file__).parents[2] / "sql"
FUNCTION = re.compile(
    r"^create (?:or replace )?function (\S+?)\((.*?)(?:\bas \$\$|^return\b|^begin atomic\b)", re.MULTILINE | re.DOTALL
)
PYTHON_BODY = re.compile(r"language plpython3u.*?as \$\$\n(.*?)\$\$;", re.DOTALL)


def functions():
    for path in sorted(SQL.rglob("*.sql")):
        for name, header in FUNCTION.findall(path.read_text()):
            yield pytest.param(header, id=name)


@pytest.mark.parametrize("header", functions())
def test_volatility_and_parallel_safety_are_stated(header):
    declared = header[header.rindex("language ") :]
    assert re.search(r"\b(immutable|stable|volatile)\b", declared)
    assert re.search(r"\bparallel (safe|restricted|unsafe)\b", declared)


@pytest.mark.parametrize("path", sorted(SQL.rglob("*.sql")), ids=lambda path: str(path.relative_to(SQL)))
def test_python_bodies_begin_with_the_boot_line(path):
    bodies = PYTHON_BODY.findall(path.read_text())
    assert [body for body in bodies if not body.startswith("@boot@\nfrom hartonomous_server.")] == []


@pytest.mark.parametrize("path", sorted(SQL.rglob("*.sql")), ids=lambda path: str(path.relative_to(SQL)))
def test_public_is_granted_nothing(path):
    assert re.findall(r"^\s*grant\b[^;]*\bto public\b[^;]*;", path.read_text(), re.MULTILINE | re.IGNORECASE) == []
