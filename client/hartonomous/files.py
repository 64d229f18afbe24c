"""Files that are written whole or not at all."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import BinaryIO

from hartonomous.errors import InvalidParameter


def check_folder(file: Path) -> None:
    """InvalidParameter unless the folder that a file is to be written into is there."""
    if not file.parent.is_dir():
        found = "is no folder" if file.parent.exists() else "does not exist"
        raise InvalidParameter(
            f"{file.parent} {found}, expected a folder for {file.name}",
            hint=f"make it first: mkdir -p '{file.parent}'; or name a file in another one",
        )
    if file.is_dir():
        raise InvalidParameter(f"{file} is a folder, expected a file", hint=f"for example {file / 'export'}")


@contextmanager
def replacing(file: Path, mode: int = 0o666) -> Iterator[BinaryIO]:
    """A file that takes its name when the block ends well, and is removed when it does not."""
    check_folder(file)
    unfinished = file.with_name(file.name + ".part")
    try:
        with open(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, mode), "wb") as stream:
            yield stream
            stream.flush()
            os.fsync(stream.fileno())
        unfinished.replace(file)
    finally:
        unfinished.unlink(missing_ok=True)
