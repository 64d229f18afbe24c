"""hartonomous tenants ..."""

from __future__ import annotations

import click

from hartonomous import tenants as library
from hartonomous.cli.output import client, echo_json, echo_table, json_option, wants_json


@click.group()
def tenants() -> None:
    """Create tenants and map database roles to them.

    \b
    Example:
      hartonomous tenants create acme
    """


@tenants.command("list")
@json_option
def list_() -> None:
    """List the tenants that you may see, and the roles that act for them.

    \b
    Example:
      hartonomous tenants list
    """
    found = library.tenants(client())
    if wants_json():
        for tenant in found:
            echo_json(tenant)
    else:
        rows = ((t.tenant_id, t.name, ", ".join(t.roles), t.created_at) for t in found)
        echo_table(("id", "name", "roles", "created"), rows)


@tenants.command()
@click.argument("name")
@json_option
def create(name: str) -> None:
    """Create a tenant.

    \b
    Example:
      hartonomous tenants create acme
    """
    tenant_id = client().tenant_create(name)
    if wants_json():
        echo_json({"tenant_id": tenant_id, "name": name})
    else:
        click.echo(f"tenant {tenant_id} is created; map a role to it: hartonomous tenants add-role {tenant_id} ROLE")


@tenants.command("add-role")
@click.argument("tenant_id", type=int)
@click.argument("role")
def add_role(tenant_id: int, role: str) -> None:
    """Let database role ROLE act for a tenant.

    \b
    Example:
      hartonomous tenants add-role 2 acme_app
    """
    client().tenant_role_add(tenant_id, role)
    click.echo(f"role {role} acts for tenant {tenant_id}")
