"""Files and folders as documents and artifacts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import timedelta
from fnmatch import fnmatch
from functools import partial
from itertools import islice
from pathlib import Path

from hartonomous import uploads
from hartonomous.client import Client
from hartonomous.errors import (
    ConnectionFailed,
    Error,
    ExtensionMissing,
    InvalidContent,
    InvalidParameter,
    NotAuthenticated,
    NoTenant,
    NotPermitted,
    RateLimited,
    VersionMismatch,
)
from hartonomous.progress import Progress, silent
from hartonomous.rooms.atoms import Json

DOCUMENT_FORMATS = {
    ".html": "html", ".htm": "html", ".xhtml": "html", ".md": "markdown", ".markdown": "markdown", ".txt": "text",
}  # fmt: skip
FORMATS = ("auto", "html", "markdown", "text", "binary")
CALLERS = (ConnectionFailed, ExtensionMissing, VersionMismatch, NoTenant, NotAuthenticated, NotPermitted, RateLimited)
GROUP = 50  # files between two looks at what the server had
LARGE = 16 << 20  # bytes above which a file is sent in parts

_CURRENT = """
select s.source_uri, s.artifact_id
from hartonomous.artifact_source as s join hartonomous.artifact as a using (artifact_id)
where s.tenant_id = hartonomous.current_tenant() and s.source_uri = any(%(uris)s)
  and s.position is null and a.deleted_at is null
"""
_PASSAGES = """
select count(*) from hartonomous.artifact_source as s
where s.tenant_id = hartonomous.current_tenant() and s.document_uri = any(%(uris)s) and s.position is not null
"""


@dataclass(frozen=True)
class File:
    path: Path
    source_uri: str
    format: str


@dataclass
class Ingest:
    new: int = 0
    changed: int = 0
    unchanged: int = 0
    passages: int = 0
    failed: list[tuple[str, str]] = field(default_factory=list)  # source uri, error


def ingest(
    client: Client,
    paths: Sequence[str | Path],
    format: str = "auto",
    uri_prefix: str | None = None,
    modality: str = "binary",
    exclude: Sequence[str] = (),
    progress: Progress = silent,
    metadata: Json | None = None,
) -> Ingest:
    """Ingests files, and folders with all below them, one transaction a file; large ones go in parts.

    source_uri: the prefix (by default file:// and the folder) and the path below the folder. A file that cannot be
    stored does not stop the others, and the ingestion log says why; what would stop each of them, such as a connection
    that is lost or a right that is missing, is raised. progress counts bytes.
    """
    files = find(paths, format, uri_prefix, exclude)
    result = Ingest()
    sizes = {file.source_uri: _size(file.path) for file in files}
    done, total = 0, sum(sizes.values())
    progress(0, total)
    for group in _groups(files):
        before = _known(client, group)
        for file in group:
            _ingest_one(
                client, file, modality, metadata, before[file.source_uri], result, _shifted(progress, done, total)
            )
            done += sizes[file.source_uri]
            progress(done, total)
        uris = [file.source_uri for file in group]
        result.passages += client.query(_PASSAGES, {"uris": uris}).fetchall()[0][0]
    return result


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:  # reported when it is read
        return 0


def _shifted(progress: Progress, before: int, total: int) -> Progress:
    return lambda done, _: progress(before + done, total)


def find(paths: Sequence[str | Path], format: str, uri_prefix: str | None, exclude: Sequence[str]) -> list[File]:
    """The files to ingest, in a stable order; hidden ones inside folders are left out."""
    files: dict[str, File] = {}
    for given in map(Path, paths):
        if not given.exists():
            raise InvalidParameter(f"{given} does not exist", hint="give files or folders")
        folder = given if given.is_dir() else given.parent
        prefix = f"{folder.resolve().as_uri()}/" if uri_prefix is None else uri_prefix
        for path in _walk(given) if given.is_dir() else [given]:
            relative = path.relative_to(folder).as_posix()
            if any(fnmatch(relative, glob) or fnmatch(path.name, glob) for glob in exclude):
                continue
            file = File(path, prefix + relative, _format(path, format))
            if files.setdefault(file.source_uri, file).path != path:
                raise InvalidParameter(
                    f"{files[file.source_uri].path} and {path} have the same source uri {file.source_uri}",
                    hint="ingest them in two runs with different --uri-prefix",
                )
    return list(files.values())


def _walk(folder: Path) -> Iterator[Path]:
    for parent, folders, names in os.walk(folder):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        paths = (Path(parent, name) for name in sorted(names) if not name.startswith("."))
        yield from (path for path in paths if path.is_file() or path.is_symlink())


def _format(path: Path, format: str) -> str:
    return DOCUMENT_FORMATS.get(path.suffix.lower(), "binary") if format == "auto" else format


def _groups(files: list[File]) -> Iterator[list[File]]:
    items = iter(files)
    while group := list(islice(items, GROUP)):
        yield group


def _known(client: Client, group: list[File]) -> dict[str, set[int]]:
    """The artifacts that the server has of each file."""
    known: dict[str, set[int]] = {file.source_uri: set() for file in group}
    for uri, artifact_id in client.query(_CURRENT, {"uris": list(known)}):
        known[uri].add(artifact_id)
    return known


def _ingest_one(
    client: Client,
    file: File,
    modality: str,
    metadata: Json | None,
    before: set[int],
    result: Ingest,
    progress: Progress,
) -> None:
    started = time.monotonic()
    try:
        artifact_id = _retried(partial(_ingest_file, client, file, modality, metadata, progress))
    except CALLERS:
        raise
    except (Error, OSError) as error:
        result.failed.append((file.source_uri, str(error)))
        with suppress(Error):  # the row of a call that failed went with its transaction
            client.ingestion_log_error(file.source_uri, str(error), timedelta(seconds=time.monotonic() - started))
        return
    if artifact_id in before:
        result.unchanged += 1
    elif before:
        result.changed += 1
    else:
        result.new += 1


def _retried(call: Callable[[], int]) -> int:
    """The call's result; a deadlock or a conflict with another session is tried again, twice."""
    for _ in range(2):
        try:
            return call()
        except Error as error:
            if error.sqlstate not in ("40001", "40P01"):
                raise
    return call()


def _ingest_file(
    client: Client, file: File, modality: str, metadata: Json | None = None, progress: Progress = silent
) -> int:
    if file.format == "binary" and file.path.stat().st_size > LARGE:
        return uploads.ingest(client, file.path, modality, file.source_uri, metadata, progress=progress)
    data = file.path.read_bytes()
    if file.format == "binary":
        return client.ingest(data, modality, source_uri=file.source_uri, metadata=metadata)
    try:
        text = data.decode()
    except UnicodeDecodeError as error:
        raise InvalidContent(
            f"byte {error.start} is not UTF-8", hint="convert the file with iconv, or ingest it with --format binary"
        ) from error
    if (at := text.find("\0")) >= 0:
        raise InvalidContent(
            f"text contains a NUL character at {at}, which PostgreSQL texts cannot hold",
            hint="remove it, or ingest the file with --format binary",
        )
    return client.ingest_document(file.source_uri, text, file.format, metadata)
