#!/usr/bin/env python3
"""Assemble the install script and the update scripts from sql/ into a build directory."""

import argparse
import re
import shutil
import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parent
SQL = ROOT / "sql"
ONCE = ("head", "types", "tables")
PHASES = ("types", "kernel", "tables", "views", "functions")
# The schema is created, never adopted: one that exists already might be somebody else's.
INSTALL = "create schema hartonomous;\n"
SEARCH_PATH = "set local search_path = pg_catalog, pg_temp;\n"


def version() -> str:
    control = (ROOT / "extension.control").read_text()
    found = re.search(r"^default_version\s*=\s*'([^']+)'", control, re.MULTILINE)
    if not found:
        sys.exit("extension.control has no default_version")
    return found[1]


def parts() -> Iterator[tuple[str, Path]]:
    """Yield (phase, file) in the order of installation."""
    rooms = sorted(path for path in SQL.glob("[0-9][0-9]_*") if path.is_dir())
    yield "head", SQL / "00_head.sql"
    boot = SQL / "01_boot/kernel.sql"  # the other rooms' types need it
    yield "boot", boot
    for phase in PHASES:
        for room in rooms:
            yield from ((phase, path) for path in sorted(room.glob(f"{phase}*.sql")) if path != boot)
    for name in ("90_policies.sql", "99_grants.sql"):
        if (SQL / name).exists():
            yield "last", SQL / name


def check_nothing_forgotten() -> None:
    kept = {path for _, path in parts()} | set(SQL.glob("updates/*.sql")) | set(SQL.glob("released/*.sql"))
    forgotten = sorted(str(path.relative_to(ROOT)) for path in SQL.rglob("*.sql") if path not in kept)
    if forgotten:
        sys.exit(f"not part of any phase: {', '.join(forgotten)}")


def text(skip: tuple[str, ...] = ()) -> str:
    return SEARCH_PATH + "".join(
        f"\n-- {path.relative_to(ROOT)}\n{path.read_text().rstrip()}\n" for phase, path in parts() if phase not in skip
    )


def substitute(script: str, release: str, package_dir: str) -> str:
    # a backend that ran another version's Python forgets it the first time it comes here
    boot = (
        f"import sys; {package_dir!r} in sys.path or sys.path.insert(0, {package_dir!r}) "
        "or [sys.modules.pop(m) for m in [*sys.modules] if m.partition('.')[0] == 'hartonomous_server']"
    )
    return script.replace("@boot@", boot).replace("@version@", release)


def assemble(out: Path, share: str) -> None:
    check_nothing_forgotten()
    current = version()
    out.mkdir(parents=True, exist_ok=True)

    def write(name: str, script: str, release: str) -> None:
        (out / name).write_text(substitute(script, release, f"{share}/hartonomous/{release}"))

    shutil.copyfile(ROOT / "extension.control", out / "hartonomous.control")
    write(f"hartonomous--{current}.sql", INSTALL + text(), current)
    for delta in sorted((SQL / "updates").glob(f"*--{current}.sql")):
        write(f"hartonomous--{delta.name}", f"{SEARCH_PATH}{delta.read_text()}\n{text(skip=ONCE)}", current)
    for frozen in sorted((SQL / "released").glob("hartonomous--*.sql")):
        release = frozen.stem.split("--")[1]
        if release != current:
            write(frozen.name, frozen.read_text(), release)


if __name__ == "__main__":
    cli = argparse.ArgumentParser(description=__doc__)
    cli.add_argument("--version", action="version", version=version())
    cli.add_argument("--out", type=Path, required=True, help="directory to write the scripts to")
    cli.add_argument("--share", required=True, help="what pg_config --sharedir prints")
    options = cli.parse_args()
    assemble(options.out, options.share)
