"""Keeps the install script of the version that is being released under sql/released/, with its hash in SHA256SUMS.

The version stays out of the text, as in sql/: the build puts it in.
"""

from __future__ import annotations

import hashlib
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))

import build  # noqa: E402


def freeze() -> Path:
    folder = build.SQL / "released"
    script = folder / f"hartonomous--{build.version()}.sql"
    if script.exists():
        sys.exit(f"{script.name} was released already: set the next version in extension.control")
    folder.mkdir(exist_ok=True)
    script.write_text(build.INSTALL + build.text())
    with (folder / "SHA256SUMS").open("a") as sums:
        sums.write(f"{hashlib.sha256(script.read_bytes()).hexdigest()}  {script.name}\n")
    return script


if __name__ == "__main__":
    print(freeze())
