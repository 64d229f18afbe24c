"""A room uses lower-numbered rooms only, and files stay small.

References are found in text: every search path leaves the extension's schema out, so whatever SQL, PL/pgSQL or Python
strings use of it is written out as hartonomous.name. Texts of errors, comments and docstrings may name any room.
"""

import ast
import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
SQL, PACKAGE = ROOT / "sql", ROOT / "plpython" / "hartonomous_server"
ROOMS = {path.name[3:]: int(path.name[:2]) for path in SQL.glob("[0-9][0-9]_*") if path.is_dir()}
SQL_FILES = sorted(path for path in SQL.rglob("*.sql") if path.parent.name not in ("updates", "released"))
PYTHON_FILES = sorted(PACKAGE.rglob("*.py"))
LIMIT = 400

KINDS = "function|procedure|sequence|table|view|materialized view|type"
DEFINITION = re.compile(rf"\bcreate (?:or replace )?(?:{KINDS}) (hartonomous(?:_private)?\.\w+)")
# not a key such as hartonomous.document: nor a setting
SETTINGS = "key_file|inference_threads|inference_memory|inference_device|atom_partitions|search_sample_share"
REFERENCE = re.compile(rf"\bhartonomous(?:_private)?\.(?!(?:{SETTINGS})\b)\w+\b(?!:[^:])")
MODULE = re.compile(r"\bhartonomous_server\.(\w+)")
LITERAL = r"'(?:[^']|'')*'"
NO_DEPENDENCY = [
    (re.compile(r"--.*"), ""),
    (re.compile(rf"\bcomment on [^']*{LITERAL};", re.DOTALL), ""),
]
RAISE = re.compile(rf"\b(?:raise exception|perform hartonomous\._refuse)\b(?:{LITERAL}|[^;'])*;", re.DOTALL)
# What system versioning and partitioning make of a table.
DERIVED = re.compile(r"(_history|__all|__as_of|__as_of_snapshot|__between|_p(?:\d{3})?|_\w+_seq)$")


def room_of(path: Path) -> int:
    """Number of the room or of the file at the top; modules of the Python package outside the rooms lie below all."""
    if path.suffix == ".sql":
        return int(path.relative_to(SQL).parts[0][:2])
    return -1 if path.parent == PACKAGE else ROOMS[path.relative_to(PACKAGE).parts[0]]


def code(path: Path) -> str:
    """The text of an SQL file without comments and without the literals of error messages."""
    text = path.read_text()
    for pattern, replacement in NO_DEPENDENCY:
        text = pattern.sub(replacement, text)
    return RAISE.sub(lambda found: re.sub(LITERAL, "''", found[0]), text)


def definitions() -> dict[str, int]:
    """Room that defines each object; the lowest one where a later file replaces it."""
    found: dict[str, int] = {}
    for path in SQL_FILES:
        for name in DEFINITION.findall(path.read_text()):
            found[name] = min(found.get(name, 99), room_of(path))
    return found


OBJECTS = definitions()


def room_of_object(name: str) -> int | None:
    if name in OBJECTS:
        return OBJECTS[name]
    base = max(
        (known for known in OBJECTS if name.startswith(known) and DERIVED.fullmatch(name[len(known) :])),
        key=len,
        default=None,
    )
    return OBJECTS.get(base) if base else None


def strings(tree: ast.AST) -> Iterator[str]:
    """String constants of a module, without docstrings and what errors say."""
    ignored: set[int] = set()
    for node in ast.walk(tree):
        if isinstance(node, ast.Expr):
            ignored |= {id(part) for part in ast.walk(node.value)} if isinstance(node.value, ast.Constant) else set()
        elif isinstance(node, ast.Raise) and node.exc:
            ignored |= {id(part) for part in ast.walk(node.exc)}
        elif isinstance(node, ast.keyword) and node.arg == "hint":
            ignored |= {id(part) for part in ast.walk(node.value)}
    for node in ast.walk(tree):
        if isinstance(node, ast.Constant) and isinstance(node.value, str) and id(node) not in ignored:
            yield node.value


def imports(tree: ast.AST) -> Iterator[str]:
    """Dotted names that a module imports."""
    for node in ast.walk(tree):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, "imports are absolute"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def too_high(path: Path, names: Iterator[str]) -> list[str]:
    """Names that belong to a higher room than the file's, or to none."""
    rooms = {name: room_of_object(name) for name in names}
    return sorted(f"{name} (room {room})" for name, room in rooms.items() if room is None or room > room_of(path))


@pytest.mark.parametrize("path", SQL_FILES, ids=lambda path: str(path.relative_to(SQL)))
def test_sql_uses_lower_rooms_only(path):
    text = code(path)
    assert too_high(path, iter(REFERENCE.findall(text))) == []
    assert [name for name in MODULE.findall(text) if ROOMS[name] > room_of(path)] == []


@pytest.mark.parametrize("path", PYTHON_FILES, ids=lambda path: str(path.relative_to(PACKAGE)))
def test_python_uses_lower_rooms_only(path):
    tree = ast.parse(path.read_text())
    used = [found[1] for name in (*imports(tree), *strings(tree)) for found in MODULE.finditer(name)]
    assert [name for name in used if name in ROOMS and ROOMS[name] > room_of(path)] == []
    assert too_high(path, (name for text in strings(tree) for name in REFERENCE.findall(text))) == []


def test_the_package_has_a_room_of_sql_for_each_folder():
    assert {path.name for path in PACKAGE.iterdir() if path.is_dir() and not path.name.startswith("__")} <= ROOMS.keys()


def test_a_reference_upwards_is_found(tmp_path):
    """The test itself: a use is found, in SQL as in a string, and a text that only names is not."""
    sample = tmp_path / "sample.sql"
    sample.write_text(
        "-- hartonomous.a\nselect hartonomous.b();\n"
        "raise exception 'x' using hint = 'see hartonomous.c; please', detail = (select hartonomous.d());\n"
        "execute 'select hartonomous.e()';\n"
        "comment on function hartonomous.f() is\n'hartonomous.g; it''s';"
    )
    assert REFERENCE.findall(code(sample)) == ["hartonomous.b", "hartonomous.d", "hartonomous.e"]
    tree = ast.parse(
        '"""hartonomous.a"""\nraise E(f"hartonomous.b {x}", hint="hartonomous.c")\nquery(f"select hartonomous.d({x})")'
    )
    assert [name for text in strings(tree) for name in REFERENCE.findall(text)] == ["hartonomous.d"]


def sources() -> Iterator[Path]:
    """Files that people write."""
    for path in ROOT.rglob("*"):
        parts = path.relative_to(ROOT).parts
        hidden = any(part.startswith(".") or part in ("build", "dist", "__pycache__") for part in parts[:-1])
        generated = parts[:2] in (("docs", "reference"), ("sql", "released"))
        if not hidden and not generated and path.suffix in (".sql", ".py", ".sh", ".md", ".psql") and path.is_file():
            yield path


def test_files_are_small():
    long = {str(path.relative_to(ROOT)): lines for path in sources() if (lines := path.read_text().count("\n")) > LIMIT}
    assert long == {}
