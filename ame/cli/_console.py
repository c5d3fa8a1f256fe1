"""How the verbs talk: results on standard output, progress and diagnoses on standard error."""

from __future__ import annotations

import errno
import json
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from typing import Any

import click

from ame.diagnosis import Diagnosis

__all__ = ["PROJECT", "PROJECT_PATH", "as_json", "columns", "number", "print_json", "say", "tell", "warn"]

_FOLDER = click.option(
    "--project",
    "-p",
    "folder",
    type=click.Path(path_type=Path),
    default=".",
    help="The folder of the ame.yml, or the file itself.  [default: this folder]",
)


def _look_there(_context: click.Context, _option: click.Parameter, folders: tuple[Path, ...]) -> None:
    from ame.sources import add_project_paths

    if folders:
        add_project_paths(folders)


PROJECT_PATH = click.option(
    "--project-path",
    type=click.Path(exists=True, file_okay=False, path_type=Path),
    multiple=True,
    metavar="DIR",
    expose_value=False,
    callback=_look_there,
    help="Where other projects are that the ame.yml refers to: a project, or a folder of projects. May be "
    "given several times; AME_PROJECT_PATH names more.",
)


def PROJECT(command: Callable[..., Any]) -> Callable[..., Any]:  # noqa: N802  # stands among the options
    """The options that say which project a verb is about, and where those are that it refers to."""
    return _FOLDER(PROJECT_PATH(command))


as_json = click.option("--json", "json_wanted", is_flag=True, help="Print one JSON object.")


def say(text: str) -> None:
    """A line of progress."""
    click.echo(text, err=True)


def warn(diagnoses: Iterable[Diagnosis]) -> None:
    lines = [str(diagnosis) for diagnosis in diagnoses]
    if lines:
        click.echo("\n".join(lines), err=True)


def tell(text: str) -> None:
    """A result, on standard output.

    Raises:
        click.ClickException: it cannot be written, and not because its reader has gone.
    """
    try:
        click.echo(text)
    except UnicodeEncodeError:
        click.echo(text.encode("ascii", "backslashreplace").decode())
    except OSError as error:
        if error.errno == errno.EPIPE:
            raise
        raise click.ClickException(f"standard output cannot be written: {error.strerror}.") from None


def print_json(content: dict[str, Any]) -> None:
    tell(json.dumps(content, indent=2, allow_nan=False))


def columns(rows: Sequence[Sequence[str]]) -> list[str]:
    """Rows of cells as lines, each column as wide as its widest cell."""
    widths = [max(map(len, column)) for column in zip(*rows, strict=True)]
    padded = ([cell.ljust(width) for cell, width in zip(row, widths, strict=True)] for row in rows)
    return ["  ".join(cells).rstrip() for cells in padded]


def number(value: float | None, form: str = "+.4f") -> str:
    """A number for a table; a dash where there is none."""
    return "-" if value is None else format(value, form)
