"""Whoever changes the audit log is found, a superuser who switches its triggers off included."""

import psycopg
import pytest

LOG = "hartonomous.audit_log"
REHASH = f"""
update {LOG} as l set commitment = hartonomous._audit_commitment(l) where salt is not null;
update {LOG} as l set hash = hartonomous._audit_hash(l)
"""
# a chain made anew over what is there
RESEAL = f"""{REHASH}; delete from hartonomous.audit_seal; delete from hartonomous.audit_unsealed;
insert into hartonomous.audit_unsealed select audit_id from {LOG}; select hartonomous.audit_seal()"""
EMPTY = f"""
update {LOG} set tenant_id = null, key_id = null, role_name = null, session_name = null, client_addr = null,
    backend_pid = null, application_name = null, detail = null, salt = null where audit_id = 2
"""
SWAP = f"""
update {LOG} set audit_id = -2 where audit_id = 2;
update {LOG} set audit_id = 2 where audit_id = 3;
update {LOG} set audit_id = 3 where audit_id = -2
"""
CUT = f"""
delete from {LOG} using hartonomous.audit_seal as s where audit_id <@ s.entries and s.seal_id >= 2;
delete from hartonomous.audit_seal where seal_id >= 2;
delete from {LOG} as l using hartonomous.audit_unsealed as u where u.audit_id = l.audit_id;
delete from hartonomous.audit_unsealed
"""
ADD = "insert into hartonomous.audit_log (audit_id, operation, result) values ({}, 'x', 'ok')"
SEALED, UNSEALED = "audit_id = 2", "audit_id = (select max(audit_id) from hartonomous.audit_log)"

CHANGED, WHO, GONE = "entry was changed", "who, where or detail of the entry was changed", "entry is gone"
GONE_EARLY = "entry is gone, it was not sealed yet"
NOT_SEALED, ASIDE = "entries of the seal are not what was sealed", "entry is in no seal, nor waits for one"
FOLLOWS, SEAL = "seal does not follow the one before", "seal was changed"

# what is done, and what is found, at least
TAMPERINGS = {
    "edited": (f"update {LOG} set operation = 'x' where {SEALED}", {CHANGED}),
    "edited before it was sealed": (f"update {LOG} set at = now() where {UNSEALED}", {CHANGED}),
    "edited in every column": (f"update {LOG} set result = 'refused' where {SEALED}; {REHASH}", {NOT_SEALED}),
    "whodunit edited": (f"update {LOG} set role_name = 'x' where {UNSEALED}", {WHO}),
    "tenant edited": (f"update {LOG} set tenant_id = 0 where {SEALED}", {WHO}),
    "detail edited and hashed": (f"update {LOG} set detail = '{{}}' where {SEALED}; {REHASH}", {NOT_SEALED}),
    "emptied": (EMPTY, {"entry was emptied, but not by erasing a tenant"}),
    "half emptied": (f"update {LOG} set salt = null where {SEALED}", {WHO}),
    "deleted": (f"delete from {LOG} where {SEALED}", {GONE, NOT_SEALED}),
    "deleted before it was sealed": (f"delete from {LOG} where {UNSEALED}", {GONE_EARLY}),
    "reordered": (SWAP, {CHANGED, NOT_SEALED}),
    "reordered and hashed": (f"{SWAP}; {REHASH}", {NOT_SEALED}),
    "truncated": ("truncate hartonomous.audit_log", {GONE, NOT_SEALED, GONE_EARLY}),
    "added": (ADD.format("default"), {ASIDE}),
    "added in between": (f"delete from {LOG} where {SEALED}; {ADD.format(2)}", {NOT_SEALED}),
    "queue emptied": ("delete from hartonomous.audit_unsealed", {ASIDE}),
    "seal edited": ("update hartonomous.audit_seal set at = now() where seal_id = 1", {SEAL}),
    "seal shrunk": ("update hartonomous.audit_seal set entries = entries - '{[2,3)}' where seal_id = 1",
                    {SEAL, NOT_SEALED, ASIDE}),
    "seal deleted": ("delete from hartonomous.audit_seal where seal_id = 1", {FOLLOWS, ASIDE}),
    "last seal deleted": ("delete from hartonomous.audit_seal where seal_id = 3", {ASIDE}),
    "seals truncated": ("truncate hartonomous.audit_seal", {ASIDE}),
}  # fmt: skip
# what is consistent in itself, so that only a head kept elsewhere tells of it
REWRITINGS = {
    "cut off": CUT,
    "all gone": "truncate hartonomous.audit_log, hartonomous.audit_seal, hartonomous.audit_unsealed",
    "rewritten": f"update {LOG} set operation = 'x' where {SEALED}; {RESEAL}",
}

STATEMENTS = (
    "update {} set at = now()", "delete from {}", "truncate {}", "truncate {} cascade",
    "merge into {} as l using (select 1) as s (x) on true when matched then delete",
    "with gone as (delete from {} returning 1) select * from gone",
)  # fmt: skip


