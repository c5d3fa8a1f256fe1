"""Snapshots of files, kept by key: written whole or not at all, restored as they were."""

from ame.store.files import copy_whole, digest_of_folder, leads_out, remove_folder
from ame.store.snapshots import SnapshotStore

__all__ = ["SnapshotStore", "copy_whole", "digest_of_folder", "leads_out", "remove_folder"]
