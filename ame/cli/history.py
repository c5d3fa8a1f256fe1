"""`ame history MODEL`: the journal of a model, one line an entry."""

from __future__ import annotations

from pathlib import Path

import click

from ame.cli._console import PROJECT, as_json, columns, print_json

__all__ = ["command"]

_LONGEST_REASON = 160


@click.command("history")
@click.argument("model")
@PROJECT
@as_json
def command(model: str, folder: Path, json_wanted: bool) -> None:
    """List the journal of MODEL, oldest first: what was decided when, by whom, and the champion.

    A long reason is cut; `ame why` and --json tell it whole.
    """
    from ame.cli._journal import journal_to_read, moved, named, one_line, outline
    from ame.cli._project import load_project

    project = load_project(folder)
    _, journal = journal_to_read(project, model)
    if json_wanted:
        print_json({"project": project.name, "model": model, "entries": [outline(each) for each in journal]})
        return
    rows = [("entry", "time", "decision", "version", "champion", "by", "reason")]
    rows += [
        (
            str(entry.sequence),
            entry.at,
            entry.decision,
            named(entry.version) if entry.version else "-",
            moved(entry),
            one_line(entry.by),
            one_line(entry.reason, _LONGEST_REASON),
        )
        for entry in journal
    ]
    click.echo("\n".join(columns(rows)))
