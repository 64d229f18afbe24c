"""Chunks and trees: all bytes in order, the same whatever the parts, and little changes when little changes."""

import hashlib
import random

import pytest
from hartonomous_server.atoms import chunking, locality, tree
from hypothesis import given, settings
from hypothesis import strategies as st

# Bytes as they come: noise, runs, periods, and mixtures of them.
RUNS = st.builds(lambda seed, size: random.Random(seed).randbytes(size), st.integers(0, 9), st.integers(0, 60_000))
PERIODS = st.builds(lambda unit, times: unit * times, st.binary(min_size=1, max_size=40), st.integers(0, 5000))
CONTENT = st.lists(st.one_of(st.binary(max_size=300), RUNS, PERIODS), max_size=6).map(b"".join)


def chunks(content, parts=()):
    """Chunks of content that is fed in parts which end at the given places."""
    cutter, found, start = chunking.Cutter(), [], 0
    for end in sorted({min(part, len(content)) for part in parts}):
        found += map(bytes, cutter.feed(content[start:end]))
        start = end
    return found + list(map(bytes, cutter.feed(content[start:], final=True)))


def slow_hash(data, at):
    """The definition, a byte at a time."""
    value = 0
    for byte in data[max(0, at - chunking.WINDOW + 1) : at + 1]:
        value = (value << 1) + byte
    return value * chunking.FACTOR % 2**32


@pytest.mark.parametrize("data", [random.Random(1).randbytes(200), b"\xff" * 100], ids=["noise", "largest"])
def test_the_hash_is_what_it_says(data):
    hashes = chunking.hashes(chunking.numpy().frombuffer(data, "u1"))
    assert hashes.tolist() == [slow_hash(data, at) for at in range(len(data))]


@given(CONTENT, st.lists(st.integers(0, 400_000), max_size=5))
@settings(deadline=None)
def test_chunks_are_all_bytes_in_order_whatever_the_parts(content, parts):
    found = chunks(content)
    assert b"".join(found) == content
    assert all(chunking.MIN <= len(chunk) <= chunking.MAX for chunk in found[:-1])
    assert chunks(content, parts) == found


def test_a_chunk_ends_where_the_rule_says():
    """Against the rule read aloud, over two segments."""
    data = random.Random(2).randbytes(chunking.SEGMENT + 40_000)
    bound, start = [], 0
    hashes = [slow_hash(data, at) for at in range(len(data))]
    while start < len(data):
        for end in range(start + chunking.MIN, min(start + chunking.MAX, len(data)) + 1):
            bits = chunking.HARD_BITS if end - start <= chunking.NORMAL else chunking.EASY_BITS
            if hashes[end - 1] >> (32 - bits) == 0:
                break
        else:
            end = min(start + chunking.MAX, len(data))
        bound.append(end)
        start = end
    assert list(chunking.ends(data)) == bound


@pytest.mark.parametrize("grain", [1, 4])
def test_samples_stay_whole(grain):
    """As many chunks as ever, and after an edit of whole samples most stay."""
    data = random.Random(3).randbytes(2_000_000)
    ends = list(chunking.ends(data, grain=grain))
    assert all(end % grain == 0 for end in ends[:-1])
    assert 7000 < len(data) / len(ends) < 10_000
    after = list(chunking.ends(data[:500_000] + bytes(400) + data[500_000:], grain=grain))
    assert len({end - 400 for end in after} & set(ends)) > 0.7 * len(ends)


def test_an_edit_changes_the_chunks_it_touches():
    chance = random.Random(3)
    before = chance.randbytes(4_000_000)
    after = bytearray(before)
    for edit in range(9):
        at = chance.randrange(len(after))
        if edit % 3 == 0:
            after[at:at] = chance.randbytes(5000)
        elif edit % 3 == 1:
            del after[at : at + 5000]
        else:
            after[at : at + 5000] = chance.randbytes(5000)
    changed = set(chunks(bytes(after))) - set(chunks(before))
    assert 0 < sum(map(len, changed)) < 9 * 25_000


def fed(content, parts):
    builder, start = tree.Builder(0), 0
    for end in sorted({min(part, len(content)) for part in parts}):
        builder.feed(content[start:end])
        start = end
    builder.feed(content[start:])
    return builder.finish()


def check(node, content):
    assert node.digest == hashlib.sha256(content[node.start : node.end]).digest()
    assert node.feature == locality.features([content[node.start : node.end]], 0)
    if node.height:
        starts = list(node.starts())
        assert starts[0] == node.start and node.ends[-1] == node.end and 2 <= len(starts) <= tree.MAX_CHILDREN
        below = {child.start: child for child in node.nodes}
        for i, (start, end) in enumerate(zip(starts, node.ends, strict=True)):
            assert start < end and node.digests[32 * i :][:32] == hashlib.sha256(content[start:end]).digest()
            assert node.features[8 * i :][:8] == locality.features([content[start:end]], 0)
            if child := below.pop(start, None):
                assert child.end == end and child.height < node.height
        assert not below
    for child in node.nodes:
        check(child, content)


@pytest.fixture
def low(monkeypatch):
    """Trees of some height over little content."""
    monkeypatch.setattr(tree, "FANOUT_BITS", 1)
    monkeypatch.setattr(tree, "MIN_CHILDREN", 2)
    monkeypatch.setattr(tree, "MAX_CHILDREN", 4)


@given(CONTENT, st.lists(st.integers(0, 400_000), max_size=5))
@settings(deadline=None)
def test_a_tree_describes_its_content_whatever_the_parts(content, parts):
    root = tree.build(content)
    assert (root.start, root.end) == (0, len(content))
    check(root, content)
    assert fed(content, parts) == root


def shape(node, origin):
    """A tree without where it stands."""
    below = [shape(child, origin) for child in node.nodes]
    return node.digest, node.height, [end - origin for end in node.ends], below


def composites(root):
    """All nodes above chunks, parents first."""
    if root.height:
        yield root
    for node in root.nodes:
        yield from composites(node)


def test_a_node_has_the_same_tree_by_itself(low):
    content = random.Random(4).randbytes(1_000_000)
    root = tree.build(content)
    check(root, content)
    nodes = list(composites(root))
    assert root.height >= 3 and len(nodes) > 20
    for node in nodes:
        assert shape(tree.build(content[node.start : node.end]), 0) == shape(node, node.start)


def test_most_nodes_outlast_an_edit(low):
    content = random.Random(5).randbytes(1_000_000)
    edited = content[:400_000] + b"edit" + content[400_000:]
    before, after = ({node.digest for node in composites(tree.build(some))} for some in (content, edited))
    assert 0 < len(after - before) < len(after) / 4
