"""Ingest: contents and documents become artifacts, their bytes atoms, their places of origin occurrences."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from functools import partial
from typing import Any

from hartonomous_server import errors
from hartonomous_server.atoms import content, decoding, document, identity, tree
from hartonomous_server.atoms.decoders.source import Source
from hartonomous_server.db import query
from hartonomous_server.patience import interruptible

TEXT, CODE = 1, 2  # modality codes
SEARCHED_BYTES = 64 << 10  # of a text or code that gets its own text unasked
URI_BYTES = 2000


@dataclass
class Stored:
    artifact_ids: list[int]
    hashes: list[bytes]
    created: int = 0
    atoms: content.Count = field(default_factory=content.Count)


def ingest_many(db: Any, tenant: int, modality: int, subtype: str | None, contents: Sequence[bytes],
                source_uris: Sequence[str | None] | None, metadata: Sequence[str | None] | None,
                canonical_texts: Sequence[str | None] | None) -> list[int]:
    """Artifact ids of contents, in order. metadata: JSON texts; None leaves what an occurrence has."""
    if not contents:
        return []
    given = canonical_texts or [None] * len(contents)
    texts = [_text(modality, item) if text is None else text for text, item in zip(given, contents, strict=True)]
    stored = _store(db, tenant, modality, subtype, contents, texts, [text is not None for text in given])
    _found(db, tenant, stored, source_uris or [None] * len(contents), metadata or [None] * len(contents))
    return stored.artifact_ids


def ingest_tree(db: Any, tenant: int, modality: int, root: tree.Node, uri: str | None, metadata: str | None,
                fetch: content.Fetch) -> int:
    """Artifact id of a content of which the tree is known and fetch reads pieces."""
    xyzm = identity.Space(tenant, modality).places(root.digest, root.feature)
    ids = identity.Identities([root.digest], xyzm, identity.keys_of(xyzm))
    text = _text(modality, bytes(_piece(fetch, 0, 0, root.end))) if root.end <= SEARCHED_BYTES else None
    stored = _put(db, tenant, modality, None, ids, [root.end], [text], [False], lambda new: [root], fetch)
    _found(db, tenant, stored, [uri], [metadata])
    return stored.artifact_ids[0]


def _text(modality: int, content: bytes) -> str | None:
    """What is searched of a text or code that nobody gave a text."""
    if modality not in (TEXT, CODE) or len(content) > SEARCHED_BYTES or b"\0" in content:
        return None
    try:
        return content.decode("utf-8-sig")
    except UnicodeDecodeError:
        return None


def _found(db: Any, tenant: int, stored: Stored, source_uris: Sequence[str | None],
           metadata: Sequence[str | None]) -> None:
    """Records where contents were found, and what the call changed."""
    uris = [uri or f"urn:sha256:{digest.hex()}" for uri, digest in zip(source_uris, stored.hashes, strict=True)]
    changed = _occurrences(db, tenant, None, stored.artifact_ids, uris, metadata)
    if stored.created or changed:
        _log(db, tenant, uris[0] if len(uris) == 1 else None, stored, changed)


def ingest_document(db: Any, tenant: int, uri: str, text: str, format: str, metadata: str | None) -> int:
    """Artifact id of a document, its passages stored beside it and its earlier version replaced.

    metadata: JSON; None leaves those of the earlier version.
    """
    sql = "select artifact_id from hartonomous._document_current($1, $2)"
    previous = query(db, sql, ("int", tenant), ("text", uri))
    split = interruptible(db, lambda: document.split(text, format))
    page = _store(db, tenant, TEXT, format, [text.encode()], [None], [False])
    page_id = page.artifact_ids[0]
    bodies = [passage.text for passage in split.passages]
    passages = _store(db, tenant, TEXT, "passage", [body.encode() for body in bodies], bodies,
                      [True] * len(bodies))

    ids = [page_id, *passages.artifact_ids]
    uris = [uri, *(_anchored(uri, passage.anchor) for passage in split.passages)]
    before = [row["artifact_id"] for row in previous]
    given = _kept(db, tenant, uri, before, page_id, split.title) if metadata is None else _given(metadata)
    page_note = {"title": split.title, **given}
    notes = [page_note, *({**page_note, "heading_path": list(passage.heading_path), "anchor": passage.anchor}
                          for passage in split.passages)]
    changed = _occurrences(db, tenant, uri, ids, uris, [json.dumps(note) for note in notes],
                           [None, *(passage.position for passage in split.passages)])
    retired = query(db, "select hartonomous._document_retire($1, $2, $3, $4) as n",
                    ("int", tenant), ("text", uri), ("bigint[]", ids), ("text[]", uris))[0]["n"]
    _edges(db, tenant, page_id, passages.artifact_ids, before)
    if page.created or passages.created or changed or retired:
        atoms = content.Count(page.atoms.created + passages.atoms.created, page.atoms.shared + passages.atoms.shared)
        _log(db, tenant, uri, Stored(ids, [], page.created + passages.created, atoms), changed, retired)
    return page_id


def _kept(db: Any, tenant: int, uri: str, before: Sequence[int], page_id: int, title: str) -> Any:
    """What was given as metadata of a document before; a title only when it is not the one that the splitter found."""
    rows = query(
        db,
        "select s.metadata, a.artifact_id, a.subtype, a.h_xy, a.h_yz, a.h_zm, a.content_hash"
        " from hartonomous.artifact_source as s join hartonomous.artifact as a using (tenant_id, artifact_id)"
        " where s.tenant_id = $1 and s.artifact_id = any ($2) and s.source_uri = $3"
        " order by s.artifact_id = $4 desc limit 1",
        ("int", tenant), ("bigint[]", [*before, page_id]), ("text", uri), ("bigint", page_id),
    )  # fmt: skip
    if not rows:
        return {}
    row = rows[0]
    kept = json.loads(row["metadata"])
    if row["artifact_id"] != page_id and kept.get("title"):
        whole = content.read(db, row["h_xy"], row["h_yz"], row["h_zm"], row["content_hash"])
        title = document.title(bytes(whole).decode(), row["subtype"] or "text")
    if kept.get("title") == title:
        del kept["title"]
    return kept


def _given(metadata: str) -> Any:
    given = json.loads(metadata)
    if reserved := sorted({"heading_path", "anchor"} & given.keys()):
        raise errors.InvalidParameter(f'metadata key "{reserved[0]}" is the splitter\'s', hint="choose another name")
    return given


def _anchored(uri: str, anchor: str | None) -> str:
    whole = f"{uri}#{anchor}"
    return whole if anchor and len(whole.encode()) <= URI_BYTES else uri


def _store(db: Any, tenant: int, modality: int, subtype: str | None, contents: Sequence[bytes],
           texts: Sequence[str | None], given: Sequence[bool]) -> Stored:
    """Finds or creates the artifacts of contents. given: whether a text is more than what the content says."""
    if not contents:
        return Stored([], [])
    ids = identity.identify(contents, modality, tenant)
    return _put(
        db, tenant, modality, subtype, ids, [len(item) for item in contents], texts, given,
        lambda new: content.plan(db, modality, [contents[i] for i in new], [ids.hashes[i] for i in new]),
        lambda sources, starts, ends: list(map(_part, (contents[i] for i in sources), starts, ends)),
    )  # fmt: skip


def _part(content: bytes, start: int, end: int) -> memoryview:
    return memoryview(content)[start:end]


def _put(db: Any, tenant: int, modality: int, subtype: str | None, ids: identity.Identities, lengths: Sequence[int],
         texts: Sequence[str | None], given: Sequence[bool], plan: Callable[[Sequence[int]], Sequence[tree.Node]],
         fetch: content.Fetch) -> Stored:
    """Finds or creates artifacts; only whoever creates one stores its atoms, so references are counted once.

    plan gives the trees of some of the contents, fetch pieces of content by number.
    """
    rows = query(
        db,
        "select artifact_id, created from hartonomous._artifact_put($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12)"
        " order by ord",
        ("int", tenant), ("smallint", modality), ("text", subtype), ("bytea[]", ids.hashes),
        ("bigint[]", lengths), *identity.as_arguments(ids.h),
        *(("int[]", column.tolist()) for column in ids.xyzm.T[:2]), ("text[]", list(map(_legible, texts))),
        ("boolean[]", list(given)),
    )
    first = {row["artifact_id"]: i for i, row in reversed(list(enumerate(rows))) if row["created"]}
    new = sorted(first.values())
    atoms = content.Count()
    if new:
        decoding.store(db, tenant, modality, [
            (rows[i]["artifact_id"], Source(lengths[i], partial(_piece, fetch, i))) for i in new
        ])
        space, roots = identity.Space(tenant, modality), plan(new)
        atoms = content.put(db, space, roots, lambda sources, starts, ends: fetch(
            [new[source] for source in sources], starts, ends
        ))
        if moved := [i for i, root in enumerate(roots) if root.digest in space.probes]:
            _move(db, space, [rows[new[i]]["artifact_id"] for i in moved], [roots[i] for i in moved])
    return Stored([row["artifact_id"] for row in rows], ids.hashes, len(new), atoms)


def _legible(text: str | None) -> str | None:
    """None for a text in which nothing can be seen: embedded, it would be near to everything."""
    return text if any(char.isprintable() and char != " " for char in text or "") else None


def _move(db: Any, space: identity.Space, ids: Sequence[int], roots: Sequence[tree.Node]) -> None:
    """Artifacts were recorded before it was known that their places are taken."""
    places = space.places(b"".join(root.digest for root in roots), b"".join(root.feature for root in roots))
    query(db, "select hartonomous._artifact_move($1, $2, $3, $4, $5)", ("int", space.tenant), ("bigint[]", ids),
          *identity.as_arguments(identity.keys_of(places)))


def _piece(fetch: content.Fetch, source: int, start: int, end: int) -> bytes:
    return fetch([source], [start], [end])[0]


def _occurrences(db: Any, tenant: int, document_uri: str | None, ids: Sequence[int], uris: Sequence[str],
                 metadata: Sequence[str | None], positions: Sequence[int | None] | None = None) -> int:
    return query(db, "select hartonomous._source_put($1, $2, $3, $4, $5, $6) as n", ("int", tenant),
                 ("text", document_uri), ("bigint[]", list(ids)), ("text[]", list(uris)),
                 ("jsonb[]", list(metadata)), ("int[]", positions))[0]["n"]


def _edges(db: Any, tenant: int, page_id: int, passage_ids: Sequence[int], previous_ids: Sequence[int]) -> None:
    """Passages are components of their page; a page is derived from the version it replaces."""
    put_nodes = "select hartonomous._graph_node_put($1, 'artifact', $2)"
    put_edges = "select hartonomous._graph_edge_put($1, 'artifact', $2, $3, 'artifact', $4)"
    passages = sorted(set(passage_ids) - {page_id})
    replaced = [previous for previous in previous_ids if previous != page_id]
    query(db, put_nodes, ("int", tenant), ("bigint[]", [page_id, *passages]))
    for sources, relation, targets in ((passages, "ComponentOf", [page_id] * len(passages)),
                                       ([page_id] * len(replaced), "DerivedFrom", replaced)):
        query(db, put_edges, ("int", tenant), ("bigint[]", sources), ("text", relation), ("bigint[]", targets))


def _log(db: Any, tenant: int, uri: str | None, stored: Stored, changed: int, retired: int = 0) -> None:
    query(db, "select hartonomous._ingestion_log_put($1, $2, $3, $4, $5, $6, $7, $8)", ("int", tenant), ("text", uri),
          ("bigint", stored.created), ("bigint", changed - stored.created),
          ("bigint", len(stored.artifact_ids) - changed),
          ("bigint", stored.atoms.created), ("bigint", stored.atoms.shared), ("bigint", retired))
