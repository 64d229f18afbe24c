"""hartonomous generate"""

from __future__ import annotations

from typing import Any

import click

from hartonomous.cli.output import AMOUNT, COUNT, ID, client, echo_json, json_option, printable, wants_json


@click.command()
@click.argument("prompt")
@click.option("--model", help="Name or name@version; default: the deployed one.")
@click.option("--max-tokens", type=COUNT, help="Tokens at most.  [default: 64]")
@click.option("--temperature", type=float, help="0: always the likeliest token; above: drawn.  [default: 0]")
@click.option("--top-k", type=AMOUNT, help="Draw among so many likeliest tokens; 0: all.  [default: 0]")
@click.option("--top-p", type=float, help="Draw among the likeliest that reach this probability.  [default: 1]")
@click.option("--repetition-penalty", type=float, help="Above 1: what was there is less likely.  [default: 1]")
@click.option("--seed", type=ID, help="The same seed draws the same text.")
@click.option("--stop", multiple=True, metavar="TEXT", help="End before this text; may be repeated.")
@json_option
def generate(prompt: str, stop: tuple[str, ...], **options: Any) -> None:
    """Write what follows PROMPT, as the model makes it.

    \b
    Example:
      hartonomous generate 'To reclaim disk space,' --max-tokens 100
      hartonomous generate 'Once upon a time' --temperature 0.8 --top-p 0.95 --seed 1 --stop '.'
    """
    pieces = client().generate_stream(prompt, **options, stop=stop or None)
    if wants_json():
        echo_json({"prompt": prompt, "text": "".join(pieces)})
        return
    for piece in pieces:
        click.echo(printable(piece), nl=False)
    click.echo()


VERBS = (generate,)
