"""Acting as somebody else: settings, contexts, roles, keys."""

from __future__ import annotations

import psycopg

from attacks import attack
from attacks.session import PASSWORD, Session, Victim

CONTEXT = "hartonomous_tenant.context"
OWN = "select string_agg(canonical_text, '') from hartonomous.artifact"

UNSIGNED = """
create or replace function hartonomous._context(out tenant_id int, out key_id bigint, out scopes text[])
language plpgsql stable parallel restricted set search_path = pg_catalog, pg_temp as $$
declare
    part constant text[] := string_to_array(current_setting('hartonomous_tenant.context', true), ' ');
begin
    if cardinality(part) = 4 then
        tenant_id := part[1]::int; scopes := string_to_array(part[3], ',');
    end if;
end $$"""

SIGNED_BY = """
create or replace function hartonomous._context_mac(payload text, inner_pad bytea, outer_pad bytea) returns text
language sql stable return encode(sha256(inner_pad || convert_to(concat_ws(' ', payload, {bound}), 'UTF8')), 'hex')"""

# a context that the transaction does not take with it: kept in the interpreter
STASHED = """
create function hartonomous._stash(t int) returns int language plpython3u as $$
if t is not None: GD['tenant'] = t
return GD.get('tenant')
$$;
create or replace function hartonomous._context(out tenant_id int, out key_id bigint, out scopes text[])
language plpgsql stable set search_path = pg_catalog, pg_temp as $$
begin
    tenant_id := hartonomous._stash(null); scopes := '{read,write}';
end $$;
create or replace function hartonomous._context_bind(tenant_id int, key_id bigint, scopes text[]) returns int
language sql volatile set search_path = pg_catalog, pg_temp return hartonomous._stash(tenant_id);
create or replace function hartonomous.current_tenant() returns int
language sql stable security definer set search_path = pg_catalog, pg_temp
return coalesce((hartonomous._context()).tenant_id, hartonomous._role_tenant())"""

MEMBER = "grant {victim} to {attacker}, {pool}"
NO_MEMBER = "revoke {victim} from {attacker}, {pool}"


def _with_context(session: Session, context: str) -> bool:
    """What can be read with a context of the attacker's making."""
    for local in ("true", "false"):
        with session.connection.transaction():
            session.connection.execute(f"select set_config('{CONTEXT}', %s, {local})", [context])
            if session.sees(session.connection.execute(OWN).fetchall()):
                return True
            try:
                with session.connection.transaction():
                    found = session.connection.execute("select hartonomous.content(%s)", [session.victim.artifact])
                    if found.fetchone()[0] == session.victim.canary.encode():
                        return True
            except psycopg.Error:
                pass
    return False


def _victims_context(connection: psycopg.Connection, victim: Victim) -> str:
    connection.execute("select hartonomous.authenticate(%s)", [victim.key])
    return connection.execute(f"select current_setting('{CONTEXT}', true)").fetchone()[0]


@attack(UNSIGNED)
def forged_context(session: Session, victim: Victim) -> bool:
    return _with_context(session, f"{victim.tenant} - read,write {'0' * 64}")


@attack("""
create or replace function hartonomous._role_tenant() returns int
language sql stable set search_path = pg_catalog, pg_temp
return coalesce(current_setting('hartonomous.tenant_id', true)::int,
                (select m.tenant_id from hartonomous.tenant_role as m where m.role_name = hartonomous._caller()))""")
def look_alike_settings(session: Session, victim: Victim) -> bool:
    for name in ("hartonomous.tenant", "hartonomous.tenant_id", "hartonomous.context", "hartonomous_tenant.tenant_id",
                 "hartonomous_tenant.tenant", "app.tenant", "app.tenant_id", "request.jwt.claim.tenant"):  # fmt: skip
        session.connection.execute("select set_config(%s, %s, false)", [name, str(victim.tenant)])
    return session.sees(session.connection.execute(OWN).fetchall())


@attack("""
create or replace function hartonomous._caller() returns name language sql stable
return coalesce(current_setting('hartonomous.role', true),
                nullif(current_setting('role'), 'none'), session_user)::name""")
def a_setting_that_names_a_role(session: Session, victim: Victim) -> bool:
    for name in ("hartonomous.role", "session_authorization.role", "app.role", "application_name"):
        session.connection.execute("select set_config(%s, %s, false)", [name, victim.role])
    return session.sees(session.connection.execute(OWN).fetchall())


@attack(SIGNED_BY.format(bound="extract(epoch from pg_postmaster_start_time())"))
def context_of_another_backend(session: Session, victim: Victim) -> bool:
    with session.connect() as other, other.transaction():
        if session.key:
            context = _victims_context(other, victim)
        else:  # a role of a tenant cannot take another's key, but may have seen the context of a pool's
            other.execute("reset all")
            with psycopg.connect(session.dsn) as operator:
                context = _victims_context(operator, victim) if _unmapped(operator) else ""
        return _with_context(session, context)


def _unmapped(operator: psycopg.Connection) -> bool:
    operator.execute("delete from hartonomous.tenant_role where role_name = session_user")  # rolled back
    return True


@attack(SIGNED_BY.format(bound="pg_backend_pid()"), kinds=("key",))
def context_of_another_transaction(session: Session, victim: Victim) -> bool:
    with session.connection.transaction():
        context = _victims_context(session.connection, victim)
    return _with_context(session, context)


