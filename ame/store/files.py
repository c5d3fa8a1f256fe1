"""What files contain, where links lead, and removing folders for good."""

from __future__ import annotations

import hashlib
import os
import shutil
from collections.abc import Iterable
from pathlib import Path

__all__ = ["digest_of_folder", "leads_out", "remove_folder"]


def digest_of_folder(folder: Path, files: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of `files`, which lie below `folder`; order does not matter.

    A link to a file counts with that file's content. Any other link counts with its target, and if that
    is a folder outside, with the names, sizes and times of its files. A folder counts by its name.
    """
    whole = hashlib.sha256()
    for path in sorted(files):
        parts = [os.fsencode(path.relative_to(folder))]
        if path.is_file():
            with path.open("rb") as file:
                parts += [b"file", hashlib.file_digest(file, "sha256").digest()]
        elif path.is_symlink():
            parts += [b"link", os.fsencode(path.readlink())]
            if path.is_dir() and leads_out(path, folder):
                parts += _listing(path)
        for part in parts:
            whole.update(len(part).to_bytes(8, "big") + part)
        whole.update(b"\xff" * 8)
    return whole.hexdigest()


def leads_out(link: Path, folder: Path) -> bool:
    """Whether a link leads to something that is not in the folder, links on the way included."""
    # Unlike `Path.resolve`, this takes links that lead in a circle.
    return not Path(os.path.realpath(link)).is_relative_to(os.path.realpath(folder))


def _listing(folder: Path) -> list[bytes]:
    """Name, size and time of modification of each file below a folder."""
    found = []
    for place, folders, files in os.walk(folder):
        folders.sort()
        for path in (Path(place) / name for name in sorted(files)):
            state = path.lstat()
            found.append(os.fsencode(path.relative_to(folder)))
            found.append(f"{state.st_size} {state.st_mtime_ns}".encode())
    return found


def remove_folder(folder: Path) -> None:
    """Remove a folder with all that is in it, folders included that their maker has made read-only.

    Raises:
        OSError: when that cannot be done.
    """
    try:
        shutil.rmtree(folder)
    except PermissionError:
        folder.chmod(0o700)
        for place, folders, _ in os.walk(folder):
            for path in (Path(place) / name for name in folders):
                if not path.is_symlink():
                    path.chmod(0o700)
        shutil.rmtree(folder)
