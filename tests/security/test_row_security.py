"""Attacks on the walls between tenants by direct SQL; each must fail. Each room tests the walls of its verbs."""

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

TABLES = """
select r.relation::regclass::text, t.tenant_column::text
from hartonomous.tenant_table as t cross join lateral
     (select t.relation union select p.relid from pg_partition_tree(t.relation) as p) as r (relation) order by 1
"""


@pytest.fixture(scope="module")
def tables(dsn, tenants):
    """Every tenant table and partition, with its tenant column."""
    with psycopg.connect(dsn) as connection:
        return connection.execute(TABLES).fetchall()


def test_the_tables_hold_rows_of_both(connection, tenants, tables):
    """Else the tests below would prove nothing."""
    for table, column in tables:
        found = {row[0] for row in connection.execute(f"select distinct {column} from {table}")}
        assert set(tenants.ids.values()) <= found or "_p0" in table, table


def test_a_tenant_reads_its_own_rows_only(as_bob, tenants, tables):
    for table, column in tables:
        try:
            found = {row[0] for row in as_bob.execute(f"select {column} from {table}")}
        except psycopg.errors.InsufficientPrivilege:
            continue
        assert found <= {0, tenants.ids[tenants.bob]}, table


def test_no_error_of_a_condition_tells_of_other_rows(as_bob, tenants, tables):
    """A condition that fails on foreign rows must not see them before the policy does."""
    for table, column in tables:
        try:
            as_bob.execute(f"select 1 from {table} where 1 / ({column} - {tenants.ids[tenants.ann]}) is null")
        except psycopg.errors.InsufficientPrivilege:
            continue


@pytest.mark.parametrize("statement", ["insert into {} default values", "delete from {}", "truncate {}"])
def test_a_tenant_writes_no_table(as_bob, tables, statement):
    for table, _ in tables:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_bob.execute(statement.format(table))


def test_a_tenant_updates_no_column(as_bob, tables):
    for table, column in tables:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_bob.execute(f"update {table} set {column} = 0")


def test_the_view_and_the_readers_of_versions_keep_the_wall(as_bob, tenants):
    own = {0, tenants.ids[tenants.bob]}
    for source in (
        "artifact_text",
        "artifact__all()",
        "artifact__as_of(now())",
        "atom_embedding__all()",
        "tensor_atom_coefficient__all()",
        "tensor_atom_coefficient__as_of(now())",
        "tensor_atom_coefficient__as_of_snapshot(pg_current_snapshot())",
    ):
        found = {row[0] for row in as_bob.execute(f"select tenant_id from hartonomous.{source}")}
        assert found == own - {0}, source


def test_another_tenant_cannot_be_entered(as_bob, tenants):
    for statement in ("set role {}", "set session authorization {}", "grant {} to current_user"):
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_bob.execute(SQL(statement).format(Identifier(tenants.ann)))


def test_what_an_attacker_plants_in_a_search_path_is_not_called(connection, as_bob, tenants):
    connection.execute(SQL("create schema attack authorization {}").format(Identifier(tenants.bob)))
    try:
        as_bob.execute("""
            create function attack.fail(int, int) returns boolean language plpgsql as $$begin raise 'called'; end$$;
            create function attack.sha256(bytea) returns bytea language plpgsql as $$begin raise 'called'; end$$;
            create operator attack.= (function = attack.fail, leftarg = int, rightarg = int);
            create temp table artifact (artifact_id bigint);
            set search_path = attack, pg_temp, pg_catalog, hartonomous""")
        with pytest.raises(psycopg.errors.RaiseException):
            as_bob.execute("select 1 = 1")
        artifact = as_bob.execute("select hartonomous.ingest_text('planted')").fetchone()
        assert as_bob.execute("select hartonomous.content(%s)", artifact).fetchone() == (b"planted",)
    finally:
        connection.execute("drop schema attack cascade")
