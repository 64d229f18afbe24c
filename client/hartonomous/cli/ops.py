"""hartonomous doctor, version"""

from __future__ import annotations

import click

from hartonomous import doctor as library
from hartonomous._version import VERSION
from hartonomous.cli.output import echo_json, json_option, printable, wants_json
from hartonomous.client import database_facts, open_connection
from hartonomous.errors import Error


@click.command()
@json_option
@click.pass_context
def doctor(context: click.Context) -> None:
    """Say what a server lacks and how to mend it.

    Works before the extension is created. Exit code 1 when something required is missing.

    \b
    Example:
      hartonomous doctor
      hartonomous --dsn 'host=db dbname=postgres user=postgres' doctor --json
    """
    checks = library.doctor(context.obj.dsn)
    if wants_json():
        echo_json(checks)
    else:
        for check in checks:
            mark = "ok" if check.ok else "not ok" if check.required else "advice"
            click.echo(f"{mark:<6}  {check.item}: {printable(check.found or 'none')}")
            if not check.ok:
                click.echo(f"        expected {check.expected}; {check.hint}")
    if any(check.required and not check.ok for check in checks):
        raise click.exceptions.Exit(1)


@click.command()
@json_option
@click.pass_context
def version(context: click.Context) -> None:
    """Print the versions of client, extension and server.

    \b
    Example:
      hartonomous version
    """
    versions: dict[str, str | None] = {"client": VERSION, "extension": None, "server": None}
    try:
        with open_connection(context.obj.dsn or "") as connection:
            versions["extension"] = database_facts(connection)["extension"]
            versions["server"] = connection.info.parameter_status("server_version")
    except Error as error:
        click.echo(f"no server: {(error.detail or error.message).splitlines()[0]}", err=True)
    if wants_json():
        echo_json(versions)
    else:
        for part, found in versions.items():
            click.echo(f"{part:<10} {found or 'none'}")


VERBS = (doctor, version)
