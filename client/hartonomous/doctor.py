"""What a server lacks, and how to mend it; works before the extension is there."""

from __future__ import annotations

import dataclasses
import os
from typing import Any

from psycopg import Connection

from hartonomous._version import VERSION
from hartonomous.client import check_version, connect, database_facts, open_connection
from hartonomous.errors import Error, translated
from hartonomous.records import Check

MINIMUM_SERVER = 170000
RECOMMENDED = (
    "track_commit_timestamp",
    "max_locks_per_transaction",
    "maintenance_work_mem",
    "shared_buffers",
    "preload ",
    "key file",
)
EXTENSIONS = {
    "plpython3u": "install postgresql-plpython3-17 on the server; managed clouds forbid it",
    "vector": "install postgresql-17-pgvector on the server",
    "postgis": "install postgresql-17-postgis-3 on the server",
    "pgcrypto": "install postgresql-contrib on the server",
    "btree_gist": "install postgresql-contrib on the server",
    "hartonomous": "on the server: make install PG_CONFIG=/path/to/pg_config",
}

_SETTINGS = """
select name, ok, pg_catalog.current_setting(name), expected, hint from (
    select greatest(64, 4 * count(*)) as least from pg_catalog.pg_inherits
    where inhparent = pg_catalog.to_regclass('hartonomous.atom')
) as l cross join lateral (values
    ('track_commit_timestamp', current_setting('track_commit_timestamp') = 'on', 'on',
     'alter system set track_commit_timestamp = on, then restart'),
    ('max_locks_per_transaction', current_setting('max_locks_per_transaction')::int >= l.least, 'at least ' || l.least,
     'alter system set max_locks_per_transaction = ' || greatest(256, l.least) || ', then restart'),
    ('maintenance_work_mem', pg_size_bytes(current_setting('maintenance_work_mem')) >= 268435456, 'at least 256MB',
     'alter system set maintenance_work_mem = ''512MB'', then reload'),
    ('shared_buffers', pg_size_bytes(current_setting('shared_buffers')) >= 268435456, 'at least 256MB',
     'alter system set shared_buffers to a quarter of the memory, then restart')
) as s (name, ok, expected, hint)
"""
_PRELOADS = """
select 'preload ' || p.name, p.name = any (regexp_split_to_array(s.loaded, '[ ,]+')), s.loaded, p.name,
       'add it to shared_preload_libraries and restart the server'
from unnest(array['pg_stat_statements', 'pg_cron', 'pg_qualstats']) as p (name),
     coalesce(current_setting('shared_preload_libraries', true), '') as s (loaded)
"""


def doctor(dsn: str | None = None) -> list[Check]:
    dsn = dsn if dsn is not None else os.environ.get("HARTONOMOUS_DSN", "")
    try:
        connection = open_connection(dsn)
    except Error as error:
        found = (error.detail or error.message).splitlines()[0]
        return [Check("connection", False, found, "a server that answers", error.hint or "")]
    with connection, translated():
        checks = [_connection(connection), _server(connection), *_extensions(connection)]
        version = _version(connection)
        checks.append(version)
        if not version.ok:
            return checks + [_recommend(row) for row in _settings(connection)]
    return checks + _server_checks(dsn)


def _connection(connection: Connection[Any]) -> Check:
    info = connection.info
    found = f"{info.dbname} on {info.host}:{info.port} as {info.user}"
    return Check("connection", True, found, "a server that answers", "")


def _server(connection: Connection[Any]) -> Check:
    number = connection.info.server_version
    found = str(connection.info.parameter_status("server_version"))
    return Check("PostgreSQL", number >= MINIMUM_SERVER, found, "17 or later", "upgrade the server with pg_upgrade")


def _extensions(connection: Connection[Any]) -> list[Check]:
    rows = connection.execute("select name, default_version from pg_catalog.pg_available_extensions").fetchall()
    available = dict(rows)
    return [
        Check(f"extension {name} available", name in available, available.get(name, "no"), "yes", hint)
        for name, hint in EXTENSIONS.items()
    ]


def _version(connection: Connection[Any]) -> Check:
    extension = database_facts(connection)["extension"]
    hint = ""
    try:
        check_version(connection, extension)
    except Error as error:
        hint = error.hint or ""
    return Check("extension hartonomous", not hint, extension or "not created", f"{VERSION} or later", hint)


def _settings(connection: Connection[Any]) -> list[Check]:
    rows = connection.execute(_SETTINGS).fetchall() + connection.execute(_PRELOADS).fetchall()
    return [Check(*row) for row in rows]


def _server_checks(dsn: str) -> list[Check]:
    try:
        with connect(dsn) as client:
            return [_recommend(check) for check in client.server_check()]
    except Error as error:
        return [Check("server_check()", False, error.message, "an answer", error.hint or "")]


def _recommend(check: Check) -> Check:
    return dataclasses.replace(check, required=not check.item.startswith(RECOMMENDED))
