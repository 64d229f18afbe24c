"""The version stands in extension.control alone; archives and installed packages carry it in their metadata."""

import re
from importlib import metadata
from pathlib import Path

_HERE = Path(__file__).resolve().parent
_SOURCES = (
    (_HERE.parent.parent / "extension.control", r"^default_version\s*=\s*'([^']+)'"),
    (_HERE.parent / "PKG-INFO", r"^Version: (\S+)"),
)


def _read() -> str:
    for path, pattern in _SOURCES:
        if path.exists() and (found := re.search(pattern, path.read_text(encoding="utf-8"), re.MULTILINE)):
            return found[1]
    try:
        return metadata.version("hartonomous")
    except metadata.PackageNotFoundError:
        return "0+unknown"  # built from a copy of this folder alone


VERSION = _read()
