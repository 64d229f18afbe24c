"""Files and folders as documents and artifacts."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from fnmatch import fnmatch
from functools import partial
from itertools import islice
from pathlib import Path

from hartonomous import modalities, uploads
from hartonomous.client import Client
from hartonomous.errors import (
    ConnectionFailed,
    ContentMalformed,
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
Known = dict[str, dict[int, Json]]  # metadata by source uri and artifact id

GROUP = 50  # files between two looks at what the server had
LARGE = 16 << 20  # bytes above which a file is sent in parts
BEGINNING = 64 << 10  # bytes of such a file that tell whether it is text
SEARCHED_BYTES = 64 << 10  # above which the server searches no text as one

_CURRENT = """
select s.source_uri, s.artifact_id, s.metadata
from hartonomous.artifact_source as s join hartonomous.artifact as a using (artifact_id)
where s.tenant_id = hartonomous.current_tenant() and s.source_uri = any(%(uris)s)
  and s.position is null and a.deleted_at is null
"""
_PASSAGES = """
select count(*) from hartonomous.artifact_source as s
where s.tenant_id = hartonomous.current_tenant() and s.document_uri = any(%(uris)s) and s.position is not null
"""
_STORED = """
select a.artifact_id, m.name,
       a.canonical_text is null and a.subtype is null and m.name = any(%(legible)s) and a.content_length > %(searched)s
