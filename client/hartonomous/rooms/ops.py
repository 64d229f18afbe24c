from __future__ import annotations

from hartonomous.calls import Caller
from hartonomous.records import Check


class Ops(Caller):
    def version(self) -> str:
        return self._value("version", {})

    def server_check(self) -> list[Check]:
        return self._rows(Check, "server_check", {})
