from __future__ import annotations

from collections.abc import Generator
from typing import Any

from hartonomous.calls import Caller


class Privacy(Caller):
    def tenant_export(self, tenant_id: int) -> Generator[str, None, None]:
        """Lines as the server makes them; `hartonomous.privacy.verified` tells whether they are all there."""
        return self._stream("tenant_export", {"tenant_id": tenant_id})

    def tenant_erase(self, tenant_id: int) -> dict[str, Any]:
        return self._value("tenant_erase", {"tenant_id": tenant_id})
