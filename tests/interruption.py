"""The command line's long steps, interrupted at random moments and run again until they succeed."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import cli
import corpus
import psycopg
import state
import tiny_model
import waiting
from cluster import Server

Process = subprocess.Popen[str]
LOST = "error: the connection to the server failed or was lost"


@dataclass
class Step:
    """A verb with its arguments."""

    arguments: Sequence[object]


@dataclass
class Trial:
    """A run through all steps in a database of its own."""

    server: Server
    database: str
    steps: Sequence[Step]
    spans: list[float] = field(default_factory=list)
    states: list[state.Digest] = field(default_factory=list)
    struck: int = 0

    def __post_init__(self) -> None:
        self.dsn = self.server.dsn(self.database)

    def undisturbed(self) -> Trial:
        """Runs each step once; notes how long it works and what it leaves."""
        for step in self.steps:
            process, _ = self._begin(step)
            begun = time.monotonic()
            self._end(process)
            self.spans.append(time.monotonic() - begun)
            self._note()
        return self

    def disturbed(self, calm: Trial, kind: str, chance: random.Random, strikes: int) -> Trial:
        """Strikes each step some times, then lets it succeed."""
        for step, span in zip(self.steps, calm.spans, strict=True):
            for _ in range(strikes):
                self._struck(step, kind, chance.uniform(0, span), chance)
            self._end(cli.start(self.dsn, *step.arguments))
            self._note()
        return self

    def _begin(self, step: Step) -> tuple[Process, list[int]]:
        """Starts a step; returns when its first backend is there, or when it ended."""
        earlier = set(self._backends())
        process = cli.start(self.dsn, *step.arguments)
        found = waiting.until(
            "the command connects", lambda: set(self._backends()) - earlier or process.poll() is not None
        )
        return process, sorted(found) if isinstance(found, set) else []

    def _struck(self, step: Step, kind: str, moment: float, chance: random.Random) -> None:
        process, backends = self._begin(step)
        time.sleep(moment)
        backends = [pid for pid in self._backends() if pid >= min(backends, default=0)]
        KINDS[kind](self, process, chance.choice(backends) if backends else None)
        out, error = process.communicate(timeout=waiting.PATIENCE)
        expected = {"client interrupted": 130, "client killed": -signal.SIGKILL}.get(kind, 1)
        done = process.returncode == 0 or (process.returncode == -signal.SIGINT and out)  # struck as it closed down
        assert done or process.returncode == expected, f"exit code {process.returncode}\n{out}\n{error}"
        assert "Traceback" not in error
        if process.returncode == 1:
            assert LOST in error and "HINT: " in error, error
        self.struck += not done
        self._answers()

    def _end(self, process: Process) -> None:
        out, error = process.communicate(timeout=waiting.PATIENCE)
        assert process.returncode == 0, f"{out}\n{error}"

    def _note(self) -> None:
        with self.server.connect(self.database) as connection:
            waiting.until_gone(connection)  # a killed client's backend may still be at work
            self.states.append(state.logical(connection))

    def _backends(self) -> list[int]:
        with self.server.connect("postgres") as connection:
            return waiting.backends(connection, self.database)

    def _answers(self) -> None:
        """Until the server has recovered from what was done to it."""

        def answers() -> bool:
            try:
                self.server.execute("select 1")
            except psycopg.OperationalError:
                return False
            return True

        waiting.until("the server answers", answers)


def _interrupt(trial: Trial, process: Process, backend: int | None) -> None:
    process.send_signal(signal.SIGINT)


def _kill(trial: Trial, process: Process, backend: int | None) -> None:
    process.kill()


def _terminate_backend(trial: Trial, process: Process, backend: int | None) -> None:
    with trial.server.connect("postgres") as connection:
        connection.execute("select pg_terminate_backend(%s)", [backend])


def _kill_backend(trial: Trial, process: Process, backend: int | None) -> None:
    """The whole server restarts after this."""
    if backend is not None:
        os.kill(backend, signal.SIGKILL)


KINDS: dict[str, Callable[[Trial, Process, int | None], None]] = {
    "client interrupted": _interrupt,
    "client killed": _kill,
    "backend terminated": _terminate_backend,
    "backend killed": _kill_backend,
}


def steps(folder: Path) -> list[Step]:
    """A model, a folder of pages, their embeddings; then some pages change; what they say is extracted."""
    tiny = tiny_model.write(folder / "tiny")
    wide = tiny_model.write(folder / "wide", inner=40_000)  # 20 MB: two transactions
    pages = corpus.pages(12)
    before = corpus.write(folder / "before", pages)
    after = corpus.write(folder / "after", {name: changed(text) for name, text in pages.items()})
    embed = Step(["embed", "--workers", "2", "--batch", "8"])
    return [
        Step(["models", "ingest", tiny]),
        Step(["models", "ingest", wide]),
        Step(["ingest", before, "--uri-prefix", "manual/"]),
        embed,
        Step(["ingest", after, "--uri-prefix", "manual/"]),
        embed,
        Step(["extract", "--workers", "2", "--batch", "8"]),
    ]


def changed(page: str) -> str:
    """The page with its last paragraph gone and a new one."""
    begin, end = page.rfind("<p>"), page.rfind("</p>")
    return page[:begin] + "<p>What stood here is no longer true.</p>" + page[end + 4 :] if begin < end else page


def differences(expected: Trial, found: Trial) -> list[Any]:
    """(step, table) wherever the states differ."""
    return [
        (number, table)
        for number, (a, b) in enumerate(zip(expected.states, found.states, strict=True))
        for table in a
        if a[table] != b[table]
    ]
