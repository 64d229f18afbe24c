"""hartonomous ingest, embed, extract, search, lineage"""

from __future__ import annotations

import json
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import click

from hartonomous import documents, embedding, extraction, modalities
from hartonomous.cli.output import (
    AMOUNT,
    COUNT,
    ID,
    client,
    echo_json,
    json_option,
    number,
    one_line,
    printable,
    progress,
    wants_json,
)
from hartonomous.cli.tree import lineage_tree
from hartonomous.client import Client
from hartonomous.records import SearchResult

NOTICED = 10  # files that a notice names


class JsonObject(click.ParamType):
    name = "json"

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        try:
            found = json.loads(value)
        except ValueError as error:
            self.fail(f"not valid JSON: {error}", param, ctx)
        return found if isinstance(found, dict) else self.fail("expected a JSON object", param, ctx)


@click.command()
@click.argument("paths", nargs=-1, required=True, type=click.Path(path_type=Path))
@click.option(
    "--format", default="auto", show_default=True, type=click.Choice(documents.FORMATS), help="auto: by suffix."
)
@click.option("--uri-prefix", help="What source uris begin with; default: file:// and the folder.")
@click.option(
    "--modality",
    default=modalities.AUTO,
    show_default=True,
    type=click.Choice([modalities.AUTO, *modalities.MODALITIES]),
    help="Modality of files that are not documents; auto: by suffix.",
)
@click.option("--exclude", multiple=True, metavar="GLOB", help="Leave out matching files; may be repeated.")
@click.option(
    "--metadata", type=JsonObject(), help="JSON object to keep with every file; without it they keep theirs."
)
@json_option
def ingest(
    paths: tuple[Path, ...],
    format: str,
    uri_prefix: str | None,
    modality: str,
    exclude: tuple[str, ...],
    metadata: dict[str, Any] | None,
) -> None:
    """Ingest files, and folders with all below them.

    .html, .md and .txt files are split into passages by the server; other files are stored as they are. A document of
    the same source uri is replaced: what did not change stays. Hidden files inside folders are left out. An interrupted
    run is continued by the same command, inside a large file too.

    Another file that changed does not replace its earlier artifact, which stays under the same source uri: hartonomous
    artifacts list --uri-prefix shows both, hartonomous artifacts delete ID takes one away. Links to files are followed;
    links to folders, devices, sockets and pipes inside folders are left out. Of a file its bytes, source uri and
    metadata are kept, not its mode, owner or times.

    Files that are not documents are decoded by what their suffix says; what then cannot be, and other files, are
    stored as text where they are UTF-8, else as binary, of which nothing is decoded; so are documents that are no UTF-8
    text, unless a --format says what they are. With a --modality all of one run
    are of that one, and what cannot be decoded fails. Bytes that were stored before keep the modality they came under
    until their artifact is deleted. Texts and code above 64 KiB are stored and not searched; --format text splits them.

    \b
    Example:
      hartonomous ingest /usr/share/doc/postgresql-doc-17/html --uri-prefix postgresql-17/
      hartonomous ingest photos/ src/ measurements.csv
      hartonomous ingest edges.json --modality graph
      hartonomous ingest notes/ --exclude '*.png' --metadata '{"author": "Ann"}'
    """
    connection, started = client(), time.monotonic()
    with progress("ingest", "MB", 1e6) as report:
        result = documents.ingest(connection, paths, format, uri_prefix, modality, exclude, report, metadata)
    if wants_json():
        echo_json(result)
    else:
        _print_ingest(result, time.monotonic() - started)
    for uri, error in result.failed:
        click.echo(f"error: {one_line(uri)}: {printable(error)}", err=True)
    if result.failed:
        raise click.exceptions.Exit(1)


def _print_ingest(result: documents.Ingest, seconds: float) -> None:
    total = result.new + result.changed + result.unchanged + len(result.failed)
    counts = ", ".join(f"{number(count)} {modality}" for modality, count in sorted(result.modalities.items()))
    click.echo(
        f"{number(total)} files: {number(result.new)} new, {number(result.changed)} changed,"
        f" {number(result.unchanged)} unchanged, {number(len(result.failed))} failed;"
        f" {number(result.passages)} passages; {f'{counts}; ' if counts else ''}{seconds:.1f} s"
    )
    _notice("could not be decoded", [f"{uri}: {told}" for uri, told in result.undecoded])
    _notice(
        "stored before under another modality, which they keep; after hartonomous artifacts delete ID they are new",
        [f"{uri}: {modality}, artifact {artifact_id}" for uri, modality, artifact_id in result.kept],
    )
    _notice("too large to be searched as one text; --format text splits them", result.unsearched)


def _notice(what: str, files: list[str]) -> None:
    if not files:
        return
    click.echo(f"notice: {number(len(files))} {what}:", err=True)
    for line in files[:NOTICED]:
        click.echo(f"  {one_line(line)}", err=True)
    if len(files) > NOTICED:
        click.echo(f"  and {number(len(files) - NOTICED)} more, --json lists them", err=True)


