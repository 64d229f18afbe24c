"""hartonomous limits ..."""

from __future__ import annotations

from datetime import timedelta

import click

from hartonomous.cli.output import ID, NUMBER, client, echo_json, echo_table, json_option, wants_json


@click.group()
def limits() -> None:
    """Rate limits of tenants and their API keys.

    \b
    Example:
      hartonomous limits put 100 60 --tenant 2 --operation search
    """


@limits.command("list")
@click.option("--tenant", type=NUMBER, help="Those that hold for a tenant; default: all.")
@json_option
def list_(tenant: int | None) -> None:
    """List rate limits.

    \b
    Example:
      hartonomous limits list --tenant 2
    """
    found = client().rate_limit_list(tenant)
    if wants_json():
        for limit in found:
            echo_json(limit)
    else:
        rows = (
            (
                x.rate_limit_id,
                "each" if x.tenant_id is None else x.tenant_id,
                x.operation,
                "each" if x.per_key else "all",
                x.units,
                x.per,
                x.burst,
            )
            for x in found
        )
        echo_table(("id", "tenant", "operation", "keys", "units", "per", "burst"), rows)


@limits.command()
@click.argument("units", type=click.IntRange(1, 2**63 - 1))
@click.argument("seconds", type=click.FloatRange(min=0, min_open=True, max=31_557_600))
@click.option("--tenant", type=NUMBER, help="The tenant; default: each tenant for itself.")
@click.option("--operation", help="What is limited, for example ingest or search; default: all together.")
@click.option("--per-key", is_flag=True, help="Each API key for itself.")
@click.option("--burst", type=click.IntRange(1, 2**63 - 1), help="Units at once; default: UNITS.")
@json_option
def put(
    units: int, seconds: float, tenant: int | None, operation: str | None, per_key: bool, burst: int | None
) -> None:
    """Limit work to UNITS in SECONDS, or change such a limit.

    \b
    Example:
      hartonomous limits put 100 60 --tenant 2 --operation search --burst 20
    """
    rate_limit_id = client().rate_limit_put(tenant, units, timedelta(seconds=seconds), operation, per_key, burst)
    if wants_json():
        echo_json({"rate_limit_id": rate_limit_id})
    else:
        click.echo(f"rate limit {rate_limit_id} is set")


@limits.command()
@click.argument("rate_limit_id", type=ID)
def drop(rate_limit_id: int) -> None:
    """Remove a rate limit.

    \b
    Example:
      hartonomous limits drop 3
    """
    client().rate_limit_drop(rate_limit_id)
    click.echo(f"rate limit {rate_limit_id} is removed")
