"""Series from CSV or JSON lines whose first column or "time" is a time. x and m are time, y the value."""

from __future__ import annotations

import codecs
import csv
import io
import json
import math
from array import array
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import chain
from typing import Any

from hartonomous_server.atoms.decoders import ewkb
from hartonomous_server.atoms.decoders.source import Found, Gate, Shape, Source, TooLarge, decoding, malformed
from hartonomous_server.blas import numpy

MAX_BYTES = 64 << 20  # one row after the other, some seconds
MAX_SERIES = 1000
SEGMENT = 1024  # points of one shape; it shares its last with the next
EXACT = 4096  # a series of more samples is stored as the lowest and highest of each run of some
TIMES = ("time", "timestamp", "ts", "t", "date", "datetime")  # keys of JSON lines
DATES = ("%d-%b-%y", "%d-%b-%Y", "%d/%m/%Y", "%m/%d/%Y", "%Y/%m/%d", "%Y/%m/%d %H:%M:%S", "%d.%m.%Y")
CHECK_ROWS = 5000
MAX_LINE = 1 << 20  # of JSON, which takes many times as much

Rows = Iterator[tuple[int, str | float, dict[str, Any]]]  # line, time, values


class Series:
    """Samples by series; times in seconds, since 1970 if they are dates."""

    def __init__(self) -> None:
        self.times: dict[str, array[float]] = {}
        self.values: dict[str, array[float]] = {}
        self._words: dict[str, tuple[int, str]] = {}  # where a series that has numbers has a word
        self._clock: Any = None

    def add(self, line: int, time: str | float, values: dict[str, Any]) -> None:
        at = self._time(line, time)
        for name, cell in values.items():
            if cell is None or cell == "":
                continue
            value = _number(cell)
            if value is None:
                self._words.setdefault(name, (line, str(cell)))
                continue
            if not math.isfinite(value):
                raise malformed(f"line {line} has {value} in series {name!r}, expected a finite number or nothing")
            if name not in self.times:
                self.times[name], self.values[name] = array("d"), array("d")
            self.times[name].append(at)
            self.values[name].append(value)

    def arrays(self) -> Iterator[tuple[str, Any]]:
        """Name and points (n, 2) of each series in the order of time."""
        np = numpy()
        for name, times in self.times.items():
            if name in self._words:
                line, word = self._words[name]
                raise malformed(f"line {line} has {word[:40]!r} in series {name!r}, expected a number or nothing")
            points = np.column_stack([times, self.values[name]])
            yield name, points[np.argsort(points[:, 0], kind="stable")]

    def _time(self, line: int, text: str | float) -> float:
        if self._clock is None:
            clocks = (_number, _iso, *map(_dated, DATES))
            self._clock = next((clock for clock in clocks if clock(text) is not None), None)
        at = None if self._clock is None else self._clock(text)
        if at is None or not math.isfinite(at):
            raise malformed(f"line {line} has the time {str(text)[:40]!r}, expected a number or a date like line 1's")
        return at


def decode(source: Source, found: Found, gate: Gate) -> None:
    with decoding("series", source):
        series = _read(source, found.facts, gate)
        found.facts.update(series={name: len(times) for name, times in series.times.items()})
        for name, points in series.arrays():
            found.shapes += _lines(name, points)
            gate()
        ends = [point for shape in found.shapes for point in shape.properties.pop("ends")]
        found.facts.update(first=min(ends), last=max(ends))


def samples(source: Source, name: str | None, start: float | None, end: float | None,
            gate: Gate) -> Iterator[tuple[str, bytes]]:
    """Per series and run a MULTIPOINT M (time, value, time) of the samples at start <= time < end."""
    np = numpy()
    with decoding("series", source):
        for own, points in _read(source, {}, gate).arrays():
            if name not in (None, own):
                continue
            low = 0 if start is None else int(np.searchsorted(points[:, 0], start))
            high = len(points) if end is None else int(np.searchsorted(points[:, 0], end))
            for at in range(low, high, 1 << 16):
                some = points[at : min(at + (1 << 16), high)]
                yield own, ewkb.multipoint(some[:, [0, 1, 0]], ewkb.M)


