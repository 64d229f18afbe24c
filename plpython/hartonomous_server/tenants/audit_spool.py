"""What must outlive the transaction that it aborts: lines in a file of the data directory until the audit log has them.

A record is a line feed, a checksum and JSON, so that one torn by a crash spoils no other. Writers share a lock that
whoever renames the file takes alone; they hold it for the time of a write. Once the file is full, records are counted.
"""

from __future__ import annotations

import fcntl
import json
import os
import time
import uuid
import zlib
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from pathlib import Path

from hartonomous_server import data_directory

LIMIT = 64 << 20  # bytes of the file, and of files that wait to be collected
RECORDS, DROPPED, LOCK = "refusals", "dropped", "lock"
PATIENCE = 1.0  # seconds to wait for the lock: nothing interrupts such a wait
PAUSE = 1.0  # seconds between records of a kind that may flood
KINDS = 1000  # kept in a backend
CREATE = os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW


def folder(database: int) -> Path:
    return Path(data_directory.folder(database))


def append(where: Path, line: str, limit: int = LIMIT) -> bool:
    """Keeps a line; False when it was only counted, or not even that."""
    body = line.encode()
    record = b"\n%08x %b" % (zlib.crc32(body), body)
    try:
        where.mkdir(mode=0o700, parents=True, exist_ok=True)
        with _locked(where, fcntl.LOCK_SH), _opened(where / RECORDS, os.O_WRONLY | os.O_APPEND) as file:
            if os.fstat(file).st_size + len(record) <= limit:
                return os.write(file, record) == len(record)
        with _locked(where, fcntl.LOCK_EX):
            _count(where / DROPPED)
    except OSError:
        pass  # the caller's refusal matters more; the server log has it
    return False


_repeated: dict[str, tuple[float, int]] = {}  # when a kind of refusal was recorded last, and how many came since


def repeated(kind: str, clock: Callable[[], float] = time.monotonic) -> int | None:
    """How many of a kind were left out since one was recorded, once a second in each backend; None: leave it out."""
    now = clock()
    last, left_out = _repeated.get(kind, (-PAUSE, 0))
    if now - last < PAUSE:
        _repeated[kind] = last, left_out + 1
        return None
    if len(_repeated) >= KINDS:
        _repeated.clear()
    _repeated[kind] = now, 0
    return left_out


def rotate(where: Path, limit: int = LIMIT) -> list[str]:
    """Names of the files to collect; they do not change any more."""
    waiting = _waiting(where)
    if where.exists() and sum(size for _, size in waiting) < limit:
        with _locked(where, fcntl.LOCK_EX):
            for name in (RECORDS, DROPPED):
                if (where / name).exists():
                    os.rename(where / name, where / f"{name}.{uuid.uuid4()}")
        waiting = _waiting(where)
    return sorted(name for name, _ in waiting)


def read(where: Path, name: str) -> list[str] | None:
    """Lines of a file; records that were lost make one more, whose id is the file's. None when the file is gone."""
    kind, _, entry_id = name.partition(".")
    try:
        data = (where / name).read_bytes()
        at = datetime.fromtimestamp((where / name).stat().st_mtime, UTC)
    except FileNotFoundError:
        return None
    lines, lost = ([], int(data or 0)) if kind == DROPPED else _parsed(data)
    if lost:
        entry = {"entry_id": entry_id, "at": at.isoformat(), "operation": "audit_collect", "result": "refused"}
        lines.append(json.dumps({**entry, "detail": {"dropped": lost}}))
    return lines


def remove(where: Path, name: str) -> None:
    (where / name).unlink(missing_ok=True)


def _parsed(data: bytes) -> tuple[list[str], int]:
    """Whole records, and the number of others."""
    lines, lost = [], 0
    for record in filter(None, data.split(b"\n")):
        checksum, _, body = record.partition(b" ")
        if checksum == b"%08x" % zlib.crc32(body):
            lines.append(body.decode())
        else:
            lost += 1
    return lines, lost


def _waiting(where: Path) -> list[tuple[str, int]]:
    found = []
    for path in [*where.glob(f"{RECORDS}.*"), *where.glob(f"{DROPPED}.*")]:
        try:
            found.append((path.name, path.stat().st_size))
        except FileNotFoundError:
            continue  # collected meanwhile
    return found


def _count(path: Path) -> None:
    with _opened(path, os.O_RDWR) as file:
        os.pwrite(file, b"%020d" % (int(os.pread(file, 20, 0) or 0) + 1), 0)


@contextmanager
def _opened(path: Path, flags: int) -> Iterator[int]:
    file = os.open(path, flags | CREATE, 0o600)
    try:
        yield file
    finally:
        os.close(file)


@contextmanager
def _locked(where: Path, kind: int) -> Iterator[None]:
    """The kernel gives the lock back when a process dies."""
    with _opened(where / LOCK, os.O_RDWR) as file:
        end = time.monotonic() + PATIENCE
        while True:
            try:
                fcntl.flock(file, kind | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                if time.monotonic() > end:
                    raise
                time.sleep(0.001)
        yield
