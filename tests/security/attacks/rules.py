"""Getting around what administrators set for a tenant: masks, denials, throttles, the audit log."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import psycopg

from attacks import attack
from attacks.reading import every_table
from attacks.session import Session, Victim
from attacks.verbs import call, outcome, references, verbs

ALLOWED = """
create or replace function hartonomous._policy_verdict(
    tenant_id int, operation text, units bigint default 1) returns text
language sql stable parallel restricted return 'allow'"""


@contextmanager
def policy(session: Session, effect: str) -> Iterator[str]:
    """While a policy holds for the attacker's own tenant: a text of the tenant that it hides."""
    hidden = session.operator(f"select canonical_text from hartonomous.artifact where tenant_id = {session.tenant}"
                              " and canonical_text like 'The data base of%'")[0][0]  # fmt: skip
    made = session.operator(f"select hartonomous.access_policy_put(0, '{effect}', tenant_id => {session.tenant})")[0][0]
    try:
        yield hidden
    finally:
        session.operator(f"select hartonomous.access_policy_drop({made})")


def by_any_way(session: Session, hidden: str) -> bool:
    """Whether a text comes out of a verb, a table, a view, an error or a printed plan."""
    own = references(session, session.tenant)
    session.messages.clear()
    found = []
    with session.acting() as connection:
        connection.execute(
            "set local client_min_messages = log; set local debug_print_plan = on; set local debug_pretty_print = off"
        )
        for verb, arguments in verbs(session).items():
            if not verb.startswith("hartonomous.model_"):  # their texts are configuration
                found.append(outcome(connection, *call(verb, arguments, own), "-"))
        for source in [*every_table(session), "hartonomous.artifact_text"]:
            found.append(outcome(connection, f"select to_jsonb(t) from {source} as t", [], "-"))
    printed = " ".join(str(byte) for byte in hidden.encode())
    said = " ".join(" ".join(session.messages).split())
    return any(form in text for text in (*found, said) for form in (hidden, hidden.encode().hex(), printed))


@attack(ALLOWED)
def what_a_mask_hides(session: Session, victim: Victim) -> bool:
    with policy(session, "mask") as hidden:
        return by_any_way(session, hidden)


@attack(ALLOWED)
def what_a_denial_keeps(session: Session, victim: Victim) -> bool:
    with policy(session, "deny") as hidden:
        return by_any_way(session, hidden)


@attack("delete from hartonomous.permit_check where procedure::text like 'hartonomous.\\_rate\\_permit%'")
def more_than_a_throttle_admits(session: Session, victim: Victim) -> bool:
    """What a transaction took is not given back when it or a savepoint is rolled back, nor has another session more."""
    limit = session.operator(f"select hartonomous.rate_limit_put({session.tenant}, 3, '1 hour', 'ingest')")[0][0]
    admitted = 0
    try:
        with session.connect() as other:
            for connection in (session.connection, other):
                for _ in range(3):
                    with session.acting(connection), connection.transaction(force_rollback=True):
                        admitted += _admitted(connection)
                    with session.acting(connection):
                        admitted += _admitted(connection)
    finally:
        session.operator(f"select hartonomous.rate_limit_drop({limit})")
    return admitted > 3


def _admitted(connection: psycopg.Connection) -> bool:
    try:
        with connection.transaction():
            connection.execute("select hartonomous.ingest_text('again')")
            return True
    except psycopg.Error as error:
        assert error.sqlstate == "ZH004", error
        return False


@attack("grant select on hartonomous.audit_log, hartonomous.access_policy, hartonomous.rate_limit to public")
def reading_what_administrators_keep(session: Session, victim: Victim) -> bool:
    tables = ("audit_log", "audit_seal", "access_policy", "permit_check")
    return session.tries(*(f"select * from hartonomous.{table}" for table in tables),
                         "select hartonomous.access_policy_list()", "select hartonomous.rate_limit_list()",
                         "select hartonomous.audit_seal()", "select hartonomous.audit_collect()")  # fmt: skip


@attack("alter table hartonomous.audit_log disable trigger all, disable row level security;"
        "grant all on hartonomous.audit_log to public")  # fmt: skip
def editing_the_audit_log(session: Session, victim: Victim) -> bool:
    return session.tries("update hartonomous.audit_log set detail = '{}'", "delete from hartonomous.audit_log",
                         "truncate hartonomous.audit_log", "alter table hartonomous.audit_log disable trigger all",
                         "insert into hartonomous.audit_log (operation, result) values ('forged', 'ok')")  # fmt: skip


@attack(
    "grant execute on function hartonomous.tenant_export(int), hartonomous.tenant_erase,"
    " hartonomous.tenant_close to public"
)
def taking_out_and_erasing_another_tenant(session: Session, victim: Victim) -> bool:
    try:
        found = session.connection.execute("select hartonomous.tenant_export(%s)", [victim.tenant]).fetchall()
        return session.sees(found)
    except psycopg.errors.InsufficientPrivilege:
        return session.tries(f"select hartonomous.tenant_close({victim.tenant})",
                             f"select hartonomous.tenant_erase({victim.tenant})")  # fmt: skip
