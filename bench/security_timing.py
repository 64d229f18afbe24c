"""Whether the time of an answer tells a foreign id from one that nobody has: ours, and with a leak planted.

The attacker is the strongest there is without superuser's rights: a tenant whose calls are timed inside the server.
"""

from __future__ import annotations

import random
from typing import Any

import psycopg
from psycopg.sql import SQL
from security_measure import rank_sum

SAMPLES = 3000
DIFFERENT = 0.03  # how far from one half the rank-sum must be, with p < 0.001, to be called a difference

TIMED = """
create or replace function pg_temp.timed(statement text, ids text[]) returns float8[] language plpgsql as $$
declare
    began timestamptz; took float8[] := '{}'; id text;
begin
    foreach id in array ids loop
        began := clock_timestamp();
        begin
            execute statement using id;
        exception when others then null;
        end;
        took := took || extract(epoch from clock_timestamp() - began)::float8 * 1e6;
    end loop;
    return took;
end $$
"""
VERBS = {
    "content": "select hartonomous.content($1::bigint)",
    "artifact_show": "select hartonomous.artifact_show(array[$1::bigint])",
    "lineage": "select hartonomous.lineage($1::bigint)",
    "artifact_delete": "select hartonomous.artifact_delete($1::bigint)",
    "embed_artifacts": "select hartonomous.embed_artifacts(array[$1::bigint])",
    "model_commit": "select hartonomous.model_commit($1::bigint)",
    "model_storage": "select hartonomous.model_storage($1)",
    "direct read": "select 1 from hartonomous.artifact where artifact_id = $1::bigint",
}
# models of other tenants, as many as others' names and ids need rows for
MODELS = """
insert into hartonomous.model (tenant_id, name, version, kind, architecture, config, status)
select t.tenant_id, format('m%s-%s', t.tenant_id, i), '1', 'embedding', 'BertModel', '{}', 'ready'
from hartonomous.tenant as t, generate_series(1, 20) as i
where t.tenant_id > 0 and t.tenant_id <> all (
    select m.tenant_id from hartonomous.tenant_role as m where m.role_name = 'bench_tenant')
on conflict do nothing
"""
# one look-up more for an id that somebody has
PLANT = """
create index planted on hartonomous.artifact (artifact_id);
do $$
declare
    body text := pg_get_functiondef('hartonomous._artifact_root(int, bigint)'::regprocedure);
begin
    execute replace(body, 'if not found then', 'if not found then
        perform from hartonomous.artifact as x where x.artifact_id = _artifact_root.artifact_id;');
end $$
"""


def compare(tenant: psycopg.Connection[Any], verb: str, foreign: list[str], missing: list[str]) -> dict[str, Any]:
    """Times of a verb for ids of both kinds, in random order; enough of them to see what a reader of clocks sees."""
    tenant.execute(TIMED)
    kinds = {True: foreign, False: missing}
    order = [bool(i % 2) for i in range(2 * SAMPLES)]
    random.Random(verb).shuffle(order)
    chosen = [random.choice(kinds[kind]) for kind in order]
    took: list[float] = []
    for start in range(0, len(chosen), 200):  # each 200 a transaction
        row = tenant.execute("select pg_temp.timed(%s, %s)", (VERBS[verb], chosen[start : start + 200])).fetchone()
        took += row[0] if row else []
    a, b = ([us for us, kind in zip(took, order, strict=True) if kind is wanted] for wanted in (True, False))
    above, p = rank_sum(a, b)
    middle = [sorted(times)[len(times) // 2] for times in (a, b)]
    differs = p < 0.001 and abs(above - 0.5) > DIFFERENT
    return {
        "part": "timing",
        "what": verb,
        "value": f"{above:.3f}",
        "bound": f"0.5 +- {DIFFERENT}",
        "holds": not differs,
        "us": middle,
        "p": p,
        "n": SAMPLES,
        "detail": f"{middle[0]:.1f} us foreign, {middle[1]:.1f} missing, p {p:.1g}: {'other' if differs else 'same'}",
    }


def measure(owner: psycopg.Connection[Any], tenant: psycopg.Connection[Any]) -> list[dict[str, Any]]:
    """Each verb, and one with a planted leak, which must be found. owner: a superuser's connection."""
    tenant_id = tenant.execute("select hartonomous.current_tenant()").fetchone()
    owner.execute(MODELS)

    def column(query: str) -> list[str]:
        return [str(row[0]) for row in owner.execute(query, tenant_id)]

    artifacts = column("select artifact_id from hartonomous.artifact where tenant_id not in (0, %s) limit 20000")
    models = column("select model_id from hartonomous.model where tenant_id not in (0, %s)")
    names = column("select name from hartonomous.model where tenant_id not in (0, %s)")
    taken = {*artifacts, *models}
    nobody = [i for i in (str(random.getrandbits(40)) for _ in range(20000)) if i not in taken]
    ids = {"model_commit": (models, nobody), "model_storage": (names, [name.replace("m", "n") for name in names])}
    rows = [compare(tenant, verb, *ids.get(verb, (artifacts, nobody))) for verb in VERBS]
    as_it_is = "select pg_get_functiondef('hartonomous._artifact_root(int, bigint)'::regprocedure)"
    whole = owner.execute(as_it_is).fetchone()
    assert whole is not None
    owner.execute(PLANT)
    try:
        planted = compare(tenant, "content", artifacts, nobody)
    finally:
        owner.execute(SQL(whole[0]))
        owner.execute("drop index hartonomous.planted")
    found = {"what": "planted: one more look-up in content", "bound": f"beyond {DIFFERENT}"}
    return [*rows, {**planted, **found, "holds": not planted["holds"]}]
