"""Data sets that stand in a workspace before the start, and what is kept of it at the end."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Iterable
from dataclasses import dataclass

from ame.diagnosis import Diagnosis, Refused
from ame.spec import DataSet, Project, Task
from ame.store import Kept, SnapshotStore

__all__ = [
    "CHANGED",
    "Artifact",
    "Keep",
    "keep_artifacts",
    "keep_data_sets",
    "refuse_in_the_way",
    "refuse_missing",
]

#: What all files together are called that a task has made or changed.
CHANGED = "files made or changed"

#: Keeps what stands at a path of a workspace under a key; None when nothing does.
Keep = Callable[[str, str], Kept | None]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file or folder that a task left and that is kept.

    Attributes:
        path: as the task names it, or `CHANGED`.
        store: the artifact store, for people to find it.
        kept: its key, how many files it has and how large it is.
    """

    path: str
    store: str
    kept: Kept


def refuse_missing(project: Project, data_set: DataSet) -> None:
    """Refuse, with AME-E205, when a data set that no task makes is not in the project's folder."""
    if not (project.folder / data_set.path).exists():
        raise Refused(
            Diagnosis(
                code="AME-E205",
                where=data_set.where,
                what=f"data set '{data_set.name}' is not there: {data_set.path} does not exist.",
                fix="Put the files there, or name the task that makes them.",
            )
        )


def refuse_in_the_way(project: Project, name: str) -> None:
    """Refuse, with AME-E214, when the project has files of its own where another's data set is to stand."""
    owner, data_set = project.data_set(name)
    if owner is not project and os.path.lexists(project.folder / data_set.path):
        raise Refused(
            Diagnosis(
                code="AME-E214",
                where=data_set.where,
                what=f"data set '{name}' would stand where project '{project.name}' has files of its own: "
                f"{data_set.path}.",
                why=f"They are in {project.folder}.",
                fix="Move them away, or give the data set another path.",
            )
        )


def keep_data_sets(makes: Iterable[tuple[DataSet, str]], task: Task, keep: Keep) -> None:
    """Keep the data sets that a task has made.

    Args:
        makes: each with its key.

    Raises:
        Refused: AME-E206, when one is missing.
    """
    for data_set, key in makes:
        if keep(key, data_set.path) is None:
            raise Refused(
                Diagnosis(
                    code="AME-E206",
                    where=data_set.where,
                    what=f"task '{task.name}' ended well but left no {data_set.path}, the path of data set "
                    f"'{data_set.name}'.",
                    fix="Let the task write it there, relative to the folder that it starts in.",
                )
            )


def keep_artifacts(
    task: Task,
    name: str,
    store: SnapshotStore,
    keep: Keep,
    keep_changed: Callable[[str], Kept | None],
) -> tuple[Artifact, ...]:
    """Keep a task's `artifacts`, under `artifacts/TASK/NAME/PATH`, and all that it made or changed.

    Args:
        keep_changed: keeps that under a key, `artifacts/TASK/NAME.changed`; None when it is nothing.

    Raises:
        Refused: AME-E210, when one is missing.
    """
    artifacts = [_keep_artifact(path, task, name, store, keep) for path in task.artifacts]
    changed = keep_changed(f"artifacts/{task.name}/{name}.changed") if task.save_changed else None
    if changed:
        artifacts.append(Artifact(path=CHANGED, store=str(store), kept=changed))
    return tuple(artifacts)


def _keep_artifact(path: str, task: Task, name: str, store: SnapshotStore, keep: Keep) -> Artifact:
    kept = keep(posixpath.normpath(f"artifacts/{task.name}/{name}/{path}"), path)
    if kept is None:
        raise Refused(
            Diagnosis(
                code="AME-E210",
                where=task.where,
                what=f"task '{task.name}' ended well but left no {path}, which is one of its artifacts.",
                fix="Let the task write it there, relative to the folder that it starts in.",
            )
        )
    return Artifact(path=path, store=str(store), kept=kept)
