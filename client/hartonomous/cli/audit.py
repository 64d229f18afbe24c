"""hartonomous audit ..."""

from __future__ import annotations

import json
from datetime import datetime

import click

from hartonomous.cli.output import COUNT, NUMBER, client, echo_json, echo_table, json_option, wants_json
from hartonomous.records import AuditEntry

TIMES = ["%Y-%m-%d", "%Y-%m-%d %H:%M", "%Y-%m-%dT%H:%M", "%Y-%m-%dT%H:%M:%S", "%Y-%m-%dT%H:%M:%S%z"]


@click.group()
def audit() -> None:
    """What was called and refused, and whether the record of it is whole.

    \b
    Example:
      hartonomous audit list --since 2026-01-31
    """


@audit.command("list")
@click.option("--since", type=click.DateTime(TIMES), help="Entries from this time on, in local time or with a zone.")
@click.option("--tenant", type=NUMBER, help="Entries of this tenant.")
@click.option("-k", type=COUNT, help="So many of the newest; default: 1000.")
@json_option
def list_(since: datetime | None, tenant: int | None, k: int | None) -> None:
    """List entries, oldest first.

    \b
    Example:
      hartonomous audit list --since 2026-01-31T18:00 --tenant 2
    """
    found = client().audit_list(since.astimezone() if since else None, tenant, k)
    if wants_json():
        for entry in found:
            echo_json(entry)
    else:
        rows = ((e.at, e.tenant_id, e.role_name, e.key_id, e.client_addr, e.operation, *_told(e)) for e in found)
        echo_table(("at", "tenant", "role", "key", "address", "operation", "result", "detail"), rows)


@audit.command()
@click.option("--head", help="A head that `audit seal` printed earlier.")
@json_option
@click.pass_context
def verify(context: click.Context, head: str | None) -> None:
    """List what is wrong with the log; exits with 1 if anything is.

    \b
    Example:
      hartonomous audit verify --head 49f38670612cff02...
    """
    faults = client().audit_verify(head)
    if wants_json():
        for fault in faults:
            echo_json(fault)
    elif faults:
        echo_table(("entry", "seal", "fault"), ((f.audit_id, f.seal_id, f.fault) for f in faults))
    else:
        click.echo("the audit log is whole")
    context.exit(1 if faults else 0)


@audit.command()
@json_option
def seal() -> None:
    """Collect refusals, seal what is not sealed yet, and print the head of the chain: keep it on another machine.

    \b
    Example:
      hartonomous audit seal
    """
    opened = client()
    opened.audit_collect()
    sealed = opened.audit_seal()
    if wants_json():
        echo_json(sealed)
    else:
        click.echo(sealed.head or "there is nothing to seal")


def _told(entry: AuditEntry) -> tuple[str, str]:
    return entry.sqlstate or entry.result, json.dumps(entry.detail, ensure_ascii=False) if entry.detail else ""
