"""`ame who-was MODEL --at TIME`: the champion of a model at that time, and why it was."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ame.cli._console import PROJECT, as_json, print_json
from ame.diagnosis import Diagnosis, Refused

if TYPE_CHECKING:
    from ame.registry import Entry

__all__ = ["command"]


@click.command("who-was")
@click.argument("model")
@click.option("--at", "text", required=True, metavar="TIME", help="An ISO 8601 date or date and time.")
@PROJECT
@as_json
def command(model: str, text: str, folder: Path, json_wanted: bool) -> None:
    """Say which version of MODEL was champion at TIME, since when, until when, and by what decision.

    TIME is for example 2026-11-21, 2026-11-21T14:08 or 2026-11-21T14:08:16+01:00. A date alone means its
    beginning, 00:00; a time without a zone is UTC.
    """
    from ame.cli._journal import journal_to_read, outline
    from ame.cli._project import load_project
    from ame.registry.journal import champions

    project = load_project(folder)
    moment, zone_given = _moment(text)
    registry, journal = journal_to_read(project, model)
    _refuse_future(text, moment, max(_now(registry.uri), _time(journal[-1].at)))
    changes = champions(journal)
    passed = [entry for entry in changes if _time(entry.at) <= moment]
    since = passed[-1] if passed else None
    until = changes[len(passed)] if len(passed) < len(changes) else None
    if json_wanted:
        print_json(
            {
                "project": project.name,
                "model": model,
                "at": _text(moment),
                "champion": since.champion if since else None,
                "known": since is not None or not _began_with_one(journal),
                "since": since.at if since else None,
                "until": until.at if until else None,
                "entry": outline(since) if since else None,
            }
        )
        return
    zone = "" if zone_given else " (no zone was given: taken as UTC)"
    click.echo(f"{model} at {_text(moment)}{zone}: {_told(journal, since)}")
    for line in _lines(since, until):
        click.echo(f"  {line}")


def _told(journal: Sequence[Entry], since: Entry | None) -> str:
    if since and since.champion:
        return f"champion v{since.champion}"
    if since is None and _began_with_one(journal):
        return f"not known: v{journal[0].champion} was the champion already when the journal began"
    return "no champion" if since else "there was no champion yet"


def _lines(since: Entry | None, until: Entry | None) -> list[str]:
    from ame.cli._journal import named, one_line, title

    lines = []
    if since:
        lines.append(f"since {since.at}, {title(since, dated=False)}")
        lines.append(one_line(since.reason))
    if until:
        lines.append(f"until {until.at}, then {named(until.champion)}, {title(until, dated=False)}")
    elif since and since.champion:
        lines.append("until now")
    return lines


def _began_with_one(journal: Sequence[Entry]) -> bool:
    """Whether there was a champion before there was a journal."""
    return journal[0].decision == "observe" and journal[0].before is None and journal[0].champion is not None


def _moment(text: str) -> tuple[datetime, bool]:
    """A time in UTC, and whether it came with a zone."""
    try:
        given = datetime.fromisoformat(text.strip())
        zoned = given if given.tzinfo else given.replace(tzinfo=UTC)
        return zoned.astimezone(UTC), given.tzinfo is not None
    except (ValueError, OverflowError) as error:
        raise Refused(
            Diagnosis(
                code="AME-E331",
                what=f"'{text}' is no time.",
                why="A time is written as in ISO 8601.",
                fix="Write for example 2026-11-21, 2026-11-21T14:08 or 2026-11-21T14:08:16+01:00.",
            )
        ) from error


def _refuse_future(text: str, moment: datetime, now: datetime) -> None:
    if moment > now:
        raise Refused(
            Diagnosis(
                code="AME-E332",
                what=f"{text} lies in the future: it is {_text(now)}.",
                why="The journal tells who was champion, not who will be.",
                fix="Name an earlier time; one without a zone is UTC.",
            )
        )


def _now(uri: str) -> datetime:
    from ame.registry.connection import server_time

    return server_time(uri) if uri.startswith("http") else datetime.now(UTC)


def _time(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _text(moment: datetime) -> str:
    return moment.replace(tzinfo=None).isoformat(timespec="auto") + "Z"
