"""What the Python side of a server has, for server_check()."""

from __future__ import annotations

import platform
from importlib import metadata

from hartonomous_server import blas


def facts() -> list[tuple[str, bool, str, str, str]]:
    """Rows (item, ok, found, expected, hint)."""
    numpy = blas.numpy()
    core = blas.core_name()
    return [
        ("python", True, platform.python_version(), "3.11 or newer", ""),
        ("numpy", True, numpy.__version__, "1.26 or newer", ""),
        ("BLAS core", core not in ("unknown", "Prescott", "Generic"), core, "a core of this processor",
         "install libopenblas0-pthread, and select it: update-alternatives --config libblas.so.3-$(arch)-linux-gnu"),
        *(_library(name) for name in ("tokenizers", "lxml")),
    ]


def _library(name: str) -> tuple[str, bool, str, str, str]:
    try:
        return name, True, metadata.version(name), "any", ""
    except metadata.PackageNotFoundError:
        return name, False, "missing", "any", f"install the package {name} where the server's Python finds it"


