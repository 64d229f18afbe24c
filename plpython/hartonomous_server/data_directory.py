"""A database's files in the data directory: what outlives a transaction, and what is made again from tables."""

from __future__ import annotations

# nothing else: a backend waits for these imports at its first throttled call
import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

ROOT = "hartonomous"  # every backend stays in the data directory
_own = ""  # a backend stays in its database


def folder(database: int) -> str:
    return f"{ROOT}/{database}"


def own(db: Any) -> str:
    """Folder of the backend's database; when there is none yet, those of databases that are gone are removed."""
    global _own
    if not _own:
        sql = "select d.oid from pg_catalog.pg_database as d where d.datname = pg_catalog.current_database()"
        _own = folder(db.execute(sql)[0]["oid"])
        if not os.path.exists(_own):
            _remove_stale(db)
    return _own


def _remove_stale(db: Any) -> None:
    # unlike a query of pg_database it knows of databases that were made after this transaction's snapshot
    gone = db.prepare("select pg_catalog.has_database_privilege($1, 'connect') is null as gone", ["oid"])
    for name in os.listdir(ROOT) if os.path.exists(ROOT) else []:
        if name.isdecimal() and db.execute(gone, [int(name)])[0]["gone"]:
            import shutil

            shutil.rmtree(folder(int(name)), ignore_errors=True)  # another backend may be about it
