"""hartonomous artifacts ..."""

from __future__ import annotations

import click

from hartonomous.cli.output import COUNT, ID, client, echo_json, echo_table, json_option, number, wants_json
from hartonomous.errors import InvalidParameter


@click.group()
def artifacts() -> None:
    """Delete artifacts, list the deleted ones, bring them back or remove them for good.

    \b
    Example:
      hartonomous artifacts delete 4711
      hartonomous artifacts deleted
      hartonomous artifacts restore 4711
    """


@artifacts.command()
@click.option("--uri-prefix", help="Only those found under source uris that begin so.")
@click.option("-k", default=100, show_default=True, type=COUNT, help="How many at most.")
@json_option
def deleted(uri_prefix: str | None, k: int) -> None:
    """List deleted artifacts, the last deleted first.

    Earlier versions of documents are among them; passages that went with their document are not.

    \b
    Example:
      hartonomous artifacts deleted --uri-prefix handbook/
    """
    found = client().artifact_deleted(uri_prefix, k)
    if wants_json():
        for one in found:
            echo_json(one)
        return
    if not found:
        click.echo("nothing deleted")
        return
    rows = (
        (one.artifact_id, f"{one.deleted_at:%Y-%m-%d %H:%M}", one.modality, number(one.content_length), one.source_uri)
        for one in found
    )
    echo_table(("artifact", "deleted at", "modality", "bytes", "source uri"), rows)


@artifacts.command()
@click.argument("artifact_ids", metavar="ID...", type=ID, nargs=-1, required=True)
def delete(artifact_ids: tuple[int, ...]) -> None:
    """Delete artifacts, all or none; documents with their passages. They can be restored.

    \b
    Example:
      hartonomous artifacts delete 4711 4712
    """
    connection = client()
    with connection.transaction():
        for artifact_id in artifact_ids:
            connection.artifact_delete(artifact_id)
    click.echo(f"{number(len(artifact_ids))} deleted; hartonomous artifacts restore brings them back")


@artifacts.command()
@click.argument("artifact_ids", metavar="ID...", type=ID, nargs=-1, required=True)
def restore(artifact_ids: tuple[int, ...]) -> None:
    """Bring deleted artifacts back, all or none.

    \b
    Example:
      hartonomous artifacts restore 4711
    """
    connection = client()
    with connection.transaction():
        for artifact_id in artifact_ids:
            connection.artifact_restore(artifact_id)
    click.echo(f"{number(len(artifact_ids))} restored")


@artifacts.command()
@click.argument("artifact_ids", metavar="ID...", type=ID, nargs=-1, required=True)
@click.option("--yes", is_flag=True, help="Do not ask.")
def purge(artifact_ids: tuple[int, ...], yes: bool) -> None:
    """Remove deleted artifacts for good, all or none.

    Their bytes go when garbage is collected, but for those that other content shares.

    \b
    Example:
      hartonomous artifacts purge 4711 --yes
    """
    connection = client()
    if not yes and not click.confirm(f"remove {number(len(artifact_ids))} for good?", err=True):
        raise InvalidParameter("nothing was removed")
    with connection.transaction():
        for artifact_id in artifact_ids:
            connection.artifact_purge(artifact_id)
    click.echo(f"{number(len(artifact_ids))} removed for good")
