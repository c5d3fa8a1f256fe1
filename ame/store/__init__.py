"""Snapshots of files by key, in a directory or a bucket: written whole or not at all, checked when read."""

from ame.store.files import digest_of_folder, leads_out, remove_folder
from ame.store.joining import Clash, Joined, changed_since, cut_out, joined, put_over
from ame.store.manifest import Entry, Manifest
from ame.store.opening import check_store, open_store
from ame.store.settings import StoreSettings
from ame.store.snapshots import Kept, SnapshotStore
from ame.store.tree import Found, contents_of_files, is_as_before

__all__ = [
    "Clash",
    "Entry",
    "Found",
    "Joined",
    "Kept",
    "Manifest",
    "SnapshotStore",
    "StoreSettings",
    "changed_since",
    "check_store",
    "contents_of_files",
    "cut_out",
    "digest_of_folder",
    "is_as_before",
    "joined",
    "leads_out",
    "open_store",
    "put_over",
    "remove_folder",
]
