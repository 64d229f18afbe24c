from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime, timedelta

from hartonomous.calls import Caller
from hartonomous.records import (
    AccessPolicy,
    ApiKey,
    AuditEntry,
    AuditFault,
    AuditHead,
    JwtIssuer,
    RateLimit,
    SecretInfo,
)
from hartonomous.rooms.atoms import Json, jsonb


class Tenants(Caller):
    def current_tenant(self) -> int | None:
        return self._value("current_tenant", {})

    def tenant_create(self, name: str) -> int:
        return self._value("tenant_create", {"name": name})

    def tenant_role_add(self, tenant_id: int, role_name: str) -> None:
        self._run("tenant_role_add", {"tenant_id": tenant_id, "role_name": role_name})

    def tenant_role_remove(self, role_name: str) -> None:
        self._run("tenant_role_remove", {"role_name": role_name})

    def tenant_close(self, tenant_id: int, closed: bool | None = None) -> bool:
        return self._value("tenant_close", {"tenant_id": tenant_id}, closed=closed)

    def api_key_create(
        self,
        tenant_id: int,
        label: str | None = None,
        scopes: Sequence[str] | None = None,
        expires_at: datetime | None = None,
    ) -> str:
        granted = None if scopes is None else list(scopes)
        return self._value(
            "api_key_create", {"tenant_id": tenant_id}, label=label, scopes=granted, expires_at=expires_at
        )

    def api_key_list(self, tenant_id: int) -> list[ApiKey]:
        return self._rows(ApiKey, "api_key_list", {"tenant_id": tenant_id})

    def api_key_rotate(self, key_id: int, grace: timedelta | None = None) -> str:
        return self._value("api_key_rotate", {"key_id": key_id}, grace=grace)

    def api_key_revoke(self, key_id: int) -> None:
        self._run("api_key_revoke", {"key_id": key_id})

    def authenticate(self, api_key: str) -> int:
        """Binds a tenant to the open `transaction`; outside of one it only checks the key."""
        return self._value("authenticate", {"api_key": api_key})

    def authenticate_jwt(self, token: str) -> int:
        """Binds a tenant to the open `transaction`; outside of one it only checks the token."""
        return self._value("authenticate_jwt", {"token": token})

    def access_policy_put(
        self,
        ordinal: int,
        effect: str,
        operation: str | None = None,
        condition: Json | None = None,
        tenant_id: int | None = None,
        label: str | None = None,
    ) -> int:
        return self._value(
            "access_policy_put",
            {"ordinal": ordinal, "effect": effect},
            operation=operation,
            condition=None if condition is None else jsonb(condition),
            tenant_id=tenant_id,
            label=label,
        )

    def access_policy_drop(self, policy_id: int) -> None:
        self._run("access_policy_drop", {"policy_id": policy_id})

    def access_policy_list(self, tenant_id: int | None = None) -> list[AccessPolicy]:
        return self._rows(AccessPolicy, "access_policy_list", {}, tenant_id=tenant_id)

    def jwt_issuer_put(
        self,
        issuer: str,
        audience: str,
        jwks: Json,
        tenant_claim: str | None = None,
        scopes: Sequence[str] | None = None,
    ) -> int:
        granted = None if scopes is None else list(scopes)
        return self._value(
            "jwt_issuer_put",
            {"issuer": issuer, "audience": audience, "jwks": jsonb(jwks)},
            tenant_claim=tenant_claim,
            scopes=granted,
        )

    def jwt_issuer_list(self) -> list[JwtIssuer]:
        return self._rows(JwtIssuer, "jwt_issuer_list", {})

    def jwt_issuer_drop(self, issuer: str) -> None:
        self._run("jwt_issuer_drop", {"issuer": issuer})

    def audit_collect(self) -> int:
        return self._value("audit_collect", {})

    def audit_seal(self) -> AuditHead:
        return self._row(AuditHead, "audit_seal", {})

    def rate_limit_put(
        self,
        tenant_id: int | None,
        units: int,
        per: timedelta,
        operation: str | None = None,
        per_key: bool | None = None,
        burst: int | None = None,
    ) -> int:
        required = {"tenant_id": tenant_id, "units": units, "per": per}
        return self._value("rate_limit_put", required, operation=operation, per_key=per_key, burst=burst)

    def rate_limit_drop(self, rate_limit_id: int) -> None:
        self._run("rate_limit_drop", {"rate_limit_id": rate_limit_id})

    def rate_limit_list(self, tenant_id: int | None = None) -> list[RateLimit]:
        return self._rows(RateLimit, "rate_limit_list", {}, tenant_id=tenant_id)

    def audit_list(
        self, since: datetime | None = None, tenant_id: int | None = None, k: int | None = None
    ) -> list[AuditEntry]:
        return self._rows(AuditEntry, "audit_list", {}, since=since, tenant_id=tenant_id, k=k)

    def audit_verify(self, head: str | None = None) -> list[AuditFault]:
        return self._rows(AuditFault, "audit_verify", {}, head=head)

    def secret_put(self, name: str, value: str) -> None:
        self._run("secret_put", {"name": name, "value": value})

    def secret_get(self, name: str) -> str:
        return self._value("secret_get", {"name": name})

    def secret_list(self) -> list[SecretInfo]:
        return self._rows(SecretInfo, "secret_list", {})

    def secret_drop(self, name: str) -> None:
        self._run("secret_drop", {"name": name})

    def secret_rotate(self, batch: int | None = None) -> int:
        return self._value("secret_rotate", {}, batch=batch)
