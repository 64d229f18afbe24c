"""An updated database equals a fresh one: from each release, and from a made-up one that needs every kind of change."""

import hashlib
import os
import shutil
import subprocess
from pathlib import Path

import psycopg
import pytest
from cluster import OwnServer
from psycopg.conninfo import conninfo_to_dict
from relocated import relocate


def version_of(checkout: Path) -> str:
    command = ["python3", checkout / "build.py", "--version"]
    return subprocess.run(command, capture_output=True, text=True, check=True).stdout.strip()


ROOT = Path(__file__).parents[2]
SNAPSHOT = Path(__file__).with_name("snapshot.sql").read_text()
RELEASED = ROOT / "sql" / "released"
CURRENT = subprocess.run(
    ["python3", ROOT / "build.py", "--version"], capture_output=True, text=True, check=True
).stdout.strip()
PREVIOUS = "0.0.9"  # made up

# What the made-up version has otherwise, as (file, text now, text then); DELTA changes tables and signatures.
THEN = [
    ("extension.control", f"default_version = '{CURRENT}'", f"default_version = '{PREVIOUS}'"),
    ("sql/10_atoms/tables.sql", "    meta         jsonb,\n", ""),
    (
        "sql/01_boot/kernel.sql",
        "function hartonomous.version() returns text",
        "function hartonomous.version() returns varchar",
    ),
    ("sql/40_search/functions_search.sql", "length int default 240", "length int default 80"),
    ("sql/99_grants.sql", "grant select on all tables", "grant select, insert on all tables"),
]
GONE = """
create or replace function hartonomous.gone() returns int language sql immutable parallel safe return 1;
comment on function hartonomous.gone() is 'Removed later.';
"""
DELTA = """
alter table hartonomous.atom add column meta jsonb;
drop function hartonomous.version();
drop function hartonomous.gone();
revoke insert on all tables in schema hartonomous from hartonomous_reader;
"""


def copy_checkout(folder: Path) -> Path:
    for name in ("sql", "plpython"):
        shutil.copytree(ROOT / name, folder / name, ignore=shutil.ignore_patterns("__pycache__"))
    for name in ("build.py", "extension.control"):
        shutil.copy(ROOT / name, folder)
    return folder


def previous_checkout(folder: Path) -> Path:
    """The checkout as it might have been at the made-up version."""
    copy_checkout(folder)
    for name, now, then in THEN:
        text = (folder / name).read_text()
        assert now in text, f"{name} no longer has: {now}"
        (folder / name).write_text(text.replace(now, then))
    with (folder / "sql/01_boot/kernel.sql").open("a") as kernel:
        kernel.write(GONE)
    return folder


def install(checkout: Path, share: Path) -> None:
    """What `make install` does, into the shared files of a relocated server."""
    built = checkout / "build"
    subprocess.run(["python3", checkout / "build.py", "--out", built, "--share", share], check=True)
    for script in built.iterdir():
        shutil.copy(script, share / "extension")
    version = subprocess.run(
        ["python3", checkout / "build.py", "--version"], capture_output=True, text=True, check=True
    )
    package = share / "hartonomous" / version.stdout.strip()
    shutil.copytree(checkout / "plpython" / "hartonomous_server", package / "hartonomous_server")


@pytest.fixture(scope="module")
def server(tmp_path_factory):
    """A server of the test's own that knows the made-up version, the released ones and the current one."""
    folder = tmp_path_factory.mktemp("update")
    binaries, share = relocate(folder / "usr")
    install(previous_checkout(folder / PREVIOUS), share)
    current = copy_checkout(folder / CURRENT)
    (current / "sql/updates").mkdir(exist_ok=True)
    (current / f"sql/updates/{PREVIOUS}--{CURRENT}.sql").write_text(DELTA)
    install(current, share)
    with OwnServer(folder, binaries) as server:
        yield server


def create(connection: psycopg.Connection, version: str) -> None:
    connection.execute("set client_min_messages = warning")
    connection.execute(f"create extension hartonomous version '{version}' cascade")


def snapshot(connection: psycopg.Connection) -> list[str]:
    """Lines that describe the extension; the roles' names are the same in all databases of a server."""
    connection.execute("set search_path = pg_catalog")
    return [line for (line,) in connection.execute(SNAPSHOT)]


@pytest.fixture(scope="module")
def fresh(server):
    server.create("fresh")
    with server.connect("fresh") as connection:
        create(connection, CURRENT)
        return snapshot(connection)


