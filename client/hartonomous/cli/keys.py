"""hartonomous keys ..."""

from __future__ import annotations

import json
from datetime import datetime, timedelta, timezone
from typing import IO

import click

from hartonomous.cli.output import AMOUNT, COUNT, ID, NUMBER, client, echo_json, echo_table, json_option, wants_json
from hartonomous.errors import InvalidParameter


@click.group()
def keys() -> None:
    """API keys of tenants, and issuers of tokens.

    \b
    Example:
      hartonomous keys create 2 --label nightly --scope read
    """


@keys.command()
@click.argument("tenant_id", type=NUMBER)
@click.option("--label", default="", help="What the key is for.")
@click.option("--scope", multiple=True, type=click.Choice(["read", "write"]), help="May be repeated; default: both.")
@click.option("--days", type=COUNT, help="Days until it expires; default: never.")
@json_option
def create(tenant_id: int, label: str, scope: tuple[str, ...], days: int | None) -> None:
    """Make an API key of a tenant. It is printed this once.

    \b
    Example:
      hartonomous keys create 2 --label nightly --scope read --days 90
    """
    expires_at = None if days is None else datetime.now(timezone.utc) + timedelta(days=days)
    _echo_key(client().api_key_create(tenant_id, label, scope or None, expires_at))


@keys.command("list")
@click.argument("tenant_id", type=NUMBER)
@json_option
def list_(tenant_id: int) -> None:
    """List the keys of a tenant, revoked and expired ones too.

    \b
    Example:
      hartonomous keys list 2
    """
    found = client().api_key_list(tenant_id)
    if wants_json():
        for key in found:
            echo_json(key)
    else:
        rows = (
            (k.key_id, k.label, ", ".join(k.scopes), k.created_at, k.expires_at, k.last_used_at, k.revoked_at)
            for k in found
        )
        echo_table(("id", "label", "scopes", "created", "expires", "last used", "revoked"), rows)


@keys.command()
@click.argument("key_id", type=ID)
@click.option("--grace-hours", type=AMOUNT, default=24, show_default=True, help="The old key works on.")
@json_option
def rotate(key_id: int, grace_hours: int) -> None:
    """Make a successor of a key. It is printed this once.

    \b
    Example:
      hartonomous keys rotate 7 --grace-hours 1
    """
    _echo_key(client().api_key_rotate(key_id, timedelta(hours=grace_hours)))


@keys.command()
@click.argument("key_id", type=ID)
def revoke(key_id: int) -> None:
    """End a key at once.

    \b
    Example:
      hartonomous keys revoke 7
    """
    client().api_key_revoke(key_id)
    click.echo(f"key {key_id} is revoked")


@keys.command("trust")
@click.argument("issuer")
@click.argument("audience")
@click.argument("jwks", type=click.File("rb"))
@click.option("--tenant-claim", help="Claim that names the tenant; default: tenant.")
@json_option
def trust(issuer: str, audience: str, jwks: IO[bytes], tenant_claim: str | None) -> None:
    """Trust the JSON Web Tokens of ISSUER for AUDIENCE, signed by a key of the set in the file JWKS.

    \b
    Example:
      hartonomous keys trust https://id.example.com hartonomous jwks.json
    """
    try:
        key_set = json.loads(jwks.read())
    except ValueError as error:
        raise InvalidParameter(f"{jwks.name} is not JSON: {error}", hint="give a JSON Web Key Set") from error
    usable = client().jwt_issuer_put(issuer, audience, key_set, tenant_claim)
    if wants_json():
        echo_json({"issuer": issuer, "keys": usable})
    else:
        click.echo(f"tokens of {issuer} are trusted, {usable} keys")


@keys.command("trusted")
@json_option
def trusted() -> None:
    """List the issuers of JSON Web Tokens that are trusted.

    \b
    Example:
      hartonomous keys trusted
    """
    found = client().jwt_issuer_list()
    if wants_json():
        for issuer in found:
            echo_json(issuer)
    else:
        rows = ((i.issuer, i.audience, i.tenant_claim, ", ".join(i.scopes), i.keys, i.updated_at) for i in found)
        echo_table(("issuer", "audience", "tenant claim", "scopes", "keys", "updated"), rows)


@keys.command("distrust")
@click.argument("issuer")
def distrust(issuer: str) -> None:
    """Trust the JSON Web Tokens of ISSUER no more.

    \b
    Example:
      hartonomous keys distrust https://id.example.com
    """
    client().jwt_issuer_drop(issuer)
    click.echo(f"tokens of {issuer} are trusted no more")


def _echo_key(api_key: str) -> None:
    if wants_json():
        echo_json({"api_key": api_key})
    else:
        click.echo(api_key)
