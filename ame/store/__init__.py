"""Snapshots of files by key, in a directory or a bucket: written whole or not at all, checked when read."""

from ame.store.files import digest_of_folder, leads_out, remove_folder
from ame.store.opening import check_store, open_store
from ame.store.settings import StoreSettings
from ame.store.snapshots import Kept, SnapshotStore

__all__ = [
    "Kept",
    "SnapshotStore",
    "StoreSettings",
    "check_store",
    "digest_of_folder",
    "leads_out",
    "open_store",
    "remove_folder",
]
