"""`ame why MODEL VERSION`: what was decided on a version, by whom, and on which numbers."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ame.cli._console import PROJECT, as_json, print_json, warn
from ame.diagnosis import Diagnosis, Refused

if TYPE_CHECKING:
    from ame.local import Home
    from ame.registry import Entry, Registry

__all__ = ["command"]


@click.command("why")
@click.argument("model")
@click.argument("version")
@PROJECT
@as_json
def command(model: str, version: str, folder: Path, json_wanted: bool) -> None:
    """Show the decision on VERSION of MODEL with its reason and numbers, and what came after it."""
    from ame.cli._by_hand import number_of
    from ame.cli._journal import explained, outline, registry_of
    from ame.cli._outcomes import metric_lines, recorded_test, report_path, version_outcome
    from ame.cli._project import load_project

    project = load_project(folder)
    registry, home = registry_of(project)
    number = number_of(version)
    with explained(registry):
        outcome = version_outcome(registry, model, number)
        recorded = recorded_test(registry, registry.version(model, number))
        told = _journal(registry, home, model, number)
    report = report_path(home, recorded) if recorded else None
    if json_wanted:
        print_json(
            {
                "project": project.name,
                **outcome,
                "report": str(report) if report else None,
                "entry": told.entry.to_json() if told.entry else None,
                "journal": [outline(entry) for entry in told.about],
                "diagnoses": [problem.to_json() for problem in told.problems],
            }
        )
    else:
        against = f", compared with champion v{outcome['champion']}" if outcome["champion"] else ""
        click.echo(f"{model} v{number}: {outcome['state'] or 'not delivered yet'}{against}")
        if outcome["why"]:
            click.echo(outcome["why"])
        if outcome["metrics"]:
            click.echo("\n".join(["", *metric_lines(outcome["metrics"]), ""]))
            click.echo("A difference above 0 is in the challenger's favour.")
        if report:
            click.echo(f"report: {report}")
        for line in _lines(told, outcome["why"]):
            click.echo(line)
    if told.problems:
        warn(told.problems)
        raise SystemExit(1)


@dataclass(frozen=True, slots=True)
class _Told:
    """What the journal says of a version.

    Attributes:
        entry: the first that decided on it, whole unless `problems` says why not.
        about: all entries about it, without what only their files hold.
    """

    entry: Entry | None
    about: Sequence[Entry]
    problems: Sequence[Diagnosis]


def _journal(registry: Registry, home: Home, model: str, number: str) -> _Told:
    from ame.cli._journal import about, whole
    from ame.registry.chain import Chain
    from ame.registry.journal import entries

    entry, found = None, []
    try:
        found = about(entries(Chain(registry.client, model)), number)
        took_effect = [each for each in found if each.version == number and not each.void]
        decided = [each for each in took_effect if each.decision != "observe"] or took_effect
        entry = decided[0] if decided else None
        return _Told(whole(registry, home, entry) if entry else None, found, [])
    except Refused as refused:
        return _Told(entry, found, refused.diagnoses)


def _lines(told: _Told, said: str | None) -> list[str]:
    from ame.cli._journal import one_line, title

    lines, entry = [], told.entry
    if entry:
        lines.append(f"journal: {title(entry)}")
        if entry.reason != said:
            lines.append(f"  {one_line(entry.reason)}")
        lines += [f"  digest of the {name}: {digest}" for name, digest in sorted(entry.digests.items())]
        lines += [f"  {name}: {one_line(link)}" for name, link in sorted(entry.links.items())]
    others = [each for each in told.about if entry is None or each.sequence != entry.sequence]
    for each in others:
        when = "earlier" if entry and each.sequence < entry.sequence else "later"
        lines.append(f"{when}: {title(each)}: {one_line(each.reason)}")
    return lines
