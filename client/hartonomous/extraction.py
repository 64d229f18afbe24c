"""Extracting language, sentiment and entities of everything that was not read yet, over several connections."""

from __future__ import annotations

import time
from dataclasses import dataclass

from hartonomous import rounds
from hartonomous.client import Client
from hartonomous.progress import Progress, silent


@dataclass(frozen=True)
class Extraction:
    texts: int
    seconds: float


def extract(client: Client, workers: int = 2, batch: int = 64, progress: Progress = silent) -> Extraction:
    """Reads all pending artifacts, a transaction a batch; an interrupted run is continued by the next."""
    started = time.monotonic()
    texts = rounds.finish(
        client,
        lambda: client.semantics_pending(rounds.ALL),
        lambda session, ids: session.semantics_extract(ids),
        workers,
        batch,
        progress,
    )
    return Extraction(texts, time.monotonic() - started)
