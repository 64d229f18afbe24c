"""What the server counts and tells of: statistics, estimates, ids, sizes, locks, other sessions."""

from __future__ import annotations

import re

from attacks import attack, known
from attacks.reading import UNGUARDED
from attacks.session import Session, Victim

ALL_STATS = "grant pg_read_all_stats to {attacker}, {pool}"
NO_STATS = "revoke pg_read_all_stats from {attacker}, {pool}"


@attack(
    UNGUARDED
    + "; alter table hartonomous.artifact alter canonical_text set statistics 100; analyze hartonomous.artifact"
)
def statistics_of_columns(session: Session, victim: Victim) -> bool:
    return victim.role in str(
        session.rows("select * from pg_stats where schemaname = 'hartonomous'")
    ) or victim.role in str(session.rows("select * from pg_stats_ext where schemaname = 'hartonomous'"))


@attack("grant select on pg_statistic, pg_statistic_ext_data to public")
def the_catalog_of_statistics(session: Session, victim: Victim) -> bool:
    return session.tries("select stavalues1::text from pg_statistic", "select * from pg_statistic_ext_data")


def estimate(session: Session, condition: str, *values: object) -> int:
    line = session.rows(f"explain select 1 from {condition}", values)[0][0]
    return int(re.search(r"rows=(\d+)", line)[1])


@attack("alter table hartonomous.artifact_source alter document_uri set statistics 100,"
        " alter source_uri set statistics 100;"
        "analyze hartonomous.artifact_source")  # fmt: skip
def estimates_for_a_guessed_value(session: Session, victim: Victim) -> bool:
    """A leakproof operator is estimated from everybody's rows."""
    source = "hartonomous.artifact_source where document_uri = %s"
    return estimate(session, source, victim.document) != estimate(session, source, "of nobody")


@attack("alter table hartonomous.artifact alter canonical_text set statistics 100; analyze hartonomous.artifact")
def estimates_that_spell_out_a_text(session: Session, victim: Victim) -> bool:
    """Bounds of the histogram are texts of others; the estimate changes where one stands."""
    source = "hartonomous.artifact where canonical_text < %s"
    return estimate(session, source, "Part") != estimate(session, source, "Party")


@attack("alter table hartonomous.artifact alter lexemes set statistics 100; analyze hartonomous.artifact")
def estimates_for_a_guessed_word(session: Session, victim: Victim) -> bool:
    """How many rows have a word is estimated from everybody's, though the operator is not leakproof."""
    source = "hartonomous.artifact where not lexemes @@ %s::tsquery"
    had, missing = (estimate(session, source, f"'{victim.tenant}:{word}'") for word in ("text", "nobodi"))
    return had != missing


@attack(ALL_STATS, NO_STATS)
def statements_of_other_roles(session: Session, victim: Victim) -> bool:
    with session.as_victim() as other:
        other.execute(f"select '{victim.canary}'")  # stays the session's last statement
        found = session.rows("select query from pg_stat_activity")
        other.execute("select 1 as of_the_victims")
    found += session.rows("select query from public.pg_stat_statements")
    return session.sees(found) or "of_the_victims" in str(found)


@attack("grant select on all sequences in schema hartonomous to public; grant usage on schema hartonomous to public")
def values_of_sequences(session: Session, victim: Victim) -> bool:
    values = session.rows(
        "select last_value from pg_sequences where schemaname = 'hartonomous' and last_value is not null"
    )
    return bool(values) or session.tries("select last_value from hartonomous.artifact_artifact_id_seq",
                                         "select nextval('hartonomous.artifact_artifact_id_seq')")  # fmt: skip


@attack("grant select on hartonomous.artifact to public")
def where_rows_stand(session: Session, victim: Victim) -> bool:
    """Between two rows of one's own stand those that others wrote meanwhile; xmin counts transactions."""
    return session.tries("select ctid from hartonomous.artifact", "select xmin from hartonomous.artifact_source",
                         "select tableoid from hartonomous.model", "select ctid from hartonomous.atom")  # fmt: skip


def _volume(session: Session) -> int:
    """How many rows others added, by the difference of two ids of one's own."""
    first = session.value("select hartonomous.ingest_text('first of two')")
    with session.as_victim() as other:
        other.execute("select hartonomous.ingest_text('volume ' || n) from generate_series(1, 7) as n")
    second = session.value("select hartonomous.ingest_text('second of two')")
    return second - first


@attack(
    "alter table hartonomous.artifact alter artifact_id set default nextval('hartonomous.artifact_artifact_id_seq')"
)
def gaps_between_ids_of_ones_own(session: Session, victim: Victim) -> bool:
    return _volume(session) == 8


@known("revoke select on all tables in schema hartonomous from hartonomous_reader")
def counts_in_executed_plans(session: Session, victim: Victim) -> bool:
    """EXPLAIN ANALYZE says how many rows a condition met that the policy then removed."""

    def removed(artifact: int) -> str:
        query = "select 1 from hartonomous.graph_node where node_type = 'artifact' and node_id = %s"
        lines = session.rows(f"explain (analyze, costs off, timing off, summary off) {query}", [artifact])
        return str(lines).replace(str(artifact), "ID")

    session.plain("set enable_seqscan = off")
    return removed(victim.artifact) != removed(10**12)


def counters(session: Session) -> object:
    return session.operator("select pg_stat_force_next_flush()") and session.rows(
        "select relname, n_tup_ins from pg_stat_all_tables where schemaname = 'hartonomous' order by 1"
    )


