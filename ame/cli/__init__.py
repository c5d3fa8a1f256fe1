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

#: With what `ame --help` says of each: it imports none of them.
_VERBS = {
    "ab-test": "Is the challenger better? Tests a file of scores.",
    "blocks": "MLflow, the artifact store and Spark sessions, as Prefect blocks.",
    "compile": "Write the prefect.yaml that deploys projects.",
    "doctor": "Find and repair what is wrong in the registry.",
    "gate": "Try the gate on stored scores.",
    "history": "Every decision on a model's versions, and who decided.",
    "init": "Make a project that runs at once.",
    "migrate": "Rewrite an ame.yml of an older release.",
    "pools": "Make the work pools on a Prefect server.",
    "promote": "Make a version the champion by hand.",
    "prune": "Delete deployments that the prefect.yaml no longer names.",
    "reject": "Decide against a version by hand.",
    "render": "Print the Kubernetes Jobs of a project.",
    "replay": "Decide a recorded A/B test again, also by another gate.",
    "rollback": "Go back to the champion before this one.",
    "run": "Train and deliver models, or run a task.",
    "schema": "Print the JSON Schema of the ame.yml, for editors.",
    "status": "Champion, challenger and last decision of each model.",
    "ui": "Open Prefect's and MLflow's UIs.",
    "validate": "Check an ame.yml.",
    "who-was": "The champion of a model at a time.",
    "why": "Why a version was promoted or not.",
}


class _Verbs(click.Group):
    def list_commands(self, ctx: click.Context) -> list[str]:  # noqa: ARG002
        return list(_VERBS)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:  # noqa: ARG002
        with formatter.section("Commands"):
            formatter.write_dl(list(_VERBS.items()))

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
