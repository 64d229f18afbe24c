"""Reading rows by every way that SQL has."""

from __future__ import annotations

import psycopg

from attacks import attack
from attacks.session import Session, Victim

UNGUARDED = "alter table hartonomous.artifact disable row level security"
TEXT = "select canonical_text from hartonomous.artifact"

TABLES = """
select r.relation::regclass::text from hartonomous.tenant_table as t cross join lateral
     (select t.relation union select p.relid from pg_partition_tree(t.relation) as p) as r (relation)"""


def every_table(session: Session) -> list[str]:
    return [row[0] for row in session.rows(TABLES)]


@attack("alter table hartonomous.ingestion_log disable row level security")
def every_table_directly(session: Session, victim: Victim) -> bool:
    """As whole rows, which name their tenant."""
    for table in every_table(session):
        try:
            found = session.rows(f"select to_jsonb(t) from {table} as t")
        except psycopg.errors.InsufficientPrivilege:
            continue
        if any(row.get("tenant_id") not in (0, session.tenant) for (row,) in found):
            return True
    return False


@attack("grant select on hartonomous.atom_p000 to public; alter table hartonomous.atom_p000 disable row level security")
def a_partition_beside_its_table(session: Session, victim: Victim) -> bool:
    return victim.canary.encode().hex() in str(session.rows("select encode(value, 'hex') from hartonomous.atom_p000"))


@attack(UNGUARDED)
def copy_out(session: Session, victim: Victim) -> bool:
    with session.acting() as connection, connection.cursor() as cursor:
        found = b""
        for source in ("hartonomous.artifact (canonical_text)", f"({TEXT})"):
            with cursor.copy(f"copy {source} to stdout") as copy:
                found += b"".join(copy)
    return session.sees(found)


@attack(
    "grant insert on hartonomous.artifact_source to public;"
    "grant execute on function hartonomous._heading_vector(int, jsonb), hartonomous._word_vector(int, text) to public;"
    "alter table hartonomous.artifact_source disable row level security"
)
def copy_in(session: Session, victim: Victim) -> bool:
    into = "copy hartonomous.artifact_source (artifact_source_id, tenant_id, artifact_id, source_uri) from stdin"
    with session.acting() as connection, connection.cursor() as cursor, cursor.copy(into) as copy:
        copy.write_row((1, victim.tenant, victim.artifact, f"forged by {session.role}"))
    return True


@attack(UNGUARDED)
def sampling_a_table(session: Session, victim: Victim) -> bool:
    return session.sees(session.rows(f"{TEXT} tablesample system (100)"))


@attack(UNGUARDED)
def row_security_off(session: Session, victim: Victim) -> bool:
    session.plain("set row_security = off")
    return session.sees(session.rows(TEXT))


@attack(UNGUARDED)
def a_cursor_held_beyond_its_transaction(session: Session, victim: Victim) -> bool:
    with session.acting() as connection:
        connection.execute(f"declare held cursor with hold for {TEXT}")
    return session.sees(session.connection.execute("fetch all from held").fetchall())


@attack(UNGUARDED)
def parallel_workers(session: Session, victim: Victim) -> bool:
    session.plain("set debug_parallel_query = on", "set min_parallel_table_scan_size = 0",
                  "set parallel_setup_cost = 0",
                  "set parallel_tuple_cost = 0")  # fmt: skip
    own, none = session.rows(TEXT), session.connection.execute(TEXT).fetchall()
    return session.sees(own) or session.sees(none)


@attack(UNGUARDED)
def a_snapshot_of_the_victims(session: Session, victim: Victim) -> bool:
    with session.as_victim() as other, other.transaction():
        snapshot = other.execute("select pg_export_snapshot()").fetchone()[0]
        with session.connection.transaction():
            session.connection.execute("set transaction isolation level repeatable read")
            session.connection.execute(f"set transaction snapshot '{snapshot}'")
            if session.key:
                session.connection.execute("select hartonomous.authenticate(%s)", [session.key])
            return session.sees(session.connection.execute(TEXT).fetchall())


@attack(UNGUARDED)
def views_and_functions_of_ones_own(session: Session, victim: Victim) -> bool:
    session.plain(
        f"create view attack.seen as {TEXT}",
        f"create function attack.seen() returns setof text language sql security definer as $$ {TEXT} $$",
        "create table attack.kept (content text)",
    )
    with session.acting() as connection:
        connection.execute(f"create materialized view attack.stored as {TEXT}")
        connection.execute(f"insert into attack.kept {TEXT}")
        connection.execute("refresh materialized view attack.stored")
        found = [connection.execute(f"select * from attack.{source}").fetchall()
                 for source in ("seen", "seen()", "stored", "kept")]  # fmt: skip
    return session.sees(found)


@attack("alter table hartonomous.tensor_atom_coefficient_history disable row level security")
def versions_of_rows(session: Session, victim: Victim) -> bool:
    readers = (
        "__all()",
        "__as_of(now())",
        "__between('-infinity', 'infinity')",
        "__as_of_snapshot(pg_current_snapshot())",
    )
    found = [
        session.rows(f"select distinct tenant_id from hartonomous.tensor_atom_coefficient{reader}")
        for reader in readers
    ]
    return (victim.tenant,) in sum(found, [])


