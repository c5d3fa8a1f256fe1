"""Snapshots of files by key, in a directory or a bucket.

The content of each file is a blob named by its SHA-256, which is sent once, whatever it is called and how
often it is kept. A manifest, written last, makes a snapshot of them: a crash never shows half of one, and
two writers of one key leave one whole snapshot. What is read is checked against its digest.
"""

from __future__ import annotations

import contextlib
import os
import uuid
from collections.abc import Callable, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import TypeVar

from ame.store.contents import Contents, Writer
from ame.store.directory import Directory, copy_checked
from ame.store.files import remove_folder
from ame.store.manifest import Entry, Manifest
from ame.store.refusals import damaged
from ame.store.tree import Found, contents, contents_of_files, is_as_before

__all__ = ["Kept", "SnapshotStore"]

T = TypeVar("T")
R = TypeVar("R")

_BLOBS = "blobs/sha256/{}/{}"
_NOT_KEYS = {"blobs", ".filling", ".views", "filling.lock", "results", "mlflow", "scores"}


@dataclass(frozen=True, slots=True)
class Kept:
    """What a snapshot holds.

    Attributes:
        files: how many.
        size: bytes of all of them.
        sent: bytes that the store did not have before.
    """

    key: str
    files: int
    size: int
    sent: int = 0


class SnapshotStore:
    """Snapshots, each a file or a folder with its content, modes and links as they were given.

    Args:
        contents: a folder, or a bucket (see `open_store`).
        cache: the folder that `path` lays snapshots out in; by default `.views` of a store that is a
            folder. It may be shared by processes and removed at any time that none of them reads.
    """

    def __init__(self, contents: Path | Contents, *, cache: Path | None = None) -> None:
        self._contents: Contents = Directory(contents) if isinstance(contents, Path) else contents
        if cache is None and isinstance(self._contents, Directory):
            cache = self._contents.root / ".views"
        self._cache = cache

    def __str__(self) -> str:
        return str(self._contents)

    def place(self, name: str) -> str:
        """Where other programs keep files beside the snapshots: below the bucket's URI or the folder.

        Names begin with one of `results`, `mlflow` and `scores`, which no key does.
        """
        return f"{self}/{name}"

    def holds(self, key: str) -> bool:
        """Whether there is a snapshot of this key.

        Raises:
            Refused: AME-E842 to AME-E846 when the store cannot be used.
        """
        return self._contents.has(_manifest(key))

    def save(self, key: str, source: Path) -> Kept:
        """Keep a copy of the file or folder `source`; a key that is held already stays as it is.

        Raises:
            OSError: when the source cannot be read as a whole; nothing of it is visible then.
            Refused: AME-E842 to AME-E846 when the store cannot be used.
        """
        return self._save(key, source.name, contents(source))

    def save_files(
        self, key: str, folder: Path, files: Iterable[Path], *, before: Manifest | None = None
    ) -> Kept:
        """Keep of a folder only `files`, which are files, links and empty folders below it.

        Args:
            before: what the folder held, from this store; files that are as they were are not read again.

        Raises:
            OSError, Refused: as `save` does.
        """
        known = {entry.path: entry for entry in before.entries} if before else {}
        return self._save(key, folder.name, contents_of_files(folder, files), known)

    def save_manifest(self, key: str, manifest: Manifest) -> Kept:
        """Keep a snapshot that is made of others of this store; a key that is held already stays as it is.

        Raises:
            Refused: AME-E842 to AME-E846 when the store cannot be used.
        """
        if self.holds(key):
            return self.describe(key)
        with self._contents.writing() as writer:
            writer.write(_manifest(key), manifest.to_bytes())
        return Kept(key, len(manifest.files), manifest.size)

    def forget(self, key: str) -> None:
        """Let a key hold nothing any more; the content of its files stays.

        Raises:
            Refused: AME-E842 to AME-E846 when the store cannot be used.
        """
        self._contents.remove(_manifest(key))

    def restore(self, key: str, destination: Path, *, near: Path | None = None) -> None:
        """Copy a snapshot to `destination`, which becomes the file or folder that was saved.

        Args:
            near: a folder of this machine; files that it holds as they were saved are copied from there.

        Raises:
            FileNotFoundError: when the key is not held.
            OSError: when the destination cannot be written.
            Refused: AME-E842 to AME-E846 when the store cannot be used, AME-E847 when the snapshot is not
                what was saved; the files that were restored by then are.
        """
        self._lay_out(key, self.manifest(key), destination, near=near)

    def manifest(self, key: str) -> Manifest:
        """What a snapshot is made of.

        Raises:
            FileNotFoundError: when the key is not held.
            Refused: AME-E842 to AME-E846 when the store cannot be used, AME-E847 when it is damaged.
        """
        content = self._contents.read(_manifest(key))
        if content is None:
            raise FileNotFoundError(f"the artifact store {self} holds no snapshot {key}")
        try:
            return Manifest.from_bytes(content)
        except ValueError as error:
            raise damaged(self, key, str(error)) from None

    def path(self, key: str) -> Path:
        """A file or folder with the snapshot's content and name, to be read and never written.

        Raises:
            FileNotFoundError, OSError, Refused: as `restore` does; the place is the cache.
        """
        if self._cache is None:
            raise ValueError("a store in a bucket needs a cache for this")
        manifest = self.manifest(key)
        place = self._cache / manifest.digest
        if not place.exists():
            filling = self._cache / f".{uuid.uuid4().hex}"
            filling.mkdir(parents=True)
            try:
                self._lay_out(key, manifest, filling / manifest.name, linked=True)
                # Another process may have been first: its content is the same.
                with contextlib.suppress(OSError):
                    filling.rename(place)
            finally:
                if filling.exists():
                    remove_folder(filling)
        return place / manifest.name

    def describe(self, key: str) -> Kept:
        """What a snapshot holds, without reading its content.

        Raises:
            FileNotFoundError, Refused: as `restore` does.
        """
        manifest = self.manifest(key)
        return Kept(key, len(manifest.files), manifest.size)

    def _save(
        self, key: str, name: str, found: Iterable[Found], known: Mapping[str, Entry] | None = None
    ) -> Kept:
        if self.holds(key):
            return self.describe(key)
        with self._contents.writing() as writer, _mapping(self._contents.parallel) as mapped:
            added = mapped(lambda one: _added(writer, one, known or {}), found)
            entries = tuple(entry for entry, _ in added)
            manifest = Manifest(name or "root", entries)
            writer.write(_manifest(key), manifest.to_bytes())
        return Kept(key, len(manifest.files), manifest.size, sum(sent for _, sent in added))

    def _lay_out(
        self,
        key: str,
        manifest: Manifest,
        destination: Path,
        *,
        linked: bool = False,
        near: Path | None = None,
    ) -> None:
        destination.parent.mkdir(parents=True, exist_ok=True)
        for entry in manifest.entries:
            place = destination / entry.path
            if entry.kind == "folder":
                place.mkdir(exist_ok=True)
            else:
                place.unlink(missing_ok=True)
            if entry.kind == "link":
                place.symlink_to(entry.target)

        def lay(entry: Entry) -> str:
            place = destination / entry.path
            name = _BLOBS.format(entry.digest[:2], entry.digest)
            if linked and self._contents.link(name, place, entry.size):
                return ""
            if near is not None and _copied(near / entry.path, place, entry):
                _as_it_was(place, entry)
                return ""
            wrong = self._contents.fetch(name, place, entry.digest, entry.size)
            if wrong:
                place.unlink(missing_ok=True)
            else:
                _as_it_was(place, entry)
            return wrong

        with _mapping(self._contents.parallel) as mapped:
            wrong = sorted(filter(None, mapped(lay, manifest.files)))
        if wrong:
            more = f" And {len(wrong) - 1} more." if len(wrong) > 1 else ""
            raise damaged(self, key, wrong[0] + more)
        # From the inside out: a folder that may not be written gets its mode when all is in it.
        for entry in reversed(manifest.entries):
            if entry.kind == "folder":
                _as_it_was(destination / entry.path, entry)


