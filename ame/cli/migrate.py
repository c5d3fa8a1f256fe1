"""`ame migrate`: an ame.yml of an older release in the words and forms of today."""

from __future__ import annotations

import contextlib
import difflib
import io
import os
import stat
import tempfile
from pathlib import Path

import click

from ame.cli._console import PROJECT_PATH, as_json, print_json, say
from ame.diagnosis import Diagnosis, Refused, Where

__all__ = ["command"]

_MARK = b"\xef\xbb\xbf"


@click.command("migrate")
@click.argument("path", type=click.Path(exists=True, path_type=Path), default=".")
@click.option("--write", is_flag=True, help="Write the file.")
@PROJECT_PATH
@as_json
def command(path: Path, write: bool, json_wanted: bool) -> None:
    """Show what changes in the ame.yml of a folder (or in a file) when every older spelling and form in it is
    replaced by today's. Comments, order, quotes and blank lines stay.

    Nothing is written without --write. A file that would not be the same project afterwards is refused.
    """
    from ame.migrate import migrate
    from ame.sources import others_of_this_process
    from ame.spec import as_typed, find_project_file
    from ame.spec.text import decoded, read_bytes

    file = find_project_file(path)
    shown_as = as_typed(file)
    raw = read_bytes(file, shown_as)
    text = decoded(raw, shown_as)
    auto = "pip" if (file.parent / "requirements.txt").exists() else "custom"
    migrated = migrate(text, file, auto=auto, others=others_of_this_process(say))
    changed = migrated.text != text
    diff = _diff(text, migrated.text, shown_as)
    if changed and write:
        _replace(file, shown_as, raw, (_MARK if raw.startswith(_MARK) else b"") + migrated.text.encode())
    if json_wanted:
        told = {
            "file": shown_as,
            "changed": changed,
            "written": changed and write,
            "diff": diff,
            "diagnoses": [found.to_json() for found in migrated.project.warnings],
        }
        print_json(told)
        return
    click.echo(diff, nl=False)
    if not changed:
        say(f"{shown_as} is in today's form: nothing to do")
    elif write:
        say(f"{shown_as} is rewritten")
    else:
        say("nothing was written; `--write` writes it")


def _diff(before: str, after: str, name: str) -> str:
    """The unified diff of two texts, with the ends of lines as they are."""
    # `splitlines` would also break at what ends no line for `patch`.
    old, new = (list(io.StringIO(text, newline="\n")) for text in (before, after))
    return "".join(
        line if line.endswith("\n") else f"{line}\n\\ No newline at end of file\n"
        for line in difflib.unified_diff(old, new, name, name)
    )


def _replace(file: Path, shown_as: str, before: bytes, after: bytes) -> None:
    """Put a file's new content in its place at once, with its mode; what a link in its folder leads to."""
    target = file.resolve()
    where = Where(shown_as)
    if not target.is_relative_to(file.parent.resolve()):
        raise Refused(
            Diagnosis(
                code="AME-E732",
                where=where,
                what="the file is a link to another folder, so that nothing was written.",
                why=f"It leads to {target}.",
                fix="Name that file.",
            )
        )
    try:
        _exchange(target, where, before, after)
    except OSError as error:
        what = "the file cannot be written."
        why = f"{error.strerror or type(error).__name__}."
        raise Refused(Diagnosis(code="AME-E734", where=where, what=what, why=why)) from error


def _exchange(target: Path, where: Where, before: bytes, after: bytes) -> None:
    known = target.stat()
    if not os.access(target, os.W_OK):
        raise PermissionError(0, "It is read-only")
    descriptor, made = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.")
    try:
        with os.fdopen(descriptor, "wb") as new:
            new.write(after)
            new.flush()
            with contextlib.suppress(PermissionError):
                os.fchown(new.fileno(), known.st_uid, known.st_gid)
            os.fchmod(new.fileno(), stat.S_IMODE(known.st_mode))
            os.fsync(new.fileno())
        if target.read_bytes() != before:
            raise Refused(
                Diagnosis(
                    code="AME-E733",
                    where=where,
                    what="the file was changed by something else just now, so that nothing was written.",
                    fix="Run the command again.",
                )
            )
        Path(made).replace(target)
    except BaseException:
        Path(made).unlink(missing_ok=True)
        raise
