"""Throttles as sessions meet them: exact among many, not given back, never in the way of others' work."""

from __future__ import annotations

import os
import threading
import time
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta

import hartonomous
import psycopg
import pytest
from hartonomous import errors
from psycopg.conninfo import make_conninfo

SESSIONS = 16
HOUR = timedelta(hours=1)
BARRIER = 60.0


@pytest.fixture(scope="module")
def throttled(server, dsn):
    """Connection string of a role that is a tenant of its own."""
    role = f"test_throttled_{os.getpid()}"
    with hartonomous.connect(dsn) as admin:
        server.execute("create role {} login password 'secret' in role hartonomous_writer", role)
        admin.tenant_role_add(admin.tenant_create(role), role)
    yield make_conninfo(dsn, user=role, password="secret")
    server.execute("drop role {}", role)


@pytest.fixture
def tenant(throttled):
    with hartonomous.connect(throttled) as opened:
        yield opened


@pytest.fixture
def limit(client, tenant):
    """Sets limits of the tenant, which go at the end."""
    made = set()

    def put(units, per, *more, **named):
        rate_limit_id = client.rate_limit_put(tenant.current_tenant(), units, per, *more, **named)
        made.add(rate_limit_id)
        return rate_limit_id

    yield put
    for rate_limit_id in made:
        client.rate_limit_drop(rate_limit_id)


def attempt(client):
    try:
        client.content(None)
    except errors.RateLimited:
        return 0
    return 1


def attempts(dsn, sessions, calls, barrier):
    """How many calls of sessions that begin together are admitted, and for how many seconds they ran."""

    def session(_):
        with hartonomous.connect(dsn) as client:
            barrier.wait(BARRIER)
            return sum(attempt(client) for _ in range(calls))

    began = time.monotonic()
    with ThreadPoolExecutor(sessions) as pool:
        admitted = sum(pool.map(session, range(sessions)))
    return admitted, time.monotonic() - began


@pytest.mark.parametrize(("units", "seconds", "burst"), [(50, 36000, 50), (40, 1, 7)])
def test_sessions_together_are_admitted_exactly(throttled, limit, units, seconds, burst):
    limit(units, timedelta(seconds=seconds), burst=burst)
    admitted, ran = attempts(throttled, SESSIONS, 10, threading.Barrier(SESSIONS))
    assert burst <= admitted <= burst + ran * units / seconds


def test_refusals_say_when_to_come_back(tenant, limit):
    limit(2, timedelta(seconds=1), "content")
    assert attempt(tenant) + attempt(tenant) == 2
    with pytest.raises(
        errors.RateLimited, match="rate limit of 2 units per 00:00:01 for content is reached"
    ) as refused:
        while True:
            tenant.content(None)
    assert 0 < refused.value.retry_after <= 0.5
    assert refused.value.detail == f"retry after {refused.value.retry_after:.3f} s"
    time.sleep(refused.value.retry_after)
    assert attempt(tenant) == 1


def test_a_rollback_gives_nothing_back(tenant, limit):
    limit(3, HOUR)
    for _ in range(3):
        with tenant.transaction():
            with pytest.raises(ZeroDivisionError), tenant.transaction():  # a savepoint
                tenant.content(None)
                raise ZeroDivisionError
            raise psycopg.Rollback
    assert attempt(tenant) == 0


def test_refused_calls_cost_nothing(tenant, limit):
    limit(2, timedelta(seconds=1), burst=1)
    waits = []
    for _ in range(20):
        try:
            tenant.content(None)
        except errors.RateLimited as refused:
            waits.append(refused.retry_after)
    assert waits and max(waits) <= 0.5


def test_read_only_transactions_count(tenant, limit):
    limit(3, HOUR)
    tenant.connection.execute("set default_transaction_read_only = on")
    assert [attempt(tenant) for _ in range(5)] == [1, 1, 1, 0, 0]


def test_each_key_and_each_role_has_its_own(dsn, client, tenant, limit):
    limit(2, HOUR, per_key=True)
    keys = [client.api_key_create(tenant.current_tenant()) for _ in range(2)]
    for key in keys:
        with hartonomous.connect(dsn_of_a_pool(client, dsn), key) as pooled:
            assert [attempt(pooled) for _ in range(4)] == [1, 1, 0, 0]
    assert [attempt(tenant) for _ in range(4)] == [1, 1, 0, 0]


def dsn_of_a_pool(client, dsn):
    name = "test_throttles_pool"
    client.connection.execute(
        f"do $$ begin create role {name} login password 'secret' in role hartonomous_writer;"
        " exception when duplicate_object then end $$"
    )
    return make_conninfo(dsn, user=name, password="secret")


