"""Sessions that do random things for many tenants at once, each answer compared with a model of who may see what.

A session owns two tenants at a time, so that what it may expect is certain, while the others work for other tenants.
What is public changes between the rounds.
"""

from __future__ import annotations

import random
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from typing import Any

import hartonomous
import psycopg
from hartonomous import errors
from psycopg.sql import SQL, Identifier
from visibility_model import Artifact, Tenant
from visibility_world import PASSWORD, SAMPLE, Actor, World

WORDS = ["ada", "bob", "cay", "data", "base", "the", "tree", "road", "river", "stone", "paper", "light", "north"]
TEXTS = [" ".join(random.Random(i).choices(WORDS, k=6)) + "." for i in range(60)]  # every tenant uses the same ones
URIS = [f"book/{i}" for i in range(6)]
ALL = 10_000  # more than there is


class Session:
    """One pooled connection that acts for this tenant and that, and one of an administrator to ask for the truth."""

    def __init__(self, world: World, chance: random.Random) -> None:
        self.world, self.chance = world, chance
        self.client = hartonomous.connect(psycopg.conninfo.make_conninfo(world.dsn, user=world.pool, password=PASSWORD))
        self.admin = hartonomous.connect(world.dsn)

    def __enter__(self) -> Session:
        return self

    def __exit__(self, *_: object) -> None:
        self.client.close()
        self.admin.close()

    def turn(self, steps: int) -> None:
        with self.world.two_tenants(self.chance) as pair:
            for _ in range(steps):
                self.own, self.other = self.chance.sample(pair, 2)
                self._as(self._actor())
                self.chance.choice(OPERATIONS)(self)
                self.world.calls += 1

    def publish(self) -> None:
        self.own = self.other = self.world.public
        self._as(Actor(self.world.publisher, None, self.own))
        self.chance.choice(WRITING)(self)

    # --- callers ---

    def _actor(self) -> Actor:
        world, own = self.world, self.own
        actors = [Actor(role, None, own) for role in sorted(own.roles)]
        actors += [Actor(world.pool, key, own, scopes) for key, scopes in own.keys.items()]
        if not actors or self.chance.random() < 0.05:
            actors = [Actor(world.pool, None, None)]
            actors += [Actor(world.pool, key, None, dead=True) for key in own.dead_keys[-1:]]
        return self.chance.choice(actors)

    def _as(self, actor: Actor) -> None:
        self.actor = actor
        self.client._api_key = None
        self.client.connection.execute(SQL("set role {}").format(Identifier(actor.role)))
        self.client._api_key = actor.key

    def visible(self) -> list[Tenant]:
        return [self.world.public] + ([self.actor.tenant] if self.actor.tenant not in (None, self.world.public) else [])

    # --- comparing ---

    def differ(self, what: str, expected: Any, found: Any) -> None:
        who = f"tenant {self.own.tenant_id}" if self.actor.tenant else f"tenant {self.own.tenant_id}'s nobody"
        self.world.differences.append(f"{who}: {what}: expected {expected!r:.300}, found {found!r:.300}")

    def compare(self, what: str, expected: Any, found: Any) -> bool:
        self.world.answers += 1  # about: threads may lose one
        if expected != found:
            self.differ(what, expected, found)
        return expected == found

    def attempt(self, call: Callable[[], Any]) -> Any:
        """What a call returns, or the class of its error, named by its SQLSTATE when the client has none for it."""
        try:
            return call()
        except errors.Error as error:
            return type(error) if type(error) is not errors.Error else type(str(error.sqlstate), (), {})

    def refused(self, scope: str) -> type[Exception] | None:
        """How a verb of a scope must refuse the caller."""
        if self.actor.dead:
            return errors.NotAuthenticated
        if self.actor.tenant is None:
            return errors.NoTenant
        return None if scope in self.actor.scopes else errors.NotPermitted

    def answer(self, what: str, scope: str, call: Callable[[], Any], expected: Any) -> None:
        self.compare(what, self.refused(scope) or expected, self.attempt(call))

    def write(self, what: str, call: Callable[[], Any]) -> Any:
        """What a call by a caller who may write returns; None for another, who must be refused."""
        found = self.attempt(call)
        refused = self.refused("write")
        if refused:
            self.compare(what, refused, found)
        elif isinstance(found, type):
            self.differ(what, "an answer", found)
        return None if refused or isinstance(found, type) else found

    # --- artifacts ---

    def some_id(self) -> int:
        """Own, public, another's or nobody's."""
        whose = self.chance.choice([self.own, self.own, self.own, self.world.public, self.other, None])
        ids = sorted(whose.artifacts) if whose else []
        return self.chance.choice(ids) if ids else self.chance.getrandbits(60)

    def found(self, artifact_id: int) -> Artifact | None:
        """The live artifact that the caller may see by an id."""
        held = [tenant.artifacts[artifact_id] for tenant in self.visible() if artifact_id in tenant.artifacts]
        return held[0] if held and held[0].deleted is None else None

    def ingest(self) -> None:
        text, uri = self.chance.choice(TEXTS), self.chance.choice([None, *URIS])
        binary = self.chance.random() < 0.2
        content = text.encode()
        made = self.write("ingest", lambda: self.client.ingest(content, source_uri=uri) if binary
                          else self.client.ingest_text(text, uri))  # fmt: skip
        if made and not self.own.ingested(made, content, None if binary else text, uri):
            self.differ("id of ingested content", self.own.holds(content), made)

    def ingest_document(self) -> None:
        uri = self.chance.choice(URIS)
        text = "\n\n".join(f"# {part[:9]}\n\n{part}" for part in self.chance.sample(TEXTS, self.chance.randint(1, 4)))
        made = self.write("ingest_document", lambda: self.client.ingest_document(uri, text, "markdown"))
        if made is None:
            return
        rows = self.admin.connection.execute(
            "select s.artifact_id, s.source_uri, s.position, a.canonical_text, a.content_hash, a.artifact_id = %s"
            " from hartonomous.artifact_source as s join hartonomous.artifact as a using (artifact_id)"
            " where s.tenant_id = %s and s.document_uri = %s",
            [made, self.own.tenant_id, uri],
        ).fetchall()
        found = [
            (artifact, at, position, text.encode() if is_page else body.encode(), body)
            for artifact, at, position, body, _, is_page in rows
        ]
        if not self.own.document_ingested(uri, found):
            self.differ("ids of an ingested document", "those of its contents", made)

    def delete(self) -> None:
        target = self.some_id()
        artifact = self.found(target)
        own = self.own.artifacts.get(target)
        expected = None if own is artifact is not None else errors.NotPermitted if artifact else errors.ArtifactNotFound
        self.answer("artifact_delete", "write", lambda: self.client.artifact_delete(target), expected)
        if expected is None and not self.refused("write"):
            self.own.delete(target)

    def restore(self) -> None:
        deleted = [a.artifact_id for a in self.own.artifacts.values() if a.deleted is not None]
        target = self.chance.choice(deleted) if deleted and self.chance.random() < 0.7 else self.some_id()
        expected: Any = None if self.found(target) else errors.ArtifactNotFound
        if target in self.own.artifacts and not self.refused("write"):
            expected = None if self.own.restore(target) else "23505"
        found = self.attempt(lambda: self.client.artifact_restore(target))
        found = "23505" if isinstance(found, type) and found.__name__ == "23505" else found
        self.compare("artifact_restore", self.refused("write") or expected, found)

    def content(self) -> None:
        target = self.some_id()
        artifact = self.found(target)
        whole = artifact.content if artifact else errors.ArtifactNotFound
        self.answer("content", "read", lambda: self.client.content(target), whole)
        part = artifact.content[3:10] if artifact else errors.ArtifactNotFound
        self.answer("content_slice", "read", lambda: self.client.content_slice(target, 3, 7), part)

    def show(self) -> None:
        ids = list(dict.fromkeys(self.some_id() for _ in range(8)))
        seen = [artifact for artifact in map(self.found, ids) if artifact]
        expected = sorted((a.artifact_id, at, a.text or "") for a in seen for at in (a.places or {"": None}))
        self.answer("artifact_show", "read", lambda: sorted(
            (row.artifact_id, row.source_uri or "", row.canonical_text or "") for row in self.client.artifact_show(ids)
        ), expected)  # fmt: skip

    def lineage(self) -> None:
        target = self.some_id()
        for verb in (self.client.lineage, self.client.impact):
            found = self.attempt(lambda verb=verb: verb(target))
            if self.refused("read") or not self.found(target):
                self.compare(verb.__name__, self.refused("read") or errors.ArtifactNotFound, found)
                continue
            nodes = set() if isinstance(found, type) else {n.node_id for n in found if n.node_type == "artifact"}
            foreign = nodes - {artifact_id for tenant in self.visible() for artifact_id in tenant.artifacts}
            self.compare(f"{verb.__name__}, root and foreign nodes", (True, set()), (target in nodes, foreign))

    # --- models and search ---

    def embed(self) -> None:
        ids = [self.some_id() for _ in range(3)] if self.chance.random() < 0.2 else sorted(self.own.artifacts)
        texts = {a.artifact_id for a in self.own.live() if a.text} & set(ids)
        fresh = {i for i in texts if (i, self.own.model_id) not in self.own.embedded}
        found = self.attempt(lambda: self.client.embed_artifacts(ids, "tiny"))
        if refused := self.refused("write"):
            self.compare("embed_artifacts", refused, found)
        elif not set(ids) <= set(self.own.artifacts):
            self.compare("embed_artifacts of another's", errors.ArtifactNotFound, found)
        elif isinstance(found, type) or not len(fresh) <= found <= len(texts):  # headings make some stale
            self.differ("embed_artifacts", f"{len(fresh)} to {len(texts)}", found)
        else:
            self.own.embedded |= {(i, self.own.model_id) for i in texts}

    def pending(self) -> None:
        texts = {a.artifact_id for a in self.own.live() if a.text}
        found = self.attempt(lambda: set(self.client.embedding_pending("tiny", ALL)))
        if refused := self.refused("read"):
            self.compare("embedding_pending", refused, found)
        elif isinstance(found, type) or not texts - self.own.own_embeddings(self.own.model_id) <= found <= texts:
            self.differ("embedding_pending", "own texts", found)

    def model(self) -> None:
        self.answer("embed", "read", lambda: self.client.embed(SAMPLE, "tiny").tolist(),
                    self.world.vectors[self.own.model_id].tolist())  # fmt: skip
        known = {self.own.model_id, self.world.public.model_id}
        self.answer("model_list", "read", lambda: len(self.client.model_list()), len(known))

    def search(self) -> None:
        query = self.chance.choice(TEXTS)
        prefix = self.chance.choice([None, None, "book/1", "urn:"])
        wanted = {"source_uri_prefix": prefix} if prefix else None
        seen = {i: t.artifacts[i] for t in self.visible() for i in t.own_embeddings(self.own.model_id)}
        expected = {i for i, a in seen.items() if not prefix or any(at.startswith(prefix) for at in a.places)}
        for what, search in (
            ("search", lambda: self.client.search(query, ALL, "tiny", wanted)),
            ("search_vector", lambda: self.client.search_vector(self.client.embed(query, "tiny"), ALL, "tiny", wanted)),
        ):
            found = self.attempt(search)
            if isinstance(found, type) or self.refused("read"):
                self.compare(what, self.refused("read"), found)
                continue
            placed = {i for i in expected if what == "search_vector" or seen[i].places}
            if self.compare(what, placed, {row.artifact_id for row in found}):
                wrong = [row for row in found if not fits(seen[row.artifact_id], row)]
                self.compare(f"uris and snippets of {what}", [], wrong)

    # --- tables ---

    def table(self) -> None:
        """Rows by row security against those whose tenant is the caller's, and against the model."""
        table = self.chance.choice(sorted(self.world.readable))
        column, columns = self.world.readable[table]
        hashed = "select count(*)::int, coalesce(sum(hashtextextended((%s)::text, 0)), 0) from hartonomous.%s as x"
        hashed = hashed % (f"row({columns})", table)
        ids = [tenant.tenant_id for tenant in self.visible()]
        truth = self.admin.query(f"{hashed} where x.{column} = any(%(ids)s)", {"ids": ids}).fetchone()
        expected = errors.NotAuthenticated if self.actor.dead else truth
        self.compare(f"rows of {table}", expected, self.attempt(lambda: self.client.query(hashed).fetchone()))

    def rows(self) -> None:
        """What the tables hold that the model knows of."""
        if self.actor.dead:
            return
        seen = self.visible()
        for query, expected in (
            ("select artifact_id, deleted_at is null from hartonomous.artifact",
             {(a.artifact_id, a.deleted is None) for t in seen for a in t.artifacts.values()}),
            ("select artifact_id, source_uri, document_uri, position from hartonomous.artifact_source",
             {(i, at, *place) for t in seen for i, a in t.artifacts.items() for at, place in a.places.items()}),
            ("select artifact_id, source_uri from hartonomous.artifact_source_removed",
             {(row.artifact_id, row.uri) for t in seen for row in t.removed}),
            ("select artifact_id, model_id from hartonomous.atom_embedding", {row for t in seen for row in t.embedded}),
            ("select artifact_id, body from hartonomous.artifact_text",
             {(a.artifact_id, a.text) for t in seen for a in t.live() if a.text}),
            ("select role_name::text from hartonomous.tenant_role", {(role,) for t in seen for role in t.roles}),
        ):  # fmt: skip
            found = self.attempt(lambda query=query: set(self.client.query(query).fetchall()))
            self.compare(query, expected, found)

    # --- keys and roles ---

    def key(self) -> None:
        own, change = self.own, self.chance.choice(["create", "rotate", "revoke"])
        if change == "create" or not own.keys:
            scopes = self.chance.choice([("read",), ("read", "write")])
            own.keys[self.admin.api_key_create(own.tenant_id, scopes=scopes)] = scopes
            return
        key = self.chance.choice(list(own.keys))
        number = int(key.split("_")[1])
        if change == "rotate":
            grace = self.chance.choice([timedelta(0), timedelta(days=1)])
            own.keys[self.admin.api_key_rotate(number, grace)] = own.keys[key]
            if grace:
                return
        else:
            self.admin.api_key_revoke(number)
        del own.keys[key]
        own.dead_keys.append(key)

    def move_role(self) -> None:
        if self.own.roles:
            role = self.chance.choice(sorted(self.own.roles))
            self.admin.tenant_role_add(self.other.tenant_id, role)
            self.own.roles.remove(role)
            self.other.roles.add(role)

    def two_in_one(self) -> None:
        """A transaction that acts for one tenant cannot act for another, with whatever key."""
        if not (self.own.keys and self.other.keys):
            return
        self._as(Actor(self.world.pool, None, self.own))
        with self.client.transaction():
            self.client.authenticate(next(iter(self.own.keys)))

            def enter() -> None:
                with self.client.transaction():
                    self.client.authenticate(next(iter(self.other.keys)))

            self.compare("another tenant's key", errors.NotPermitted, self.attempt(enter))
            self.compare("current_tenant", self.own.tenant_id, self.client.current_tenant())

    def forge(self) -> None:
        """The setting stays for the session; nothing that follows may heed it."""
        value = f"{self.other.tenant_id} - read,write {'0' * 64}"
        self.client.connection.execute("select set_config('hartonomous_tenant.context', %s, false)", [value])


def fits(artifact: Artifact, row: Any) -> bool:
    text = " ".join((artifact.text or "").split())
    return (row.source_uri in artifact.places or not artifact.places) and row.snippet.removesuffix("...") in text


WRITING = [Session.ingest] * 3 + [Session.ingest_document] * 3 + [Session.delete, Session.restore] + [Session.embed] * 2
OPERATIONS = WRITING + [
    Session.content, Session.content, Session.show, Session.lineage, Session.pending, Session.model, Session.search,
    Session.search, Session.table, Session.table, Session.table, Session.rows, Session.rows, Session.key,
    Session.move_role, Session.two_in_one, Session.forge,
]  # fmt: skip


def play(world: World, number: int, sessions: int, turns: int, steps: int) -> None:
    """A round: every session takes some turns; before them something public changes."""
    chance = random.Random(f"{world.seed}/{number}")
    with Session(world, chance) as publisher:
        for _ in range(8):
            publisher.publish()

    def work(session: int) -> None:
        with Session(world, random.Random(f"{world.seed}/{number}/{session}")) as opened:
            for _ in range(turns):
                opened.turn(steps)

    with ThreadPoolExecutor(sessions) as threads:
        for future in [threads.submit(work, session) for session in range(sessions)]:
            future.result()
