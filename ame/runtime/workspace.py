"""A task's workspace: a clean copy of the project folder, thrown away when the task has ended."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from ame.diagnosis import Diagnosis, Refused, Where
from ame.local import cache_folder, home_of
from ame.spec import Project
from ame.store import digest_of_folder, leads_out, remove_folder

__all__ = ["project_digest", "project_files", "refusing_file_errors", "workspace"]

#: Never part of a project's source, wherever they stand in its folder.
_LEFT_OUT = {".ame", ".ame.previous", ".git", ".hg", "__pycache__", "node_modules", ".ipynb_checkpoints"}


def project_files(project: Project) -> Iterator[Path]:
    """The files of a project: all in its folder, but for state, history, caches and environments.

    A link counts as a file, and an empty folder as one; a folder that holds a pyvenv.cfg is an
    environment. The path of a data set that a task makes holds, at best, what somebody made by hand: it
    is left out. So is a prefect.yaml beside the ame.yml, which says how the project is deployed and not
    what it is.

    Raises:
        OSError: when a folder cannot be read.
    """
    folder = project.folder
    left_out = {folder / "prefect.yaml"}
    left_out |= {folder / data_set.path for data_set in project.data_sets.values() if data_set.task}
    # AME_HOME or the user's cache may lie in the folder; a workspace must not be copied into itself.
    left_out |= {folder / path for path in _state_below(project)}
    for place, folders, files in os.walk(folder, onerror=_raise):
        here = Path(place)
        kept = []
        for name in sorted(folders):
            path = here / name
            if path in left_out:
                continue
            if path.is_symlink():
                yield path
            elif name not in _LEFT_OUT and not (path / "pyvenv.cfg").exists():
                kept.append(name)
        if not folders and not files and here != folder:
            yield here
        folders[:] = kept
        for path in (here / name for name in sorted(files)):
            if path not in left_out and (path.is_symlink() or path.is_file()):
                yield path


def project_digest(project: Project) -> str:
    """What the project's files contain, as one SHA-256.

    Raises:
        Refused: AME-E208, when one cannot be read.
    """
    with refusing_file_errors(f"the files of project '{project.name}' cannot be read."):
        return digest_of_folder(project.folder, project_files(project))


@contextlib.contextmanager
def refusing_file_errors(what: str, where: Where | None = None) -> Iterator[None]:
    """Refuse, with AME-E208, when the block cannot read or write a file."""
    try:
        yield
    except OSError as error:
        why = f"{error.strerror}: {error.filename}." if error.strerror and error.filename else f"{error}."
        fix = "See to the file's permissions, to the links and to the room on the disk."
        raise Refused(Diagnosis(code="AME-E208", where=where, what=what, why=why, fix=fix)) from error


@contextlib.contextmanager
def workspace(project: Project, work: Path, name: str) -> Iterator[Path]:
    """A copy of the project below `work`, removed at the end of the block.

    The folders that data sets are to be made in are there, too.

    Raises:
        OSError: when the copy cannot be made.
    """
    place = work / name
    if place.exists():
        remove_folder(place)
    place.mkdir(parents=True)
    try:
        for source in project_files(project):
            _copy(source, place / source.relative_to(project.folder), project.folder)
        for data_set in project.data_sets.values():
            (place / data_set.path).parent.mkdir(parents=True, exist_ok=True)
        yield place
    finally:
        # A process that escaped the task may still write there: the next command removes the rest.
        with contextlib.suppress(OSError):
            remove_folder(place)


def _copy(source: Path, target: Path, folder: Path) -> None:
    target.parent.mkdir(parents=True, exist_ok=True)
    if source.is_symlink():
        aim = source.readlink()
        # From the workspace, which lies elsewhere, a relative way out of the project would miss.
        target.symlink_to(source.parent.resolve() / aim if leads_out(source, folder) else aim)
    elif source.is_dir():
        target.mkdir()
    else:
        # An editor's or a database's file may be gone since the folder was listed.
        with contextlib.suppress(FileNotFoundError):
            shutil.copy2(source, target)


def _state_below(project: Project) -> Iterator[Path]:
    """The folders of our state and cache that lie in the project's folder, relative to it."""
    folder = project.folder.resolve()
    home = home_of(project.folder, project.name).root
    for path in (home, home.parent, cache_folder().resolve()):
        if path != folder and path.is_relative_to(folder):
            yield path.relative_to(folder)


def _raise(error: OSError) -> None:
    raise error