@known(r"do $$ declare f regprocedure; begin"
       r" for f in select oid from pg_proc where proname like 'pg\_stat\_get\_%' loop"
       " execute format('revoke execute on function %s from public', f); end loop; end $$")  # fmt: skip
def counters_of_tables(session: Session, victim: Victim) -> bool:
    """How many rows a table of ours took in, all tenants together."""
    before = counters(session)
    with session.as_victim() as other:
        other.execute("select hartonomous.ingest_text(%s)", [f"counted by {session.role}"])
    with session.as_victim() as other:  # the first has ended, and reported
        other.execute("select pg_stat_clear_snapshot()")
    session.plain("select pg_stat_clear_snapshot()")
    return before != counters(session)


@known("revoke execute on function pg_relation_size(regclass), pg_relation_size(regclass, text),"
       " pg_table_size(regclass), pg_total_relation_size(regclass), pg_indexes_size(regclass) from public;"
       "revoke select (reltuples, relpages), select on pg_class from public")  # fmt: skip
def sizes_of_tables(session: Session, victim: Victim) -> bool:
    query = "select reltuples, relpages from pg_class where oid = 'hartonomous.artifact'::regclass"
    return session.tries("select pg_relation_size('hartonomous.artifact')", query)


@known(
    "revoke select on public.pg_stat_statements from public;"
    "revoke execute on function public.pg_stat_statements from public"
)
def calls_by_role(session: Session, victim: Victim) -> bool:
    """How often, and with how many rows, each role called what; the texts are withheld."""
    found = session.rows(
        "select userid::regrole::text, sum(calls), sum(rows) from public.pg_stat_statements group by 1"
    )
    return victim.role in str(found)


@known("revoke select on pg_locks from public; revoke execute on function pg_lock_status() from public")
def locks_of_others(session: Session, victim: Victim) -> bool:
    """Which tables somebody is using at this moment."""
    with session.as_victim() as other, other.transaction():
        other.execute("select hartonomous.ingest_text('locked')")
        pid = other.info.backend_pid
        return bool(session.rows("select 1 from pg_locks where pid = %s and mode = 'RowExclusiveLock'", [pid]))


@known("revoke execute on function pg_current_xact_id(), pg_current_xact_id_if_assigned(), txid_current(),"
       " txid_current_if_assigned(), pg_current_wal_lsn(), pg_current_wal_insert_lsn(), pg_current_wal_flush_lsn(),"
       " pg_last_committed_xact(), pg_xact_commit_timestamp(xid),"
       " pg_xact_commit_timestamp_origin(xid) from public")  # fmt: skip
def counters_of_the_server(session: Session, victim: Victim) -> bool:
    """Transactions and bytes written, all databases together."""
    return session.tries("select pg_current_wal_lsn()", "select pg_last_committed_xact()")


@known(
    "revoke select on pg_stat_activity from public; revoke execute on function pg_stat_get_activity(int) from public",
    kinds=("key",),
)
def statements_of_those_who_share_a_role(session: Session, victim: Victim) -> bool:
    """Whoever logs in as a pool's role sees and may cancel what others do under it; their keys too."""
    with session.connect() as other:
        other.execute(f"select hartonomous.authenticate('{victim.key}')")
        return victim.key in str(session.rows("select query from pg_stat_activity where usename = current_user"))


@attack("grant select on hartonomous.atom to public")
def whether_somebody_has_content(session: Session, victim: Victim) -> bool:
    """The place of a tenant's content follows from its bytes and the tenant's id: EXPLAIN says what stands there."""
    place = "select h_xy, h_yz, h_zm from hartonomous.atom_identity(%s, 'text', %s)"
    session.plain("set enable_seqscan = off")

    def found(content: bytes) -> str:
        keys = session.rows(place, [content, victim.tenant])[0]
        query = "select 1 from hartonomous.atom where (h_xy, h_yz, h_zm) = (%s, %s, %s)"
        lines = session.rows(f"explain (analyze, costs off, timing off, summary off) {query}", keys)
        return re.sub(r"atom_p\d+|-?\d{6,}", "", str(lines))

    return found(victim.canary.encode()) != found(b"of nobody")


NAMED_LOCKS = (
    "create or replace function hartonomous._lock_key(name text) returns bigint"
    " language sql stable return hashtextextended(name, 0)"
)


def finds_the_lock_of(session: Session, victim: Victim, verb: str, argument: object) -> bool:
    """Who can work out a lock's key sees what others do, and can keep it from being done."""
    own = [f"{what}{sign}{victim.tenant}{sign}{victim.document}" for what in ("document", "upload")
           for sign in (" ", ":", "/")]  # fmt: skip
    names = [prefix + name for prefix in ("", "hartonomous ", "hartonomous.") for name in (*own, "references of atoms")]
    free = "select bool_and(pg_try_advisory_xact_lock(hashtextextended(name, 0))) from unnest(%s::text[]) as name"
    with session.as_victim() as other, other.transaction(force_rollback=True):
        other.execute(f"select hartonomous.{verb}", [argument])
        return session.value(free, [names]) is False


@attack(NAMED_LOCKS)
def a_lock_named_by_a_document(session: Session, victim: Victim) -> bool:
    return finds_the_lock_of(session, victim, "ingest_document(%s, 'a text')", victim.document)


@attack(NAMED_LOCKS)
def a_lock_named_by_an_upload(session: Session, victim: Victim) -> bool:
    return finds_the_lock_of(session, victim, "ingest_begin('binary', %s)", victim.document)


@attack(NAMED_LOCKS)
def a_lock_named_by_its_purpose(session: Session, victim: Victim) -> bool:
    return finds_the_lock_of(session, victim, "atom_explode(%s)", victim.artifact)
