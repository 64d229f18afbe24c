"""Servers and their databases, as tests need them: the running one, or one of a test's own that it may kill."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import psycopg
from psycopg.conninfo import conninfo_to_dict, make_conninfo
from psycopg.sql import SQL, Identifier

BINARIES = Path("/usr/lib/postgresql/17/bin")
# A server inherits its environment to every backend: this process's PYTHONPATH would change what PL/Python imports.
ENVIRONMENT = {"PATH": f"{BINARIES}:/usr/bin:/bin", "LANG": "C.UTF-8", "HOME": "/tmp"}
SETTINGS = {
    "listen_addresses": "''", "fsync": "off", "track_commit_timestamp": "on", "max_connections": "50",
    "shared_buffers": "64MB", "restart_after_crash": "on",
}  # fmt: skip


USER = {"user": "postgres", "group": "postgres"} if os.geteuid() == 0 else {}  # root may not run a server


class Server:
    def __init__(self, dsn: str) -> None:
        self._parameters = conninfo_to_dict(dsn)

    def dsn(self, database: str, **parameters: str) -> str:
        return make_conninfo(**{**self._parameters, "dbname": database, **parameters})

    def connect(self, database: str, **parameters: str) -> psycopg.Connection[Any]:
        return psycopg.connect(self.dsn(database, **parameters), autocommit=True)

    def execute(self, statement: str, *names: str, database: str = "postgres") -> None:
        with self.connect(database) as connection:
            connection.execute(SQL(statement).format(*map(Identifier, names)))

    def create(self, database: str, template: str = "template1", extension: bool = False, partitions: int = 1) -> None:
        """Creates a database; with the extension it has tenant 1, for which the superuser acts, as `make up` does."""
        self.execute("create database {} template {}", database, template)
        if extension:
            with self.connect(database) as connection:
                connection.execute("set client_min_messages = warning")
                connection.execute(f"set hartonomous.atom_partitions = {partitions}")
                connection.execute("create extension hartonomous cascade")
                connection.execute("select hartonomous.tenant_create('default')")
                connection.execute("select hartonomous.tenant_role_add(1, session_user)")

    def drop(self, database: str) -> None:
        self.execute("drop database if exists {} with (force)", database)

    @contextmanager
    def database(self, name: str, **how: Any) -> Iterator[str]:
        """The connection string of a new database, which goes at the end."""
        self.create(name, **how)
        try:
            yield self.dsn(name)
        finally:
            self.drop(name)


class OwnServer(Server):
    """A server made in a folder, reached by its socket there only, as superuser postgres without password."""

    def __init__(self, folder: Path, binaries: Path = BINARIES) -> None:
        super().__init__(make_conninfo(host=str(folder), port=5432, user="postgres"))
        self._folder = folder
        self._data = folder / "data"
        self._binaries = binaries
        if USER:
            shutil.chown(folder, **USER)
        self._run(
            "initdb", "-D", self._data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C.UTF-8", "--no-sync"
        )
        lines = [f"{name} = {value}\n" for name, value in SETTINGS.items()]
        (self._data / "postgresql.auto.conf").write_text("".join(lines) + f"unix_socket_directories = '{folder}'\n")

    def __enter__(self) -> OwnServer:
        self._run(
            "pg_ctl", "start", "-D", self._data, "-l", self._folder / "log", "-w", "-p", self._binaries / "postgres"
        )
        return self

    def __exit__(self, *_: object) -> None:
        self._run("pg_ctl", "stop", "-D", self._data, "-m", "immediate", "-w")

    def log(self) -> str:
        return (self._folder / "log").read_text()

    def _run(self, program: str, *arguments: object) -> None:
        command = [str(BINARIES / program), *map(str, arguments)]
        quiet: dict[str, Any] = {"stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL, **USER}
        subprocess.run(command, check=True, env=ENVIRONMENT, **quiet)


@contextmanager
def replica(server: Server, folder: Path) -> Iterator[Server]:
    """A streaming replica made in a folder."""
    run: dict[str, Any] = {"check": True, "env": ENVIRONMENT, "stdout": subprocess.DEVNULL, "stdin": subprocess.DEVNULL}
    data = folder / "data"
    subprocess.run([BINARIES / "pg_basebackup", "-D", data, "-R", "-c", "fast", "-d", server.dsn("postgres")], **run)
    with (data / "postgresql.auto.conf").open("a") as settings:
        settings.write(f"unix_socket_directories = '{folder}'\n")
    subprocess.run([BINARIES / "pg_ctl", "start", "-D", data, "-l", folder / "log", "-w"], **run)
    try:
        yield Server(make_conninfo(host=str(folder), port=5432, user="postgres"))
    finally:
        subprocess.run([BINARIES / "pg_ctl", "stop", "-D", data, "-m", "immediate", "-w"], **run)


def dump(dsn: str, file: Path) -> None:
    subprocess.run(["pg_dump", "-Fc", "-f", file, "-d", dsn], check=True)


def restore(file: Path, dsn: str) -> None:
    subprocess.run(["pg_restore", "--exit-on-error", "-d", dsn, file], check=True)
