"""Content as atoms: chunks below trees of composites on the way in, put together and verified on the way out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from itertools import accumulate
from typing import TYPE_CHECKING, Any

from hartonomous_server import errors
from hartonomous_server.atoms import block, identity, locality, tree
from hartonomous_server.atoms.chunking import MIN
from hartonomous_server.blas import numpy
from hartonomous_server.db import interrupts, query

if TYPE_CHECKING:
    import numpy as np

WINDOW_BYTES = 256 << 20  # chunks of so much content are put in the order of their keys
CALL_BYTES, CALL_ATOMS = 8 << 20, 10_000  # what one call of _atom_put takes
READ_ATOMS = 256  # what one query reads: 2 MiB, at most 16
WHOLE = 1 << 62

Piece = bytes | memoryview
Fetch = Callable[[Sequence[int], Sequence[int], Sequence[int]], list[Piece]]  # of (source, start, end): the bytes


@dataclass
class Count:
    created: int = 0
    shared: int = 0  # references to atoms that were there


def plan(db: Any, modality: int, contents: Sequence[bytes], hashes: Sequence[bytes]) -> list[tree.Node]:
    """Trees of contents."""
    cancel, features = interrupts(db), locality.features(contents, modality)
    return [
        tree.Node(0, len(content), digest, features[8 * i : 8 * i + 8])
        if len(content) <= MIN else tree.build(content, modality, digest, cancel)
        for i, (content, digest) in enumerate(zip(contents, hashes, strict=True))
    ]  # fmt: skip


def put(db: Any, tenant: int, modality: int, roots: Sequence[tree.Node], fetch: Fetch) -> Count:
    """Stores the atoms of trees (source i: roots[i]) and counts one reference to each root.

    Only who inserts a composite stores what is below it and counts its references: one that is there has done so. Rows
    are taken by height, then in the order of their keys: callers with common atoms wait for each other and, up to
    WINDOW_BYTES, do not deadlock.
    """
    count = Count()
    wanted: dict[int, list[tuple[int, tree.Node]]] = {}  # by height: (source, node), one for each reference
    for source, root in enumerate(roots):
        wanted.setdefault(root.height, []).append((source, root))
    single = wanted.pop(0, [])
    parents: list[tuple[int, tree.Node]] = []
    while wanted:
        for source, node in _put_composites(db, tenant, modality, wanted.pop(max(wanted)), count):
            parents.append((source, node))
            for child in node.nodes:
                wanted.setdefault(child.height, []).append((source, child))
    for window in _windows(single, parents):
        _put_chunks(db, tenant, modality, window, fetch, count)
    return count


def _put_composites(db: Any, tenant: int, modality: int, references: Sequence[tuple[int, tree.Node]],
                    count: Count) -> list[tuple[int, tree.Node]]:
    """Those that are new."""
    first: dict[bytes, tuple[int, tree.Node]] = {}
    refs: dict[bytes, int] = {}
    for source, node in references:
        first.setdefault(node.digest, (source, node))
        refs[node.digest] = refs.get(node.digest, 0) + 1
    nodes = list(first.values())
    places = identity.places(b"".join(first), b"".join(node.feature for _, node in nodes), modality, tenant)
    h = identity.keys_of(places)
    new = []
    for some in _slices(_key_order(h), [len(node.ends) * 64 for _, node in nodes]):
        batch = [nodes[i][1] for i in some]
        ends = ["{" + ",".join(str(end - node.start) for end in node.ends) + "}" for node in batch]
        geoms = [identity.to_ewkb(identity.places(node.digests, node.features, modality, tenant)) for node in batch]
        made = _insert(db, tenant, modality, b"".join(node.digest for node in batch), h[some], geoms, None, ends,
                       [refs[node.digest] for node in batch], count)
        new += [nodes[some[i]] for i in made]
    return new


@dataclass
class _Chunks:
    """References to chunks: n sources, starts and ends, and of each SHA-256 and features, packed."""

    sources: np.ndarray
    starts: np.ndarray
    ends: np.ndarray
    digests: bytes
    features: bytes


def _windows(single: Sequence[tuple[int, tree.Node]], parents: Sequence[tuple[int, tree.Node]]) -> Iterator[_Chunks]:
    """The chunks that are roots and those that parents name."""
    np = numpy()
    rows = [(source, [node.start], [node.end], node.digest, node.feature) for source, node in single]
    size = 0
    for source, node in parents:
        starts, ends = np.array(node.starts()), np.array(node.ends)
        chunks = np.flatnonzero(~np.isin(starts, [child.start for child in node.nodes]))
        rows.append((
            source, starts[chunks].tolist(), ends[chunks].tolist(),
            b"".join(node.digests[32 * i : 32 * i + 32] for i in chunks.tolist()),
            b"".join(node.features[8 * i : 8 * i + 8] for i in chunks.tolist()),
        ))  # fmt: skip
        size += node.end - node.start
        if size >= WINDOW_BYTES:
            yield _pack(rows)
            rows, size = [], 0
    if rows:
        yield _pack(rows)


def _pack(rows: Sequence[tuple[int, list[int], list[int], bytes, bytes]]) -> _Chunks:
    np = numpy()
    sources, starts, ends, digests, features = zip(*rows, strict=True)
    return _Chunks(np.repeat(sources, [len(some) for some in starts]), np.array([at for some in starts for at in some]),
                   np.array([at for some in ends for at in some]), b"".join(digests), b"".join(features))


def _put_chunks(db: Any, tenant: int, modality: int, chunks: _Chunks, fetch: Fetch, count: Count) -> None:
    np = numpy()
    digests = np.frombuffer(chunks.digests, "V32")
    _, first, refs = np.unique(np.frombuffer(chunks.digests, "S32"), return_index=True, return_counts=True)
    sources, starts, ends, digests = chunks.sources[first], chunks.starts[first], chunks.ends[first], digests[first]
    features = np.frombuffer(chunks.features, "V8")[first].tobytes()
    places = identity.places(digests.tobytes(), features, modality, tenant)
    h = identity.keys_of(places)
    for some in _slices(_key_order(h), (ends - starts).tolist()):
        pieces = fetch(sources[some].tolist(), starts[some].tolist(), ends[some].tolist())
        _insert(db, tenant, modality, digests[some].tobytes(), h[some], identity.to_ewkb_each(places[some]), pieces,
                None, refs[some].tolist(), count)


def put_leaves(db: Any, tenant: int, modality: int, leaves: Sequence[bytes], digests: bytes, places: np.ndarray,
               refs: np.ndarray) -> None:
    """Stores different leaves and counts references to them."""
    np = numpy()
    h, hashes = identity.keys_of(places), np.frombuffer(digests, "V32")
    for some in _slices(_key_order(h), [len(leaf) for leaf in leaves]):
        counts: Any = refs[some].tolist()
        _insert(db, tenant, modality, hashes[some].tobytes(), h[some], identity.to_ewkb_each(places[some]),
                [leaves[i] for i in some], None, counts, Count())


def _key_order(h: np.ndarray) -> list[int]:
    return numpy().lexsort((h[:, 2], h[:, 1], h[:, 0])).tolist()


def _slices(order: Sequence[int], sizes: Sequence[int]) -> Iterator[list[int]]:
    some: list[int] = []
    size = 0
    for i in order:
        some.append(i)
        size += sizes[i]
        if size >= CALL_BYTES or len(some) == CALL_ATOMS:
            yield some
            some, size = [], 0
    if some:
        yield some


def _insert(db: Any, tenant: int, modality: int, digests: bytes, h: np.ndarray, geoms: Sequence[bytes],
            pieces: Sequence[Piece] | None, ends: Sequence[str] | None, refs: Sequence[int], count: Count) -> list[int]:
    """Inserts atoms or adds references; returns which are new. pieces: of chunks; ends: of composites."""
    data, stops, leaves = None, None, None
    if pieces is not None:
        leaves = [len(piece) <= locality.LEAF_BYTES for piece in pieces]
        pieces = [piece if leaf else block.pack(piece) for piece, leaf in zip(pieces, leaves, strict=True)]
        data, stops = b"".join(pieces), list(accumulate(map(len, pieces)))
    made = query(
        db, "select hartonomous._atom_put($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12) as ord",
        ("int", tenant), ("smallint", modality), ("bytea", digests),
        *(("bigint[]", column.tolist()) for column in h.T),
        ("bytea[]", geoms), ("bytea", data), ("int[]", stops), ("boolean[]", leaves), ("text[]", ends), ("int[]", refs),
    )[0]["ord"]
    count.created += len(made)
    count.shared += sum(refs) - sum(refs[i - 1] for i in made)
    return [i - 1 for i in made]


@dataclass(slots=True)
class Span:
    """Bytes low to high of the atom at a place."""

    place: tuple[int, int, int]
    low: int = 0
    high: int = WHOLE


def read(db: Any, h_xy: int, h_yz: int, h_zm: int, content_hash: bytes) -> bytes:
    """Bytes of the atom at a place, put together from its children; AtomMissing unless they hash to content_hash."""
    return b"".join(pieces(db, h_xy, h_yz, h_zm, content_hash))


def pieces(db: Any, h_xy: int, h_yz: int, h_zm: int, content_hash: bytes) -> Iterator[bytes]:
    """What read gives, chunk by chunk; AtomMissing comes at the end."""
    digest = hashlib.sha256()
    for piece in read_spans(db, [Span((h_xy, h_yz, h_zm))]):
        digest.update(piece)
        yield piece
    if digest.digest() != content_hash:
        raise errors.AtomMissing(f"content of atom ({h_xy}, {h_yz}, {h_zm}) does not hash to {content_hash.hex()}")


def read_slice(db: Any, h_xy: int, h_yz: int, h_zm: int, start: int, length: int) -> bytes:
    """At most length bytes from start; only the chunks that hold them are read, and each is verified."""
    return b"".join(read_spans(db, [Span((h_xy, h_yz, h_zm), start, start + length)], verify=True))


def read_spans(db: Any, spans: Sequence[Span], verify: bool = False) -> Iterator[bytes]:
    """Bytes of the spans in order; siblings are read by one query for READ_ATOMS of them. verify: check each chunk."""
    sql = "select data, packed, children, ends, content_hash from hartonomous._atom_get($1, $2, $3) order by ord"
    for at in range(0, len(spans), READ_ATOMS):
        some = spans[at : at + READ_ATOMS]
        keys = zip(*(span.place for span in some), strict=True)
        rows = query(db, sql, *(("bigint[]", list(column)) for column in keys))
        for span, row in zip(some, rows, strict=True):
            if row["children"] is not None:
                yield from read_spans(db, children(row, span.low, span.high), verify)
                continue
            if row["data"] is None:
                raise errors.AtomMissing(f"atom {span.place} is missing")
            data = block.data(row)
            if verify and hashlib.sha256(data).digest() != row["content_hash"]:
                raise errors.AtomMissing(f"bytes of atom {span.place} do not hash to {row['content_hash'].hex()}")
            yield data[span.low : span.high]


def sizes(row: Any) -> list[int]:
    """Bytes of each of a composite's children."""
    return [end - start for start, end in zip([0, *row["ends"]], row["ends"], strict=False)]


def children(row: Any, low: int = 0, high: int = WHOLE) -> list[Span]:
    """Those of a composite's children that hold bytes low to high, each with its part of them."""
    columns = identity.keys_of(identity.from_ewkb(row["children"])).T.tolist()
    places = [(h_xy, h_yz, h_zm) for h_xy, h_yz, h_zm in zip(*columns, strict=True)]
    starts = [0, *row["ends"][:-1]]
    return [
        Span(place, max(low - start, 0), min(high, end) - start)
        for place, start, end in zip(places, starts, row["ends"], strict=True)
        if start < high and end > low
    ]
