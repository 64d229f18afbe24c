"""What the Python side of a server has, for server_check()."""

from __future__ import annotations

import platform
from importlib import metadata

from hartonomous_server import blas

Line = tuple[str, bool, str, str, str]

LIBRARIES = (
    "numpy", "tokenizers", "lxml", "markdown-it-py", "zstandard", "pillow", "soundfile", "av", "jsonschema",
    "py3langid", "vaderSentiment", "probablepeople", "pycountry", "phonenumbers", "dateparser",
)  # fmt: skip
SLOW_CORES = ("unknown", "Prescott", "Generic")


def facts() -> list[Line]:
    """Rows (item, ok, found, expected, hint)."""
    libraries = [_library(name) for name in LIBRARIES]
    lines = [("python", True, platform.python_version(), "3.11 or newer", ""), *libraries]
    if libraries[0][1]:
        core = blas.core_name()
        lines.append(("BLAS core", core not in SLOW_CORES, core, "a core of this processor",
                      "install libopenblas0-pthread; update-alternatives --config libblas.so.3-$(arch)-linux-gnu"))
    return lines


def _library(name: str) -> Line:
    try:
        return name, True, metadata.version(name), "any", ""
    except metadata.PackageNotFoundError:
        return name, False, "missing", "any", f"install the Python package {name} where the server's Python finds it"
