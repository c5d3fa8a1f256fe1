"""What a deployed project keeps of those that it refers to: their AME files, and files that no task makes.

On a laptop they are folders; where a deployed run starts there is none of them, and the project has to mean
there what it meant when it was deployed.
"""

from __future__ import annotations

import hashlib
from pathlib import Path

from ame.runtime import project_digest, project_files
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
    parts = [digest]
    for name in sorted(needed):
        other = needed[name]
        parts.append(f"{name} {digest_of_folder(other.folder, _files(project, other))}")
    return hashlib.sha256("\n".join(parts).encode()).hexdigest()


def keep_neighbours(store: SnapshotStore, project: Project, digest: str) -> None:
    """Keep what is needed of the projects that one refers to; nothing, when there are none.

    Raises:
        OSError: when a file cannot be read.
        Refused: AME-E84x when the store cannot be used.
    """
    parts = {}
    for name, other in project.needed.items():
        files = _files(project, other)
        key = neighbours_key(name, f"part-{digest_of_folder(other.folder, files)}")
        store.save_files(key, other.folder, files)
        parts[name] = store.manifest(key)
    if parts:
        top = Manifest("neighbours", (Entry(path=".", kind="folder", mode=0o755),))
        store.save_manifest(neighbours_key(project.name, digest), put_over(top, parts))


def those_in(folder: Path) -> Others:
    """The projects that were kept for one, which are nowhere else where it runs."""
    return Others(places=(folder,), only=True)


def _files(project: Project, other: Project) -> list[Path]:
    """The AME file of another project, and the data sets of it that are needed and that no task makes."""
    users = [project, *project.needed.values()]
    needed = [user.data_set(name) for user in users for name in user.borrowed]
    kept = {other.folder / each.path for owner, each in needed if owner is other and each.task is None}
    files = {other.file}
    if kept:
        files |= {file for file in project_files(other) if kept & {file, *file.parents}}
    return sorted(files)
