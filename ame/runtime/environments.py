"""Environments made by uv from requirements, kept in the user's cache by what they were made from."""

from __future__ import annotations

import os
import platform
import re
import shutil
import sys
from collections.abc import Callable, Iterable, Sequence
from pathlib import Path
from threading import Event

from ame.diagnosis import Diagnosis, Refused, Where
from ame.runtime.command import run_command
from ame.runtime.environment_cache import (
    Environment,
    cached_environment,
    installing_variables,
    new_environment,
    not_made,
    running_python,
)

__all__ = [
    "Environment",
    "bare_environment",
    "environment_from_file",
    "environment_from_lines",
    "tool_environment",
]

_INCLUDE = re.compile(r"^(?P<option>-r|--requirement|-c|--constraint)(?:=|\s+|(?<=-[rc]))(?P<file>.+)$")
_NAMED = re.compile(r"^[\w.-]+\s*(\[[^\]]*\])?\s*@")
_ARCHIVES = (".whl", ".zip", ".tar.gz", ".tar.bz2", ".tgz")


def environment_from_file(
    requirements: Path,
    *,
    python: str | None,
    private: Path,
    on_line: Callable[[str], None],
    where: Where | None = None,
    stop: Event | None = None,
) -> Environment:
    """The environment of a requirements file.

    Args:
        python: a version such as "3.11"; None takes the running one.
        private: where an environment is made that must not be shared, because its requirements name
            files of the project.

    Raises:
        Refused: AME-E203 when the file cannot be read, AME-E204 when uv cannot make the environment,
            AME-E209 when there is no place for it.
    """
    lines = _flattened(requirements, where, seen=())
    install = ["-r", str(requirements)]
    if any(_is_local(line) for line in lines):
        _make(private, python, install, requirements.parent, on_line, where, stop)
        return Environment(private)
    return _cached(lines, python, install, requirements.parent, on_line, where, stop)


def environment_from_lines(
    lines: Iterable[str],
    *,
    python: str | None,
    on_line: Callable[[str], None],
    folder: Path,
    stop: Event | None = None,
) -> Environment:
    """The environment of requirement lines, which are written to a file in `folder` for uv to read."""
    kept = [line.strip() for line in lines if line.strip()]
    file = folder / "requirements.txt"
    file.write_text("\n".join(kept) + "\n")
    return environment_from_file(file, python=python, private=folder / ".venv", on_line=on_line, stop=stop)


def bare_environment(
    python: str, *, on_line: Callable[[str], None], where: Where | None = None, stop: Event | None = None
) -> Environment:
    """An environment with a Python of that version and nothing else."""
    return _cached([], python, [], Path.cwd(), on_line, where, stop)


def tool_environment(
    requirement: str, *, on_line: Callable[[str], None], where: Where | None, stop: Event | None
) -> Environment:
    """An environment with a program that makes environments: neither in ours nor in the user's."""
    return _cached([requirement], None, [requirement], Path.cwd(), on_line, where, stop)


def _flattened(file: Path, where: Where | None, seen: tuple[Path, ...]) -> list[str]:
    """The lines of a requirements file and of those that it includes, without comments and blanks."""
    real = Path(os.path.realpath(file))
    if real in seen:
        return []
    try:
        text = file.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        reason = error.strerror if isinstance(error, OSError) else "it is not UTF-8 text"
        raise Refused(
            Diagnosis(
                code="AME-E203",
                where=where,
                what=f"the requirements file {file.name} cannot be read: {reason}.",
                fix="The pip executor needs one beside the ame.yml; a command without one runs with !custom.",
            )
        ) from error
    lines = []
    for raw in text.replace("\\\n", " ").splitlines():
        line = re.sub(r"(^|\s)#.*$", "", raw).strip()
        include = _INCLUDE.match(line)
        if include and "://" not in include["file"]:
            inner = _flattened(file.parent / include["file"].strip("\"'"), where, (*seen, real))
            bound = "constraint " if include["option"] in ("-c", "--constraint") else ""
            lines += [bound + text for text in inner]
        elif line:
            lines.append(line)
    return lines


def _is_local(line: str) -> bool:
    """Whether what a line installs depends on more than its text: on files, or on a file of a server."""
    line = line.removeprefix("constraint ")
    if line.startswith("-"):
        return bool(re.match(r"-e|--editable\b|-f|--find-links\b", line) or _INCLUDE.match(line))
    source = re.split(r"[;\s]", _NAMED.sub("", line).strip())[0]
    if source.startswith("file:"):
        return True
    return "://" not in source and ("/" in source or source.startswith(".") or source.endswith(_ARCHIVES))


def _cached(
    lines: list[str],
    python: str | None,
    install: list[str],
    folder: Path,
    on_line: Callable[[str], None],
    where: Where | None,
    stop: Event | None,
) -> Environment:
    made_of = {
        "requirements": sorted(lines),
        "python": python or running_python(),
        "platform": [sys.platform, platform.machine()],
    }

    def make(place: Path, holds: Sequence[int]) -> None:
        _make(place, python, install, folder, on_line, where, stop, holds)

    return cached_environment(made_of, f"{len(lines)} requirements", make, on_line=on_line)


def _make(
    place: Path,
    python: str | None,
    install: list[str],
    folder: Path,
    on_line: Callable[[str], None],
    where: Where | None,
    stop: Event | None,
    holds: Sequence[int] = (),
) -> None:
    from uv import find_uv_bin

    new_environment(place, python, on_line=on_line, where=where, stop=stop, holds=holds)
    if not install:
        return
    step = [find_uv_bin(), "pip", "install", "--quiet", "--python", str(place / "bin" / "python"), *install]
    ended = run_command(
        step, folder=folder, env=installing_variables(), on_line=on_line, stop=stop, holds=holds
    )
    if ended.code:
        shutil.rmtree(place, ignore_errors=True)
        asked = "the requirements" if "-r" in install else install[0]
        raise Refused(not_made(asked, ended, where))
