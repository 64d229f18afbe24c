"""Sessions that store overlapping content, delete and purge, beside the collector and a hand that kills backends."""

from __future__ import annotations

import hashlib
import os
import random
import signal
import threading
import time
from collections import Counter
from contextlib import suppress
from functools import partial
from typing import Any

import hartonomous
import psycopg
import state
import waiting
from cluster import Server
from hartonomous.errors import ArtifactNotFound, ConnectionFailed, Error

SESSIONS = 8
RETRIED = ("40001", "40P01", "55000", "23505")  # conflicts, and what another session did to the same artifact before
DOWN = ("57P01", "57P02", "57P03")  # a killed backend takes the others with it


class Trial:
    def __init__(self, server: Server, database: str, seed: int) -> None:
        self.server, self.dsn, self.seed = server, server.dsn(database), seed
        chance = random.Random(seed)
        self.blocks = [chance.randbytes(chance.randrange(2000, 60_000)) for _ in range(12)]
        self.done: Counter[str] = Counter()
        self.stored: dict[int, bytes] = {}  # what the server said it has: SHA-256 of what was sent, by artifact
        self.given_up: set[int] = set()  # what somebody tried to delete
        self.failures: list[BaseException] = []
        self.over = threading.Event()

    def run(self, seconds: float, pause: float) -> None:
        """All at once for so many seconds, one backend killed every pause seconds."""
        works = [partial(self._stores, random.Random(f"{self.seed} {number}")) for number in range(SESSIONS)]
        works += [self._collects, partial(self._kills, random.Random(self.seed), pause)]
        threads = [threading.Thread(target=self._guarded, args=(work,)) for work in works]
        for thread in threads:
            thread.start()
        self.over.wait(seconds)
        self.over.set()
        for thread in threads:
            thread.join()
        if self.failures:
            raise self.failures[0]

    def _guarded(self, work: Any) -> None:
        try:
            while not self.over.is_set():
                try:
                    work()
                except (ConnectionFailed, psycopg.OperationalError):
                    time.sleep(0.05)
        except BaseException as failure:
            self.failures.append(failure)
            self.over.set()

    def _stores(self, chance: random.Random) -> None:
        verbs = [self._ingests] * 4 + [self._uploads] * 2 + [self._reads] * 2 + [self._removes] * 3
        verbs += [self._documents, self._purges, self._explodes]
        with hartonomous.connect(self.dsn) as client:
            while not self.over.is_set():
                verb = chance.choice(verbs)
                try:
                    verb(client, chance)
                    self.done[verb.__name__] += 1
                except ArtifactNotFound:
                    pass
                except ConnectionFailed:
                    raise
                except Error as error:
                    if error.sqlstate in DOWN:
                        return
                    if error.sqlstate not in RETRIED:
                        raise

    def content(self, chance: random.Random) -> bytes:
        if chance.random() < 0.2:
            return b"leaf %d" % chance.randrange(5)
        return b"".join(chance.choices(self.blocks, k=chance.randrange(1, 8)))

    def _ingests(self, client: Any, chance: random.Random) -> None:
        contents = [self.content(chance) for _ in range(chance.randrange(1, 4))]
        self._keep(client.ingest_many(contents, "binary"), contents)

    def _documents(self, client: Any, chance: random.Random) -> None:
        sections = chance.sample(range(9), chance.randrange(1, 5))
        text = "\n\n".join(f"# Section {n}\n\nWhat section {n} has." for n in sections)
        client.ingest_document(f"document {chance.randrange(3)}", text, "markdown")

    def _uploads(self, client: Any, chance: random.Random) -> None:
        content = self.content(chance)
        bounds = sorted({0, len(content), *chance.choices(range(len(content)), k=2)})
        upload = client.ingest_begin("binary")
        for low, high in zip(bounds, bounds[1:], strict=False):
            client.ingest_part(upload, low, content[low:high])
        if chance.random() < 0.1:
            client.ingest_abort(upload)
        else:
            self._keep([client.ingest_commit(upload)], [content])

    def _keep(self, artifacts: list[int], contents: list[bytes]) -> None:
        digests = [hashlib.sha256(content).digest() for content in contents]
        self.stored.update(zip(artifacts, digests, strict=True))

    def _reads(self, client: Any, chance: random.Random) -> None:
        artifact = self._some(client, chance, "is null")
        content = client.content(artifact)
        assert self.stored.get(artifact) in (None, hashlib.sha256(content).digest())
        start = chance.randrange(len(content) + 1)
        assert client.content_slice(artifact, start, 999) == content[start : start + 999]

    def _removes(self, client: Any, chance: random.Random) -> None:
        artifact = self._some(client, chance, "is null")
        self.given_up.add(artifact)
        client.artifact_delete(artifact)
        what_then = chance.random()
        if what_then < 0.2:
            client.artifact_restore(artifact)
        elif what_then < 0.8:
            client.artifact_purge(artifact)

    def _purges(self, client: Any, chance: random.Random) -> None:
        client.artifact_purge(self._some(client, chance, "is not null"))

    def _explodes(self, client: Any, chance: random.Random) -> None:
        client.atom_explode(self._some(client, chance, "is null"))

    def _some(self, client: Any, chance: random.Random, deleted: str) -> int:
        rows = client.query(f"select artifact_id from hartonomous.artifact where deleted_at {deleted}").fetchall()
        if not rows:
            raise ArtifactNotFound()
        return chance.choice(rows)[0]

    def _collects(self) -> None:
        with hartonomous.connect(self.dsn) as client:
            while not self.over.is_set():
                self.done["collected"] += client.atom_collect_garbage(50)

    def _kills(self, chance: random.Random, pause: float) -> None:
        while not self.over.wait(pause):
            with self.server.connect("postgres") as connection:
                pids = connection.execute(
                    "select pid from pg_stat_activity where state = 'active' and pid <> pg_backend_pid()"
                    " and backend_type = 'client backend' order by pid"
                ).fetchall()
            if pids:
                os.kill(chance.choice(pids)[0], signal.SIGKILL)
                self.done["killed"] += 1

    def _answers(self) -> bool:
        try:
            with self.server.connect("postgres"):
                return True
        except psycopg.OperationalError:
            return False

    def check(self) -> None:
        """Nothing that was said to be stored is lost, every live artifact reads back, counts are right; and when
        everything is purged, nothing is left."""
        waiting.until("the server is up after the last kill", self._answers)
        with hartonomous.connect(self.dsn) as client:
            hashed = "select artifact_id, sha256(hartonomous.content(artifact_id)) from hartonomous.artifact"
            read = dict(client.query(f"{hashed} where deleted_at is null").fetchall())
            assert self.stored.keys() - self.given_up <= read.keys()
            assert read == {artifact: self.stored.get(artifact, digest) for artifact, digest in read.items()}
            assert client.atom_verify() == []
            stored, counted = state.references(client.connection)
            assert {key: count for key, count in stored.items() if count} == counted
            for (artifact,) in client.query("select artifact_id from hartonomous.artifact").fetchall():
                for verb in (client.artifact_delete, client.artifact_purge):
                    with suppress(ArtifactNotFound):  # deleted, or gone with its document
                        verb(artifact)
            while client.atom_collect_garbage():
                pass
            assert client.atom_verify() == []
            assert client.query("select count(*) from hartonomous.atom").fetchone() == (0,)
            assert client.query("select count(*) from hartonomous.atom_reference_change").fetchone() == (0,)
