"""What a backend keeps from one tenant to the next: plans, prepared statements, the Python interpreter."""

from __future__ import annotations

import psycopg

from attacks import attack
from attacks.session import Session, Victim

# a cache keyed by name alone, in an interpreter that outlives SET ROLE
CACHE_BY_NAME = """
create or replace function hartonomous._model_id(
    tenant_id int, model text, kind text default null, unfinished boolean default false) returns bigint
language plpython3u stable set search_path = pg_catalog, pg_temp as $$
if model not in GD:
    plan = plpy.prepare("select model_id from hartonomous.model where tenant_id = $1 and name = $2", ["int", "text"])
    GD[model] = plpy.execute(plan, [tenant_id, model])[0]["model_id"]
return GD[model]
$$"""

TEXT = "select string_agg(body, '') from hartonomous.artifact_text"


@attack("alter function hartonomous.current_tenant() immutable", kinds=("key",))
def a_prepared_statement_of_the_victims(session: Session, victim: Victim) -> bool:
    """As a generic plan, made while the victim used the session."""
    with session.pooled() as (as_victim, as_attacker):
        as_victim("set plan_cache_mode = force_generic_plan")
        as_victim(f"prepare kept as {TEXT}")
        for _ in range(7):
            as_victim("execute kept")
        return session.sees(as_attacker("execute kept"))


@attack(
    "drop policy tenant_read on hartonomous.artifact; create policy tenant_read on hartonomous.artifact using (true)"
)
def a_prepared_statement_after_set_role(session: Session, victim: Victim) -> bool:
    with session.pooled() as (as_victim, as_attacker):
        as_victim(f"prepare kept as {TEXT}")
        for _ in range(7):
            as_victim("execute kept")
        return session.sees(as_attacker("execute kept"))


@attack("alter function hartonomous._permit_read immutable")
def plans_inside_verbs(session: Session, victim: Victim) -> bool:
    with session.pooled() as (as_victim, as_attacker):
        for _ in range(7):
            as_victim("select hartonomous.content(%s)", [victim.artifact])
        return as_attacker("select hartonomous.content(%s)", [victim.artifact]) == [(victim.canary.encode(),)]


@attack("alter function hartonomous.current_tenant() immutable")
def plans_inside_functions_of_ones_own(session: Session, victim: Victim) -> bool:
    """PL/pgSQL keeps the plan of its first execution in the session."""
    with session.pooled() as (as_victim, as_attacker):
        session.plain("create function attack.own() returns int language plpgsql as"
                      " $$begin return hartonomous.current_tenant(); end$$",
                      "grant usage on schema attack to public")  # fmt: skip
        as_victim("select attack.own()")
        return as_attacker("select attack.own()") == [(victim.tenant,)]


@attack(CACHE_BY_NAME)
def a_model_that_the_session_has_loaded(session: Session, victim: Victim) -> bool:
    session.rename_model(victim.tenant, "tiny", "private")
    try:
        with session.pooled() as (as_victim, as_attacker):
            mine = as_victim(
                "select hartonomous.embed('the data', 'private')::text, hartonomous.tokenize('data', 'private')"
            )
            return (
                as_attacker(
                    "select hartonomous.embed('the data', 'private')::text, hartonomous.tokenize('data', 'private')"
                )
                == mine
            )
    finally:
        session.rename_model(victim.tenant, "private", "tiny")


LEAKY_BIND = """
create or replace function hartonomous._context_bind(tenant_id int, key_id bigint, scopes text[]) returns int
language plpgsql volatile set search_path = pg_catalog, pg_temp as $$
declare
    secret hartonomous.context_secret;
begin
    select s.* into secret from hartonomous.context_secret as s;
    perform set_config('hartonomous_tenant.context', concat_ws(' ', secret.inner_pad), true);
    return tenant_id;
end $$"""


@attack(LEAKY_BIND)
def secrets_in_debug_output(session: Session, victim: Victim) -> bool:
    """Plans and messages of what definers do, sent to the client."""
    pads = session.operator(
        "select encode(inner_pad, 'hex'), encode(outer_pad, 'hex') from hartonomous.context_secret"
    )[0]
    session.plain("set client_min_messages = debug5", "set debug_print_plan = on", "set debug_print_rewritten = on",
                  "set debug_print_parse = on", "set debug_pretty_print = off")  # fmt: skip
    with session.connection.transaction():
        try:
            with session.connection.transaction():
                session.connection.execute("select hartonomous.authenticate(%s)", [session.key or victim.key])
        except psycopg.Error:
            pass
        session.connection.execute("set local \"hartonomous_tenant.context\" = '1 1 read 00'")
        session.connection.execute("select hartonomous.current_tenant()")
    said = " ".join(" ".join(session.messages).split())
    in_plan = [" ".join(str(b - 256 if b > 127 else b) for b in bytes.fromhex(pad)[:8]) for pad in pads]
    return any(pad in said for pad in (*pads, *in_plan))
