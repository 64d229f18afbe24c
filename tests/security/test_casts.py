"""Nobody gets from bytes to a vector past the check: a length that lies would read the server's memory."""

import psycopg
import pytest
from psycopg.pq import ExecStatus

LIE = b"\\xe8030000"  # a vector of 1000 dimensions in four bytes


@pytest.fixture
def image_type(connection):
    query = "select oid, typarray from pg_type where typname = 'vector_image'"
    return connection.execute(query).fetchone()


@pytest.mark.parametrize(
    "expression",
    [
        r"'\xe8030000'::bytea::vector",
        r"cast('\xe8030000'::bytea as vector)",
        r"'\xe8030000'::hartonomous_private.vector_image::vector",
        r"'\xe8030000'::bytea::hartonomous_private.vector_image::vector",
        r"hartonomous_private.vector_image_in('\xe8030000')::vector",
        r"hartonomous._vector('\xe8030000')",
        r"vector '\xe8030000'",
        r"pg_input_is_valid('\xe8030000', 'hartonomous_private.vector_image')",
    ],
)
def test_sql_reaches_no_cast(as_bob, expression):
    with pytest.raises((psycopg.errors.InsufficientPrivilege, psycopg.errors.CannotCoerce, psycopg.errors.DataError)):
        as_bob.execute(f"select {expression}")


@pytest.mark.parametrize("format", [0, 1], ids=["text", "binary"])
@pytest.mark.parametrize(
    "query",
    [
        b"select $1::public.vector",
        b"select ($1)[1]::public.vector",
        b'select (jsonb_populate_record(row($1), \'{"f1": "\\\\xe8030000"}\')).*',
        b"create temp table taken as select $1 as image",
        b"select case when true then $1 end::public.vector",
    ],
)
def test_the_protocol_reaches_no_cast(as_bob, image_type, query, format):
    """A parameter is typed by number, so the type's schema and privileges are never asked."""
    for oid, value in ((image_type[0], LIE), (image_type[1], b'{"\\\\xe8030000"}')):
        result = as_bob.pgconn.exec_params(query, [value], [oid], [format])
        assert result.status == ExecStatus.FATAL_ERROR


def test_null_of_the_type_leads_nowhere(as_bob, image_type):
    """NULL passes every input function; what can be made of it must stay NULL or fail."""
    result = as_bob.pgconn.exec_params(b"create temp table taken as select $1 as image", [None], [image_type[0]], [0])
    assert result.status == ExecStatus.FATAL_ERROR and b"permission denied" in result.error_message
    record = (
        b"""select f1::public.vector from jsonb_populate_record(row($1), '{"f1": "\\\\xe8030000"}') as (f1 bytea)"""
    )
    assert as_bob.pgconn.exec_params(record, [None], [image_type[0]], [0]).status == ExecStatus.FATAL_ERROR


def test_no_operator_or_function_of_others_takes_the_type(connection, image_type):
    """Whatever accepts it by number is ours and private."""
    takers = connection.execute(
        "select p.oid::regprocedure::text, p.pronamespace::regnamespace::text from pg_proc as p"
        " where %s = any (p.proargtypes::oid[]) or p.prorettype = %s",
        [image_type[0], image_type[0]],
    ).fetchall()
    assert {schema for _, schema in takers} == {"hartonomous_private"}
    assert connection.execute(
        "select count(*) from pg_operator where %s in (oprleft, oprright)", [image_type[0]]
    ).fetchone() == (0,)
