"""The names of the projects in a folder, found without reading their files as a whole.

A file's own mistakes do not keep its name from being found: they are told when the project is needed.
"""

from __future__ import annotations

import os
import re
import stat
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

__all__ = ["FILE_NAMES", "MOST_FOLDERS", "name_in", "names_below"]

FILE_NAMES = ("ame.yml", "ame.yaml")
#: Of one folder no more entries are listed, and in no more folders a file is looked for.
MOST_ENTRIES, MOST_FOLDERS = 20_000, 1_000
# The name stands at the top of a file, and is a key of the outermost mapping: in the first column, or
# behind the brace that begins the file.
_HEAD_BYTES = 64 * 2**10
_NAME = re.compile(
    r"""^(?:\{\s*)?["']?(?:name|project|projectid|projectname|projectName)["']?[ \t]*:[ \t]+"""
    r"""(?:"([^"\n]*)"|'([^'\n]*)'|([A-Za-z0-9._-]+)[ \t]*(?:[,}#\r\n]|$))""",
    re.MULTILINE,
)


def names_below(folder: Path) -> dict[str, list[Path]]:
    """The folders directly below one that hold a project, by its name; none when it cannot be read.

    Hidden folders are passed over, and what several links lead to counts once.
    """
    found: dict[str, list[Path]] = {}
    seen: set[str] = set()
    for path in islice(_folders(folder), MOST_FOLDERS):
        name = name_in(path)
        if name is not None and (real := os.path.realpath(path)) not in seen:
            seen.add(real)
            found.setdefault(name, []).append(path)
    return found


def name_in(folder: Path) -> str | None:
    """The name of the project in a folder; None where there is none or its file does not say one."""
    for file in FILE_NAMES:
        head = _head(folder / file)
        said = _NAME.search(head) if head else None
        if said is not None:
            return next(text for text in said.groups() if text is not None)
    return None


def _folders(folder: Path) -> Iterator[Path]:
    try:
        with os.scandir(folder) as entries:
            names = sorted(entry.name for entry in islice(entries, MOST_ENTRIES) if _is_folder(entry))
    except OSError:
        return iter(())
    return (folder / name for name in names)


def _is_folder(entry: os.DirEntry[str]) -> bool:
    try:
        return not entry.name.startswith(".") and entry.is_dir()
    except OSError:  # a loop of links
        return False


def _head(file: Path) -> str:
    """The beginning of a regular file; nothing of any other, and nothing when it cannot be read."""
    try:
        # A pipe that nobody writes to would keep whoever opens it waiting.
        opened = os.open(file, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except (OSError, ValueError):
        return ""
    try:
        if not stat.S_ISREG(os.fstat(opened).st_mode):
            return ""
        return os.read(opened, _HEAD_BYTES).decode("utf-8-sig", "replace")
    except OSError:
        return ""
    finally:
        os.close(opened)
