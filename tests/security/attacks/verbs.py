"""Every verb that the attacker may call, as the catalog has it: a new one is attacked without being named here."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import psycopg

from attacks import attack
from attacks.plans import LEAKY_BIND
from attacks.session import Session, Victim

VERBS = """
select p.oid::regproc::text, a.name, a.type::regtype::text, a.ord > p.pronargs - p.pronargdefaults
from pg_proc as p cross join lateral
     (select n, t, o from unnest(p.proargnames[:p.pronargs], p.proargtypes::oid[]) with ordinality as x (n, t, o))
     as a (name, type, ord)
where p.pronamespace = 'hartonomous'::regnamespace and p.proname !~ '^_' and p.prokind = 'f'
  and has_function_privilege(%s, p.oid, 'execute') order by p.oid, a.ord"""

# what an argument holds that names nothing
PLAIN = {
    "text": "x", "name": "x", "bytea": b"x", "integer": 1, "smallint": 1, "bigint": 1, "real": 0.5,
    "double precision": 0.5, "boolean": True, "jsonb": "{}", "text[]": ["x"], "bytea[]": [b"x"],
    "real[]": [0.5], "integer[]": [1], "bigint[]": [1], "jsonb[]": ["{}"],
    "vector": str([1.0] * 32), "vector[]": [str([1.0] * 32)], "geometry": "POINT(0 0)",
    "timestamp with time zone": "now", "interval": "1 s", "pg_snapshot": "1:1:",
}  # fmt: skip
NAMED = {"model": "tiny", "tensor": "embeddings.LayerNorm.bias", "architecture": "BertModel", "modality": "text",
         "format": "text", "dtype": "F32", "subtype": "x", "center": "POINT Z (0 0 0)", "models": ["tiny"],
         "api_key": "hk_1_" + "0" * 40}  # fmt: skip
NOBODYS = 2**40 - 12345
PURE = {"hartonomous.atom_identity"}  # a function of its arguments, whoever has what


@dataclass(frozen=True)
class Argument:
    name: str
    type: str
    optional: bool


def verbs(session: Session) -> dict[str, list[Argument]]:
    found: dict[str, list[Argument]] = {}
    for verb, argument, kind, optional in session.operator(VERBS, parameters=[session.role]):
        found.setdefault(verb, []).append(Argument(argument, kind.removeprefix("public."), optional))
    return {verb: arguments for verb, arguments in found.items() if verb not in PURE}


def call(verb: str, arguments: list[Argument], named: dict[str, Any]) -> tuple[str, list[Any]]:
    """A call with values for what has no default, and for what names something."""
    given = [
        (a, named.get(a.name, NAMED.get(a.name, PLAIN[a.type]))) for a in arguments if not a.optional or a.name in named
    ]
    places = {"vector": "public.vector", "vector[]": "public.vector[]", "geometry": "public.geometry"}
    types = [f"{a.name} => %s::{places.get(a.type, a.type)}" for a, _ in given]
    return f"select * from {verb}({', '.join(types)})", [value for _, value in given]


def references(session: Session, tenant: int) -> dict[str, Any]:
    """Of a tenant: a value for each argument that is named like a column of a key, and names of its things."""
    columns = session.operator("""
        select distinct on (a.attname) a.attname::text, t.relation::text
        from hartonomous.tenant_table as t join pg_attribute as a on a.attrelid = t.relation and a.attnum > 0
        where a.attname like '%\\_id' and a.atttypid = 'bigint'::regtype
        order by a.attname, a.attnum, length(t.relation::text)""")
    found: dict[str, Any] = {}
    for column, table in columns:
        rows = session.operator(
            f"select {column} from {table} where tenant_id = {tenant} and {column} is not null limit 1"
        )
        if rows:
            found |= {column: rows[0][0], f"{column}s": [rows[0][0]]}
    return found | dict.fromkeys(("from_artifact", "to_artifact"), found["artifact_id"])


def outcome(connection: psycopg.Connection[Any], query: str, values: list[Any], hidden: str) -> str:
    """Rows or the whole error, without the value that was asked for."""
    try:
        with connection.transaction(force_rollback=True):
            said = str(connection.execute(query, values).fetchall())
    except psycopg.Error as error:
        diagnostic = error.diag
        said = str((error.sqlstate, diagnostic.message_primary, diagnostic.message_detail, diagnostic.message_hint))
    return said.replace(hidden, "IT")


TELLING_ROOT = """
do $do$ begin
    execute replace(pg_get_functiondef('hartonomous._artifact_root'::regproc), $$using errcode = 'ZH010',$$,
        $$using errcode = 'ZH010', detail = (select count(*)::text from hartonomous.artifact as a
                                             where a.artifact_id = _artifact_root.artifact_id),$$);
