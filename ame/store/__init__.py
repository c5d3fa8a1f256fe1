"""Snapshots of files, kept by key: written whole or not at all, restored as they were."""

from ame.store.snapshots import SnapshotStore, digest_of_folder

__all__ = ["SnapshotStore", "digest_of_folder"]
