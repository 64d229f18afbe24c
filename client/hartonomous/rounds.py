"""Work on artifacts that is pending, over several connections, a transaction a batch."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import ExitStack
from threading import Event, Lock

from hartonomous.client import Client
from hartonomous.errors import Error, translated
from hartonomous.progress import Progress

ALL = 2**31 - 1
PATIENCE = 5  # rounds in which nothing gets done: another session may be at it
PAUSE = 0.5  # seconds between them

Work = Callable[[Client, list[int]], int]


def finish(
    client: Client, pending: Callable[[], list[int]], work: Work, workers: int, batch: int, progress: Progress
) -> int:
    """Works until nothing is pending; how many artifacts were worked on. The next run continues an interrupted one."""
    done = idle = 0
    left = pending()
    progress(0, len(left))
    with ExitStack() as stack:
        clients = [client] + [stack.enter_context(client.clone()) for _ in range(min(workers, len(left)) - 1)]
        while left:
            now = _Round(clients, work, left, batch, progress).run()
            done += now
            before, left = left, pending()
            idle = 0 if now or left != before else idle + 1
            if idle:
                time.sleep(PAUSE)
            if idle == PATIENCE:
                raise Error(f"{len(left)} artifacts stay pending, such as {left[0]}")
    return done


class _Round:
    """One pass over a list of artifacts; idle connections take the next batch."""

    def __init__(self, clients: list[Client], work: Work, pending: list[int], batch: int, progress: Progress) -> None:
        self.clients = clients
        self.work = work
        self.total = len(pending)
        self.batches: Iterator[list[int]] = iter([pending[at : at + batch] for at in range(0, len(pending), batch)])
        self.progress = progress
        self.lock = Lock()
        self.stop = Event()
        self.seen = self.done = 0

    def run(self) -> int:
        with ThreadPoolExecutor(len(self.clients)) as pool:
            try:
                for finished in as_completed([pool.submit(self._drain, client) for client in self.clients]):
                    finished.result()
            except BaseException:
                self._cancel()
                raise
        return self.done

    def _drain(self, client: Client) -> None:
        while not self.stop.is_set():
            with self.lock:
                batch = next(self.batches, None)
            if batch is None:
                return
            done = self.work(client, batch)
            with self.lock:
                self.done += done
                self.seen += len(batch)
                self.progress(self.seen, self.total)

    def _cancel(self) -> None:
        self.stop.set()
        for client in self.clients:
            with translated():
                client.connection.cancel_safe()
