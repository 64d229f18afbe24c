"""Content as atoms: chunks below trees of composites on the way in, put together and verified on the way out."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Iterator, Sequence
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


def put(db: Any, space: identity.Space, roots: Sequence[tree.Node], fetch: Fetch) -> Count:
    """Stores the atoms of trees (source i: roots[i]) and counts one reference to each root.

    Only who inserts a composite stores what is below it and counts its references: one that is there has done so. Rows
    are taken by height, then in the order of their keys: callers with common atoms wait for each other and, up to
    WINDOW_BYTES, do not deadlock. Atoms whose places others have taken come later, and space knows them afterwards.
    """
    count = Count()
    wanted: dict[int, list[tuple[int, tree.Node]]] = {}  # by height: (source, node), one for each reference
    for source, root in enumerate(roots):
        wanted.setdefault(root.height, []).append((source, root))
    single = wanted.pop(0, [])
    parents: list[tuple[int, tree.Node]] = []
    while wanted:
        for source, node in _put_composites(db, space, wanted.pop(max(wanted)), count):
            parents.append((source, node))
            for child in node.nodes:
                wanted.setdefault(child.height, []).append((source, child))
    for window in _windows(single, parents):
        _put_chunks(db, space, window, fetch, count)
    if space.probes:
        _name_anew(db, space, [node for _, node in parents])
    return count


def _name_anew(db: Any, space: identity.Space, parents: Sequence[tree.Node]) -> None:
    """Composites were stored before what they name, some of which lies elsewhere now."""
    places = space.places(b"".join(node.digest for node in parents), b"".join(node.feature for node in parents))
    geoms = [identity.to_ewkb(space.places(node.digests, node.features)) for node in parents]
    query(db, "select hartonomous._atom_name_anew($1, $2, $3, $4)",
          *identity.as_arguments(identity.keys_of(places)), ("bytea[]", geoms))


def _put_composites(db: Any, space: identity.Space, references: Sequence[tuple[int, tree.Node]],
                    count: Count) -> list[tuple[int, tree.Node]]:
    """Those that are new."""
    first: dict[bytes, tuple[int, tree.Node]] = {}
    refs: dict[bytes, int] = {}
    for source, node in references:
        first.setdefault(node.digest, (source, node))
        refs[node.digest] = refs.get(node.digest, 0) + 1
    nodes = list(first.values())
    digests, features = b"".join(first), b"".join(node.feature for _, node in nodes)
    new = []
    places = space.places(digests, features)
    for some in _slices(_key_order(places), [len(node.ends) * 64 for _, node in nodes]):
        batch = [nodes[i][1] for i in some]
        atoms = _Atoms(
            places[some], [node.digest for node in batch], [node.feature for node in batch],
            [refs[node.digest] for node in batch],
            geoms=[identity.to_ewkb(space.places(node.digests, node.features)) for node in batch],
            ends=[as_array(end - node.start for end in node.ends) for node in batch],
        )  # fmt: skip
        new += [nodes[some[i]] for i in _insert(db, space, atoms, count)]
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


def _put_chunks(db: Any, space: identity.Space, chunks: _Chunks, fetch: Fetch, count: Count) -> None:
    np = numpy()
    _, first, refs = np.unique(np.frombuffer(chunks.digests, "S32"), return_index=True, return_counts=True)
    sources, starts, ends = chunks.sources[first], chunks.starts[first], chunks.ends[first]
    digests = np.frombuffer(chunks.digests, "V32")[first]
    features = np.frombuffer(chunks.features, "V8")[first]
    places = space.places(digests.tobytes(), features.tobytes())
    for some in _slices(_key_order(places), (ends - starts).tolist()):
        pieces = fetch(sources[some].tolist(), starts[some].tolist(), ends[some].tolist())
        _insert(db, space, _Atoms(
            places[some], digests[some].tolist(), features[some].tolist(), refs[some].tolist(), pieces
        ), count)  # fmt: skip


def put_leaves(db: Any, space: identity.Space, leaves: Sequence[bytes], digests: bytes, features: bytes,
               refs: np.ndarray) -> np.ndarray:
    """Stores different leaves, counts references to them, and returns where they lie."""
    np = numpy()
    hashes, values = np.frombuffer(digests, "V32"), np.frombuffer(features, "V8")
    places = space.places(digests, features)
    for some in _slices(_key_order(places), [len(leaf) for leaf in leaves]):
        counts: Any = refs[some].tolist()
        _insert(db, space, _Atoms(
            places[some], hashes[some].tolist(), values[some].tolist(), counts, [leaves[i] for i in some]
        ), Count())  # fmt: skip
    return space.places(digests, features) if space.probes else places


def _key_order(places: np.ndarray) -> list[int]:
    h = identity.keys_of(places)
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


@dataclass
class _Atoms:
    """Different ones. pieces: bytes of chunks; geoms and ends: of composites."""

    places: np.ndarray
    digests: Sequence[bytes]
    features: Sequence[bytes]
    refs: Sequence[int]
    pieces: Sequence[Piece] | None = None
    geoms: Sequence[bytes] | None = None
    ends: Sequence[str] | None = None


def _insert(db: Any, space: identity.Space, atoms: _Atoms, count: Count) -> list[int]:
    """Inserts atoms or adds references; returns which are new. Those whose places are taken get the next ones."""
    data, stops, leaves = None, None, None
    if atoms.pieces is not None:
        leaves = [len(piece) <= locality.LEAF_BYTES for piece in atoms.pieces]
        packed = [piece if leaf else block.pack(piece) for piece, leaf in zip(atoms.pieces, leaves, strict=True)]
        data, stops = b"".join(packed), list(accumulate(map(len, packed)))
    found = query(
        db, "select made, taken from hartonomous._atom_put($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)",
        ("int", space.tenant), ("smallint", space.modality), ("bytea", b"".join(atoms.digests)),
        *identity.as_arguments(identity.keys_of(atoms.places)),
        ("bytea[]", atoms.geoms or identity.to_ewkb_each(atoms.places)), ("bytea", data), ("int[]", stops),
        ("boolean[]", leaves), ("text[]", atoms.ends), ("int[]", atoms.refs),
    )[0]  # fmt: skip
    made, taken = [i - 1 for i in found["made"]], [i - 1 for i in found["taken"]]
    count.created += len(made)
    count.shared += sum(atoms.refs) - sum(atoms.refs[i] for i in [*made, *taken])
    if taken:
        made += [taken[i] for i in _insert(db, space, _elsewhere(space, atoms, taken), count)]
    return made


def _elsewhere(space: identity.Space, atoms: _Atoms, taken: Sequence[int]) -> _Atoms:
    """Those at whose places other content lies, at their next ones."""
    for i in taken:
        _probe(space, atoms.digests[i])
    digests, features = ([column[i] for i in taken] for column in (atoms.digests, atoms.features))
    columns: Any = (atoms.refs, atoms.pieces, atoms.geoms, atoms.ends)
    rest = (column and [column[i] for i in taken] for column in columns)
    return _Atoms(space.places(b"".join(digests), b"".join(features)), digests, features, *rest)


def _probe(space: identity.Space, digest: bytes) -> None:
    space.probes[digest] = space.probes.get(digest, 0) + 1
    if space.probes[digest] == identity.PROBES:
        raise errors.InvalidContent(
            f"other content lies at all {identity.PROBES} places of content {digest.hex()}",
            hint="contents were made to fall together: purge those, or store this one for another tenant",
        )


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
        rows = query(db, sql, *identity.as_arguments([span.place for span in some]))
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


def as_array(numbers: Iterable[int]) -> str:
    """A bigint[] as text: what has arrays of several lengths goes to the server as text[]."""
    return "{" + ",".join(map(str, numbers)) + "}"


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