from hartonomous.artifact as a join hartonomous.modality as m using (modality)
where a.tenant_id = hartonomous.current_tenant() and a.artifact_id = any(%(ids)s)
"""


@dataclass(frozen=True)
class File:
    path: Path
    source_uri: str
    format: str
    guessed: bool = False  # by its suffix


@dataclass(frozen=True)
class Stored:
    source_uri: str
    artifact_id: int
    modality: str | None = None  # that was asked for; None: a document
    fault: str | None = None  # why it is not of the one that its suffix says
    fallback: str | None = None  # what it is stored as where it cannot be decoded


@dataclass
class Ingest:
    """What became of files; tuples begin with their source uris. modalities: of those that are not documents."""

    new: int = 0
    changed: int = 0
    unchanged: int = 0
    passages: int = 0
    modalities: dict[str, int] = field(default_factory=dict)
    failed: list[tuple[str, str]] = field(default_factory=list)
    undecoded: list[tuple[str, str]] = field(default_factory=list)  # stored as text or binary instead, and why
    kept: list[tuple[str, str, int]] = field(default_factory=list)  # their bytes were there: as what, which artifact
    unsearched: list[str] = field(default_factory=list)  # texts that are too large to be searched as one


def ingest(
    client: Client,
    paths: Sequence[str | Path],
    format: str = "auto",
    uri_prefix: str | None = None,
    modality: str = modalities.AUTO,
    exclude: Sequence[str] = (),
    progress: Progress = silent,
    metadata: Json | None = None,
) -> Ingest:
    """Ingests files, and folders with all below them, one transaction a file; large ones go in parts.

    source_uri: the prefix (by default file:// and the folder) and the path below the folder. A file that cannot be
    stored does not stop the others, and the ingestion log says why; what would stop each of them, such as a connection
    that is lost or a right that is missing, is raised. modality: of files that are not documents; auto goes by their
    suffixes, and what cannot be decoded is stored as text, or else as binary; so are documents that are no UTF-8 text
    where format is auto. metadata: None leaves those that a file
    has, {} empties them; others make it a changed one. progress counts bytes.
    """
    result = Ingest()
    files = [file for file in find(paths, format, uri_prefix, exclude) if not _misnamed(client, file, result)]
    sizes = {file.source_uri: _size(file.path) for file in files}
    done, total = 0, sum(sizes.values())
    progress(0, total)
    for group in _groups(files):
        before = _known(client, group)
        stored = []
        for file in group:
            stored += _ingest_one(
                client, file, modality, metadata, result, _shifted(progress, done, total)
            )
            done += sizes[file.source_uri]
            progress(done, total)
        _count(stored, before, _known(client, group) if metadata is not None else before, result)
        _look_back(client, [one for one in stored if one.modality], result)
        uris = [file.source_uri for file in group]
        result.passages += client.query(_PASSAGES, {"uris": uris}).fetchall()[0][0]
    return result


def _misnamed(client: Client, file: File, result: Ingest) -> bool:
    """Whether a file has no name that the server could keep; then it has failed."""
    try:
        file.source_uri.encode()
    except UnicodeEncodeError:
        error = InvalidContent("source uri is not UTF-8", hint="rename the file, or the folder that it is in")
        _failed(client, file.source_uri.encode(errors="backslashreplace").decode(), error, time.monotonic(), result)
        return True
    return False


def _failed(client: Client, uri: str, error: Exception, started: float, result: Ingest) -> None:
    result.failed.append((uri, str(error)))
    with suppress(Error):  # the row of a call that failed went with its transaction
        client.ingestion_log_error(uri, str(error), timedelta(seconds=time.monotonic() - started))


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
            file = File(path, prefix + relative, _format(path, format), format == "auto")
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
        yield from (path for path in paths if path.is_file() or path.is_symlink() and not path.exists())


def _format(path: Path, format: str) -> str:
    return DOCUMENT_FORMATS.get(path.suffix.lower(), "binary") if format == "auto" else format


def _groups(files: list[File]) -> Iterator[list[File]]:
    items = iter(files)
    while group := list(islice(items, GROUP)):
        yield group


def _known(client: Client, group: list[File]) -> Known:
    """The artifacts that the server has of each file, with their metadata."""
    known: Known = {file.source_uri: {} for file in group}
    for uri, artifact_id, metadata in client.query(_CURRENT, {"uris": list(known)}):
        known[uri][artifact_id] = metadata
    return known


def _count(stored: list[Stored], before: Known, after: Known, result: Ingest) -> None:
    for one in stored:
        was = before[one.source_uri]
        if one.artifact_id in was and was[one.artifact_id] == after[one.source_uri].get(one.artifact_id):
            result.unchanged += 1
        elif was:
            result.changed += 1
        else:
            result.new += 1


def _ingest_one(
    client: Client,
    file: File,
    modality: str,
    metadata: Json | None,
    result: Ingest,
    progress: Progress,
) -> list[Stored]:
    started = time.monotonic()
    try:
        stored = _retried(partial(_ingest_file, client, file, modality, metadata, progress))
    except CALLERS:
        raise
    except (Error, OSError) as error:
        _failed(client, file.source_uri, error, started, result)
        return []
    return [stored]


def _look_back(client: Client, stored: list[Stored], result: Ingest) -> None:
    """Counts modalities as the server has them: bytes that were there keep theirs."""
    ids = [one.artifact_id for one in stored]
    arguments = {"ids": ids, "legible": list(modalities.LEGIBLE), "searched": SEARCHED_BYTES}
    found = {row[0]: row[1:] for row in client.query(_STORED, arguments)} if ids else {}
    for one in stored:
        if one.artifact_id not in found:  # deleted meanwhile
            continue
        modality, unsearched = found[one.artifact_id]
        result.modalities[modality] = result.modalities.get(modality, 0) + 1
        result.undecoded += [(one.source_uri, f"stored as {modality}: {one.fault}")] if one.fault else []
        if modality not in (one.modality, one.fallback):
            result.kept.append((one.source_uri, modality, one.artifact_id))
        result.unsearched += [one.source_uri] if unsearched else []


def _retried(call: Callable[[], Stored]) -> Stored:
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
) -> Stored:
    if file.format == "binary":
        return _ingest_bytes(client, file, modality, metadata, progress)
    try:
        text = _text(file.path)
    except InvalidContent as error:
        if not file.guessed:
            raise
        return replace(_ingest_bytes(client, file, "binary", metadata, progress), fault=error.message)
    return Stored(file.source_uri, client.ingest_document(file.source_uri, text, file.format, metadata))


def _text(path: Path) -> str:
    data = path.read_bytes()
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
    return text


def _ingest_bytes(
    client: Client, file: File, modality: str, metadata: Json | None = None, progress: Progress = silent
) -> Stored:
    large = file.path.stat().st_size > LARGE
    with file.path.open("rb") as stream:
        data = stream.read(BEGINNING if large else -1)

    def put(modality: str, fault: str | None = None, fallback: str | None = None) -> Stored:
        if large:
            artifact_id = uploads.ingest(client, file.path, modality, file.source_uri, metadata, progress=progress)
        else:
            artifact_id = client.ingest(data, modality, source_uri=file.source_uri, metadata=metadata)
        return Stored(file.source_uri, artifact_id, modality, fault, fallback)

    if modality != modalities.AUTO:
        return put(modality)
    named, plain = modalities.guess(file.path, data, whole=not large)
    try:
        return put(named, fallback=plain)
    except ContentMalformed as error:
        if named == plain:
            raise
        return put(plain, error.message)
