"""Opening a store by its settings, and finding out whether it can be used."""

from __future__ import annotations

import uuid
from pathlib import Path

from ame.local import cache_folder
from ame.store.contents import Contents
from ame.store.directory import Directory
from ame.store.settings import StoreSettings
from ame.store.snapshots import SnapshotStore

__all__ = ["check_store", "open_store"]


def open_store(store: StoreSettings | Path, *, cache: Path | None = None) -> SnapshotStore:
    """The snapshots of a store; nothing is asked of it yet.

    Args:
        store: its settings, or the folder of a local one.
        cache: where `SnapshotStore.path` lays snapshots out; by default below the folder itself, for a
            bucket in the user's cache.

    Raises:
        Refused: AME-E848 when the client for S3 is not installed.
    """
    if isinstance(store, Path):
        return SnapshotStore(store, cache=cache)
    if store.folder:
        return SnapshotStore(store.folder, cache=cache)
    return SnapshotStore(_contents(store), cache=cache or cache_folder() / "snapshots")


def check_store(settings: StoreSettings) -> None:
    """Write, read and delete a small object, as the runs will.

    Raises:
        Refused: AME-E842 to AME-E846 when one of them cannot be done, AME-E848 as `open_store`.
    """
    contents = _contents(settings)
    name = f"probes/{uuid.uuid4().hex}"
    with contents.writing() as writer:
        writer.write(name, b"ame")
    contents.read(name)
    contents.remove(name)


def _contents(settings: StoreSettings) -> Contents:
    if settings.folder:
        return Directory(settings.folder)
    from ame.store.bucket import Bucket

    return Bucket(settings)
