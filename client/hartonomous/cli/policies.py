"""hartonomous policies ..."""

from __future__ import annotations

import json
from typing import Any

import click

from hartonomous.cli.output import ID, NUMBER, client, echo_json, echo_table, json_option, wants_json
from hartonomous.errors import InvalidParameter

_EXAMPLE = 'for example {"==": [{"var": "role"}, "intern"]}'


@click.group()
def policies() -> None:
    """Which operations are allowed and denied, and whose results are masked.

    \b
    Example:
      hartonomous policies put 10 mask --tenant 2 --condition '{"==": [{"var": "role"}, "intern"]}'
    """


@policies.command()
@click.argument("ordinal", type=NUMBER)
@click.argument("effect", type=click.Choice(["allow", "deny", "mask"]))
@click.option("--operation", help="Operation that it speaks of; default: all.")
@click.option("--condition", help="JSON expression; default: always.")
@click.option("--tenant", "tenant_id", type=NUMBER, help="Tenant whose policy it is; default: all.")
@click.option("--label", help="What the policy is for.")
@json_option
def put(
    ordinal: int, effect: str, operation: str | None, condition: str | None, tenant_id: int | None, label: str | None
) -> None:
    """Add a policy. Policies are read by ORDINAL: the first allow or deny that applies decides, masks before it mask.

    \b
    Example:
      hartonomous policies put 10 deny --operation ingest --condition '{"<": [{"var": "hour"}, 6]}'
      hartonomous policies put 20 mask --tenant 2 --condition '{"==": [{"var": "key_label"}, "dashboard"]}'
    """
    parsed = None if condition is None else _parsed(condition)
    policy_id = client().access_policy_put(ordinal, effect, operation, parsed, tenant_id, label)
    if wants_json():
        echo_json({"policy_id": policy_id})
    else:
        click.echo(f"policy {policy_id} is put")


@policies.command("list")
@click.option("--tenant", "tenant_id", type=NUMBER, help="Those that hold for one tenant; default: of all.")
@json_option
def list_(tenant_id: int | None) -> None:
    """List policies in the order in which they are read.

    \b
    Example:
      hartonomous policies list --tenant 2
    """
    found = client().access_policy_list(tenant_id)
    if wants_json():
        for policy in found:
            echo_json(policy)
    else:
        rows = (
            (
                p.policy_id,
                "all" if p.tenant_id is None else p.tenant_id,
                p.ordinal,
                p.effect,
                p.operation,
                "" if p.condition is None else json.dumps(p.condition),
                p.label,
            )
            for p in found
        )
        echo_table(("id", "tenant", "ordinal", "effect", "operation", "condition", "label"), rows)


@policies.command()
@click.argument("policy_id", type=ID)
def drop(policy_id: int) -> None:
    """Remove a policy.

    \b
    Example:
      hartonomous policies drop 7
    """
    client().access_policy_drop(policy_id)
    click.echo(f"policy {policy_id} is dropped")


def _parsed(condition: str) -> dict[str, Any]:
    try:
        parsed = json.loads(condition)
    except ValueError as error:
        raise InvalidParameter(f"condition is not JSON: {error}", hint=_EXAMPLE) from error
    if not isinstance(parsed, dict):
        raise InvalidParameter("condition is not a JSON object", hint=_EXAMPLE)
    return parsed
