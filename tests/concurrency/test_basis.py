"""Places while their basis changes, and others store, replace, delete and search."""

import hartonomous
import numpy as np
import psycopg
import pytest
from sessions import together

ROWS, DIMENSIONS, ROUNDS = 1500, 24, 20
MODEL = "flat"
# embeddings without a place by the current basis that is theirs, places without an embedding, and by other bases
WRONG = """
    select (select count(*) from hartonomous.atom_embedding as e join hartonomous.embedding_basis as b using (tenant_id, model_id)
            left join hartonomous.embedding_place as p
              on (p.tenant_id, p.model_id, p.artifact_id, p.basis) = (e.tenant_id, e.model_id, e.artifact_id, b.version)
            where b.current and (p.place is null or p.place <> hartonomous._place(e.embedding, b.axes))),
           (select count(*) from hartonomous.embedding_place as p left join hartonomous.atom_embedding as e
              using (tenant_id, model_id, artifact_id) where e.artifact_id is null),
           (select count(*) from hartonomous.embedding_place as p where not exists (
              select from hartonomous.embedding_basis as b where (b.tenant_id, b.model_id, b.version)
                                                                 = (p.tenant_id, p.model_id, p.basis)))"""  # noqa: E501


def vectors(seed, count, world=0):
    """Vectors that vary along three directions of a world."""
    axes = np.random.default_rng(world).standard_normal((4, DIMENSIONS))
    along = np.random.default_rng(seed).uniform(-1, 1, (count, 3))
    return (2 * axes[3] + along @ axes[:3]).astype(np.float32)


@pytest.fixture(scope="module")
def stored(dsn):
    with hartonomous.connect(dsn) as client:
        client.embedding_model_register(MODEL, DIMENSIONS)
        ids = client.ingest_many([b"row %d" % number for number in range(ROWS)], "binary")
        client.embedding_put_many(ids, vectors(0, ROWS), MODEL)
        client.query("analyze hartonomous.artifact, hartonomous.atom_embedding, hartonomous.embedding_place")
    return ids


def refreshing(client):
    """Changes of basis, in batches, one after the other."""
    for _ in range(6):
        # as when they had drifted
        client.query("update hartonomous.embedding_basis set made = 'random' where current")
        for _ in range(100):
            try:
                if client.embedding_basis_refresh(MODEL, 200) == 0:
                    break
            except hartonomous.Error as error:
                assert error.sqlstate == "55P03", error  # others were storing for 10 seconds
        else:
            raise AssertionError("it does not end")


def writing(seed, world):
    def write(client):
        for number in range(ROUNDS):
            name = b"%d of %d" % (number, seed)
            one, other = client.ingest_many([name, name + b"!"], "binary")
            given = vectors(seed * 1000 + number, 2, world)
            client.embedding_put_many([one, other], given, MODEL)
            client.embedding_put_many([one], vectors(seed * 2000 + number, 1, world), MODEL)
            client.query("delete from hartonomous.atom_embedding where artifact_id = %(id)s", {"id": other})

    return write


def searching(stored):
    """Center and places are of one basis in one statement, whatever the basis is: all that stays is around."""

    def search(client):
        whole = set(stored)
        query = """
            select array_agg(s.artifact_id) as ids, count(*) as n
            from (select %(query)s::vector as v) as q cross join lateral hartonomous.search_spatial(
                q.v, hartonomous.project(q.v, %(model)s), %(radius)s, 10000, %(model)s) as s"""
        given = vectors(0, ROWS)
        for number in range(2 * ROUNDS):
            asked = {"query": str(given[number].tolist()), "model": MODEL}
            [row] = client.query(query, {**asked, "radius": 4})
            assert whole <= set(row[0]), "one has no place"
            [row] = client.query(query, {**asked, "radius": 1e-5})
            assert stored[number] in row[0], "its place is another"

    return search


def test_places_while_their_basis_changes(dsn, stored):
    work = [refreshing, writing(1, 0), writing(2, 1), searching(stored)]
    together(dsn, work)
    with psycopg.connect(dsn, autocommit=True) as connection:
        assert connection.execute(WRONG).fetchone() == (0, 0, 0)
        assert connection.execute("select max(version), count(*) from hartonomous.embedding_basis").fetchone() == (7, 1)


def test_who_stores_by_an_older_snapshot_fails(dsn, stored):
    """In repeatable read the basis may be another since the snapshot: 40001 rather than a place that nobody finds."""
    with hartonomous.connect(dsn) as client, hartonomous.connect(dsn) as other:
        with pytest.raises(hartonomous.Error) as caught, client.transaction():
            client.query("set transaction isolation level repeatable read")
            client.query("select 1")
            other.query("update hartonomous.embedding_basis set made = 'random'")
            assert other.embedding_basis_refresh(MODEL, 10**6) == 0
            client.embedding_put_many(stored[:1], vectors(5, 1), MODEL)
        assert caught.value.sqlstate == "40001"
        with pytest.raises(hartonomous.Error) as caught, client.transaction():
            client.query("set transaction isolation level repeatable read")
            client.embedding_basis_refresh(MODEL)
        assert caught.value.sqlstate == "25001"


def test_a_change_of_basis_can_be_left(dsn, stored):
    """Rolled back or cancelled, a batch leaves what was before."""
    with hartonomous.connect(dsn) as client, psycopg.connect(dsn, autocommit=True) as connection:
        connection.execute("update hartonomous.embedding_basis set made = 'random'")
        left = client.embedding_basis_refresh(MODEL, 500)
        with pytest.raises(RuntimeError), client.transaction():
            assert client.embedding_basis_refresh(MODEL, 500) < left
            raise RuntimeError
        with pytest.raises(hartonomous.Error) as caught, client.transaction():
            client.query("set local statement_timeout = '1ms'")
            client.embedding_basis_refresh(MODEL, 500)
        assert caught.value.sqlstate == "57014"
        assert client.embedding_basis_refresh(MODEL, 500) == max(left - 500, 0)
        while client.embedding_basis_refresh(MODEL, 500):
            pass
        assert connection.execute(WRONG).fetchone() == (0, 0, 0)