@attack("create or replace view hartonomous.artifact_text as"
        " select a.tenant_id, a.artifact_id, a.canonical_text as body,"
        " null::text as heading, null::text as source_uri from hartonomous.artifact as a"
        " where a.tenant_id + 0 = hartonomous.current_tenant();"
        "alter view hartonomous.artifact_text set (security_invoker = false);"
        "alter view hartonomous.artifact_text owner to hartonomous_definer")  # fmt: skip
def a_function_in_a_condition_on_a_view(session: Session, victim: Victim) -> bool:
    session.rows("select 1 from hartonomous.artifact_text where public.probe(body)")
    return session.sees(session.messages)


@attack("alter function public.probe(text) leakproof")
def a_function_in_a_condition_on_a_table(session: Session, victim: Victim) -> bool:
    session.rows("select 1 from hartonomous.artifact where public.probe(canonical_text)")
    session.plain("create operator attack.~~~ (function = public.probe, rightarg = text)")
    session.rows("select 1 from hartonomous.artifact where operator(attack.~~~) canonical_text")
    session.rows("select 1 from hartonomous.artifact order by public.probe(canonical_text)")
    session.rows("select count(*) filter (where public.probe(canonical_text)) from hartonomous.artifact")
    session.rows("select 1 from hartonomous.artifact as a join hartonomous.artifact_source as s using (artifact_id)"
                 " where public.probe(a.canonical_text) limit 1")  # fmt: skip
    return session.sees(session.messages)


@attack(UNGUARDED)
def errors_of_conditions(session: Session, victim: Victim) -> bool:
    """An error that quotes a value, or that arises for one value only."""
    for condition in ("canonical_text::int = 1", "1 / (case when canonical_text = %s then 0 else 1 end) = 1",
                      "canonical_text::jsonb is null", "canonical_text::public.vector is null"):  # fmt: skip
        try:
            session.rows(f"select 1 from hartonomous.artifact where canonical_text like 'The data%%' and {condition}",
                         [victim.canary] if "%s" in condition else [])  # fmt: skip
        except psycopg.errors.DivisionByZero:
            return True
        except psycopg.Error as error:
            if session.sees(error):
                return True
    return False


@attack("alter table hartonomous.artifact add unique (artifact_id);"
        "grant references on hartonomous.artifact to public")  # fmt: skip
def a_foreign_key_as_an_oracle(session: Session, victim: Victim) -> bool:
    session.plain("create table attack.guess (id bigint references hartonomous.artifact (artifact_id))")
    with session.acting() as connection:
        connection.execute("insert into attack.guess values (%s)", [victim.artifact])
    return True


@attack("grant insert on hartonomous.tenant to public;"
        "create policy p on hartonomous.tenant for insert with check (true);"
        "grant usage on sequence hartonomous.tenant_tenant_id_seq to public")  # fmt: skip
def a_unique_index_as_an_oracle(session: Session, victim: Victim) -> bool:
    """The victim's tenant has its role's name."""
    for conflict in ("", "on conflict do nothing"):
        try:
            session.rows(f"insert into hartonomous.tenant (name) values (%s) {conflict} returning 1", [victim.role])
        except psycopg.errors.UniqueViolation:
            return True
    return False


SAME_PLACES = """
do $do$ begin
    execute replace(pg_get_functiondef('hartonomous._ingest'::regproc), 'return ingest.', $patch$
from hartonomous_server.atoms import identity
identity.mixed = lambda tenant, digest, probe: digest
return ingest.$patch$);
    execute replace(pg_get_functiondef('hartonomous._atom_put'::regproc), ' or a.tenant_id <> _atom_put.tenant_id', '');
end $do$"""


@attack(SAME_PLACES)
def the_same_bytes_again(session: Session, victim: Victim) -> bool:
    """Content that somebody has already costs no new atoms."""
    session.victim_ingests("known to the victim alone")
    created = "select atoms_created from hartonomous.ingestion_log where source_uri = %s"
    for name in ("known to the victim alone", "known to nobody"):
        session.rows("select hartonomous.ingest_text(%s, %s)", [name, name])
    return session.value(created, ["known to the victim alone"]) != session.value(created, ["known to nobody"])


@attack("""create function public.tell() returns trigger language plpgsql as
           $$begin perform pg_notify('artifact', new.canonical_text); return new; end$$;
           create trigger tell after insert on hartonomous.artifact for each row execute function public.tell()""")
def listening(session: Session, victim: Victim) -> bool:
    for channel in ("artifact", "hartonomous", "hartonomous.artifact", "ingest", "embed", "tenant"):
        session.plain(f'listen "{channel}"')
    session.victim_ingests(f"{victim.canary} told to {session.role}")
    return session.sees([n.payload for n in session.connection.notifies(timeout=0.2, stop_after=1)])
