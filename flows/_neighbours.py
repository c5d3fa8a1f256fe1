"""What a deployed project keeps of those that it refers to: their AME files, beside its own snapshot.

On a laptop they are folders; where a deployed run starts there is none of them, and the project has to mean
there what it meant when it was deployed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from ame.runtime import project_digest
from ame.spec import Others, Project
from ame.store import Entry, Manifest, SnapshotStore, digest_of_folder, put_over

__all__ = ["deployed_digest", "keep_neighbours", "neighbours_key", "those_in"]


def neighbours_key(name: str, digest: str) -> str:
    """The store's key of what a project refers to."""
    return f"neighbours/{name}/{digest}"


def deployed_digest(project: Project) -> str:
    """What a project's files contain and what it refers to, as one SHA-256.

    Raises:
        Refused: AME-E208, when a file cannot be read.
    """
    digest = project_digest(project)
    needed = project.needed
    if not needed:
        return digest
    parts = [digest, *(f"{name} {_digest(needed[name])}" for name in sorted(needed))]
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def keep_neighbours(store: SnapshotStore, project: Project, digest: str) -> None:
    """Keep what is needed of the projects that one refers to; nothing, when there are none.

    Raises:
        OSError: when a file cannot be read.
        Refused: AME-E84x when the store cannot be used.
    """
    parts = {}
    for name, other in project.needed.items():
        key = neighbours_key(name, f"file-{_digest(other)}")
        store.save_files(key, other.folder, _files(other))
        parts[name] = store.manifest(key)
    if parts:
        top = Manifest("neighbours", (Entry(path=".", kind="folder", mode=0o755),))
        store.save_manifest(neighbours_key(project.name, digest), put_over(top, parts))


def those_in(folder: Path) -> Others:
    """The projects that were kept for one, which are nowhere else where it runs."""
    return Others(places=(folder,), only=True)


def _files(other: Project) -> list[Path]:
    return [other.file]


def _digest(other: Project) -> str:
    return digest_of_folder(other.folder, _files(other))
