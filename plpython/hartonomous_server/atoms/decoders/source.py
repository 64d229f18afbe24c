"""What decoders read and what they find: a file over stored or arriving bytes, facts, shapes, limits."""

from __future__ import annotations

import csv
import io
import struct
import time
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from hartonomous_server import errors

WINDOW_BYTES = 1 << 20  # what one read fetches
WATCH_S = 0.1
PATIENCE_S = 60.0  # for one content
HINT = "hartonomous.ingest(content, 'binary') stores any bytes as they are"

# What decoding libraries raise over content that is not what it says; whatever the server raises is none of these.
FAULTS = (OSError, EOFError, ValueError, SyntaxError, LookupError, TypeError, AttributeError, ArithmeticError,
          AssertionError, RuntimeError, MemoryError, csv.Error, struct.error, zlib.error)  # fmt: skip


class TooLarge(Exception):
    """Content is well-formed as far as read, but beyond a limit: it is stored without shapes."""


def malformed(message: str) -> errors.ContentMalformed:
    return errors.ContentMalformed(message, hint=HINT)


@dataclass
class Shape:
    kind: str
    geom: bytes  # EWKB
    properties: dict[str, Any] = field(default_factory=dict)


@dataclass
class Found:
    """Facts hold what was found before a limit was reached, so that it can be said."""

    facts: dict[str, Any] = field(default_factory=dict)
    shapes: list[Shape] = field(default_factory=list)


class Source(io.RawIOBase):
    """A file of size bytes; read(start, end) fetches some of them.

    A C library may swallow what read raises, so that it is kept in fault and the file seems to end there.
    """

    def __init__(self, size: int, read: Callable[[int, int], bytes]) -> None:
        self.size = size
        self.fault: BaseException | None = None
        self.watch: Callable[[], object] = lambda: None  # called while it is read, now and then
        self._watched = time.monotonic()
        self._fetch = read
        self._at = 0
        self._start, self._window = 0, b""

    def readable(self) -> bool:
        return True

    def seekable(self) -> bool:
        return True

    def tell(self) -> int:
        return self._at

    def seek(self, offset: int, whence: int = 0) -> int:
        self._at = max(0, offset + (0, self._at, self.size)[whence])
        return self._at

    def readinto(self, buffer: Any) -> int:
        data = self.read(len(buffer))
        buffer[: len(data)] = data
        return len(data)

    def read(self, size: int | None = -1) -> bytes:
        self._look()
        end = self.size if size is None or size < 0 else min(self._at + size, self.size)
        parts = []
        while self._at < end and self.fault is None:
            if not self._start <= self._at < self._start + len(self._window):
                self._fill(max(end - self._at, WINDOW_BYTES))
                continue
            part = self._window[self._at - self._start : end - self._start]
            parts.append(part)
            self._at += len(part)
        return b"".join(parts)

    def _look(self) -> None:
        if time.monotonic() - self._watched > WATCH_S:
            try:
                self.watch()
            except Exception as error:  # raised again by check
                self.fault = self.fault or error
            self._watched = time.monotonic()

    def _fill(self, length: int) -> None:
        try:
            self._start, self._window = self._at, self._fetch(self._at, min(self._at + length, self.size))
            if not self._window:
                raise errors.AtomMissing(f"content ends at byte {self._at}, expected {self.size}")
        except Exception as error:  # raised again by check
            self.fault = error

    def check(self) -> None:
        """Raises what reading raised."""
        if self.fault is not None:
            raise self.fault

    def head(self, length: int, start: int = 0) -> bytes:
        """Bytes from start, the position unchanged."""
        at, self._at = self._at, start
        try:
            return self.read(length)
        finally:
            self._at = at
            self.check()


def beginning(source: Source, length: int = 8) -> str:
    """What was found, for messages."""
    return f"content that begins with {source.head(length).hex(' ')}" if source.size else "0 bytes"


class Gate:
    """To be called between pieces of work: lets the server act on a cancel, and ends what takes too long."""

    def __init__(self, source: Source, interrupts: Callable[[], object], patience: float = PATIENCE_S) -> None:
        self._source, self._interrupts = source, interrupts
        self._until, self._patience = time.monotonic() + patience, patience
        source.watch = self._look  # a library may read for long

    def __call__(self) -> None:
        self._look()
        self._source.check()

    def _look(self) -> None:
        self._interrupts()
        if time.monotonic() > self._until:
            raise TooLarge(f"decoding took longer than {self._patience:g} s")


@contextmanager
def decoding(what: str, source: Source) -> Iterator[None]:
    """Faults of libraries become refusals of the content."""
    try:
        yield
        source.check()
    except FAULTS as fault:
        if isinstance(fault, errors.Error):
            raise
        source.check()
        words = " ".join(str(fault).split())[:200] or type(fault).__name__
        raise malformed(f"content is no {what} that can be decoded: {words}") from fault
