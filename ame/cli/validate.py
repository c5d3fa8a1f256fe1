"""`ame validate`: read the ame.yml and say everything that is wrong with it."""

from __future__ import annotations

from pathlib import Path

import click

from ame.cli._console import PROJECT, as_json, print_json, say, tell, warn
from ame.diagnosis import Diagnosis, Refused

__all__ = ["command"]


#: Older spellings, and older forms.
_OLDER = frozenset({"AME-W101", "AME-W102"})


@click.command("validate")
@click.argument("path", type=click.Path(), required=False)
@PROJECT
@as_json
def command(path: str | None, folder: Path, json_wanted: bool) -> None:
    """Read the ame.yml of a folder (or a file) and report every problem with its place."""
    from ame.cli._project import load_project
    from ame.spec.problems import printable

    if path == "":
        raise click.BadParameter("it is empty.", param_hint="PATH")
    try:
        project = load_project(Path(path) if path else folder)
    except Refused as refused:
        if json_wanted:
            print_json(_told(None, refused.diagnoses))
            raise SystemExit(1) from None
        raise
    if json_wanted:
        print_json(_told(project.name, project.warnings))
        return
    warn(project.warnings)
    if _OLDER.intersection(found.code for found in project.warnings):
        say("`ame migrate` shows this file in today's words.")
    counts = (
        (len(project.models), "model"),
        (len(project.tasks), "task"),
        (len(project.data_sets), "data set"),
    )
    found = ", ".join(f"{count} {name}{'' if count == 1 else 's'}" for count, name in counts)
    tell(f"{printable(project.file.name)} is valid: project '{project.name}', {found}")


def _told(project: str | None, diagnoses: tuple[Diagnosis, ...]) -> dict[str, object]:
    valid = all(diagnosis.is_warning for diagnosis in diagnoses)
    return {"project": project, "valid": valid, "diagnoses": [found.to_json() for found in diagnoses]}
