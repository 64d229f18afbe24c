"""Embedding everything that has no current embedding, over several connections."""

from __future__ import annotations

import time
from dataclasses import dataclass

from hartonomous import rounds
from hartonomous.client import Client
from hartonomous.progress import Progress, silent


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
    texts = rounds.finish(
        client,
        lambda: client.embedding_pending(model, rounds.ALL),
        lambda session, ids: session.embed_artifacts(ids, model),
        workers,
        batch,
        progress,
    )
    return Embedding(texts, time.monotonic() - started)
