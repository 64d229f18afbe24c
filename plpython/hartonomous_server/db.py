"""Calling SQL from the server package: prepared once per backend, always with bound parameters."""

from __future__ import annotations

import time
from typing import Any

INTERRUPT_SECONDS = 0.05  # a statement costs as much as some chunks

_plans: dict[tuple[str, tuple[str, ...]], Any] = {}


def query(db: Any, sql: str, *arguments: tuple[str, Any]) -> Any:
    """Result of a statement; each argument is (type name, value) for $1, $2, ..."""
    key = sql, tuple(name for name, _ in arguments)
    plan = _plans.get(key)
    if plan is None:
        plan = _plans[key] = db.prepare(sql, list(key[1]))
    return db.execute(plan, [value for _, value in arguments])


def interrupts(db: Any) -> Any:
    """A function that lets the server act on cancel and statement_timeout; call it between chunks of work."""
    asked = time.monotonic()

    def ask() -> None:
        nonlocal asked
        if time.monotonic() - asked >= INTERRUPT_SECONDS:
            query(db, "select 1")
            asked = time.monotonic()

    return ask
