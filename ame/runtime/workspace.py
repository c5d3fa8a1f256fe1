"""A task's workspace: a clean copy of the project folder, thrown away when the task has ended."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ame.store import digest_of_folder

__all__ = ["project_digest", "project_files", "workspace"]

#: Never part of a project's source, wherever they stand in its folder.
_LEFT_OUT = {".ame", ".ame.previous", ".git", ".hg", "__pycache__", "node_modules", ".ipynb_checkpoints"}


def project_files(folder: Path) -> Iterator[Path]:
    """The files of a project folder: all of them, but for state, history, caches and environments.

    A link counts as a file; a folder that holds a pyvenv.cfg is an environment.
    """
    for place, folders, files in os.walk(folder):
        here = Path(place)
        kept = []
        for name in sorted(folders):
            path = here / name
            if path.is_symlink():
                yield path
            elif name not in _LEFT_OUT and not (path / "pyvenv.cfg").exists():
                kept.append(name)
        folders[:] = kept
        yield from (
            here / name for name in sorted(files) if (here / name).is_symlink() or (here / name).is_file()
        )


def project_digest(folder: Path) -> str:
    """What the project's files contain, as one SHA-256."""
    return digest_of_folder(folder, project_files(folder))


@contextmanager
def workspace(folder: Path, work: Path, name: str) -> Iterator[Path]:
    """A copy of the project below `work`, removed at the end of the block."""
    place = work / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        for source in project_files(folder):
            target = place / source.relative_to(folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