@click.command()
@click.option("--model", help="Name or name@version; default: the deployed one.")
@click.option("--workers", default=2, show_default=True, type=COUNT, help="Connections side by side.")
@click.option("--batch", default=64, show_default=True, type=COUNT, help="Texts a transaction.")
@json_option
def embed(model: str | None, workers: int, batch: int) -> None:
    """Embed everything that has no current embedding.

    An interrupted run is continued by the same command.

    \b
    Example:
      hartonomous embed --workers 4
    """
    connection = client()
    with progress("embed", "texts") as report:
        result = embedding.embed(connection, model, workers, batch, report)
    if wants_json():
        echo_json({"texts": result.texts, "seconds": result.seconds, "texts_per_second": result.texts_per_second})
    elif result.texts:
        rate = f"{result.texts_per_second:.0f} a second"
        click.echo(f"{number(result.texts)} texts embedded in {result.seconds:.1f} s, {rate}")
    else:
        click.echo("nothing to embed")


@click.command()
@click.option("--workers", default=2, show_default=True, type=COUNT, help="Connections side by side.")
@click.option("--batch", default=64, show_default=True, type=COUNT, help="Texts a transaction.")
@json_option
def extract(workers: int, batch: int) -> None:
    """Find language, sentiment and entities of every text that was not read yet.

    They become keys of the artifact's semantics. An interrupted run is continued by the same command, and several may
    run at once.

    \b
    Example:
      hartonomous extract --workers 4
    """
    connection = client()
    with progress("extract", "texts") as report:
        result = extraction.extract(connection, workers, batch, report)
    if wants_json():
        echo_json(result)
    elif result.texts:
        click.echo(f"{number(result.texts)} texts read in {result.seconds:.1f} s")
    else:
        click.echo("nothing to extract")


Mode = Callable[[Client, str, int, str | None, dict[str, Any] | None], list[SearchResult]]
MODES: dict[str, Mode] = {
    "vector": lambda on, query, k, model, filter: on.search_vector(on.embed(query, model), k, model, filter),
    "keyword": lambda on, query, k, model, filter: on.search_keyword(query, k, model, filter),
    "hybrid": lambda on, query, k, model, filter: on.search_hybrid(query, k=k, model=model, filter=filter),
}


@click.command()
@click.argument("query")
@click.option("-k", default=10, show_default=True, type=COUNT, help="How many results.")
@click.option("--filter", type=JsonObject(), help="What results must match, see above.")
@click.option("--model", help="Name or name@version; default: the deployed one.")
@click.option("--mode", type=click.Choice(list(MODES)), help="By what is searched, see above; default: all of it.")
@json_option
def search(query: str, k: int, filter: dict[str, Any] | None, model: str | None, mode: str | None) -> None:
    """Find what answers QUERY by its meaning, its words and the document around it.

    --mode vector goes by meaning alone, keyword by words ("phrases in quotes", -without, begin*), hybrid by both.
    Keys of --filter: modality, subtype, source_uri_prefix, created_after, created_before, metadata.

    \b
    Example:
      hartonomous search 'how do I reclaim disk space' -k 3
      hartonomous search 'locks' --filter '{"source_uri_prefix": "postgresql-17/"}' --json
      hartonomous search '"vacuum full" -toast' --mode keyword
    """
    connection = client()
    results = MODES[mode](connection, query, k, model, filter) if mode else connection.search(query, k, model, filter)
    headings = _headings(connection, results)
    for rank, result in enumerate(results, 1):
        metadata = headings.get((result.artifact_id, result.source_uri), {})
        if wants_json():
            _echo_result(rank, result, metadata)
        else:
            _print_result(rank, result, metadata)
    if not results and not wants_json():
        click.echo("nothing found; hartonomous ingest and hartonomous embed bring content in")


def _headings(connection: Client, results: list[SearchResult]) -> dict[tuple[int, str | None], dict[str, Any]]:
    shown = connection.artifact_show([result.artifact_id for result in results]) if results else []
    return {(found.artifact_id, found.source_uri): found.metadata or {} for found in shown}


def _echo_result(rank: int, result: SearchResult, metadata: dict[str, Any]) -> None:
    echo_json(
        {
            "rank": rank,
            "artifact_id": result.artifact_id,
            "score": result.score,
            "source_uri": result.source_uri,
            "title": metadata.get("title"),
            "heading_path": metadata.get("heading_path") or [],
            "snippet": result.snippet,
            "verdict": result.verdict,
        }
    )


def _print_result(rank: int, result: SearchResult, metadata: dict[str, Any]) -> None:
    uri = one_line(result.source_uri or "")
    score = "xxxxx" if result.score is None else f"{result.score:.3f}"
    click.secho(f"{rank:>2}  {score}  {uri}  (artifact {result.artifact_id})", bold=True)
    path = metadata.get("heading_path") or [metadata.get("title")]
    if heading := " > ".join(str(part) for part in path if part):
        click.echo(f"    {one_line(heading)}")
    if result.snippet:
        click.echo(f"    {printable(result.snippet)}")
    click.echo()


@click.command()
@click.argument("artifact_id", metavar="ID", type=ID)
@click.option("--depth", type=AMOUNT, help="How many steps; default: the server's.")
@json_option
def lineage(artifact_id: int, depth: int | None) -> None:
    """Show what an artifact was made from.

    The tree goes down to source, content hash, model and weights. Long lists are cut; --json has all.

    \b
    Example:
      hartonomous lineage 4711
      hartonomous lineage 4711 --depth 2 --json
    """
    nodes = client().lineage(artifact_id, depth)
    if wants_json():
        for node in nodes:
            echo_json(node)
    else:
        for line in lineage_tree(nodes):
            click.echo(line)


VERBS = (ingest, embed, extract, search, lineage)
