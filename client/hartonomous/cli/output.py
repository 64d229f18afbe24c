"""What verbs share: settings, the connection, JSON, tables and progress."""

from __future__ import annotations

import dataclasses
import json
import sys
import time
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

import click
from psycopg.errors import Diagnostic
from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from hartonomous.client import Client, connect, told
from hartonomous.progress import Progress

PLAIN_SECONDS = 10.0  # between progress lines where there is no terminal
# whole numbers as the server takes them
COUNT, AMOUNT = click.IntRange(1, 2**31 - 1), click.IntRange(0, 2**31 - 1)
NUMBER, ID = click.IntRange(-(2**31), 2**31 - 1), click.IntRange(-(2**63), 2**63 - 1)


@dataclass
class Settings:
    dsn: str | None
    api_key: str | None
    json: bool
    debug: bool


@click.pass_context
def client(context: click.Context) -> Client:
    """A connection that closes with the command; what the server tells beside results goes to stderr."""
    opened = context.with_resource(connect(context.obj.dsn, context.obj.api_key))
    opened.connection.add_notice_handler(_tell)
    return opened


def _tell(notice: Diagnostic) -> None:
    severity = (notice.severity_nonlocalized or "").lower()
    if severity in ("notice", "warning"):
        click.echo(f"{severity}: {told(notice)}", err=True)


def json_option(verb: Callable[..., Any]) -> Callable[..., Any]:
    """--json after the verb as well as before it."""

    def switch(context: click.Context, _: click.Parameter, value: bool) -> None:
        context.obj.json |= value

    option = click.option("--json", is_flag=True, expose_value=False, callback=switch, help="Print JSON.")
    return option(verb)


def wants_json() -> bool:
    return click.get_current_context().obj.json


def echo_json(value: Any) -> None:
    click.echo(json.dumps(value, default=_plain, ensure_ascii=False))


def _plain(value: Any) -> Any:
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name) for field in dataclasses.fields(value)}
    if isinstance(value, (bytes, memoryview)):
        return bytes(value).hex()
    if isinstance(value, datetime):
        return value.isoformat()
    if isinstance(value, timedelta):
        return value.total_seconds()
    return value.tolist() if hasattr(value, "tolist") else str(value)


def printable(text: str) -> str:
    """Stored text without the control characters by which it could steer a terminal."""
    return "".join(char if char.isprintable() or char in "\n\t" else "\ufffd" for char in text)


def one_line(text: str) -> str:
    """A name or uri in a line of others: a newline in it could pass for another line."""
    return printable(text).replace("\n", "\ufffd")


def echo_table(heading: Sequence[str], rows: Iterable[Sequence[Any]]) -> None:
    lines = [list(heading)] + [["" if cell is None else one_line(str(cell)) for cell in row] for row in rows]
    widths = [max(map(len, column)) for column in zip(*lines, strict=True)]
    for line in lines:
        click.echo("  ".join(cell.ljust(width) for cell, width in zip(line, widths, strict=True)).rstrip())


def number(value: int | None) -> str:
    return "" if value is None else f"{value:,}"


def size(value: int) -> str:
    return f"{value / 1e6:,.1f} MB"


@contextmanager
def progress(label: str, unit: str = "", scale: float = 1) -> Iterator[Progress]:
    """A bar on a terminal; otherwise a line on stderr now and then. scale divides the counts, as bytes to MB."""
    console = Console(stderr=True)
    if not console.is_terminal:
        yield _lines(label, unit, scale)
        return
    counts = MofNCompleteColumn(), TextColumn(unit)
    with Bar(TextColumn("{task.description}"), BarColumn(), *counts, TimeRemainingColumn(), console=console) as bar:
        task = bar.add_task(label, total=None)
        yield lambda done, total: bar.update(task, completed=round(done / scale), total=round(total / scale))


def _lines(label: str, unit: str, scale: float) -> Progress:
    last = time.monotonic()

    def show(done: int, total: int) -> None:
        nonlocal last
        if time.monotonic() - last >= PLAIN_SECONDS:
            last = time.monotonic()
            print(f"{label}: {done / scale:,.0f} of {total / scale:,.0f} {unit}".rstrip(), file=sys.stderr, flush=True)

    return show
