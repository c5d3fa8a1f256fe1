"""`ame why MODEL VERSION`: what was decided on a version, and on which numbers."""

from __future__ import annotations

from pathlib import Path

import click

from ame.cli._console import PROJECT, as_json, print_json
from ame.diagnosis import Diagnosis, Refused

__all__ = ["command"]


@click.command("why", short_help="Why a version was promoted or not.")
@click.argument("model")
@click.argument("version")
@PROJECT
@as_json
def command(model: str, version: str, folder: Path, json_wanted: bool) -> None:
    """Show the decision on VERSION of MODEL with its reason and numbers."""
    from ame.cli._outcomes import metric_lines, recorded_test, report_path, version_outcome
    from ame.cli._reading import registry_to_read
    from ame.spec import load_project

    project = load_project(folder)
    registry, home = registry_to_read(project)
    if registry is None:
        raise Refused(
            Diagnosis(
                code="AME-E708",
                what=f"project '{project.name}' has not been run yet: {home.root} holds no registry.",
                fix="Run it: `ame run`.",
            )
        )
    number = version.removeprefix("v")
    outcome = version_outcome(registry, model, number)
    recorded = recorded_test(registry, registry.version(model, number))
    report = report_path(home, recorded) if recorded else None
    if json_wanted:
        print_json({"project": project.name, **outcome, "report": str(report) if report else None})
        return
    against = f", compared with champion v{outcome['champion']}" if outcome["champion"] else ""
    click.echo(f"{model} v{number}: {outcome['state'] or 'not delivered yet'}{against}")
    if outcome["why"]:
        click.echo(outcome["why"])
    if outcome["metrics"]:
        click.echo("\n".join(["", *metric_lines(outcome["metrics"]), ""]))
        click.echo("A difference above 0 is in the challenger's favour.")
    if report:
        click.echo(f"report: {report}")
