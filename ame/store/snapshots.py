"""Snapshots in a local directory.

A snapshot is filled beside its place and renamed into it, so that a crash never shows half of one and
two writers of one key leave one whole snapshot.
"""

from __future__ import annotations

import hashlib
import shutil
import uuid
from collections.abc import Iterable
from pathlib import Path

__all__ = ["SnapshotStore", "digest_of_folder"]


class SnapshotStore:
    """Snapshots below `root`, each a file or a folder with its content as it was given."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def holds(self, key: str) -> bool:
        return self._place(key).exists()

    def save(self, key: str, source: Path) -> None:
        """Keep a copy of the file or folder `source`; a key that is held already stays as it is."""
        place = self._place(key)
        if place.exists():
            return
        filling = place.with_name(f".{uuid.uuid4().hex}")
        filling.mkdir(parents=True)
        try:
            _copy(source, filling / source.name)
            filling.rename(place)
        except OSError:
            # Another writer of the same key was first: its snapshot has the same content.
            if not place.exists():
                raise
        finally:
            shutil.rmtree(filling, ignore_errors=True)

    def restore(self, key: str, destination: Path) -> None:
        """Copy a snapshot to `destination`, which becomes the file or folder that was saved.

        Raises:
            FileNotFoundError: when the key is not held.
        """
        (content,) = self._place(key).iterdir()
        destination.parent.mkdir(parents=True, exist_ok=True)
        _copy(content, destination)

    def path(self, key: str) -> Path:
        """The kept file or folder itself, to be read and never written.

        Raises:
            FileNotFoundError: when the key is not held.
        """
        (content,) = self._place(key).iterdir()
        return content

    def _place(self, key: str) -> Path:
        return self._root / key


def _copy(source: Path, destination: Path) -> None:
    if source.is_dir():
        shutil.copytree(source, destination, symlinks=True, dirs_exist_ok=True)
    else:
        shutil.copy2(source, destination)


def digest_of_folder(folder: Path, files: Iterable[Path]) -> str:
    """SHA-256 over the names and contents of `files`, which lie below `folder`; order does not matter."""
    whole = hashlib.sha256()
    for path in sorted(files):
        whole.update(path.relative_to(folder).as_posix().encode() + b"\0")
        if path.is_symlink():
            whole.update(b"link " + str(path.readlink()).encode())
        else:
            with path.open("rb") as file:
                whole.update(hashlib.file_digest(file, "sha256").digest())
    return whole.hexdigest()
