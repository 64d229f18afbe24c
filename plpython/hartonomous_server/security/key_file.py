"""Keys that encrypt secrets: a file of lines `version:64 hexadecimal digits`, the newest last, for the server alone.

It is read anew for each use and nothing of it is kept. No error says where it lies or quotes from it.
"""

from __future__ import annotations

import os
import re
import stat
from typing import Any

from hartonomous_server import errors
from hartonomous_server.db import query

LINE = re.compile(rb"([1-9][0-9]{0,8}):([0-9a-fA-F]{64})\Z")
SAFE_MODES = (0o600, 0o400)
MAXIMUM = 1 << 20  # bytes
HINT = (
    "as the server's user: (umask 077; echo \"1:$(openssl rand -hex 32)\" >> FILE), then"
    " alter system set hartonomous.key_file = 'FILE'"
)


def key(path: str | None, wanted: int | None) -> tuple[int, str]:
    """Version and hexadecimal digits of a key, the newest for None."""
    keys = _keys(path)
    version = list(keys)[-1] if wanted is None else wanted
    if version not in keys:
        raise _unavailable(f"key version {version} is not in the key file", "put its line back, from a backup")
    return version, keys[version]


def fault(db: Any) -> str | None:
    """Why there is no key, None when there is one."""
    try:
        key(query(db, "select hartonomous._key_file() as path")[0]["path"], None)
    except errors.SecretUnavailable as error:
        return str(error)
    return None


def _keys(path: str | None) -> dict[int, str]:
    if not path:
        raise _unavailable("no key file is configured")
    keys: dict[int, str] = {}
    for number, line in enumerate(_read(path).splitlines(), 1):
        found = LINE.match(line)
        if not found or int(found[1]) in keys:
            what = "has a version that stands before" if found else "is not version:64 hexadecimal digits"
            raise _unavailable(f"line {number} of the key file {what}")
        keys[int(found[1])] = found[2].decode()
    if not keys:
        raise _unavailable("the key file is empty")
    return keys


def _read(path: str) -> bytes:
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else "not a file name"
        raise _unavailable(f"the key file cannot be read: {reason}") from None
    try:
        state = os.fstat(file)
        if not stat.S_ISREG(state.st_mode):
            raise _unavailable("the key file is not a regular file")
        if state.st_uid != os.geteuid():
            raise _unavailable("the key file does not belong to the server's user")
        if (mode := stat.S_IMODE(state.st_mode)) not in SAFE_MODES:
            raise _unavailable(f"the key file has mode {mode:04o}, expected 0600 or 0400", "chmod 600 FILE")
        if state.st_size > MAXIMUM:
            raise _unavailable(f"the key file has {state.st_size} bytes, expected at most {MAXIMUM}")
        return os.read(file, MAXIMUM)
    finally:
        os.close(file)


def _unavailable(message: str, hint: str = HINT) -> errors.SecretUnavailable:
    return errors.SecretUnavailable(message, hint=hint)
