"""Several sessions that ingest: one artifact for equal content, no deadlock, reference counts as many as references."""

import random
from concurrent.futures import ThreadPoolExecutor

import corpus
import hartonomous
import psycopg
import pytest
import state
import waiting
from sessions import meanwhile, together

SESSIONS = 4
BLOCK = 64 * 1024


def check_references(connection):
    stored, counted = state.references(connection)
    assert {key: count for key, count in stored.items() if count} == counted


def live_passages(connection, uri):
    return connection.execute(
        "select array_agg(a.canonical_text order by a.canonical_text) from hartonomous.artifact_source as s"
        " join hartonomous.artifact as a using (artifact_id)"
        " where s.document_uri = %s and a.canonical_text is not null and a.deleted_at is null",
        [uri],
    ).fetchone()[0]


def test_the_same_documents_at_once(server, template, dsn, connection):
    pages = corpus.pages(8)

    def ingest(seed):
        order = sorted(pages)
        random.Random(seed).shuffle(order)
        return lambda client: {name: client.ingest_document(name, pages[name], "html") for name in order}

    found = together(dsn, [ingest(seed) for seed in range(SESSIONS)])
    assert found == [found[0]] * SESSIONS
    check_references(connection)
    with server.database("test_one_session", template=template) as calm, hartonomous.connect(calm) as client:
        ingest(0)(client)
        expected, got = state.logical(client.connection), state.logical(connection)
    # which of the sessions met a shared passage first is in the log
    assert {table for table in got if got[table] != expected[table]} <= {"ingestion_log"}
    assert connection.execute(
        "select sum(artifacts_created) = (select count(*) from hartonomous.artifact) from hartonomous.ingestion_log"
    ).fetchone() == (True,)


def test_the_same_content_at_the_same_moment(dsn, connection):
    """All sessions are past the look-up and about to insert when the first of them may."""
    contents = [b"at the same moment", b"m" * 1000, random.Random(1).randbytes(3 * BLOCK)]

    def ingest():
        with hartonomous.connect(dsn) as client:
            return client.ingest_many(contents, "binary")

    with ThreadPoolExecutor(SESSIONS) as pool:
        with waiting.locked(dsn, "artifact"):
            running = [pool.submit(ingest) for _ in range(SESSIONS)]
            waiting.until_blocked(connection, "artifact", SESSIONS)
        found = [future.result() for future in running]
    assert found == [found[0]] * SESSIONS and len(set(found[0])) == 3
    check_references(connection)


def test_overlapping_arrays(dsn, connection):
    chance = random.Random(2)
    shared = [chance.randbytes(size) for size in (0, 1, 40, 64, 65, 900, BLOCK, BLOCK + 1, 2 * BLOCK)]
    contents = shared + [chance.randbytes(chance.randrange(3000)) for _ in range(150)]

    def ingest(seed):
        own = random.Random(seed)

        def work(client):
            found = {}
            for _ in range(6):
                some = own.choices(contents, k=60)  # with repetitions
                found |= zip(some, client.ingest_many(some, "binary"), strict=True)
            return found

        return work

    results = together(dsn, [ingest(seed) for seed in range(SESSIONS)])
    everything = {content: artifact_id for result in results for content, artifact_id in result.items()}
    for result in results:
        assert result == {content: everything[content] for content in result}
    assert len(set(everything.values())) == len(everything)
    check_references(connection)
    with hartonomous.connect(dsn) as client:
        assert all(client.content(everything[content]) == content for content in shared if content in everything)


def test_large_contents_with_common_blocks_do_not_deadlock(dsn, connection):
    """Each session meets the blocks in another order."""
    chance = random.Random(3)
    blocks = [chance.randbytes(BLOCK) for _ in range(8)]

    def ingest(seed):
        own = random.Random(seed)
        order = own.sample(blocks, len(blocks))
        contents = [block + own.randbytes(100) for block in order]
        return lambda client: [client.ingest_many([order[0], *contents], "binary") for _ in range(2)]

    for first, second in together(dsn, [ingest(seed) for seed in range(SESSIONS)]):
        assert first == second
    check_references(connection)


