"""Conditions of policies against another implementation, and the checker against both."""

from __future__ import annotations

import json
import operator
from typing import Any

import psycopg
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

UNKNOWN = object()
FACTS: dict[str, Any] = {
    "role": "ann", "login": "pool", "tenant": 2, "key_id": None, "scopes": ["read", "write"], "operation": "search",
    "units": 3, "hour": 0, "weekday": 7, "client_addr": None, "read_only": False,
}  # fmt: skip
ORDER = {"<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


def evaluate(node: Any) -> Any:
    """Three-valued, strictly typed."""
    if not isinstance(node, dict):
        return node
    if len(node) != 1:
        return UNKNOWN
    ((verb, arguments),) = node.items()
    if verb == "var":
        return FACTS.get(arguments, UNKNOWN) if isinstance(arguments, str) else UNKNOWN
    values = [evaluate(argument) for argument in (arguments if isinstance(arguments, list) else [arguments])]
    if verb in ("and", "or"):
        decisive = verb == "or"
        if any(value is decisive for value in values):
            return decisive
        return (not decisive) if values and all(value is (not decisive) for value in values) else UNKNOWN
    if verb == "!":
        return not values[0] if len(values) == 1 and isinstance(values[0], bool) else UNKNOWN
    return compare(verb, *values) if len(values) == 2 else UNKNOWN


def kind(value: Any) -> str:
    for name, types in {
        "boolean": bool,
        "number": (int, float),
        "string": str,
        "list": list,
        "null": type(None),
    }.items():
        if isinstance(value, types):
            return name
    return "object" if isinstance(value, dict) else "unknown"


def compare(verb: str, a: Any, b: Any) -> Any:
    kinds = kind(a), kind(b)
    if "unknown" in kinds or "object" in kinds or kinds[0] == "list":
        return UNKNOWN
    if verb == "in":
        if kinds[1] != "list" or any(kind(e) != kinds[0] for e in b if kinds[0] != "null"):
            return UNKNOWN
        return any(kind(e) == kinds[0] and e == a for e in b)
    if kinds[1] == "list":
        return UNKNOWN
    if verb in ("==", "!="):
        same = kinds[0] == kinds[1] and a == b
        return (same == (verb == "==")) if kinds[0] == kinds[1] or "null" in kinds else UNKNOWN
    return ORDER[verb](a, b) if verb in ORDER and kinds == ("number", "number") else UNKNOWN


scalars = (
    st.none()
    | st.booleans()
    | st.integers(-3, 9)
    | st.sampled_from([0.5, 3.0])
    | st.sampled_from(["ann", "read", "", "3", "'\"{"])
)
variables = st.sampled_from([*FACTS, "application_name", "__proto__"]).map(lambda name: {"var": name})
lists = st.lists(st.sampled_from(["ann", "read"]), max_size=3) | st.lists(scalars, max_size=3)
verbs = st.sampled_from(["==", "!=", "<", "<=", ">", ">=", "in", "and", "or", "!", "cat"])
wild = st.recursive(
    scalars | variables | lists,
    lambda inner: (
        st.builds(lambda verb, parts: {verb: parts}, verbs, st.lists(inner, max_size=3) | inner)
        | st.dictionaries(verbs, inner, max_size=2)
    ),
    max_leaves=12,
)
numbers = st.integers(-3, 9) | st.sampled_from(["tenant", "key_id", "units", "hour", "weekday"]).map(
    lambda name: {"var": name}
)
strings = st.sampled_from(["ann", "search", "7"]) | st.sampled_from(["role", "login", "operation", "client_addr"]).map(
    lambda name: {"var": name}
)
well_typed = st.recursive(
    st.booleans()
    | st.just({"var": "read_only"})
    | st.builds(lambda verb, a, b: {verb: [a, b]}, st.sampled_from(["==", "!=", *ORDER]), numbers, numbers)
    | st.builds(lambda verb, a, b: {verb: [a, b]}, st.sampled_from(["==", "!="]), strings, strings | st.none())
    | st.builds(
        lambda a, b: {"in": [a, b]},
        strings,
        st.lists(st.sampled_from(["ann", "x"]), min_size=1) | st.just({"var": "scopes"}),
    )
    | st.builds(lambda a, b: {"in": [a, b]}, numbers, st.lists(st.integers(0, 5), min_size=1)),
    lambda inner: (
        st.builds(
            lambda verb, parts: {verb: parts}, st.sampled_from(["and", "or"]), st.lists(inner, min_size=1, max_size=3)
        )
        | inner.map(lambda part: {"!": part})
    ),
    max_leaves=12,
)
shared = settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200, deadline=None)


def value(connection, condition: Any) -> Any:
    found = connection.execute(
        "select hartonomous._condition_value(%s::jsonb, %s::jsonb)::text", [json.dumps(condition), json.dumps(FACTS)]
    ).fetchone()[0]
    return UNKNOWN if found is None else json.loads(found)


def type_of(connection, condition: Any) -> str | None:
    try:
        return connection.execute("select hartonomous._condition_check(%s::jsonb)", [json.dumps(condition)]).fetchone()[
            0
        ]
    except psycopg.errors.InvalidParameterValue as error:
        assert "condition at $" in str(error)
        return None


@shared
@given(condition=wild)
def test_the_value_is_that_of_the_other_implementation(connection, condition):
    expected, found = evaluate(condition), value(connection, condition)
    assert (kind(found), found) == (kind(expected), expected)


@shared
@given(condition=well_typed)
def test_what_is_well_typed_passes_the_check(connection, condition):
    assert type_of(connection, condition) == "boolean"
    assert value(connection, condition) in (True, False, UNKNOWN)
    expected, found = evaluate(condition), value(connection, condition)
    assert (kind(found), found) == (kind(expected), expected)


@shared
@given(condition=wild)
def test_what_passes_the_check_is_unknown_for_want_of_a_value_alone(connection, condition):
    """With a value for each variable nothing that passes stays unknown."""
    if type_of(connection, condition) == "boolean":
        full = {**FACTS, "key_id": 7, "client_addr": "10.0.0.1"}
        found = connection.execute(
            "select hartonomous._condition_value(%s::jsonb, %s::jsonb)::text", [json.dumps(condition), json.dumps(full)]
        ).fetchone()[0]
        assert found in ("true", "false"), condition


@pytest.mark.parametrize("node", [{"==": [10**40, 10**40]}, {"in": ["a", ["a"] * 2000]}])
def test_large_values(connection, node):
    assert value(connection, node) is True
