"""The blobs and manifests of a store that is a directory.

What is written is filled beside its place and renamed into it, so that a crash never shows half of it.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import hashlib
import os
import re
import socket
import sys
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

from ame.local.lease import file_lock, is_locked
from ame.store.files import remove_folder
from ame.store.refusals import refusing_folder_errors

__all__ = ["Directory", "copy_checked"]

_CHUNK = 1 << 20
_SENT_AT_ONCE = 1 << 30
# A lock says nothing about a writer on another machine; what it left is taken for dead after a week.
_DEAD_AFTER_SECONDS = 7 * 86_400


class Directory:
    """Named contents below a folder."""

    #: Threads that send and fetch files: on a disk more of them gain nothing.
    parallel = 1

    def __init__(self, root: Path) -> None:
        self.root = root

    def __str__(self) -> str:
        return str(self.root)

    def read(self, name: str) -> bytes | None:
        """A content, or None when there is none of this name."""
        with refusing_folder_errors(self.root):
            try:
                return (self.root / name).read_bytes()
            except (FileNotFoundError, NotADirectoryError):
                return None

    def has(self, name: str) -> bool:
        return (self.root / name).is_file()

    def remove(self, name: str) -> None:
        with refusing_folder_errors(self.root):
            (self.root / name).unlink(missing_ok=True)

    @contextlib.contextmanager
    def writing(self) -> Iterator[DirectoryWriter]:
        """A writer; what it has not put in its place at the end of the block is thrown away."""
        with contextlib.ExitStack() as stack:
            with refusing_folder_errors(self.root):
                folder = stack.enter_context(_filling(self.root))
            yield DirectoryWriter(self.root, folder)

    def fetch(self, name: str, destination: Path, digest: str, size: int) -> str:
        """Copy a blob to a new file; says what is wrong with the blob, or nothing.

        Raises:
            OSError: when the destination cannot be written.
        """
        with contextlib.ExitStack() as stack:
            try:
                file = stack.enter_context((self.root / name).open("rb"))
            except FileNotFoundError:
                return f"{name} is missing."
            except OSError as error:
                return f"{name} cannot be read: {error.strerror}."
            found = copy_checked(file.fileno(), destination)
        if found == digest:
            return ""
        there = destination.stat().st_size
        return f"{name} has {there:,} bytes instead of {size:,}." if there != size else f"{name} was changed."

    def link(self, name: str, destination: Path, size: int) -> bool:
        """Let a new name stand for a blob without a copy; False where that cannot be done."""
        with contextlib.suppress(OSError):
            if (self.root / name).stat().st_size == size:
                destination.hardlink_to(self.root / name)
                return True
        return False


class DirectoryWriter:
    """Puts contents in their places."""

    def __init__(self, root: Path, folder: Path) -> None:
        self._root, self._folder = root, folder

    def add(self, source: Path, blobs: str) -> tuple[str, int, bool]:
        """Keep a file's content as a blob.

        Returns:
            Its SHA-256, its size in bytes, and whether it is new here.

        Raises:
            OSError: when the source cannot be read.
        """
        filled = self._folder / uuid.uuid4().hex
        with source.open("rb") as file, refusing_folder_errors(self._root):
            digest = copy_checked(file.fileno(), filled)
            size = filled.stat().st_size
            place = self._root / blobs.format(digest[:2], digest)
            # One that was cut short, by a disk that filled up or lost its power, is replaced.
            new = not place.is_file() or place.stat().st_size != size
            if new:
                filled.chmod(0o444)
                place.parent.mkdir(parents=True, exist_ok=True)
                filled.rename(place)
            else:
                filled.unlink()
        return digest, size, new

    def write(self, name: str, content: bytes) -> None:
        """Put a small content in its place at once."""
        filled = self._folder / uuid.uuid4().hex
        with refusing_folder_errors(self._root):
            filled.write_bytes(content)
            place = self._root / name
            place.parent.mkdir(parents=True, exist_ok=True)
            filled.rename(place)


def copy_checked(source: int, destination: Path) -> str:
    """Copy an open file to a new one, and return the SHA-256 of what was copied.

    Raises:
        OSError: when one cannot be read or the other not be written.
    """
    with destination.open("x+b", buffering=0) as file:
        _copy(source, file.fileno())
        # What was written is what counts: the source may change meanwhile.
        file.seek(0)
        return hashlib.file_digest(file, "sha256").hexdigest()


def _copy(source: int, destination: int) -> None:
    if sys.platform == "linux":
        try:
            while os.sendfile(destination, source, None, _SENT_AT_ONCE):
                pass
            return
        except OSError as error:
            # Not every file system lets the kernel copy by itself.
            if error.errno not in {errno.EINVAL, errno.ENOSYS, errno.EOPNOTSUPP}:
                raise
    while chunk := os.read(source, _CHUNK):
        left = memoryview(chunk)
        while left:
            left = left[os.write(destination, left) :]


@contextlib.contextmanager
def _filling(root: Path) -> Iterator[Path]:
    """A new folder, locked as long as it is filled; those whose writers were killed are removed."""
    host = re.sub(r"[^A-Za-z0-9.-]", "-", socket.gethostname())
    folder = root / ".filling"
    place = folder / f"{host}_{uuid.uuid4().hex}"
    with file_lock(root / "filling.lock"):
        for left in folder.glob("*"):
            if _is_dead(left, host):
                remove_folder(left)
        place.mkdir(parents=True)
        lock = os.open(place, os.O_RDONLY | os.O_CLOEXEC)
        fcntl.flock(lock, fcntl.LOCK_EX)
    try:
        yield place
    finally:
        with contextlib.suppress(OSError):
            remove_folder(place)
        os.close(lock)


def _is_dead(left: Path, host: str) -> bool:
    if left.name.startswith(f"{host}_"):
        # One that is gone by now was ended by its writer.
        return not is_locked(left) and left.exists()
    return time.time() - left.stat().st_mtime > _DEAD_AFTER_SECONDS
