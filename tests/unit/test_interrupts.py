"""The server is asked for a cancel as often as it pays."""

from __future__ import annotations

from typing import Any

import pytest
from hartonomous_server import db


class Session:
    asked = 0

    def prepare(self, sql: str, types: list[str]) -> str:
        return sql

    def execute(self, plan: str, values: list[Any]) -> None:
        self.asked += 1


def test_the_server_is_asked_when_time_has_passed(monkeypatch: pytest.MonkeyPatch) -> None:
    now = 5.0
    monkeypatch.setattr(db.time, "monotonic", lambda: now)
    monkeypatch.setattr(db, "_plans", {})
    session = Session()
    ask = db.interrupts(session)
    ask()
    assert session.asked == 0
    for count in (1, 2):
        now += 2 * db.INTERRUPT_SECONDS
        ask()
        ask()
        assert session.asked == count
