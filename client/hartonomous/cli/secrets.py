"""hartonomous secrets ..."""

from __future__ import annotations

from typing import TextIO

import click

from hartonomous.cli.output import client, echo_json, echo_table, json_option, wants_json


@click.group()
def secrets() -> None:
    """Secrets of your tenant, encrypted under the server's key file.

    \b
    Example:
      hartonomous secrets put provider < key.txt
    """


@secrets.command()
@click.argument("name")
@click.argument("file", type=click.File(), default="-")
def put(name: str, file: TextIO) -> None:
    """Store a secret, read from FILE or the standard input without the line feed at its end.

    \b
    Example:
      hartonomous secrets put provider < key.txt
    """
    client().secret_put(name, file.read().removesuffix("\n"))
    click.echo(f"secret {name} is stored")


@secrets.command()
@click.argument("name")
@json_option
def get(name: str) -> None:
    """Print a secret; the audit log notes it.

    \b
    Example:
      hartonomous secrets get provider
    """
    value = client().secret_get(name)
    if wants_json():
        echo_json({"name": name, "value": value})
    else:
        click.echo(value)


@secrets.command("list")
@json_option
def list_() -> None:
    """List the names of secrets.

    \b
    Example:
      hartonomous secrets list
    """
    found = client().secret_list()
    if wants_json():
        for secret in found:
            echo_json(secret)
    else:
        rows = ((s.name, s.key_version, s.created_at, s.updated_at) for s in found)
        echo_table(("name", "key version", "created", "updated"), rows)


@secrets.command()
@click.argument("name")
def drop(name: str) -> None:
    """Remove a secret.

    \b
    Example:
      hartonomous secrets drop provider
    """
    client().secret_drop(name)
    click.echo(f"secret {name} is removed")


@secrets.command()
@json_option
def rotate() -> None:
    """Encrypt the secrets of all tenants under the newest key of the key file.

    \b
    Example:
      hartonomous secrets rotate
    """
    opened = client()
    total = 0
    while done := opened.secret_rotate():
        total += done
    if wants_json():
        echo_json({"secrets": total})
    else:
        click.echo(f"{total} secrets are encrypted anew")
