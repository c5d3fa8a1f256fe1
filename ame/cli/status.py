"""`ame status`: each model's champion, challenger and last decision."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ame.cli._console import PROJECT, as_json, print_json

if TYPE_CHECKING:
    from ame.registry import Registry, Version

__all__ = ["command"]


@click.command("status", short_help="Champion, challenger and last decision of each model.")
@PROJECT
@as_json
def command(folder: Path, json_wanted: bool) -> None:
    """Show where each model of the project stands."""
    from ame.cli._reading import registry_to_read
    from ame.spec import load_project

    project = load_project(folder)
    registry, _ = registry_to_read(project)
    models = [_model(registry, name) for name in project.models]
    if json_wanted:
        print_json({"project": project.name, "models": models})
        return
    for model in models:
        click.echo(f"{model['name']}: champion {_v(model['champion'])}, challenger {_v(model['challenger'])}")
        last = model["lastDecision"]
        if last:
            click.echo(f"  v{last['version']} {last['state']} {last['decidedAt']}: {last['why']}")
        if model["undecided"]:
            waiting = ", ".join(
                f"v{found['version']} ({found['state'] or 'not delivered'})" for found in model["undecided"]
            )
            click.echo(f"  without a decision: {waiting}")


def _model(registry: Registry | None, name: str) -> dict[str, Any]:
    from ame.registry import CHALLENGER, CHAMPION, DECIDED

    if registry is None:
        return {"name": name, "champion": None, "challenger": None, "undecided": [], "lastDecision": None}

    versions = registry.versions(name)
    decided = [
        version for version in versions if version.state in DECIDED and "ame.decided_at" in version.tags
    ]
    last = max(
        decided, key=lambda version: (version.tags["ame.decided_at"], int(version.number)), default=None
    )
    return {
        "name": name,
        "champion": registry.alias(name, CHAMPION),
        "challenger": registry.alias(name, CHALLENGER),
        "undecided": [
            {"version": found.number, "state": found.state}
            for found in versions
            if found.state not in DECIDED
        ],
        "lastDecision": {
            "version": last.number,
            "state": last.state,
            "decision": last.tags.get("ame.decision"),
            "why": last.tags.get("ame.why"),
            "champion": last.tags.get("ame.champion"),
            "decidedAt": last.tags["ame.decided_at"],
        }
        if last
        else None,
    }


def _v(number: str | None) -> str:
    return f"v{number}" if number else "none"


def _waiting(version: Version) -> dict[str, str | None]:
    return {"version": version.number, "state": version.state}