def _read(source: Source, facts: dict[str, Any], gate: Gate) -> Series:
    if source.size > MAX_BYTES:
        raise TooLarge(f"{source.size} bytes, at most {MAX_BYTES} are decoded")
    as_json = source.head(4096).removeprefix(codecs.BOM_UTF8).lstrip()[:1] == b"{"
    facts["format"] = "json lines" if as_json else "csv"
    source.seek(0)
    text = io.TextIOWrapper(io.BufferedReader(source, 1 << 16), encoding="utf-8-sig", newline="")
    lines = ((at, line) for at, line in enumerate(text, 1) if line.strip() and not line.startswith("#"))
    series, count = Series(), 0
    for at, time, values in _json_rows(lines) if as_json else _csv_rows(lines):
        series.add(at, time, values)
        count += 1
        if count % CHECK_ROWS == 0:
            gate()
    gate()
    if not series.times:
        raise malformed(f"found {count} rows of numbers, expected a time and numbers in each line")
    if len(series.times) > MAX_SERIES:
        raise TooLarge(f"{len(series.times)} series, at most {MAX_SERIES} are decoded")
    return series


def _json_rows(lines: Iterator[tuple[int, str]]) -> Rows:
    key: str | None = None
    for at, line in lines:
        if len(line) > MAX_LINE:
            raise TooLarge(f"line {at} has {len(line)} characters, at most {MAX_LINE} are decoded")
        values = json.loads(line)
        if not isinstance(values, dict):
            raise malformed(f"line {at} is no JSON object")
        key = key or next((name for name in values if name.lower() in TIMES), None)
        if key is None or values.get(key) is None:
            raise malformed(f"line {at} has no time, expected a key {', '.join(TIMES[:-1])} or {TIMES[-1]}")
        yield at, values.pop(key), values


def _csv_rows(lines: Iterator[tuple[int, str]]) -> Rows:
    at, first_line = next(lines, (0, ""))
    if not at:
        return
    last = [at]  # the line that the reader is at

    def texts() -> Iterator[str]:
        yield first_line
        for last[0], line in lines:
            yield line

    delimiter = max(",;\t", key=first_line.count)
    rows = csv.reader(texts(), delimiter=delimiter, skipinitialspace=True, strict=True)
    first = next(rows)
    headed = all(_number(cell) is None for cell in first[1:] or first) and any(first[1:] or first)
    names = [name.strip() for name in first[1:]] if headed else [str(n) for n in range(1, len(first))]
    if len(set(names)) < len(names):
        raise malformed(f"line {at} names a series twice")
    for row in rows if headed else chain([first], rows):
        if len(row) != len(first):
            raise malformed(f"line {last[0]} has {len(row)} columns, expected {len(first)}")
        yield last[0], row[0], dict(zip(names, row[1:], strict=True))


def _lines(name: str, points: Any) -> Iterator[Shape]:
    np = numpy()
    count, every = len(points), 1
    if count > EXACT:
        every = -(-count * 2 // EXACT)
        starts = np.arange(0, count, every)
        runs = [points[at : at + every, 1] for at in starts.tolist()]
        kept = np.concatenate([starts + [run.argmin() for run in runs], starts + [run.argmax() for run in runs]])
        points = points[np.unique(np.concatenate([[0], kept, [count - 1]]))]
    if len(points) == 1:
        points = points[[0, 0]]
    note: dict[str, Any] = {"series": name} if every == 1 else {"series": name, "extremes_of": every}
    for at in range(0, len(points) - 1, SEGMENT - 1):
        some = points[at : at + SEGMENT]
        yield Shape("series", ewkb.line(some[:, [0, 1, 0]], ewkb.M), {**note, "ends": [some[0, 0], some[-1, 0]]})


def _number(cell: Any) -> float | None:
    if isinstance(cell, bool) or not isinstance(cell, (str, int, float)):
        return None
    try:
        return float(cell)
    except ValueError:
        return None


def _iso(text: Any) -> float | None:
    try:
        return _seconds(datetime.fromisoformat(text.strip()))
    except (ValueError, AttributeError, TypeError):
        return None


def _dated(pattern: str) -> Any:
    def clock(text: Any) -> float | None:
        try:
            return _seconds(datetime.strptime(text.strip(), pattern))
        except (ValueError, AttributeError, TypeError):
            return None

    return clock


def _seconds(moment: datetime) -> float:
    return (moment if moment.tzinfo else moment.replace(tzinfo=UTC)).timestamp()