def test_sessions_that_refer_to_the_same_chunks_do_not_wait(dsn, connection):
    common = random.Random(4).randbytes(5 * BLOCK)
    connection.execute("select hartonomous.ingest(%s)", [common])
    with psycopg.connect(dsn) as first:
        first.execute("select hartonomous.ingest(%s)", [common + b"first"])
        with meanwhile(dsn, lambda client: client.ingest(common + b"second")) as second:
            assert second.done()
        first.commit()
    check_references(connection)


def test_whoever_comes_second_takes_over_when_the_first_rolls_back(dsn, connection):
    with psycopg.connect(dsn) as first:
        first.execute("select hartonomous.ingest_text('half done')")
        with meanwhile(dsn, lambda client: client.ingest_text("half done")) as second:
            assert not second.done()
            first.rollback()
            found = second.result(waiting.PATIENCE)
    assert connection.execute("select hartonomous.content(%s)", [found]).fetchone() == (b"half done",)
    check_references(connection)


def test_repeatable_read_fails_rather_than_return_less(dsn, connection):
    with psycopg.connect(dsn) as late:
        late.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ
        late.execute("select 1 from hartonomous.tenant")  # the snapshot
        connection.execute("select hartonomous.ingest_text('after the snapshot')")
        with pytest.raises(psycopg.errors.SerializationFailure):
            late.execute("select hartonomous.ingest_text('after the snapshot')")


def test_content_deleted_meanwhile_is_ingested_anew(dsn, connection):
    deleted = connection.execute("select hartonomous.ingest('soon deleted'::bytea)").fetchone()[0]
    with psycopg.connect(dsn) as first:
        first.execute("select hartonomous.artifact_delete(%s)", [deleted])
        with meanwhile(dsn, lambda client: client.ingest_text("soon deleted")) as second:
            first.commit()
            found = second.result(waiting.PATIENCE)
    assert found != deleted
    assert connection.execute("select hartonomous.content(%s)", [found]).fetchone() == (b"soon deleted",)


@pytest.mark.parametrize("first", ["the one that drops it", "the one that takes it"])
def test_a_passage_one_document_drops_and_another_takes(dsn, connection, first):
    """Whichever of the two transactions begins first, the passage is there for the one that has it now."""
    passage = f"A passage that moves; first comes {first}."
    old, new = f"moves/{first}/old", f"moves/{first}/new"
    connection.execute("select hartonomous.ingest_document(%s, %s)", [old, passage])
    drop = (old, "Nothing of it is left here.")
    take = (new, f"{passage}")
    one, other = (drop, take) if first == "the one that drops it" else (take, drop)
    with psycopg.connect(dsn) as session:
        session.execute("select hartonomous.ingest_document(%s, %s)", one)
        with meanwhile(dsn, lambda client: client.ingest_document(*other)) as second:
            session.commit()
            second.result(waiting.PATIENCE)
    assert live_passages(connection, new) == [passage]
    assert live_passages(connection, old) == [drop[1]]
    check_references(connection)


def test_versions_of_one_document_at_once(dsn, connection):
    """One of them wins, wholly."""
    versions = [
        f"# Version {number}\n\nA paragraph of version {number}.\n\n# All\n\nA paragraph of all."
        for number in range(SESSIONS)
    ]

    def ingest(number):
        return lambda client: [
            client.ingest_document("versions", versions[(number + turn) % SESSIONS], "markdown")
            for turn in range(SESSIONS)
        ]

    together(dsn, [ingest(number) for number in range(SESSIONS)])
    found = live_passages(connection, "versions")
    (winner,) = (number for number in range(SESSIONS) if f"A paragraph of version {number}." in found)
    assert found == ["A paragraph of all.", f"A paragraph of version {winner}."]
    documents = connection.execute(
        "select a.deleted_at is null, hartonomous._document_current(1, 'versions') = a.artifact_id"
        " from hartonomous.artifact as a join hartonomous.artifact_source as s using (artifact_id)"
        " where s.source_uri = 'versions' and s.position is null"
    ).fetchall()
    assert documents == [(True, True)]
    check_references(connection)


VERSIONS = [f"# A\n\nWhat all versions have.\n\n# B\n\nWhat version {number} has." for number in (1, 2)]


def parts(connection, uri):
    """Passages that a document has, and whether they are there."""
    return connection.execute(
        "select a.canonical_text, a.deleted_at is null from hartonomous.artifact_source as s"
        " join hartonomous.artifact as a using (tenant_id, artifact_id)"
        " where s.document_uri = %s and s.position is not null order by s.position",
        [uri],
    ).fetchall()


