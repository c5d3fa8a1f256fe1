"""`ame status`: each model's champion, challenger and last decision, and who decides now."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ame.cli._console import PROJECT, as_json, print_json

if TYPE_CHECKING:
    from ame.local import Home
    from ame.registry import Link, Registry
    from ame.spec import Model

__all__ = ["command"]


@click.command("status")
@PROJECT
@as_json
def command(folder: Path, json_wanted: bool) -> None:
    """Show where each model of the project stands."""
    from ame.cli._project import load_project
    from ame.cli._reading import registry_to_read

    project = load_project(folder)
    registry, home = registry_to_read(project)
    models: list[dict[str, Any]]
    if registry is None:
        models = [
            {"name": name, "champion": None, "challenger": None, "undecided": [], "lastDecision": None}
            for name in project.models
        ]
    else:
        from ame.cli._journal import explained

        with explained(registry):
            models = [_model(registry, home, declared) for declared in project.models.values()]
    if json_wanted:
        print_json({"project": project.name, "models": models})
        return
    for model in models:
        _print(model, project.models[str(model["name"])])


def _print(told: dict[str, Any], declared: Model) -> None:
    click.echo(f"{told['name']}: champion {_v(told['champion'])}, challenger {_v(told['challenger'])}")
    last, undecided = told["lastDecision"], told["undecided"]
    if last:
        click.echo(f"  v{last['version']} {last['state']} {last['decidedAt']}: {last['why']}")
    if undecided:
        waiting = ", ".join(
            f"v{found['version']} ({found['state'] or 'not delivered'})" for found in undecided
        )
        click.echo(f"  without a decision: {waiting}")
    # A delivery leaves these to people; the others wait for a delivery.
    if not declared.promotion.decides(told["champion"]):
        for found in undecided:
            if found["state"] == "validated":
                call = f"{told['name']} {found['version']} --reason TEXT"
                click.echo(f"  waits for you: `ame promote {call}` or `ame reject {call}`")
    if told.get("holdout"):
        click.echo(f"  holdout: {told['holdout']['text']}")
    for line in _journal_lines(told.get("journal")):
        click.echo(f"  {line}")


def _journal_lines(journal: dict[str, Any] | None) -> list[str]:
    if journal is None:
        return []
    lines = []
    if journal["movedByHand"]:
        lines.append(
            f"the alias 'champion' was moved by hand: the journal says {_v(journal['champion'])}; the next "
            "delivery notes it, or `ame doctor`"
        )
    if journal["notCarriedOut"]:
        lines.append(
            f"entry {journal['notCarriedOut']} of the journal is not carried out yet; the next delivery does "
            "that, or `ame doctor`"
        )
    claim = journal["claim"]
    if claim:
        dead = (
            "; no command lives there any more, the next delivery goes on" if claim["alive"] is False else ""
        )
        lines.append(f"held by {claim['holder']}: {claim['what']}{dead}")
    if journal["problem"]:
        lines.append(journal["problem"])
    return lines


def _model(registry: Registry, home: Home, declared: Model) -> dict[str, Any]:
    from ame.registry import CHALLENGER, CHAMPION, DECIDED

    name = declared.name
    versions = registry.versions(name)
    champion = registry.alias(name, CHAMPION)
    decided = [
        version for version in versions if version.state in DECIDED and "ame.decided_at" in version.tags
    ]
    last = max(
        decided, key=lambda version: (version.tags["ame.decided_at"], int(version.number)), default=None
    )
    return {
        "name": name,
        "champion": champion,
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
        "journal": _journal(registry, home, name, champion),
        "holdout": _holdout(registry, declared),
    }


def _holdout(registry: Registry, model: Model) -> dict[str, Any] | None:
    """How far the holdout that was looked at last is used up; None before the first look."""
    from ame.diagnosis import Refused
    from ame.gate.looks import standing
    from ame.registry.ledger import read_ledger

    plan = model.ab_test.gate if model.ab_test else None
    try:
        stands = standing(read_ledger(registry, model.name), plan)
    except Refused as refused:
        return {"text": str(refused), "problem": True}
    return {**stands.to_json(), "text": str(stands), "problem": False} if stands else None


def _journal(registry: Registry, home: Home, model: str, champion: str | None) -> dict[str, Any] | None:
    """Where the end of the journal stands; None when it has not begun."""
    from ame.diagnosis import Refused
    from ame.registry.chain import Chain
    from ame.registry.journal import to_entry

    told: dict[str, Any] = {
        "champion": None, "movedByHand": False, "notCarriedOut": None, "claim": None, "problem": None,
    }  # fmt: skip
    try:
        link = Chain(registry.client, model).end()
    except Refused as refused:
        return told | {"problem": str(refused)}
    if link is None:
        return None
    told["claim"] = _claim(home, link)
    entry = to_entry(link)
    if entry is not None:
        pending = not entry.carried_out
        # Until an entry is carried out, either champion is right.
        expected = (entry.before, entry.after) if pending else (entry.champion,)
        told["champion"] = entry.before if pending else entry.champion
        told["movedByHand"] = champion not in expected
        told["notCarriedOut"] = entry.sequence if pending else None
    return told


def _claim(home: Home, link: Link) -> dict[str, Any] | None:
    """Who holds the model; `alive` is None when only watching for signs of life would tell it."""
    from ame.local import living_leases

    if link.claim is None:
        return None
    told = link.claim.told
    # Who works against the embedded server holds a lease on the home; this command holds none.
    ours = told["holder"] == home.holder and not os.environ.get("MLFLOW_TRACKING_URI")
    return {
        "holder": told["holder"],
        "what": told["what"],
        "flowRun": told["flowRun"] or None,
        "alive": bool(living_leases(home.leases)) if ours else None,
    }


def _v(number: str | None) -> str:
    return f"v{number}" if number else "none"