@contextlib.contextmanager
def _mapping(threads: int) -> Iterator[Callable[[Callable[[T], R], Iterable[T]], list[R]]]:
    """`map` in a bounded number of threads; with one, in the caller's own. An error ends it."""
    if threads == 1:
        yield lambda function, items: [function(item) for item in items]
        return
    pool = ThreadPoolExecutor(threads, "artifact store")
    try:
        yield lambda function, items: list(pool.map(function, items))
    finally:
        pool.shutdown(cancel_futures=True)


def _copied(source: Path, place: Path, entry: Entry) -> bool:
    """Copy a file that has the content of an entry; False, and nothing there, for one that has not."""
    try:
        state = source.stat()
        if (state.st_size, state.st_mtime_ns) != (entry.size, entry.modified):
            return False
        with source.open("rb") as file:
            if copy_checked(file.fileno(), place) == entry.digest:
                return True
    except OSError:
        pass
    place.unlink(missing_ok=True)
    return False


def _added(writer: Writer, found: Found, known: Mapping[str, Entry]) -> tuple[Entry, int]:
    before = known.get(found.path)
    if before is not None and found.kind == "file" and is_as_before(found, before):
        return before, 0
    if found.kind != "file":
        return Entry(
            path=found.path, kind=found.kind, mode=found.mode, modified=found.modified, target=found.target
        ), 0
    digest, size, new = writer.add(found.source, _BLOBS)
    entry = Entry(
        path=found.path, kind="file", mode=found.mode, modified=found.modified, digest=digest, size=size
    )
    return entry, size if new else 0


def _as_it_was(place: Path, entry: Entry) -> None:
    os.utime(place, ns=(entry.modified, entry.modified))
    place.chmod(entry.mode)


def _manifest(key: str) -> str:
    parts = key.split("/")
    if parts[0] in _NOT_KEYS or not all(parts) or {".", ".."} & set(parts):
        raise ValueError(f"{key!r} is no key of a snapshot")
    return f"{key}/manifest.json"