def test_a_document_is_deleted_while_its_next_version_comes(dsn, connection):
    """What the next version has stays, though the deletion began before it was there."""
    put = "select hartonomous.ingest_document('deleted', %s, 'markdown')"
    (old,) = connection.execute(put, [VERSIONS[0]]).fetchone()
    with psycopg.connect(dsn) as first:
        first.execute(put, [VERSIONS[1]])
        with meanwhile(dsn, lambda client: client.artifact_delete(old)) as second:
            assert not second.done()
            first.commit()
            with pytest.raises(hartonomous.errors.ArtifactNotFound):
                second.result(waiting.PATIENCE)
    assert parts(connection, "deleted") == [("What all versions have.", True), ("What version 2 has.", True)]
    check_references(connection)


def test_the_next_version_comes_while_a_document_is_deleted(dsn, connection):
    put = "select hartonomous.ingest_document('deleting', %s, 'markdown')"
    (old,) = connection.execute(put, [VERSIONS[0]]).fetchone()
    with psycopg.connect(dsn) as first:
        first.execute("select hartonomous.artifact_delete(%s)", [old])
        with meanwhile(dsn, lambda client: client.ingest_document("deleting", VERSIONS[1], "markdown")) as second:
            assert not second.done()
            first.commit()
            second.result(waiting.PATIENCE)
    assert parts(connection, "deleting") == [("What all versions have.", True), ("What version 2 has.", True)]
    check_references(connection)


def test_a_version_comes_while_the_document_is_restored(dsn, connection):
    """The same one: it is restored first, and then there."""
    put = "select hartonomous.ingest_document('restored', %s, 'markdown')"
    (old,) = connection.execute(put, [VERSIONS[0]]).fetchone()
    connection.execute("select hartonomous.artifact_delete(%s)", [old])
    with psycopg.connect(dsn) as first:
        first.execute("select hartonomous.artifact_restore(%s)", [old])
        with meanwhile(dsn, lambda client: client.ingest_document("restored", VERSIONS[0], "markdown")) as second:
            assert not second.done()
            first.commit()
            assert second.result(waiting.PATIENCE) == old
    assert parts(connection, "restored") == [("What all versions have.", True), ("What version 1 has.", True)]
    check_references(connection)


def test_a_document_that_becomes_another_while_it_is_deleted(dsn, connection):
    """Its lock is not held: the deletion gives up rather than meet versions of the other."""
    (old,) = connection.execute("select hartonomous.ingest_document('one name', 'Of two names.')").fetchone()
    with psycopg.connect(dsn) as first:
        first.execute("select hartonomous.ingest_document('another name', 'Of two names.')")
        with meanwhile(dsn, lambda client: client.artifact_delete(old)) as second:
            assert not second.done()
            first.commit()
            with pytest.raises(hartonomous.errors.Error, match="became another document"):
                second.result(waiting.PATIENCE)
    connection.execute("select hartonomous.artifact_delete(%s)", [old])
    assert parts(connection, "one name") == parts(connection, "another name") == []


def test_a_passage_is_ingested_while_its_document_is_restored(dsn, connection):
    """Whoever has its bytes first has the place in the document."""
    (old,) = connection.execute("select hartonomous.ingest_document('again', 'Comes again.')").fetchone()
    connection.execute("select hartonomous.artifact_delete(%s)", [old])
    with psycopg.connect(dsn) as first:
        first.execute("select hartonomous.ingest(E'Comes again.'::bytea, 'binary')")
        with meanwhile(dsn, lambda client: client.artifact_restore(old)) as second:
            assert not second.done()
            first.commit()
            with pytest.raises(hartonomous.errors.Error, match=f"content of artifact {old} was ingested again"):
                second.result(waiting.PATIENCE)
    (old,) = connection.execute("select hartonomous.ingest_document('anew', %s, 'markdown')", [VERSIONS[0]]).fetchone()
    connection.execute("select hartonomous.artifact_delete(%s)", [old])
    with psycopg.connect(dsn) as first:
        first.execute("select hartonomous.ingest_text('What version 1 has.')")
        with meanwhile(dsn, lambda client: client.artifact_restore(old)) as second:
            assert not second.done()
            first.commit()
            second.result(waiting.PATIENCE)
    assert parts(connection, "anew") == [("What all versions have.", True), ("What version 1 has.", True)]
    check_references(connection)
