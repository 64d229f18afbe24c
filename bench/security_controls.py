"""Authentication, throttles, and what policies, masks and recorded refusals add to a call."""

from __future__ import annotations

import statistics
import subprocess
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from typing import Any

import psycopg
from psycopg.conninfo import make_conninfo
from psycopg.sql import SQL, Identifier
from security_data import INGESTED, PASSWORD, TENANT_ROLE, Database
from security_measure import ratio, turns

Claim = dict[str, Any]
CLIENTS = 64


def claim(part: str, what: str, value: float, bound: str, holds: bool, detail: str, **more: Any) -> Claim:
    stated = {"part": part, "what": what, "value": f"{value:.3f}", "bound": bound, "holds": holds}
    return {**stated, "detail": detail, **more}


def key_of(database: Database) -> str:
    with database.connect() as owner:
        row = owner.execute(
            "select hartonomous.api_key_create(tenant_id) from hartonomous.tenant_role where role_name = %s",
            [TENANT_ROLE],
        ).fetchone()
    assert row is not None
    return row[0]


# --- authenticate ---


def authenticate(database: Database, pool: str, rounds: int = 15, calls: int = 8000) -> list[Claim]:
    """pgbench, prepared, by the address that clients use: a call, its own transaction, against a row by key."""
    key = key_of(database)
    with database.connect() as owner:
        owner.execute("create table if not exists lookup (id int primary key, tenant_id int, label text, body text)")
        owner.execute(
            "insert into lookup select i, i % 100, 'row ' || i, repeat('x', 100) from generate_series(1, 100000) as i"
            " on conflict do nothing"
        )
        owner.execute("vacuum analyze lookup")
        owner.execute(SQL("grant select on lookup to {}").format(Identifier(pool)))
    scripts = {
        "select": "\\set id random(1, 100000)\nselect * from lookup where id = :id;",
        "authenticate": "select hartonomous.authenticate(:key);",
    }
    dsn = make_conninfo(database.dsn, user=pool, password=PASSWORD)
    tps: dict[str, list[float]] = {name: [] for name in scripts}
    for _ in range(rounds):
        for name, script in scripts.items():
            tps[name].append(pgbench(dsn, script, calls, key))
    pairs = [a / s for a, s in zip(tps["authenticate"], tps["select"], strict=True)]
    found = statistics.median(pairs)
    detail = f"{statistics.median(tps['authenticate']):.0f} against {statistics.median(tps['select']):.0f} a second"
    return [claim("authenticate", "authenticate to select by key", found, ">= 0.5", found >= 0.5,
                  f"{detail}, {rounds} pairs {min(pairs):.2f} - {max(pairs):.2f}", tps=tps)]  # fmt: skip


def pgbench(dsn: str, script: str, calls: int, key: str) -> float:
    command = ["pgbench", "-n", "-M", "prepared", "-t", str(calls), "-D", f"key={key}", "-f", "/dev/stdin"]
    output = subprocess.run([*command, dsn], input=script, capture_output=True, text=True, check=True).stdout
    return float(next(line.split("=")[1].split()[0] for line in output.splitlines() if line.startswith("tps")))


# --- throttle ---

LIMIT = """
select hartonomous.rate_limit_put(tenant_id, 100000, interval '1 second')
from hartonomous.tenant_role where role_name = %s
"""


def throttle(database: Database, pool: str) -> list[Claim]:
    """A permitted verb and a second of work in one transaction, by all clients at once; the limit admits them all."""
    with database.connect() as owner:
        found: dict[bool, list[float]] = {False: [], True: []}
        for limited in (False, True) * 3:
            limit = owner.execute(LIMIT, [TENANT_ROLE]).fetchone() if limited else None
            found[limited].append(at_once(database))
            if limit:
                owner.execute("select hartonomous.rate_limit_drop(%s)", limit)
    slow, fast = (statistics.median(found[limited]) for limited in (True, False))
    return [claim("throttle", f"{CLIENTS} clients x 1 s, limited to unlimited", slow / fast, "< 2", slow / fast < 2,
                  f"{slow:.2f} s against {fast:.2f} s", seconds={str(k): v for k, v in found.items()})]  # fmt: skip


