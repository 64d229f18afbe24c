"""The command line as a process."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import Any

COMMAND = [sys.executable, "-m", "hartonomous"]
# Compiled once for all the processes that tests start, outside the checkout.
ENVIRONMENT = {name: value for name, value in os.environ.items() if name != "PYTHONDONTWRITEBYTECODE"} | {
    "PYTHONPYCACHEPREFIX": "/tmp/hartonomous-pycache"
}

# verbs that print one line, which says that it is done, or bytes
SILENT = {
    ("get",),
    ("artifacts", "delete"), ("artifacts", "restore"), ("artifacts", "purge"),
    ("models", "deploy"), ("models", "drop"), ("models", "archive"), ("models", "rollback"),
    ("tenants", "add-role"), ("tenants", "remove-role"), ("keys", "revoke"),
    ("keys", "distrust"), ("policies", "drop"), ("limits", "drop"), ("secrets", "put"), ("secrets", "drop"),
}  # fmt: skip


def start(dsn: str, *arguments: object) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *map(str, arguments)], env={**ENVIRONMENT, "HARTONOMOUS_DSN": dsn}, text=True,
        stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.PIPE,
    )  # fmt: skip


def run(dsn: str, *arguments: object, code: int = 0) -> subprocess.CompletedProcess[str]:
    """Runs a verb to its end; any other exit code than the expected one fails the test with what was printed."""
    process = start(dsn, *arguments)
    out, error = process.communicate(timeout=300)
    assert process.returncode == code, f"exit code {process.returncode}, expected {code}\n{out}\n{error}"
    return subprocess.CompletedProcess(process.args, code, out, error)


def lines(dsn: str, *arguments: object) -> list[Any]:
    """What a verb prints with --json, one value a line."""
    return [json.loads(line) for line in run(dsn, *arguments, "--json").stdout.splitlines()]
