"""The client's errors are the server's, and whatever psycopg raises becomes one of them."""

import psycopg
import pytest
from hartonomous import errors
from hartonomous_server import errors as server
from psycopg.pq import DiagnosticField


def facts(cls):
    return {(c.__name__, c.sqlstate, c.__doc__) for c in cls}


def test_both_lists_are_equal():
    assert facts(errors.SERVER_ERRORS.values()) == facts(server.Error.__subclasses__())


def raised(base, message, sqlstate=None, detail=None, hint=None):
    fields = {
        DiagnosticField.MESSAGE_PRIMARY: message,
        DiagnosticField.MESSAGE_DETAIL: detail,
        DiagnosticField.MESSAGE_HINT: hint,
    }
    info = {field: text and text.encode() for field, text in fields.items()} if sqlstate else None
    kind = type(base.__name__, (base,), {"sqlstate": sqlstate})
    with pytest.raises(errors.Error) as found, errors.translated():
        raise kind(message, info=info)
    assert isinstance(found.value.__cause__, psycopg.Error)
    return found.value


@pytest.mark.parametrize("cls", errors.SERVER_ERRORS.values())
def test_each_sqlstate_becomes_its_class(cls):
    error = raised(psycopg.DatabaseError, f"{cls.__name__}: found 1, expected 2", cls.sqlstate, "why", "what to do")
    assert type(error) is cls
    assert str(error) == "found 1, expected 2\nDETAIL: why\nHINT: what to do"


def test_messages_of_plpgsql_have_no_prefix():
    assert str(raised(psycopg.DatabaseError, "no model 'x'", "ZH020")) == "no model 'x'"


@pytest.mark.parametrize("prefix", ["spiexceptions.UniqueViolation", "plpy.SPIError"])
def test_messages_of_sql_below_the_servers_python_have_none_either(prefix):
    error = raised(psycopg.DatabaseError, f"{prefix}: there is one already", "23505", "Key (a) exists")
    assert str(error) == "there is one already\nDETAIL: Key (a) exists"


def test_a_code_of_a_newer_server_keeps_its_sqlstate():
    error = raised(psycopg.DatabaseError, "something new", "ZH099")
    assert (type(error), error.sqlstate) == (errors.Error, "ZH099")


def test_a_missing_function_is_a_feature_that_is_not_there_yet():
    error = raised(
        psycopg.ProgrammingError, "function hartonomous.model_student(model => unknown) does not exist", "42883"
    )
    assert isinstance(error, errors.FeatureNotYet)
    assert error.message == "the server has no function hartonomous.model_student with these arguments"


@pytest.mark.parametrize("state", [None, "08006", "28P01", "3D000", "57P01"])
def test_lost_and_refused_connections(state):
    error = raised(psycopg.OperationalError, "server closed the connection unexpectedly", state)
    assert isinstance(error, errors.ConnectionFailed)
    assert error.detail == "server closed the connection unexpectedly"


def test_a_cancelled_statement_is_no_lost_connection():
    assert type(raised(psycopg.OperationalError, "canceling statement due to user request", "57014")) is errors.Error


def test_missing_rights_and_extension():
    assert isinstance(
        raised(psycopg.ProgrammingError, "permission denied for function ingest", "42501"), errors.NotPermitted
    )
    assert isinstance(
        raised(psycopg.ProgrammingError, 'schema "hartonomous" does not exist', "3F000"), errors.ExtensionMissing
    )


def test_texts_that_postgresql_cannot_hold():
    nul = raised(psycopg.DataError, "PostgreSQL text fields cannot contain NUL (0x00) bytes")
    assert isinstance(nul, errors.InvalidContent)
    with pytest.raises(errors.InvalidContent, match="lone surrogate at character 1"), errors.translated():
        "a\ud800".encode()


@pytest.mark.parametrize(
    ("detail", "seconds"),
    [("retry after 1.234 s", 1.234), ("retry after 86400.000 s", 86400.0), (None, 0.0), ("x", 0.0)],
)
def test_a_throttle_says_when_to_come_back(detail, seconds):
    assert raised(psycopg.Error, "rate limit is reached", "ZH004", detail).retry_after == seconds
