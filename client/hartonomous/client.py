"""connect and Client."""

from __future__ import annotations

import logging
import os
import re
from types import TracebackType
from typing import Any

import psycopg
from psycopg import Connection
from psycopg.errors import Diagnostic
from psycopg.rows import dict_row

from hartonomous import vectors
from hartonomous._version import VERSION
from hartonomous.errors import ExtensionMissing, FeatureNotYet, VersionMismatch, translated
from hartonomous.rooms.atoms import Atoms
from hartonomous.rooms.evaluation import Evaluation
from hartonomous.rooms.inference import Inference
from hartonomous.rooms.metadata import Metadata
from hartonomous.rooms.models import Models
from hartonomous.rooms.ops import Ops
from hartonomous.rooms.privacy import Privacy
from hartonomous.rooms.provenance import Provenance
from hartonomous.rooms.search import Search
from hartonomous.rooms.shapes import Shapes
from hartonomous.rooms.temporal import Temporal
from hartonomous.rooms.tenants import Tenants

# All that must be known of a database, in one round trip that also works without the extension.
_FACTS = """
select (select extversion from pg_catalog.pg_extension where extname = 'hartonomous') as extension,
       pg_catalog.to_regprocedure('hartonomous.authenticate(text)') is not null as has_authenticate,
       v.oid, v.typarray
from (values (1)) as one
left join (select t.oid, t.typarray
           from pg_catalog.pg_extension as e
           join pg_catalog.pg_depend as d on d.refobjid = e.oid and d.deptype = 'e'
           join pg_catalog.pg_type as t on t.oid = d.objid
           where d.refclassid = 'pg_catalog.pg_extension'::pg_catalog.regclass
             and d.classid = 'pg_catalog.pg_type'::pg_catalog.regclass
             and e.extname = 'vector' and t.typname = 'vector') as v on true
"""
_DOCTOR = "hartonomous doctor lists what is missing"


class Client(
    Tenants, Temporal, Atoms, Metadata, Shapes, Models, Inference, Search, Evaluation, Provenance, Privacy, Ops
):
    """A connection to a database with the extension; not to be shared between threads, see `clone`.

    One method per SQL function, with its name and arguments. An optional argument that is None is left to the server's
    default. Vectors and tensors are numpy arrays.
    """

    def __init__(self, connection: Connection[Any], dsn: str, api_key: str | None = None) -> None:
        super().__init__(connection, api_key)
        self._dsn = dsn

    def clone(self) -> Client:
        """Another connection of the same kind, for another thread."""
        return connect(self._dsn, self._api_key)

    def close(self) -> None:
        self.connection.close()

    def __enter__(self) -> Client:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.close()


def connect(dsn: str | None = None, api_key: str | None = None) -> Client:
    """Connects to a database; dsn defaults to HARTONOMOUS_DSN, then to libpq's environment.

    With an api_key each call sends authenticate and the call in one pipelined transaction.
    """
    dsn = dsn if dsn is not None else os.environ.get("HARTONOMOUS_DSN", "")
    connection = open_connection(dsn)
    try:
        facts = database_facts(connection)
        check_version(connection, facts["extension"])
        if api_key is not None and not facts["has_authenticate"]:
            raise FeatureNotYet(
                f"API keys are not available in version {facts['extension']} of the extension",
                hint="connect as a database role that hartonomous.tenant_role_add maps to a tenant",
            )
        vectors.register(connection, facts["oid"], facts["typarray"])
    except BaseException:
        connection.close()
        raise
    return Client(connection, dsn, api_key)


def open_connection(dsn: str) -> Connection[Any]:
    with translated():
        connection = psycopg.connect(dsn, autocommit=True, fallback_application_name="hartonomous")
    connection.add_notice_handler(_log)
    return connection


def _log(notice: Diagnostic) -> None:
    """What the server tells beside a result goes to the logger ``hartonomous``, which prints warnings by default."""
    level = logging.WARNING if notice.severity_nonlocalized == "WARNING" else logging.INFO
    logging.getLogger("hartonomous").log(level, "%s", told(notice))


def told(notice: Diagnostic) -> str:
    """A notice's message and its hint."""
    return "\n".join(filter(None, [notice.message_primary, notice.message_hint and f"HINT: {notice.message_hint}"]))


def database_facts(connection: Connection[Any]) -> dict[str, Any]:
    with translated():
        return connection.cursor(row_factory=dict_row).execute(_FACTS).fetchall()[0]


def check_version(connection: Connection[Any], extension: str | None) -> None:
    """Refuses a database without the extension and an extension older than this client."""
    if extension is None:
        raise _missing(connection)
    if _numbers(VERSION) > _numbers(extension):
        raise VersionMismatch(
            f"client {VERSION} is newer than the extension {extension}",
            hint=f"alter extension hartonomous update, or pip install hartonomous=={extension}",
        )


def _missing(connection: Connection[Any]) -> ExtensionMissing:
    with translated():
        wanted = "select name from pg_catalog.pg_available_extensions where name in ('hartonomous', 'plpython3u')"
        available = {name for (name,) in connection.execute(wanted)}
    if "plpython3u" not in available:
        return ExtensionMissing(
            "the server has no plpython3u, which hartonomous needs",
            hint=f"install postgresql-plpython3-17 on the server (managed clouds forbid it); {_DOCTOR}",
        )
    if "hartonomous" not in available:
        return ExtensionMissing(
            "the extension hartonomous is not installed on the server",
            hint=f"on the server: make install, then create extension hartonomous cascade; {_DOCTOR}",
        )
    return ExtensionMissing(
        f'the extension hartonomous is not created in database "{connection.info.dbname}"',
        hint=f"create extension hartonomous cascade; {_DOCTOR}",
    )


def _numbers(version: str) -> tuple[int, ...]:
    return tuple(int(part) for part in re.findall(r"\d+", version.partition("+")[0]))
