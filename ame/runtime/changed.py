"""What a command has made or changed in its workspace, told by comparing it with what was there."""

from __future__ import annotations

import hashlib
import shutil
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

from ame.runtime.handing import carried
from ame.store import Entry, Found, is_as_before, remove_folder

__all__ = ["at_end", "at_start", "bring", "changed_files", "remove", "state_of"]


def state_of(folder: Path) -> dict[str, Entry]:
    """What a folder holds, by path and without the content of files; environments are left out.

    Raises:
        OSError: when something cannot be read.
    """
    return {found.path: at_start(found) for found in carried(folder)}


def changed_files(folder: Path, before: Mapping[str, Entry]) -> list[Path]:
    """The files and links that are new in a folder, or of another size, time, mode or aim than before.

    Raises:
        OSError: when something cannot be read.
    """
    return [
        folder / found.path
        for found in carried(folder)
        if found.kind != "folder" and not _is_as_before(found, before.get(found.path))
    ]


def _is_as_before(found: Found, entry: Entry | None) -> bool:
    if entry is None or found.kind != entry.kind:
        return False
    return found.target == entry.target if found.kind == "link" else is_as_before(found, entry)


def at_start(found: Found) -> Entry:
    """What a path held at the start; without the content of a file, which no changed one is taken for."""
    return Entry(
        path=found.path,
        kind=found.kind,
        mode=found.mode,
        modified=found.modified,
        size=found.size if found.kind == "file" else 0,
        target=found.target,
    )


def at_end(found: Found, start: Mapping[str, Entry]) -> Entry:
    """What a path holds at the end; the content of a file is read only where it may have changed."""
    before = start.get(found.path)
    if found.kind != "file":
        return at_start(found)
    if before is not None and is_as_before(found, before):
        return before
    with found.source.open("rb") as file:
        return replace(at_start(found), digest=hashlib.file_digest(file, "sha256").hexdigest())


def remove(path: Path) -> None:
    """Remove whatever stands at a path, if anything does."""
    if path.is_dir() and not path.is_symlink():
        remove_folder(path)
    else:
        path.unlink(missing_ok=True)


def bring(entry: Entry, source: Path, target: Path) -> None:
    """Bring what a step has left at a path from its folder into the common one."""
    place = target / entry.path
    if entry.kind == "folder":
        place.mkdir(exist_ok=True)
        place.chmod(entry.mode)
        return
    if entry.kind == "link":
        place.symlink_to(entry.target)
        return
    left = source / entry.path
    # What was reached through a link belongs to another place, where it must stay.
    if left.resolve() == source.resolve() / entry.path:
        left.replace(place)
    else:
        shutil.copy2(left, place)
