"""Snapshots in a local directory.

A snapshot is filled beside its place and renamed into it, so that a crash never shows half of one and
two writers of one key leave one whole snapshot.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import uuid
from collections.abc import Iterator
from pathlib import Path

from ame.local.lease import file_lock, is_locked
from ame.store.files import copy_whole, remove_folder

__all__ = ["SnapshotStore"]


class SnapshotStore:
    """Snapshots below `root`, each a file or a folder with its content as it was given."""

    def __init__(self, root: Path) -> None:
        self._root = root

    def holds(self, key: str) -> bool:
        return self._place(key).exists()

    def save(self, key: str, source: Path) -> None:
        """Keep a copy of the file or folder `source`; a key that is held already stays as it is.

        Raises:
            OSError: when it cannot be copied; nothing of it is left then.
        """
        place = self._place(key)
        if place.exists():
            return
        place.parent.mkdir(parents=True, exist_ok=True)
        with self._filling() as filling:
            copy_whole(source, filling / source.name)
            try:
                filling.rename(place)
            except OSError:
                # Another writer of the same key was first: its snapshot has the same content.
                if not place.exists():
                    raise

    def restore(self, key: str, destination: Path) -> None:
        """Copy a snapshot to `destination`, which becomes the file or folder that was saved.

        Raises:
            FileNotFoundError: when the key is not held.
        """
        destination.parent.mkdir(parents=True, exist_ok=True)
        copy_whole(self.path(key), destination)

    def path(self, key: str) -> Path:
        """The kept file or folder itself, to be read and never written.

        Raises:
            FileNotFoundError: when the key is not held.
        """
        (content,) = self._place(key).iterdir()
        return content

    def _place(self, key: str) -> Path:
        return self._root / key

    @contextlib.contextmanager
    def _filling(self) -> Iterator[Path]:
        """A new folder, locked as long as it is filled; those whose writers were killed are removed."""
        folder = self._root / ".filling"
        place = folder / uuid.uuid4().hex
        with file_lock(self._root / "filling.lock"):
            for left in folder.glob("*"):
                # One that is gone by now has become a snapshot.
                if not is_locked(left) and left.exists():
                    remove_folder(left)
            place.mkdir(parents=True)
            lock = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
            fcntl.flock(lock, fcntl.LOCK_EX)
        try:
            yield place
        finally:
            if place.exists():
                remove_folder(place)
            os.close(lock)
