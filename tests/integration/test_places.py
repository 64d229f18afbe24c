"""Different contents at one place: real pairs, found by trying 2^31 of a kind, for tenant 1 and modality text."""

import hashlib
import threading

import hartonomous
import pytest
from hartonomous_server import errors
from hartonomous_server.atoms import chunking, content, identity, locality

LINES = b"".join(b"%06d bottles of beer on the wall\n" % i for i in range(2000))[:20480]
NOISE = b"".join(hashlib.sha256(str(i).encode()).digest() for i in range(640))
LEAVES = b"meter 206782fe17a7d643", b"meter 22edcf0eabcb2d68"
BLOCKS = LINES + b"meter 31da899acdb2fedb", LINES + b"meter 1773f36219081764"
COMPOSITES = NOISE + b"meter 300ba2d6b6c22d33", NOISE + b"meter 26a76de352b1e859"
PAIRS = {"leaves": LEAVES, "blocks": BLOCKS, "composites": COMPOSITES}


def first_place(some):
    return identity.identify([some], modality=1, tenant=1).h[0].tolist()


def well(client):
    assert client.atom_verify() == []


@pytest.fixture(params=PAIRS)
def pair(request, client):
    """Two contents that fall together; before and after, nobody has them."""
    yield PAIRS[request.param]
    client.query("delete from hartonomous.artifact")
    client.query("delete from hartonomous.atom")
    client.query("delete from hartonomous.atom_reference_change")


def test_the_pairs_fall_together():
    for one, other in PAIRS.values():
        assert one != other and first_place(one) == first_place(other)
    assert len(LEAVES[0]) <= locality.LEAF_BYTES
    assert [len(list(chunking.ends(some[0]))) for some in (BLOCKS, COMPOSITES)] == [1, 3]


def test_both_are_there_and_each_is_stored_once(client, pair):
    ids = [client.ingest(some, "text") for some in pair]
    for artifact, some in zip(ids, pair, strict=True):
        assert client.content(artifact) == some
        assert client.ingest(some, "text") == artifact
    places = client.query("select h_xy, h_yz, h_zm from hartonomous.artifact order by artifact_id = %s", [ids[1]])
    first, second = places.fetchall()
    assert list(first) == first_place(pair[0]) != list(second) and first[0] == second[0]
    assert client.query(
        "select count(*) from hartonomous.atom where content_hash = %s", [hashlib.sha256(pair[1]).digest()]
    ).fetchone() == (1,)
    well(client)


def test_both_come_in_one_call(client, pair):
    one, other = pair
    ids = client.ingest_many([one, other, one, other[:-1]], "text")
    assert [client.content(artifact) for artifact in ids] == [one, other, one, other[:-1]]
    well(client)


@pytest.mark.parametrize("there", [False, True])
@pytest.mark.parametrize("pair", ["leaves", "blocks"], indirect=True)
def test_both_are_parts_of_more(client, pair, there):
    """What names them names each where it lies, whether or not it was there."""
    head = NOISE[: next(chunking.ends(NOISE))]
    wholes = [head + some for some in pair]
    assert all(list(chunking.ends(whole)) == [len(head), len(whole)] for whole in wholes)
    known = [client.ingest(some, "text") for some in pair if there]
    ids = [client.ingest(some, "text") for some in wholes]
    assert [client.content(artifact) for artifact in [*known, *ids]] == [*pair[: len(known)], *wholes]
    well(client)
    child = "select distinct st_m(d.geom) from hartonomous.atom cross join st_dump(geom) as d where ends is not null"
    assert len(client.query(child).fetchall()) == 3


def test_both_come_as_uploads(client, pair):
    ids = []
    for some in pair:
        upload = client.ingest_begin("text")
        client.ingest_part(upload, 0, some)
        ids.append(client.ingest_commit(upload))
    assert [client.content(artifact) for artifact in ids] == list(pair)
    well(client)


def test_both_come_at_once(dsn, client, pair):
    """Whoever comes second waits, and lies elsewhere."""
    found, start = {}, threading.Barrier(4)

    def store(number):
        with hartonomous.connect(dsn) as session:
            start.wait()
            with session.transaction():
                found[number] = session.ingest(pair[number % 2], "text")

    threads = [threading.Thread(target=store, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert found[0] == found[2] != found[1] == found[3]
    assert [client.content(found[number]) for number in (0, 1)] == list(pair)
    well(client)


def test_what_lay_elsewhere_stays_when_the_first_goes(client, pair):
    one, other = (client.ingest(some, "text") for some in pair)
    client.artifact_delete(one)
    client.artifact_purge(one)
    while client.atom_collect_garbage():
        pass
    assert client.content(other) == pair[1]
    whole = client.ingest(pair[1] + LINES, "text")
    assert client.content(whole) == pair[1] + LINES
    assert client.content(client.ingest(pair[0], "text")) == pair[0]
    well(client)


def test_what_another_tenant_has_at_the_place_is_not_shared(client):
    """However it came there: whose bytes are equal are two."""
    other, place = client.tenant_create("at the same place"), first_place(LEAVES[0])
    client.query(
        "insert into hartonomous.atom (h_xy, h_yz, h_zm, tenant_id, modality, content_hash, geom, value)"
        " values (%s, %s, %s, %s, 1, sha256(%s), 'GEOMETRYCOLLECTION ZM (POINT ZM (0 0 0 0))', %s)",
        [*place, other, LEAVES[0], LEAVES[0]],
    )
    artifact = client.ingest(LEAVES[0], "text")
    assert client.content(artifact) == LEAVES[0]
    owners = "select array_agg(tenant_id order by tenant_id) from hartonomous.atom where content_hash = sha256(%s)"
    assert client.query(owners, [LEAVES[0]]).fetchone() == ([1, other],)
    for table in ("artifact", "atom", "atom_reference_change"):
        client.query(f"delete from hartonomous.{table}")


def test_leaves_of_blocks_that_explode_may_fall_together(client):
    wholes = [b"x" * 61 + b"\n" + some for some in LEAVES]
    ids = [client.ingest(some, "text") for some in wholes]
    assert [client.atom_explode(artifact) for artifact in ids] == [2, 2]
    assert [client.content(artifact) for artifact in ids] == wholes
    well(client)


def test_places_come_to_an_end():
    space = identity.Space(1, 1)
    for _ in range(identity.PROBES - 1):
        content._probe(space, b"0" * 32)
    with pytest.raises(errors.InvalidContent, match="all 16 places of content 3030"):
        content._probe(space, b"0" * 32)