@pytest.fixture(scope="module")
def head(dsn):
    """Three seals and an entry after them; the head of the chain."""
    with psycopg.connect(dsn, autocommit=True) as connection:
        for name in "abc":
            connection.execute("select hartonomous.tenant_create(%s)", [name])
            _, _, head = connection.execute("select * from hartonomous.audit_seal()").fetchone()
        connection.execute("select hartonomous.tenant_create('d')")
        return head


def faults(connection, head=None):
    return {fault for _, _, fault in connection.execute("select * from hartonomous.audit_verify(%s)", [head])}


@pytest.fixture
def intruder(dsn, head):
    """A superuser without triggers in the way; all of it is rolled back."""
    with psycopg.connect(dsn) as connection:
        connection.execute("alter table hartonomous.audit_log disable trigger user")
        connection.execute("alter table hartonomous.audit_seal disable trigger user")
        connection.execute("alter table hartonomous.audit_log enable always trigger audit_stamp")
        yield connection
        connection.rollback()


def test_a_log_left_alone_is_whole(connection, head):
    assert faults(connection) == faults(connection, head) == faults(connection, head.upper()) == set()
    assert connection.execute("select count(*) > 3 from hartonomous.audit_log").fetchone() == (True,)


def test_disabled_triggers_are_found(intruder, head):
    assert faults(intruder) == {
        f"trigger {trigger} of {table} is missing or disabled"
        for table, trigger in [
            ("audit_log", "audit_guard"), ("audit_log", "audit_guard_update"), ("audit_log", "audit_guard_truncate"),
            ("audit_seal", "audit_guard"), ("audit_seal", "audit_guard_truncate"),
        ]
    }  # fmt: skip


@pytest.mark.parametrize("name", TAMPERINGS)
def test_found(intruder, name):
    before = faults(intruder)
    statement, expected = TAMPERINGS[name]
    intruder.execute(statement)
    found = faults(intruder) - before
    assert expected <= found


@pytest.mark.parametrize("name", REWRITINGS)
def test_found_by_a_head_kept_elsewhere(intruder, head, name):
    before = faults(intruder, head)
    intruder.execute(REWRITINGS[name])
    assert faults(intruder) == before, "else the head would not be needed"
    assert faults(intruder, head) - before == {"no seal has this head: the log was cut off or rewritten"}


def test_the_missing_entries_are_named(intruder):
    intruder.execute(f"delete from {LOG} where {SEALED}")
    named = intruder.execute("select audit_id, seal_id from hartonomous.audit_verify() where fault = %s", [GONE])
    assert named.fetchall() == [(2, 1)]


def test_erasing_a_tenant_leaves_it_whole(dsn, head):
    with psycopg.connect(dsn) as connection:
        tenant = connection.execute("select tenant_id from hartonomous.tenant where name = 'b'").fetchone()[0]
        connection.execute("select hartonomous._audit_pseudonymise(%s)", [tenant])
        assert faults(connection, head) == set()
        left = connection.execute("select count(*) from hartonomous.audit_log as l where strpos(l::text, '\"b\"') > 0")
        assert left.fetchone() == (0,)
        connection.execute("select hartonomous.audit_seal()")
        assert faults(connection, head) == set()
        connection.rollback()


@pytest.mark.parametrize("role", ["postgres", "hartonomous_owner", "hartonomous_definer"])
@pytest.mark.parametrize("mode", ["origin", "replica"])
def test_it_is_appended_to_only(connection, head, mode, role):
    with connection.transaction(force_rollback=True):
        for table in ("audit_log", "audit_seal"):
            connection.execute(f"alter table hartonomous.{table} no force row level security")  # as its owner may
        connection.execute(f"set local session_replication_role = {mode}")
        connection.execute(f"set local role {role}")
        for statement in STATEMENTS:
            for table in ("audit_log", "audit_seal"):
                with pytest.raises(psycopg.errors.InsufficientPrivilege), connection.transaction():
                    connection.execute(statement.format(f"hartonomous.{table}"))


def test_a_tenant_sees_and_writes_nothing_of_it(as_bob):
    for statement in (
        "table hartonomous.audit_log", "table hartonomous.audit_seal", "table hartonomous.audit_unsealed",
        "insert into hartonomous.audit_log (operation, result) values ('x', 'ok')",
        "select * from hartonomous.audit_list()", "select * from hartonomous.audit_verify()",
        "select hartonomous.audit_collect()", "select hartonomous.audit_seal()",
        "select hartonomous._audit('x', 1)", "select hartonomous._audit_spooled('x', 1)",
        "select hartonomous._refuse('x', 1, 'ZH002', 'x', 'x')", "select hartonomous._audit_spool(1, '{}')",
        "select hartonomous._audit_pseudonymise(1)", "select nextval('hartonomous.audit_log_audit_id_seq')",
    ):  # fmt: skip
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            as_bob.execute(statement)