@pytest.fixture(scope="module", autouse=True)
def pool_goes(server):
    yield
    server.execute("drop role if exists {}", "test_throttles_pool")


def test_a_limit_of_each_tenant_holds_for_each_by_itself(client, tenant):
    rate_limit_id = client.rate_limit_put(None, 2, HOUR, "content")
    try:
        assert [attempt(tenant) for _ in range(3)] == [1, 1, 0]
        assert [attempt(client) for _ in range(3)] == [1, 1, 0]
        assert client.ingest_text("another operation")
        assert tenant.ingest_text("another operation")
    finally:
        client.rate_limit_drop(rate_limit_id)


def test_all_limits_must_admit_and_none_is_taken_unless_all_do(tenant, limit):
    limit(4, HOUR)
    limit(1, HOUR, "content")
    assert [attempt(tenant) for _ in range(10)] == [1] + [0] * 9
    for _ in range(3):  # the refusals above took nothing of the limit for all operations
        tenant.ingest_text("x")
    with pytest.raises(errors.RateLimited, match="all operations"):
        tenant.ingest_text("x")


def test_what_can_never_pass_is_told_so(tenant, limit):
    limit(100, HOUR, burst=3)
    with pytest.raises(
        errors.InvalidParameter, match="5 units, but a rate limit for . admits at most 3 at once"
    ) as refused:
        tenant.ingest_many([b"x"] * 5, "binary")
    assert refused.value.hint == "split the call"
    assert len(tenant.ingest_many([b"x"] * 3, "binary")) == 3


def test_a_changed_limit_holds_at_once(tenant, limit):
    limit(1, HOUR)
    assert [attempt(tenant) for _ in range(2)] == [1, 0]
    limit(10**6, HOUR)  # replaces it; the other entry is the same limit
    assert attempt(tenant) == 1


def test_work_under_a_throttle_is_not_serialised(throttled, limit):
    """All sessions hold a transaction with an admitted call at once; a lock held across the work would not let them."""
    limit(SESSIONS, HOUR)
    limit(1000, HOUR, "content", per_key=True)
    barrier = threading.Barrier(SESSIONS)

    def session(_):
        with hartonomous.connect(throttled) as client, client.transaction():
            client.content(None)
            client.query("select pg_sleep(0.01)")
            barrier.wait(BARRIER)
            return attempt(client)

    with ThreadPoolExecutor(SESSIONS) as pool:
        assert sum(pool.map(session, range(SESSIONS))) == 0
    assert not barrier.broken


def test_a_tenant_sees_its_own_limits_only(tenant, client, limit):
    own = limit(7, HOUR)
    others = [client.rate_limit_put(1, 7, HOUR), client.rate_limit_put(None, 10**6, HOUR, "ingest")]
    try:
        seen = tenant.query("select rate_limit_id from hartonomous.rate_limit").fetchall()
        assert seen == [(own,)]
        assert {own, *others} <= {found.rate_limit_id for found in client.rate_limit_list()}
        mine = {found.rate_limit_id for found in client.rate_limit_list(tenant.current_tenant())}
        assert own in mine and others[1] in mine and others[0] not in mine
        for call in (
            lambda: tenant.rate_limit_list(),
            lambda: tenant.rate_limit_drop(own),
            lambda: tenant.rate_limit_put(None, 1, HOUR),
            lambda: tenant.query("select hartonomous._rate_take('{x}', '{1}', '{1}', 1)"),
            lambda: tenant.query("select hartonomous._rate_permit('content', 1, 1)"),
        ):
            with pytest.raises(errors.NotPermitted):
                call()
    finally:
        for rate_limit_id in others:
            client.rate_limit_drop(rate_limit_id)


@pytest.mark.parametrize(
    "arguments",
    [
        {"units": 0}, {"units": -1}, {"units": None}, {"units": 2**63 - 1, "per": timedelta(days=365)},
        {"per": timedelta(0)}, {"per": timedelta(seconds=-1)}, {"per": timedelta(days=367)}, {"per": None},
        {"burst": 0}, {"burst": -1}, {"burst": 2**63 - 1}, {"burst": 10**9, "per": timedelta(days=365)},
        {"operation": "nope"}, {"operation": ""}, {"operation": "*' or 1=1"},
        {"tenant_id": 2**31 - 1}, {"tenant_id": -1},
    ],
    ids=str,
)  # fmt: skip
def test_bad_limits(client, arguments):
    before = client.rate_limit_list()
    with pytest.raises(errors.InvalidParameter):
        client.rate_limit_put(**{"tenant_id": 1, "units": 1, "per": HOUR, **arguments})
    assert client.rate_limit_list() == before


