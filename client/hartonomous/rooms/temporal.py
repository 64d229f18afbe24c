from __future__ import annotations

from collections.abc import Sequence
from datetime import timedelta

from hartonomous.calls import Caller


class Temporal(Caller):
    def system_versioning_add(self, relation: str, omitted: Sequence[str] | None = None) -> None:
        """omitted: columns that the history does not have."""
        self._run("system_versioning_add", {"relation": relation}, omitted=omitted)

    def system_versioning_retain(self, relation: str, keep: timedelta | None) -> None:
        """keep: how long replaced versions are kept; None: for ever."""
        self._run("system_versioning_retain", {"relation": relation, "keep": keep})

    def history_prune(self, batch: int | None = None) -> int:
        return self._value("history_prune", {}, batch=batch)
