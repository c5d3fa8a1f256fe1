"""`ame init`: a project that runs at once."""

from __future__ import annotations

import re
from importlib.resources import files
from pathlib import Path

import click

from ame.diagnosis import Diagnosis, Refused

__all__ = ["command"]


@click.command("init")
@click.argument("path", type=click.Path(file_okay=False, path_type=Path), default=".")
@click.option("--name", help="The project's name.  [default: the folder's]")
def command(path: Path, name: str | None) -> None:
    """Write an ame.yml, its training and its data set into a folder; nothing there is overwritten."""
    project = name or re.sub(r"[^A-Za-z0-9._-]+", "-", path.resolve().name).strip("-._") or "project"
    template = files("ame.cli") / "templates" / "project"
    names = sorted(file.name for file in template.iterdir() if file.is_file())
    taken = [file for file in [*names, "ame.yaml"] if (path / file).exists()]
    if taken:
        raise Refused(
            Diagnosis(
                code="AME-E709",
                what=f"{path} already holds {', '.join(taken)}; nothing was written.",
                fix="Name another folder: `ame init FOLDER`.",
            )
        )
    path.mkdir(parents=True, exist_ok=True)
    for file in names:
        text = (template / file).read_text(encoding="utf-8")
        (path / file).write_text(text.replace("$name", project), encoding="utf-8")
        click.echo(f"wrote {path / file}")
    there = "" if path == Path() else f"cd {path} && "
    click.echo(f"next: {there}ame run && ame run --env TREES=200")
