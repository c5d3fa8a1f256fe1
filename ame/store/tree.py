"""What a file or folder holds, listed so that it can be kept and laid out again by itself."""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from ame.store.files import leads_out
from ame.store.manifest import Entry

__all__ = ["Found", "contents", "contents_of_files", "is_as_before"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Found:
    """One thing below what is kept.

    Attributes:
        path: relative to it; `.` is the thing itself.
        source: where its content is read.
        mode: permission bits.
        size: bytes of a file.
        modified: nanoseconds since the epoch.
        target: of a link.
    """

    path: str
    kind: Literal["file", "folder", "link"]
    source: Path
    mode: int = 0
    size: int = 0
    modified: int = 0
    target: str = ""


def contents(source: Path) -> Iterator[Found]:
    """Everything in a file or folder, each folder before what is in it.

    Links within the folder stay links; a link that leads out of it counts as what it leads to.

    Raises:
        OSError: for a broken link, a link to a folder around it, or what is neither file nor folder.
    """
    yield from _walk(source, ".", root=source, inside=())


def contents_of_files(folder: Path, files: Iterable[Path]) -> Iterator[Found]:
    """Of a folder only `files`, which are files, links and empty folders below it, and what is around them.

    A file that has gone since it was listed is left out.

    Raises:
        OSError: as `contents` does.
    """
    seen = {"."}
    yield _found(folder, ".", "folder")
    for path in files:
        relative = path.relative_to(folder)
        for parent in reversed(relative.parents):
            if str(parent) not in seen:
                seen.add(str(parent))
                yield _found(folder / parent, str(parent), "folder")
        if not path.is_symlink() and path.is_dir():
            if str(relative) not in seen:
                seen.add(str(relative))
                yield _found(path, str(relative), "folder")
        elif path.is_symlink() or path.exists():
            yield from _entry(path, str(relative), root=folder, inside=())


def is_as_before(found: Found, entry: Entry) -> bool:
    """Whether a file has the size, mode and time of modification that it had; its content is not read."""
    return (entry.kind, entry.size, entry.mode, entry.modified) == (
        found.kind,
        found.size,
        found.mode,
        found.modified,
    )


def _walk(source: Path, path: str, *, root: Path, inside: tuple[Path, ...]) -> Iterator[Found]:
    if not source.is_dir():
        yield _found(source, path, "file")
        return
    here = source.resolve()
    if here in inside:
        raise OSError(f"a link in {source} leads to a folder around it")
    yield _found(source, path, "folder")
    for entry in sorted(source.iterdir()):
        name = entry.name if path == "." else f"{path}/{entry.name}"
        yield from _entry(entry, name, root=root, inside=(*inside, here))


def _entry(entry: Path, path: str, *, root: Path, inside: tuple[Path, ...]) -> Iterator[Found]:
    if entry.is_symlink() and not entry.readlink().is_absolute() and not leads_out(entry, root):
        yield Found(path=path, kind="link", source=entry, target=os.fspath(entry.readlink()))
    else:
        yield from _walk(entry, path, root=root, inside=inside)


def _found(source: Path, path: str, kind: Literal["file", "folder"]) -> Found:
    state = source.stat()
    # Opening a pipe would wait for ever for somebody to write into it.
    if kind == "file" and not stat.S_ISREG(state.st_mode):
        raise OSError(f"{source} is neither a file nor a folder")
    mode = stat.S_IMODE(state.st_mode)
    return Found(
        path=path, kind=kind, source=source, mode=mode, size=state.st_size, modified=state.st_mtime_ns
    )