def at_once(database: Database) -> float:
    """Seconds until the last of the clients is done."""
    barrier = threading.Barrier(CLIENTS + 1)

    def work() -> None:
        with database.connect(TENANT_ROLE) as connection:
            connection.execute("select * from hartonomous.model_list()")
            barrier.wait()
            with connection.transaction():
                connection.execute("select * from hartonomous.model_list()")
                connection.execute("select pg_sleep(1)")

    with ThreadPoolExecutor(CLIENTS) as threads:
        running = [threads.submit(work) for _ in range(CLIENTS)]
        barrier.wait()
        began = time.monotonic()
        for future in running:
            future.result()
        return time.monotonic() - began


# --- what is on the way of a call ---


def controls(database: Database, pool: str) -> list[Claim]:
    """Ratios of a call of content with something on its way to the same call without. No bounds: they are costs."""
    rows = []
    with database.connect() as owner, database.connect(TENANT_ROLE) as a:
        tenant = owner.execute(
            "select tenant_id from hartonomous.tenant_role where role_name = %s", [TENANT_ROLE]
        ).fetchone()[0]  # type: ignore[index]
        ids = [row[0] for row in a.execute(
            "select artifact_id from hartonomous.artifact_source where source_uri = any (%s)",
            [[f"verb/{i}" for i in range(INGESTED)]],
        )]  # fmt: skip

        def content() -> None:
            a.execute("select hartonomous.content(%s)", [ids[0]], prepare=True).fetchall()

        plain = turns([content], 1000)[0]
        for what, count, effect, condition in (
            ("1 policy of a role", 1, "deny", '{"==": [{"var": "role"}, "nobody"]}'),
            ("10 policies of roles", 10, "deny", '{"==": [{"var": "role"}, "nobody"]}'),
            ("100 policies of roles", 100, "deny", '{"==": [{"var": "role"}, "nobody"]}'),
            ("a mask", 1, "mask", None),
        ):
            with policies(owner, tenant, count, effect, condition):
                rows.append(cost(what, turns([content], 1000)[0], plain))
        rows.append(cost("100 policies, all dropped again", turns([content], 1000)[0], plain))
        rows.append(refusals(owner, tenant, a))
    return rows


@contextmanager
def policies(
    owner: psycopg.Connection[Any], tenant: int, count: int, effect: str, condition: str | None
) -> Iterator[None]:
    """Some policies of a tenant while the block lasts."""
    operation = "*" if effect == "mask" else "content"
    put = "select hartonomous.access_policy_put(%s, %s, %s, %s::jsonb, %s)"
    ids = [owner.execute(put, [i, effect, operation, condition, tenant]).fetchone() for i in range(count)]
    try:
        yield
    finally:
        for policy in ids:
            owner.execute("select hartonomous.access_policy_drop(%s)", policy)


def refusals(owner: psycopg.Connection[Any], tenant: int, session: psycopg.Connection[Any]) -> Claim:
    """A call that a policy denies, recorded in the audit log, against one that finds no such artifact, which is not."""

    def denied() -> None:
        try:
            session.execute("select hartonomous.content(%s)", [1], prepare=True)
        except psycopg.Error:
            return

    without = turns([denied], 300)[0]
    with policies(owner, tenant, 1, "deny", None):
        return cost("a refusal, recorded, to an error, not", turns([denied], 300)[0], without)


def cost(what: str, a: list[float], b: list[float]) -> Claim:
    found = ratio(a, b)
    return claim("controls", what, found["ratio"], "a cost", True,
                 f"{found['ms'][0] * 1000:.0f} us against {found['ms'][1] * 1000:.0f}", **found)  # fmt: skip
