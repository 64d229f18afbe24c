from __future__ import annotations

from hartonomous.calls import Caller


class Tenants(Caller):
    def current_tenant(self) -> int | None:
        return self._value("current_tenant", {})

    def tenant_create(self, name: str) -> int:
        return self._value("tenant_create", {"name": name})

    def tenant_role_add(self, tenant_id: int, role_name: str) -> None:
        self._run("tenant_role_add", {"tenant_id": tenant_id, "role_name": role_name})
