"""Servers and clients that do not fit: no plpython3u, no extension installed, a client newer than the extension."""

import subprocess
import sys

import cli
import hartonomous
import psycopg
import pytest
from cluster import OwnServer
from hartonomous import client as client_module
from hartonomous import errors
from relocated import relocate

SCRIPTS = "/usr/share/postgresql/17/extension"


@pytest.fixture(scope="module")
def poor_server(tmp_path_factory):
    """A server that knows the extension's files and has no plpython3u."""
    folder = tmp_path_factory.mktemp("poor")
    binaries, share = relocate(folder)
    for entry in (share / "extension").glob("plpython3u*"):
        entry.unlink()
    (share / "extension" / "hartonomous.control").symlink_to(f"{SCRIPTS}/hartonomous.control")
    (share / "extension" / "hartonomous--0.1.0.sql").symlink_to(f"{SCRIPTS}/hartonomous--0.1.0.sql")
    with OwnServer(folder, binaries) as server:
        server.create("poor")
        yield server


def test_create_extension_without_plpython(poor_server):
    with poor_server.connect("poor") as connection:
        with pytest.raises(psycopg.Error, match="plpython3u") as raised:
            connection.execute("create extension hartonomous cascade")
        assert raised.value.sqlstate == "0A000"  # extension "plpython3u" is not available
        assert connection.execute("select to_regnamespace('hartonomous'), count(*) from pg_extension").fetchone() == (
            None,
            1,
        )
        assert connection.execute("select count(*) from pg_roles where rolname like 'hartonomous%'").fetchone() == (0,)


def test_client_and_doctor_without_plpython(poor_server):
    dsn = poor_server.dsn("poor")
    with pytest.raises(errors.ExtensionMissing, match="no plpython3u") as raised:
        hartonomous.connect(dsn)
    assert "postgresql-plpython3-17" in raised.value.hint and "doctor" in raised.value.hint
    out = cli.run(dsn, "doctor", code=1).stdout
    assert (
        "not ok  extension plpython3u available: no" in out and "install postgresql-plpython3-17 on the server" in out
    )
    error = cli.run(dsn, "models", "list", code=1).stderr
    assert error.startswith("error: the server has no plpython3u") and "Traceback" not in error


def test_client_newer_than_the_extension(dsn, client, monkeypatch):
    monkeypatch.setattr(client_module, "VERSION", "99.0.0")
    with pytest.raises(
        errors.VersionMismatch, match=f"client 99.0.0 is newer than the extension {client.version()}"
    ) as raised:
        hartonomous.connect(dsn)
    assert "alter extension hartonomous update" in raised.value.hint
    newer = "import hartonomous.client as c; c.VERSION = '99.0.0'; import hartonomous.cli as m; m.main(['search', 'x'])"
    ended = subprocess.run(
        [sys.executable, "-c", newer], env={**cli.ENVIRONMENT, "HARTONOMOUS_DSN": dsn}, text=True, capture_output=True
    )
    assert ended.returncode == 1 and ended.stderr.startswith("error: client 99.0.0 is newer") and "HINT" in ended.stderr


@pytest.mark.parametrize(
    ("version", "fits"), [("0.0.1", True), ("0.1.0", True), ("0.1.1", False), ("0.2", False), ("1.0rc1", False)]
)
def test_which_clients_fit(dsn, monkeypatch, version, fits):
    monkeypatch.setattr(client_module, "VERSION", version)
    if fits:
        hartonomous.connect(dsn).close()
    else:
        with pytest.raises(errors.VersionMismatch):
            hartonomous.connect(dsn)


def test_nobody_answers(tmp_path):
    with pytest.raises(errors.ConnectionFailed) as raised:
        hartonomous.connect(f"host={tmp_path}")
    assert raised.value.hint
