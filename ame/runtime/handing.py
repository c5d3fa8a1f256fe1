"""Files that go from one step of a pipeline to the next, and the place where one of them is run."""

from __future__ import annotations

import contextlib
import os
import shutil
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from ame.spec import Project
from ame.store import Found, SnapshotStore, contents_of_files, leads_out, remove_folder

__all__ = ["Handed", "carried", "copy_carried", "place_of_step"]


@dataclass(frozen=True, slots=True)
class Handed:
    """Where the files of a step come from and where they go: absolute folders, or keys of the artifact store.

    The same folder twice: the step is run in it.
    """

    start: str
    end: str

    @classmethod
    def of(cls, parameter: Mapping[str, str] | None) -> Handed | None:
        """As the flows' parameter `files` says it."""
        return cls(parameter["from"], parameter["to"]) if parameter else None

    @property
    def parameter(self) -> dict[str, str]:
        return {"from": self.start, "to": self.end}

    @property
    def is_local(self) -> bool:
        return Path(self.start).is_absolute()


def carried(folder: Path) -> Iterator[Found]:
    """What is carried from a workspace to the next step: all but virtual environments and compiled modules.

    An environment holds the path at which it was made, so that it is of no use anywhere else. Sockets and
    links that lead nowhere are left out too; other links that lead out of the folder, and absolute ones,
    count as what they lead to.

    Raises:
        OSError: when something cannot be read, or for a link to a folder around it.
    """
    return contents_of_files(folder, _files(folder))


def copy_carried(source: Path, target: Path) -> None:
    """Make a folder with what is carried of another one.

    Raises:
        OSError: when something cannot be read or written.
    """
    modes = []
    for found in carried(source):
        place = target / found.path
        if found.kind == "folder":
            place.mkdir(parents=True, exist_ok=True)
            modes.append((place, found.mode))
        elif found.kind == "link":
            place.symlink_to(found.target)
        else:
            # A database's file may be gone since the folder was listed.
            with contextlib.suppress(FileNotFoundError):
                shutil.copy2(found.source, place)
    for place, mode in reversed(modes):
        place.chmod(mode)


@contextlib.contextmanager
def place_of_step(
    project: Project, work: Path, name: str, handed: Handed, store: SnapshotStore
) -> Iterator[Path]:
    """The workspace of a step, which holds what the steps before it have left.

    At the end of the block, when nothing was raised, its files are where they are to go.

    Args:
        work: where workspaces are; used for files that come from the store.
        name: of the workspace; unique among what runs at the same time.

    Raises:
        OSError: when files cannot be read or written.
        Refused: AME-E84x when the store cannot be used.
    """
    if handed.is_local:
        start, end = Path(handed.start), Path(handed.end)
        if start == end:
            _remove_what_is_not_carried(start)
        else:
            _begin_again(end)
            copy_carried(start, end)
        yield end
        return
    place = work / name
    _begin_again(place)
    try:
        before = store.manifest(handed.start)
        store.restore(handed.start, place, near=project.folder)
        for data_set in project.data_sets.values():
            (place / data_set.path).parent.mkdir(parents=True, exist_ok=True)
        yield place
        store.save_files(handed.end, place, _files(place), before=before)
    finally:
        with contextlib.suppress(OSError):
            remove_folder(place)


def _begin_again(folder: Path) -> None:
    """Forget what an earlier attempt has left in a folder."""
    if folder.exists():
        remove_folder(folder)


def _files(folder: Path) -> Iterator[Path]:
    for place, folders, files in os.walk(folder, onerror=_raise):
        here = Path(place)
        links = [here / name for name in folders if (here / name).is_symlink()]
        folders[:] = sorted(name for name in folders if not _is_left_out(here / name))
        if not folders and not files and here != folder:
            yield here
        for path in sorted([*links, *(here / name for name in files)]):
            if not path.is_symlink():
                known = path.is_file()
            else:
                known = path.is_file() or path.is_dir() or _stays_inside(path, folder)
            if known:
                yield path


def _is_left_out(folder: Path) -> bool:
    return folder.is_symlink() or folder.name == "__pycache__" or (folder / "pyvenv.cfg").exists()


def _stays_inside(link: Path, folder: Path) -> bool:
    return not link.readlink().is_absolute() and not leads_out(link, folder)


def _remove_what_is_not_carried(folder: Path) -> None:
    for place, folders, _ in os.walk(folder):
        for path in (Path(place) / name for name in folders):
            if _is_left_out(path) and not path.is_symlink():
                remove_folder(path)
        folders[:] = [name for name in folders if (Path(place) / name).exists()]


def _raise(error: OSError) -> None:
    raise error
