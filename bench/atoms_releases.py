"""Two releases of a source tree: what the store takes for them, table by table, beside a repository of borg."""

from __future__ import annotations

import os
import subprocess
import time
from itertools import batched
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any
from zlib import crc32

from hartonomous import modalities
from lib import MB, row

RELEASES = Path("/usr/local/share/releases")
BATCH = 500  # files a call
SAMPLE = 16  # one in so many paths, the same in each release, is stored as what it is
CONTENT = ("atom", "atom_reference_change")
BORG = ("lz4", "zstd")  # the first is its default


def measure(connection: Any, legibly: Any) -> list[dict[str, Any]]:
    """legibly: a connection to another database, where what is code or text is stored as that."""
    tree = files()
    raw = sum(len(content) for _, content in tree)
    before = breakdown(connection)
    seconds, artifacts = ingest(connection, tree, "binary")
    parts = {part: size - before.get(part, 0) for part, size in breakdown(connection).items()}
    assert_readable(connection, tree, artifacts)
    content = sum(size for (table, _), size in parts.items() if table in CONTENT)
    rivals = {f"borg {compression}": borg(compression) for compression in BORG}
    repository = rivals[f"borg {BORG[0]}"][0]

    def shares(size: float) -> dict[str, float]:
        return {"atoms": size / repository, **{name: rival[0] / repository for name, rival in rivals.items()}}

    print(f"\n{len(tree):,} files of {', '.join(sorted(path.name for path in RELEASES.iterdir()))}, {raw:,} bytes; "
          f"borg {version()}, chunks buzhash,19,23,21,4095, its default compression {BORG[0]}: {repository:,} bytes")
    order = sorted(parts.items(), key=lambda item: (item[0][0] not in CONTENT, item[0][0], -item[1]))
    for (table, part), size in order:
        if size:
            print(f"  {table:28}{part:56}{size:>12,}{size / repository:>8.3f}")
    speeds = {name: raw / MB / seconds for name, (_, seconds) in {"atoms": (0, seconds), **rivals}.items()}
    return [
        row("content store, of borg's repository", "ratio", shares(content), 3, most=1.15),
        row("all tables", "ratio", shares(sum(parts.values())), 3, most=1.6),
        row("storing them", "MB/s", speeds),
        *as_code(legibly, tree),
    ]


def files() -> list[tuple[str, bytes]]:
    """Path and bytes of every file, release by release."""
    paths = [path for path in sorted(RELEASES.rglob("*")) if path.is_file() and not path.is_symlink()]
    return [(str(path.relative_to(RELEASES)), path.read_bytes()) for path in paths]


def as_code(connection: Any, tree: list[tuple[str, bytes]]) -> list[dict[str, Any]]:
    """Some files as hartonomous ingest takes them, beside a repository of just these."""
    some = [(path, content) for path, content in tree if crc32(path.partition("/")[2].encode()) % SAMPLE == 0]
    by_modality: dict[str, list[tuple[str, bytes]]] = {}
    for path, content in some:
        named, _ = modalities.guess(Path(path), content)
        by_modality.setdefault(named if named in modalities.LEGIBLE else "binary", []).append((path, content))
    before = sum(breakdown(connection).values())
    seconds = sum(ingest(connection, files, modality)[0] for modality, files in by_modality.items())
    size = sum(breakdown(connection).values()) - before
    raw = sum(len(content) for _, content in some)
    with TemporaryDirectory() as folder:
        for path, content in some:
            (Path(folder) / path).parent.mkdir(parents=True, exist_ok=True)
            (Path(folder) / path).write_bytes(content)
        repository, _ = borg(BORG[0], Path(folder))
    return [
        row("all tables, as code, with text, shapes and index of words", "ratio", {"atoms": size / repository}, 3),
        row("storing them so", "MB/s", {"atoms": raw / MB / seconds}, 1),
    ]


def ingest(connection: Any, tree: list[tuple[str, bytes]], modality: str) -> tuple[float, list[int]]:
    """Seconds, and the artifacts."""
    artifacts: list[int] = []
    started = time.perf_counter()
    for some in batched(tree, BATCH):
        uris, contents = zip(*some, strict=True)
        found = connection.execute("select hartonomous.ingest_many(%b, %s, %s)", [list(contents), modality, list(uris)])
        artifacts += found.fetchone()[0]
    return time.perf_counter() - started, artifacts


def assert_readable(connection: Any, tree: list[tuple[str, bytes]], artifacts: list[int]) -> None:
    cursor = connection.cursor(binary=True)
    for (path, content), artifact in zip(tree[::50], artifacts[::50], strict=True):
        assert cursor.execute("select hartonomous.content(%s)", [artifact]).fetchone()[0] == content, path


def breakdown(connection: Any) -> dict[tuple[str, str], int]:
    """Bytes by table and part: heap with its maps, TOAST, each index; partitions added up."""
    return {(table, part): size for table, part, size in connection.execute("""
        with relation as (
            select c.oid, c.reltoastrelid, coalesce(i.inhparent, c.oid) as parent
            from pg_class as c left join pg_inherits as i on i.inhrelid = c.oid
            where c.relnamespace = 'hartonomous'::regnamespace and c.relkind in ('r', 'm')
        ), toast as (
            select oid, coalesce(pg_total_relation_size(nullif(reltoastrelid, 0)), 0) as size from relation
        ), part as (
            select r.parent, 'heap' as part, pg_table_size(r.oid) - t.size as size
            from relation as r join toast as t using (oid)
            union all
            select r.parent, 'TOAST', t.size from relation as r join toast as t using (oid)
            union all
            select r.parent, 'index ' || (select string_agg(pg_get_indexdef(x.indexrelid, n, true), ', ' order by n)
                                          from generate_series(1, x.indnkeyatts) as n),
                   pg_total_relation_size(x.indexrelid)
            from relation as r join pg_index as x on x.indrelid = r.oid
        )
        select (select relname from pg_class where oid = parent), part, sum(size)::bigint from part group by 1, 2""")}


def borg(compression: str, releases: Path = RELEASES) -> tuple[int, float]:
    """Bytes of a repository without encryption, seconds of storing."""
    with TemporaryDirectory() as folder:
        environment = {**os.environ, "BORG_BASE_DIR": folder, "BORG_UNKNOWN_UNENCRYPTED_REPO_ACCESS_IS_OK": "yes"}

        def run(*arguments: str) -> None:
            subprocess.run(["borg", *arguments], env=environment, cwd=releases, capture_output=True, check=True)

        repository = f"{folder}/repository"
        run("init", "--encryption", "none", repository)
        started = time.perf_counter()
        for release in sorted(releases.iterdir()):
            run("create", "--compression", compression, f"{repository}::{release.name}", release.name)
        seconds = time.perf_counter() - started
        return sum(path.stat().st_size for path in Path(repository).rglob("*") if path.is_file()), seconds


def version() -> str:
    return subprocess.run(["borg", "--version"], capture_output=True, text=True, check=True).stdout.split()[-1]
