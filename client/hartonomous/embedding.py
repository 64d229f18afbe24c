"""Embedding everything that has no current embedding, over several connections."""

from __future__ import annotations

import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from dataclasses import dataclass
from threading import Event, Lock

from hartonomous.client import Client
from hartonomous.errors import Error, translated
from hartonomous.progress import Progress, silent

ALL = 2**31 - 1


@dataclass(frozen=True)
class Embedding:
    texts: int
    seconds: float

    @property
    def texts_per_second(self) -> float:
        return self.texts / self.seconds if self.seconds else 0.0


def embed(
    client: Client, model: str | None = None, workers: int = 2, batch: int = 64, progress: Progress = silent
) -> Embedding:
    """Embeds all pending artifacts, a transaction a batch; an interrupted run is continued by the next."""
    started = time.monotonic()
    texts = 0
    pending = client.embedding_pending(model, ALL)
    progress(0, len(pending))
    with ExitStack() as stack:
        clients = [client] + [stack.enter_context(client.clone()) for _ in range(min(workers, len(pending)) - 1)]
        while pending:
            done = _Round(clients, model, pending, batch, progress).run()
            texts += done
            before, pending = pending, client.embedding_pending(model, ALL)
            if not done and pending == before:
                raise Error(f"{len(pending)} artifacts stay without embedding, such as {pending[0]}")
    return Embedding(texts, time.monotonic() - started)


class _Round:
    """One pass over a list of artifacts; idle connections take the next batch."""

    def __init__(
        self, clients: list[Client], model: str | None, pending: list[int], batch: int, progress: Progress
    ) -> None:
        self.clients = clients
        self.model = model
        self.total = len(pending)
        self.batches: Iterator[list[int]] = iter([pending[at : at + batch] for at in range(0, len(pending), batch)])
        self.progress = progress
        self.lock = Lock()
        self.stop = Event()
        self.seen = self.embedded = 0

    def run(self) -> int:
        with ThreadPoolExecutor(len(self.clients)) as pool:
            try:
                for finished in as_completed([pool.submit(self._drain, client) for client in self.clients]):
                    finished.result()
            except BaseException:
                self._cancel()
                raise
        return self.embedded

    def _drain(self, client: Client) -> None:
        while not self.stop.is_set():
            with self.lock:
                batch = next(self.batches, None)
            if batch is None:
                return
            embedded = client.embed_artifacts(batch, self.model)
            with self.lock:
                self.embedded += embedded
                self.seen += len(batch)
                self.progress(self.seen, self.total)

    def _cancel(self) -> None:
        self.stop.set()
        for client in self.clients:
            with translated():
                client.connection.cancel_safe()
