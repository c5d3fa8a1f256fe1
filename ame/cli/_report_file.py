"""Writing the HTML report of a test, whole or not at all."""

from __future__ import annotations

import contextlib
import os
import shlex
import sys
from collections.abc import Callable, Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ame.diagnosis import Diagnosis, Refused, Where

if TYPE_CHECKING:
    from ame.gate import ABTestResult

__all__ = ["REPORT", "as_page", "report_to"]

REPORT = click.option(
    "--report",
    "report",
    type=click.Path(dir_okay=False, path_type=Path),
    metavar="FILE",
    help="Write an HTML page with the numbers, the pictures and the command.",
)


@contextlib.contextmanager
def report_to(path: Path | None) -> Iterator[Callable[[str], None]]:
    """What writes a page to `path`, which gets its name when it is whole; does nothing for None.

    The place is tried before the block begins, so that no look at a holdout is spent for a report that
    cannot be written.

    Raises:
        Refused: AME-E720.
    """
    if path is None:
        yield lambda _page: None
        return
    aside = path.with_name(f".{path.name[:200]}.{os.getpid()}.new")
    try:
        with _writing(path):
            aside.touch()

        def write(page: str) -> None:
            with _writing(path):
                aside.write_text(page, encoding="utf-8")
                aside.replace(path)

        yield write
    finally:
        with contextlib.suppress(OSError):
            aside.unlink(missing_ok=True)


def as_page(result: ABTestResult, *, title: str, subtitle: Mapping[str, str], **names: str) -> str:
    """The report with the command that made it; `names` are what it calls `champion` and `challenger`."""
    from ame.gate import figures, render_report

    return render_report(
        result,
        figures(result, **names),
        title=title,
        subtitle=subtitle,
        command=shlex.join(["ame", *sys.argv[1:]]),
        **names,
    )


@contextlib.contextmanager
def _writing(path: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise Refused(
            Diagnosis(
                code="AME-E720",
                where=Where(str(path)),
                what="The report cannot be written.",
                why=f"{error.strerror or type(error).__name__}.",
                fix="Name a file in a folder that you may write to.",
            )
        ) from error