end $do$"""


@attack(TELLING_ROOT)
def a_foreign_id_against_a_missing_one(session: Session, victim: Victim) -> bool:
    """In every argument of every verb that names something: SQLSTATE, message, detail and hint must be the same."""
    own, foreign = references(session, session.tenant), references(session, victim.tenant)
    asked = {name: (value, [NOBODYS] if isinstance(value, list) else NOBODYS) for name, value in foreign.items()}
    asked["model"] = ("victims", "nobodys")
    compared = 0
    session.rename_model(victim.tenant, "tiny", "victims")
    try:
        with session.acting() as connection:
            for verb, arguments in verbs(session).items():
                for name in asked.keys() & {argument.name for argument in arguments}:
                    there, missing = (
                        outcome(connection, *call(verb, arguments, own | {name: value}), str(value).strip("[]"))
                        for value in asked[name]
                    )
                    compared += 1
                    if there != missing:
                        session.messages.append(f"{verb} {name}: {there} {missing}")
    finally:
        session.rename_model(victim.tenant, "victims", "tiny")
    assert compared >= 20
    return any(message.startswith("hartonomous.") for message in session.messages)


def as_printed(value: bytes) -> str:
    return " ".join(str(byte - 256 if byte > 127 else byte) for byte in value)


LEAKY_PERMIT = """;
create or replace function hartonomous._role_tenant() returns int
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
declare
    secret hartonomous.context_secret;
begin
    select s.* into secret from hartonomous.context_secret as s;
    perform concat_ws(' ', secret.inner_pad);
    return (select m.tenant_id from hartonomous.tenant_role as m where m.role_name = hartonomous._caller());
end $$"""


@attack(LEAKY_BIND + LEAKY_PERMIT)
def plans_of_what_verbs_do(session: Session, victim: Victim) -> bool:
    """Anybody may have the plans printed of the statements inside a verb; a parameter is a constant there."""
    keys = session.operator(
        "select inner_pad, outer_pad, int8send(last_value) from hartonomous.context_secret, hartonomous.id_key"
    )
    hashes = session.operator("select secret_hash from hartonomous.api_key")
    secrets = [bytes(value) for row in keys + hashes for value in row]
    texts = [victim.canary, victim.document, victim.role]
    needles = [as_printed(value[:24]) for value in secrets] + [as_printed(text.encode()) for text in texts]
    needles += [value.hex() for value in secrets] + texts
    own = references(session, session.tenant)
    with session.connect() as connection:
        for setting in ("debug_print_plan", "debug_print_rewritten", "debug_print_parse"):
            connection.execute(f"set {setting} = on")
        connection.execute("set client_min_messages = debug5; set debug_pretty_print = off")  # numbers stay whole
        session.messages.clear()
        with connection.transaction():
            if session.key:
                connection.execute("select hartonomous.authenticate(%s)", [session.key])
            for verb, arguments in verbs(session).items():
                outcome(connection, *call(verb, arguments, own), "-")
    said = " ".join(" ".join(session.messages).split())
    assert len(said) > 100_000
    return any(needle in said for needle in needles)
