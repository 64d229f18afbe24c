"""The command hartonomous: each verb is a thin function over the library function of the same name."""

from __future__ import annotations

import logging
import os
import sys
from typing import Any

import click

from hartonomous._version import VERSION
from hartonomous.cli.output import Settings
from hartonomous.errors import Error


@click.group(context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 120})
@click.version_option(VERSION, message="hartonomous %(version)s")
@click.option("--dsn", envvar="HARTONOMOUS_DSN", show_envvar=True, help="Connection string; default: libpq's.")
@click.option("--api-key", envvar="HARTONOMOUS_API_KEY", show_envvar=True, help="Act for the tenant of this key.")
@click.option("--json", "as_json", is_flag=True, help="Print JSON.")
@click.option("--debug", is_flag=True, help="Print tracebacks.")
@click.pass_context
def cli(context: click.Context, dsn: str | None, api_key: str | None, as_json: bool, debug: bool) -> None:
    """Content, models, search and provenance inside PostgreSQL.

    \b
    Example:
      export HARTONOMOUS_DSN='host=localhost dbname=hartonomous'
      hartonomous doctor
      hartonomous search 'how do I reclaim disk space'

    \b
    Completion: eval "$(_HARTONOMOUS_COMPLETE=bash_source hartonomous)", also zsh_source and fish_source.
    """
    context.obj = Settings(dsn, api_key, as_json, debug)


def _add_verbs() -> None:
    from hartonomous.cli import (
        artifacts,
        audit,
        content,
        generation,
        keys,
        limits,
        models,
        ops,
        policies,
        secrets,
        tenants,
    )

    groups = (
        artifacts.artifacts, models.models, tenants.tenants, keys.keys, limits.limits, policies.policies, audit.audit,
        secrets.secrets,
    )  # fmt: skip
    for verb in (*content.VERBS, *artifacts.VERBS, *generation.VERBS, *groups, *ops.VERBS):
        cli.add_command(verb)


_add_verbs()


def main(arguments: list[str] | None = None) -> None:
    sys.exit(run(arguments))


def run(arguments: list[str] | None = None) -> int:
    """Exit code: 0 done, 1 failed, 2 wrong usage, 130 interrupted. Errors are a message on stderr, no traceback."""
    arguments = sys.argv[1:] if arguments is None else arguments
    debug = "--debug" in arguments
    logging.getLogger("psycopg").setLevel(logging.ERROR)  # its warnings repeat what the error says
    logging.getLogger("hartonomous").setLevel(logging.ERROR)  # verbs print notices themselves
    try:
        code: Any = cli.main(arguments, prog_name="hartonomous", standalone_mode=False)
        sys.stdout.flush()
        return code if isinstance(code, int) else 0
    except click.ClickException as error:
        error.show()
        return error.exit_code
    except BrokenPipeError:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())
        return 1
    except BaseException as error:
        if _interrupted(error):
            click.echo("interrupted; run the same command again to continue", err=True)
            return 130
        if debug or not isinstance(error, Exception):
            raise
        if isinstance(error, (Error, OSError)):
            click.echo(f"error: {error}", err=True)
            return 1
        click.echo(f"error: {type(error).__name__}: {error}\nHINT: run again with --debug to see where", err=True)
        return 1


def _interrupted(error: BaseException | None) -> bool:
    """Whether Ctrl-C is at the root of an error: what fails while a cancelled call unwinds is not the news."""
    while error is not None:
        if isinstance(error, (KeyboardInterrupt, click.Abort)):
            return True
        error = error.__cause__ or error.__context__
    return False
