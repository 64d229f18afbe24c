"""hartonomous artifacts ..."""

from __future__ import annotations

import sys
from collections.abc import Iterable
from datetime import datetime
from pathlib import Path

import click

from hartonomous import files, stored
from hartonomous.cli.output import (
    COUNT,
    ID,
    client,
    echo_json,
    echo_table,
    json_option,
    number,
    one_line,
    progress,
    wants_json,
)
from hartonomous.errors import InvalidParameter
from hartonomous.records_atoms import DeletedArtifact


@click.group()
def artifacts() -> None:
    """List artifacts, delete them, list the deleted ones, bring them back or remove them for good.

    \b
    Example:
      hartonomous artifacts list --uri-prefix handbook/
      hartonomous artifacts delete 4711
      hartonomous artifacts deleted
      hartonomous artifacts restore 4711
    """


@click.command()
@click.argument("name", metavar="ID_OR_URI")
@click.option("-o", "--output", metavar="FILE", type=click.Path(path_type=Path), help="Default: standard output.")
def get(name: str, output: Path | None) -> None:
    """Read a stored file back, by artifact id or source uri.

    A number is an id. The bytes are checked against their SHA-256; FILE takes its name when they are all there, and on
    standard output exit code 1 tells that they are not what was stored. A uri with several live artifacts is refused.

    \b
    Example:
      hartonomous get 4711 -o photo.jpg
      hartonomous get handbook/travel.md | less
    """
    if output:
        files.check_folder(output)
    connection = client()
    file = stored.find(connection, name)
    if output is None:
        for data in stored.read(connection, file):
            sys.stdout.buffer.write(data)
        sys.stdout.buffer.flush()
        return
    with progress("get", "MB", 1e6) as report, files.replacing(output) as unfinished:
        for data in stored.read(connection, file, report):
            unfinished.write(data)
    click.echo(f"{number(file.content_length)} bytes of artifact {file.artifact_id} in {one_line(str(output))}")


def _echo_artifacts(when: str, found: Iterable[tuple[stored.StoredFile | DeletedArtifact, datetime]]) -> None:
    """A table of artifacts and when each was stored or deleted."""
    rows = (
        (one.artifact_id, f"{at:%Y-%m-%d %H:%M}", one.modality, number(one.content_length), one.source_uri)
        for one, at in found
    )
    echo_table(("artifact", when, "modality", "bytes", "source uri"), rows)


@artifacts.command("list")
@click.option("--uri-prefix", help="Only those found under source uris that begin so.")
@click.option("-k", default=100, show_default=True, type=COUNT, help="How many at most.")
@json_option
def list_(uri_prefix: str | None, k: int) -> None:
    """List live artifacts, the last stored first.

    Passages of documents are not among them. An artifact that was found under several source uris has a line for each.

    \b
    Example:
      hartonomous artifacts list --uri-prefix handbook/ -k 10
    """
    found = stored.listed(client(), uri_prefix, k)
    if wants_json():
        for one in found:
            echo_json({key: value for key, value in vars(one).items() if key != "content_hash"})
        return
    if not found:
        click.echo("nothing stored; hartonomous ingest brings content in")
        return
    _echo_artifacts("stored at", ((one, one.stored_at) for one in found))


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
    _echo_artifacts("deleted at", ((one, one.deleted_at) for one in found))


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


def _confirmed(question: str) -> bool:
    try:
        return click.confirm(question, err=True)
    except click.Abort as abort:
        if not isinstance(abort.__context__, EOFError):
            raise
    click.echo(err=True)
    raise InvalidParameter("nobody answers: input is at its end", hint="--yes does it unasked")


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
    if not yes and not _confirmed(f"remove {number(len(artifact_ids))} for good?"):
        raise InvalidParameter("nothing was removed")
    with connection.transaction():
        for artifact_id in artifact_ids:
            connection.artifact_purge(artifact_id)
    click.echo(f"{number(len(artifact_ids))} removed for good")


VERBS = (get,)
