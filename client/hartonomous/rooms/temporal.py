from __future__ import annotations

from hartonomous.calls import Caller


class Temporal(Caller):
    def system_versioning_add(self, relation: str) -> None:
        self._run("system_versioning_add", {"relation": relation})
