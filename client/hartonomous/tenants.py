"""Tenants and the roles that act for them."""

from __future__ import annotations

import json
from contextlib import closing

from hartonomous.client import Client
from hartonomous.records import Tenant, row_of

_TENANTS = """
select t.tenant_id, t.name, t.created_at,
       array(select r.role_name::text from hartonomous.tenant_role as r where r.tenant_id = t.tenant_id order by 1)
       as roles
from hartonomous.tenant as t order by t.tenant_id
"""


def tenants(client: Client) -> list[Tenant]:
    """The tenants that the caller may see."""
    return client.query(_TENANTS, rows=row_of(Tenant)).fetchall()


def name(client: Client, tenant_id: int) -> str:
    """Name of a tenant that an administrator may not see himself: the first line of its export says it."""
    with closing(client.tenant_export(tenant_id)) as lines:
        return json.loads(next(lines))["name"]
