"""The attack suite: see attacks/__init__.py."""

from __future__ import annotations

import os
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from types import SimpleNamespace

import psycopg
import pytest
from attacks import ATTACKS, KNOWN, administration, identity, plans, planted, reading, rules, statistics, verbs
from attacks.session import PASSWORD, Session, Victim
from psycopg.sql import SQL, Identifier

THEMES = (administration, identity, plans, planted, reading, rules, statistics, verbs)
DOCUMENT = Path(__file__).parents[2] / "docs" / "decisions" / "20-what-tenants-can-learn.md"
PAGE = "\n\n".join(f"## Part {part}\n\nPart {part} of what {{0}} wrote, which is a sentence." for part in range(120))


@pytest.fixture(scope="module")
def base(server, template, filling):
    """A database to be cloned: victim and attackers with rows in every table; and who they are."""
    pid = os.getpid()
    roles = {name: f"test_{name}_{pid}" for name in ("victim", "attacker", "pool")}
    name = f"test_attack_base_{pid}"
    server.create(name, template=template)
    dsn = server.dsn(name)
    with psycopg.connect(dsn, autocommit=True) as connection:
        run = connection.execute
        tenants, keys = {}, {}
        for role in roles.values():
            run(SQL("create role {} login password {} in role hartonomous_writer").format(Identifier(role), PASSWORD))
            run(SQL("grant create on schema public to {}").format(Identifier(role)))
        for party in ("victim", "attacker"):
            tenants[party] = run("select hartonomous.tenant_create(%s)", [roles[party]]).fetchone()[0]
            run("select hartonomous.tenant_role_add(%s, %s)", [tenants[party], roles[party]])
            keys[party] = run("select hartonomous.api_key_create(%s)", [tenants[party]]).fetchone()[0]
            filling(dsn, roles[party])
        with server.connect(name, user=roles["victim"], password=PASSWORD) as own:
            own.execute(
                "select hartonomous.ingest_document('secret plan', %s, 'markdown')", [PAGE.format(roles["victim"])]
            )
            own.execute("select hartonomous.embed_artifacts(hartonomous.embedding_pending())")
        # of the operator's own: honest about leaking, and so of no use to an attacker
        run(
            "create function public.probe(t text) returns boolean language plpgsql immutable cost 0.0001 as"
            " $$begin raise notice '%', t; return true; end$$"
        )
        run("create extension pg_stat_statements")
        run("analyze")
        canary = f"The data base of {roles['victim']}."
        artifact = run("select artifact_id from hartonomous.artifact where canonical_text = %s", [canary]).fetchone()[0]
    victim = Victim(roles["victim"], tenants["victim"], keys["victim"], canary, "secret plan", artifact)
    yield SimpleNamespace(name=name, roles=roles, victim=victim, tenant=tenants["attacker"], key=keys["attacker"])
    server.drop(name)
    for role in roles.values():
        server.execute("drop role {}", role)


def copied(server, base, label, statements="", undo=""):
    name = f"test_attack_{label}_{os.getpid()}"[:63]
    names = {**base.roles, "tenant": base.victim.tenant, "database": name}
    with server.database(name, template=base.name) as dsn:
        try:
            run(dsn, statements, names)
            yield dsn
        finally:
            run(dsn, undo, names)


def run(dsn, statements, names):
    if statements:
        with psycopg.connect(dsn, autocommit=True) as connection:
            for name, value in names.items():
                statements = statements.replace(f"{{{name}}}", str(value))
            connection.execute(statements)


@pytest.fixture(scope="module")
def ours(server, base):
    yield from copied(server, base, "ours")


class Copies:
    """Copies with the changes of an attack; one lives until another is asked for."""

    def __init__(self, server, base):
        self._new = lambda attack: contextmanager(copied)(server, base, attack.name, attack.weaken, attack.undo)
        self._changes, self._open, self._dsn = None, ExitStack(), ""

    def of(self, attack):
        if self._changes != (attack.weaken, attack.undo):
            self.close()
            self._dsn = self._open.enter_context(self._new(attack))
            self._changes = attack.weaken, attack.undo
        return self._dsn

    def close(self):
        self._open.close()
        self._changes = None


@pytest.fixture(scope="module")
def copies(server, base):
    with closing(Copies(server, base)) as opened:
        yield opened


def gets_in(attack, dsn, base, kind):
    role, key = (base.roles["attacker"], None) if kind == "role" else (base.roles["pool"], base.key)
    with Session(dsn, role, base.tenant, key, base.victim) as session:
        try:
            return attack.run(session, base.victim), ""
        except psycopg.Error as error:
            assert error.sqlstate, error  # the server's own word
            return False, f"{type(error).__name__}: {error}"


def by_kind(attacks):
    ordered = sorted(attacks, key=lambda attack: attack.weaken)  # those of one weakening share a copy
    return [pytest.param(attack, kind, id=f"{attack.name}-{kind}") for attack in ordered for kind in attack.kinds]


@pytest.mark.parametrize(("attack", "kind"), by_kind(ATTACKS))
def test_gets_in_on_a_weakened_copy(copies, attack, kind, base):
    succeeded, reason = gets_in(attack, copies.of(attack), base, kind)
    assert succeeded, reason


@pytest.mark.parametrize(("attack", "kind"), by_kind(ATTACKS))
def test_fails_on_ours(ours, attack, kind, base):
    succeeded, _ = gets_in(attack, ours, base, kind)
    assert not succeeded


@pytest.mark.parametrize(("attack", "kind"), by_kind(KNOWN))
def test_what_is_known_is_documented(ours, attack, kind, base):
    """Fails when it no longer gets in: then it is one of the others."""
    succeeded, reason = gets_in(attack, ours, base, kind)
    assert succeeded, reason
    assert f"`{attack.name}`" in DOCUMENT.read_text()


@pytest.mark.parametrize(("attack", "kind"), by_kind(KNOWN))
def test_the_remedy_works(copies, attack, kind, base):
    succeeded, _ = gets_in(attack, copies.of(attack), base, kind)
    assert not succeeded
