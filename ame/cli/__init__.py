"""The command `ame`: one module a verb, each importing what it needs when it is called."""

from __future__ import annotations

import json
import os
import sys
from importlib import import_module

import click

from ame import __version__
from ame.diagnosis import Refused

__all__ = ["cli", "main"]

_VERBS = (
    "ab-test",
    "blocks",
    "compile",
    "doctor",
    "gate",
    "history",
    "init",
    "migrate",
    "pools",
    "promote",
    "prune",
    "reject",
    "render",
    "replay",
    "rollback",
    "run",
    "schema",
    "status",
    "ui",
    "validate",
    "who-was",
    "why",
)


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_VERBS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:  # noqa: ARG002
        if cmd_name not in _VERBS:
            return None
        command: click.Command = import_module(f"ame.cli.{cmd_name.replace('-', '_')}").command
        return command


@click.group(cls=_Verbs, context_settings={"help_option_names": ["-h", "--help"]})
@click.version_option(__version__, prog_name="ame")
def cli() -> None:
    """Train, validate, A/B-test and promote the models of an ame.yml.

    Exit codes: 0 done (a rejected challenger is a done job), 1 refused or failed with a diagnosis,
    2 usage.
    """


def main() -> None:
    """The entry point: a refusal is printed as diagnoses, never as a traceback."""
    try:
        cli(prog_name="ame", standalone_mode=False)
    except Refused as refused:
        click.echo(str(refused), err=True)
        if "--json" in sys.argv:
            click.echo(json.dumps({"diagnoses": [found.to_json() for found in refused.diagnoses]}, indent=2))
        if refused.diagnoses[0].code == "AME-E605":
            # Prefect would go on for minutes to tell a server that has gone how its runs ended.
            sys.stdout.flush()
            os._exit(1)
        sys.exit(1)
    except click.ClickException as usage:
        usage.show()
        sys.exit(usage.exit_code)
    except (click.Abort, KeyboardInterrupt):
        click.echo("stopped", err=True)
        sys.exit(130)