def releases() -> list[str]:
    """Released versions from which an update leads on."""
    return sorted(path.name.split("--")[0] for path in (ROOT / "sql" / "updates").glob(f"*--{CURRENT}.sql"))


@pytest.mark.parametrize("version", [PREVIOUS, *releases()])
def test_an_updated_database_equals_a_fresh_one(server, fresh, version):
    with server.database(f"from {version}") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        create(connection, version)
        assert version != PREVIOUS or snapshot(connection) != fresh
        connection.execute("alter extension hartonomous update")
        assert snapshot(connection) == fresh


def test_rows_survive_an_update_and_code_of_the_new_version_reads_them(server):
    with server.database("with rows") as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            create(connection, PREVIOUS)
            connection.execute("select hartonomous.tenant_role_add(hartonomous.tenant_create('t'), session_user)")
            artifact = connection.execute("select hartonomous.ingest_text('kept', 'here')").fetchone()
            assert package_of(connection).endswith(f"/{PREVIOUS}/hartonomous_server/__init__.py")
            connection.execute("alter extension hartonomous update")
        with psycopg.connect(dsn, autocommit=True) as connection:
            assert connection.execute("select hartonomous.content(%s)", artifact).fetchone() == (b"kept",)
            assert connection.execute("select hartonomous.ingest_text('kept')").fetchone() == artifact
            assert connection.execute("select meta from hartonomous.atom").fetchall() == [(None,)]
            assert connection.execute("select hartonomous.version()").fetchone() == (CURRENT,)
            assert package_of(connection).endswith(f"/{CURRENT}/hartonomous_server/__init__.py")


def test_the_sql_contract_holds_after_an_update(server):
    """The pgTAP suite again, but for what asks for the server's own settings or its key file."""
    with server.database("contract") as dsn:
        with psycopg.connect(dsn, autocommit=True) as connection:
            create(connection, PREVIOUS)
            connection.execute("select hartonomous.tenant_create('default')")
            connection.execute("alter extension hartonomous update")
            connection.execute("create extension pgtap")
            connection.execute("create extension plpgsql_check")
        paths = sorted((ROOT / "tests/pgtap").glob("*.sql"))
        files = [path for path in paths if path.stem not in ("80_secrets", "85_ops")]
        environment = {**os.environ, "PGHOST": conninfo_to_dict(dsn)["host"], "PGPORT": "5432", "PGUSER": "postgres"}
        command = ["pg_prove", "--quiet", "--nocolor", "--failures", "-d", "contract", *files]
        done = subprocess.run(command, cwd=ROOT, env=environment, capture_output=True, text=True)
        assert done.returncode == 0, done.stdout + done.stderr


def package_of(connection: psycopg.Connection) -> str:
    """File of the server package that this backend uses."""
    connection.execute("select hartonomous.atom_identity('')")
    connection.execute(
        "create or replace function pg_temp.package() returns text language plpython3u as"
        " 'import hartonomous_server; return hartonomous_server.__file__'"
    )
    row = connection.execute("select pg_temp.package()").fetchone()
    assert row is not None
    return row[0]


def test_an_update_that_forgets_a_change_is_found(server, fresh):
    """The test itself: a database that lacks the delta differs."""
    with server.database("forgotten") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        create(connection, CURRENT)
        connection.execute("alter table hartonomous.atom drop column meta")
        difference = set(fresh) ^ set(snapshot(connection))
        assert difference and all("meta" in line for line in difference)


def test_an_existing_schema_is_refused(server):
    """Objects that somebody planted in a schema of ours would become the extension's."""
    with server.database("planted") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("create schema hartonomous")
        with pytest.raises(psycopg.errors.DuplicateSchema):
            create(connection, CURRENT)


def test_drop_takes_everything_away(server):
    with server.database("dropped") as dsn, psycopg.connect(dsn, autocommit=True) as connection:
        create(connection, CURRENT)
        connection.execute("drop extension hartonomous")
        left = connection.execute("select nspname from pg_namespace where nspname like 'hartonomous%'").fetchall()
        assert left == []
        create(connection, CURRENT)


def test_released_scripts_are_frozen():
    """SHA256SUMS names each released script with the hash it was released with."""
    listed = (RELEASED / "SHA256SUMS").read_text() if (RELEASED / "SHA256SUMS").exists() else ""
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in RELEASED.glob("*.sql")}
    assert {name: digest for digest, name in (line.split() for line in listed.splitlines())} == found