@attack(STASHED, kinds=("key",))
def context_after_the_transaction(session: Session, victim: Victim) -> bool:
    with session.connection.transaction():
        _victims_context(session.connection, victim)
    return session.sees(session.connection.execute(OWN).fetchall())


@attack(STASHED, kinds=("key",))
def context_after_rollback_to_a_savepoint(session: Session, victim: Victim) -> bool:
    with session.connection.transaction():
        with session.connection.transaction(force_rollback=True):
            session.connection.execute("select hartonomous.authenticate(%s)", [victim.key])
        return session.sees(session.connection.execute(OWN).fetchall())


@attack(MEMBER, NO_MEMBER)
def becoming_another_role(session: Session, victim: Victim) -> bool:
    name = f'"{victim.role}"'
    for statement in (f"set role {name}", f"set session role {name}", f"set session authorization {name}",
                      f"select set_config('role', '{victim.role}', false)", "set role none", "reset role",
                      f"select set_config('session_authorization', '{victim.role}', false)",
                      "discard all"):  # fmt: skip
        if session.tries(statement) and session.sees(session.connection.execute(OWN).fetchall()):
            return True
    try:
        with session.connect(options=f"-c role={victim.role}") as other:
            return session.sees(other.execute(OWN).fetchall())
    except psycopg.OperationalError:
        return False


@attack(MEMBER, NO_MEMBER)
def role_of_a_function(session: Session, victim: Victim) -> bool:
    session.plain(f"create function attack.own() returns text language sql set role = '{victim.role}' as $$ {OWN} $$")
    return session.sees(session.connection.execute("select attack.own()").fetchall())


@attack("grant hartonomous_definer to {attacker}, {pool} with admin option",
        "revoke hartonomous_definer from {attacker}, {pool} cascade")  # fmt: skip
def membership_in_the_definer(session: Session, victim: Victim) -> bool:
    for statement in (f'grant hartonomous_definer to "{session.role}"', "set role hartonomous_definer"):
        session.tries(statement)
    return session.sees(session.connection.execute(OWN).fetchall())


@attack("grant hartonomous_owner to {attacker}, {pool}", "revoke hartonomous_owner from {attacker}, {pool}")
def privileges_of_the_owner(session: Session, victim: Victim) -> bool:
    session.tries(
        "alter table hartonomous.artifact no force row level security",
        "alter table hartonomous.artifact disable row level security",
        "drop policy tenant_read on hartonomous.artifact",
        "alter default privileges for role hartonomous_owner grant select on tables to public",
        "alter function hartonomous.current_tenant() immutable",
        "revoke all on hartonomous.artifact from hartonomous_reader",
    )
    return session.sees(session.connection.execute(OWN).fetchall())


@attack("grant {victim} to {attacker}, {pool} with admin option", "revoke {victim} from {attacker}, {pool} cascade")
def a_role_that_may_create_roles(session: Session, victim: Victim) -> bool:
    """With CREATEROLE, which the operator gave it for its own users."""
    name = f'"{victim.role}"'
    session.operator(f'alter role "{session.role}" createrole')
    try:
        session.tries(f"grant {name} to current_user with set true, inherit true", f"alter role {name} password 'x'",
                      f"set role {name}")  # fmt: skip
        return session.sees(session.connection.execute(OWN).fetchall())
    finally:
        session.operator(f'alter role "{session.role}" nocreaterole', f"alter role {name} password '{PASSWORD}'")


@attack("update hartonomous.operation set scope = 'read' where operation = 'ingest'", kinds=("key",))
def writing_with_a_key_to_read(session: Session, victim: Victim) -> bool:
    key = session.operator(f"select hartonomous.api_key_create({session.tenant}, scopes => '{{read}}')")[0][0]
    with session.connection.transaction():
        session.connection.execute("select hartonomous.authenticate(%s)", [key])
        return session.connection.execute("select hartonomous.ingest_text('written')").fetchone() is not None


@attack("grant execute on function hartonomous.api_key_create(int, text, text[], timestamptz), "
        "hartonomous.tenant_role_add(int, name) to public; grant usage on schema hartonomous to public")  # fmt: skip
def a_key_of_the_victims(session: Session, victim: Victim) -> bool:
    return session.tries(f"select hartonomous.api_key_create({victim.tenant})")


@attack("grant select on hartonomous.context_secret, hartonomous.api_key, hartonomous.jwt_issuer to public")
def reading_what_signs(session: Session, victim: Victim) -> bool:
    return session.tries("select inner_pad from hartonomous.context_secret", "select jwks from hartonomous.jwt_issuer",
                         "select secret_hash from hartonomous.api_key", "select last_value from hartonomous.id_key",
                         "select ciphertext from hartonomous.secret")  # fmt: skip


@attack(
    """
alter function hartonomous._context_bind(int, bigint, text[]) security definer;
alter function hartonomous._context_bind(int, bigint, text[]) owner to hartonomous_definer;
grant execute on function hartonomous._context_bind(int, bigint, text[]) to public""",
    kinds=("key",),
)
def having_a_context_signed(session: Session, victim: Victim) -> bool:
    with session.connection.transaction():
        session.connection.execute("select hartonomous._context_bind(%s, null, '{read}')", [victim.tenant])
        return session.sees(session.connection.execute(OWN).fetchall())