@pytest.mark.parametrize("interval", ["infinity", "-infinity"])
def test_infinite_intervals(client, interval):
    with pytest.raises(errors.InvalidParameter):
        client.query("select hartonomous.rate_limit_put(1, 1, %(per)s::interval)", {"per": interval})


@pytest.mark.parametrize("operation", ["null", "'*', null"])
def test_null_operation_and_null_per_key(client, operation):
    with pytest.raises(errors.Error) as refused:
        client.query(f"select hartonomous.rate_limit_put(1, 1, '1 s', {operation})")
    assert refused.value.sqlstate in ("22023", "22004")


@pytest.mark.parametrize("rate_limit_id", [None, 0, -1, 2**62])
def test_dropping_none(client, rate_limit_id):
    with pytest.raises(errors.InvalidParameter, match="no rate limit with id"):
        client.rate_limit_drop(rate_limit_id)


ONE_VECTOR = "select embedding from hartonomous.atom_embedding limit 1"
VERBS = [
    ("content", 1, lambda c: c.content(None)),
    ("content", 1, lambda c: c.content_slice(None, 0, 1)),
    ("content", 3, lambda c: c.artifact_show([1, 2, 3])),
    ("ingest", 1, lambda c: c.ingest(b"x")),
    ("ingest", 1, lambda c: c.ingest_text("x")),
    ("ingest", 3, lambda c: c.ingest_many([b"x"] * 3, "binary")),
    ("ingest", 1, lambda c: c.ingest_document("uri", "# A\n\nb\n\n# C\n\nd", "markdown")),
    ("inference", 1, lambda c: c.embed("a")),
    ("inference", 3, lambda c: c.embed_many(["a", "b", "c"])),
    ("inference", 1, lambda c: c.tokenize("a")),
    ("inference", 1, lambda c: c.detokenize([1, 2])),
    ("search", 1, lambda c: c.search("a")),
    ("search", 1, lambda c: c.search_vector(c.query(ONE_VECTOR).fetchone()[0])),
    ("search", 1, lambda c: c.embedding_pending()),
    ("embed", 2, lambda c: c.embed_artifacts(two_artifacts(c))),
    ("model_read", 1, lambda c: c.query("select hartonomous.tensor('tiny', 'embeddings.LayerNorm.bias')")),
    ("model_read", 1, lambda c: c.model_list()),
    ("lineage", 1, lambda c: c.lineage(two_artifacts(c)[0])),
]  # fmt: skip


def two_artifacts(client):
    own = "select artifact_id from hartonomous.artifact where tenant_id = hartonomous.current_tenant() limit 2"
    rows = client.query(own)
    return [artifact for (artifact,) in rows.fetchall()]


@pytest.fixture(scope="module")
def recorded(dsn, tenants):
    """ann's client, and a function that returns what was asked of _permit since it was last called."""
    with (
        psycopg.connect(dsn, autocommit=True) as admin,
        hartonomous.connect(f"{dsn} options='-c role={tenants.ann}'") as ann,
    ):
        admin.execute("create table public.asked (operation text, units bigint)")
        admin.execute(
            "create function public.ask(text, int, bigint) returns void language sql security definer"
            " as 'insert into public.asked values ($1, $3)'"
        )
        admin.execute("insert into hartonomous.permit_check values ('*', 1000, 'public.ask(text, int, bigint)')")
        yield ann, lambda: admin.execute("delete from public.asked returning operation, units").fetchall()
        admin.execute("delete from hartonomous.permit_check where position = 1000")


@pytest.mark.parametrize(("operation", "units", "call"), VERBS)
def test_a_verb_is_counted_once_with_its_units(recorded, operation, units, call):
    ann, asked = recorded
    asked()
    call(ann)
    assert asked() == [(operation, units)]


def test_nothing_counts_as_one(tenant, limit):
    limit(2, HOUR)
    assert tenant.ingest_many([], "binary") == []
    assert tenant.query("select hartonomous.embed_many(null)").fetchone() == (None,)
    assert attempt(tenant) == 0


def test_the_table_goes_with_the_tenant(client):
    tenant = client.tenant_create("short lived")
    rate_limit_id = client.rate_limit_put(tenant, 1, HOUR)
    client.query("delete from hartonomous.tenant where tenant_id = %(id)s", {"id": tenant})
    assert rate_limit_id not in {found.rate_limit_id for found in client.rate_limit_list()}
