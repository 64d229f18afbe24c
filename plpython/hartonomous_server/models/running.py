"""The running form of a model: what its rows become, in a file of the data directory that all backends map read-only.

The file is named by the hash of the model's state and by the layout of the weights in it. It is written beside its name
and renamed, so it is whole or absent; whoever needs it makes it from the rows when it is absent or damaged. Its hash is
compared once after each start of the server and whenever the file has changed since.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import mmap
import os
import struct
import time
from collections.abc import Callable, Iterator
from typing import Any, NamedTuple

from hartonomous_server import data_directory
from hartonomous_server.db import interrupts, query

MAGIC = b"hartrun1"
# magic, SHA-256 of state and layout, of what follows the head, bytes of each part; 128 bytes: weights stay aligned
HEAD = struct.Struct("<8s32s32sQQQ32x")
LOCK, CHECKED = "lock", ".checked"
PAUSE = 0.02  # seconds between tries for the lock
UNUSED = 24 * 3600  # seconds after which the form of a state that no model has is removed


class Form(NamedTuple):
    """weights: packed for the engine; tokenizer: as its library writes it; facts: what else the engine asks."""

    weights: Any
    tokenizer: bytes
    facts: dict[str, Any]


def load(db: Any, state: bytes, layout: str, make: Callable[[], Form]) -> Form:
    """The form of a state that the caller may run; make reads it from the rows."""
    folder = f"{data_directory.own(db)}/models"
    identity = hashlib.sha256(state + layout.encode()).digest()
    path = f"{folder}/{_name(state)}-{identity[:4].hex()}"
    form = None
    try:
        form = _mapped(db, path, identity)
        if form is not None:
            return form
        with _alone(db, folder):
            form = _mapped(db, path, identity)  # another backend may have made it
            if form is None:
                form = make()
                _sweep(db, folder)
                _write(path, identity, form)
            return _mapped(db, path, identity) or form
    except OSError as error:
        db.warning(f"running form of a model cannot be kept in the data directory: {error.strerror}",
                   hint="this session keeps a copy of its own; see to free space and permissions")
        return form or make()


def _name(state: bytes) -> str:
    return state[:16].hex()  # pg_basebackup refuses paths of 100 characters


def forget(db: Any, state: bytes) -> None:
    """Removes the forms of a state; who maps one keeps it."""
    folder = f"{data_directory.own(db)}/models"
    for name in os.listdir(folder) if os.path.exists(folder) else []:
        if name.startswith(_name(state)):
            _unlink(f"{folder}/{name}")


def _mapped(db: Any, path: str, identity: bytes) -> Form | None:
    """What a whole file holds."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_NOFOLLOW | os.O_CLOEXEC)
    except FileNotFoundError:
        return None
    try:
        status, head = os.fstat(file), os.pread(file, HEAD.size, 0)
        if len(head) < HEAD.size:
            return None
        magic, found, digest, *sizes = HEAD.unpack(head)
        if (magic, found) != (MAGIC, identity) or status.st_size != HEAD.size + sum(sizes):
            return None
        whole = memoryview(mmap.mmap(file, status.st_size, prot=mmap.PROT_READ))
    finally:
        os.close(file)
    if not _intact(db, path, status, whole, digest):
        return None
    ends = [HEAD.size + sum(sizes[:count]) for count in range(4)]
    weights, tokenizer, facts = (whole[start:end] for start, end in zip(ends, ends[1:], strict=False))
    return Form(weights, tokenizer, json.loads(bytes(facts)))


def _intact(db: Any, path: str, status: os.stat_result, whole: memoryview, digest: bytes) -> bool:
    started = query(db, "select pg_catalog.pg_postmaster_start_time()::text as at")[0]["at"]
    wanted = f"{started} {status.st_ino} {status.st_mtime_ns} {digest.hex()}".encode()
    note = path + CHECKED
    with contextlib.suppress(OSError), open(note, "rb") as file:
        if file.read() == wanted:
            os.utime(note)  # when the form was last used
            return True
    if hashlib.sha256(whole[HEAD.size :]).digest() != digest:
        return False
    with contextlib.suppress(OSError):
        _replace(note, [wanted])
    return True


def _write(path: str, identity: bytes, form: Form) -> None:
    parts = [memoryview(part).cast("B") for part in (form.weights, form.tokenizer, json.dumps(form.facts).encode())]
    digest = hashlib.sha256()
    for part in parts:
        digest.update(part)
    _replace(path, [HEAD.pack(MAGIC, identity, digest.digest(), *map(len, parts)), *parts])


def _replace(path: str, parts: list[Any]) -> None:
    """Written, not mapped: a full disk is an error of a write, and a fatal signal at a mapped page."""
    beside = f"{path}.{os.getpid()}"
    try:
        with open(beside, "wb", opener=lambda name, flags: os.open(name, flags | os.O_NOFOLLOW, 0o600)) as file:
            for part in parts:
                file.write(part)
            file.flush()
            os.fsync(file.fileno())
        os.rename(beside, path)
    except OSError:
        _unlink(beside)
        raise


@contextlib.contextmanager
def _alone(db: Any, folder: str) -> Iterator[None]:
    """One backend at a time makes forms; the others wait, and can be cancelled."""
    os.makedirs(folder, mode=0o700, exist_ok=True)
    cancel = interrupts(db)
    with open(f"{folder}/{LOCK}", "wb") as file:
        while True:
            try:
                fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
                break
            except BlockingIOError:
                cancel()
                time.sleep(PAUSE)
        yield


def _sweep(db: Any, folder: str) -> None:
    """Removes what was left half-written, and forms of states that no model has and nobody has used for a day."""
    rows = query(db, "select m.state_hash from hartonomous.model as m where m.status = 'ready'")
    wanted = {_name(row["state_hash"]) for row in rows}
    for name in os.listdir(folder):
        path, state = f"{folder}/{name}", name.partition("-")[0]
        if name == LOCK or state in wanted and not _half_written(name):
            continue
        with contextlib.suppress(FileNotFoundError):
            note = path if name.endswith(CHECKED) else path + CHECKED
            used = os.stat(note if os.path.exists(note) else path).st_mtime
            if _half_written(name) or used < time.time() - UNUSED:
                _unlink(path)


def _half_written(name: str) -> bool:
    return name.rpartition(".")[2].isdecimal()


def _unlink(path: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        os.unlink(path)
