"""A task's workspace: a clean copy of the project folder, thrown away when the task has ended."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from ame.spec import Project
from ame.store import digest_of_folder

__all__ = ["project_digest", "project_files", "workspace"]

#: Never part of a project's source, wherever they stand in its folder.
_LEFT_OUT = {".ame", ".ame.previous", ".git", ".hg", "__pycache__", "node_modules", ".ipynb_checkpoints"}


def project_files(project: Project) -> Iterator[Path]:
    """The files of a project: all in its folder, but for state, history, caches and environments.

    A link counts as a file; a folder that holds a pyvenv.cfg is an environment. The path of a data set
    that a task makes holds, at best, what somebody made by hand: it is left out.
    """
    folder = project.folder
    made = {folder / data_set.path for data_set in project.data_sets.values() if data_set.task}
    for place, folders, files in os.walk(folder):
        here = Path(place)
        kept = []
        for name in sorted(folders):
            path = here / name
            if path in made:
                continue
            if path.is_symlink():
                yield path
            elif name not in _LEFT_OUT and not (path / "pyvenv.cfg").exists():
                kept.append(name)
        folders[:] = kept
        for path in (here / name for name in sorted(files)):
            if path not in made and (path.is_symlink() or path.is_file()):
                yield path


def project_digest(project: Project) -> str:
    """What the project's files contain, as one SHA-256."""
    return digest_of_folder(project.folder, project_files(project))


@contextmanager
def workspace(project: Project, work: Path, name: str) -> Iterator[Path]:
    """A copy of the project below `work`, removed at the end of the block."""
    place = work / name
    shutil.rmtree(place, ignore_errors=True)
    place.mkdir(parents=True)
    try:
        for source in project_files(project):
            target = place / source.relative_to(project.folder)
            target.parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(source, target, follow_symlinks=False)
        yield place
    finally:
        shutil.rmtree(place, ignore_errors=True)
