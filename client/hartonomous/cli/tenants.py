"""hartonomous tenants ..."""

from __future__ import annotations

from pathlib import Path

import click

from hartonomous import privacy
from hartonomous import tenants as library
from hartonomous.cli.output import (
    NUMBER,
    client,
    echo_json,
    echo_table,
    json_option,
    number,
    progress,
    size,
    wants_json,
)
from hartonomous.errors import InvalidParameter


@click.group()
def tenants() -> None:
    """Create tenants, map database roles to them, export and erase their data.

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
@click.argument("tenant_id", type=NUMBER)
@click.argument("role")
def add_role(tenant_id: int, role: str) -> None:
    """Let database role ROLE act for a tenant.

    \b
    Example:
      hartonomous tenants add-role 2 acme_app
    """
    client().tenant_role_add(tenant_id, role)
    click.echo(f"role {role} acts for tenant {tenant_id}")


@tenants.command("remove-role")
@click.argument("role")
def remove_role(role: str) -> None:
    """End the acting of database role ROLE for its tenant.

    \b
    Example:
      hartonomous tenants remove-role acme_app
    """
    client().tenant_role_remove(role)
    click.echo(f"role {role} acts for no tenant any more")


@tenants.command()
@click.argument("tenant_id", type=NUMBER)
@click.argument("file", required=False, type=click.Path(path_type=Path, dir_okay=False))
@json_option
def export(tenant_id: int, file: Path | None) -> None:
    """Write all data of a tenant to FILE as lines of JSON; default: tenant-TENANT_ID.jsonl.

    \b
    Example:
      hartonomous tenants export 2 acme.jsonl
    """
    connection = client()
    with progress("export", "MB of content", 1e6) as report:
        result = privacy.export(connection, tenant_id, file or Path(f"tenant-{tenant_id}.jsonl"), report)
    if wants_json():
        echo_json(result)
    else:
        rows = number(sum(result.rows.values()))
        click.echo(f"{result.file}: {rows} rows, {size(result.bytes)}, sha256 {result.sha256} is right")


@tenants.command()
@click.argument("tenant_id", type=NUMBER)
@click.option("--yes", is_flag=True, help="Do not ask for the tenant's name.")
@json_option
def erase(tenant_id: int, yes: bool) -> None:
    """Remove a tenant with all its data, for good.

    \b
    Example:
      hartonomous tenants erase 2
    """
    connection = client()
    if not yes:
        _confirm(tenant_id, library.name(connection, tenant_id))
    counts = privacy.erase(connection, tenant_id)
    if wants_json():
        echo_json({"tenant_id": tenant_id, "tables": counts})
        return
    rows = ((table, n["removed"], n["pseudonymised"], n["remaining"]) for table, n in sorted(counts.items()))
    echo_table(("table", "removed", "pseudonymised", "remaining"), rows)
    click.echo("a superuser takes the bytes off the disk by the following; backups, WAL and logs still have them:")
    for statement in privacy.rewriting(counts):
        click.echo(f"  {statement};")


def _confirm(tenant_id: int, name: str) -> None:
    if click.prompt(f"type the name of tenant {tenant_id} to erase it", err=True) != name:
        raise InvalidParameter("that is not its name; nothing was erased", hint="hartonomous tenants list")
