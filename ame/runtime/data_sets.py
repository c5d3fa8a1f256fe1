"""The key of a data set: what it is made from, so that nothing is made twice and nothing old is used."""

from __future__ import annotations

import hashlib
import json

from ame.spec import DataSet, Project

__all__ = ["data_set_keys"]


def data_set_keys(project: Project, source: str) -> dict[str, str]:
    """The store key of every data set that a task makes, by name.

    A key covers the task's command, executor and variables, the files of the project, and the keys of
    the data sets that the task reads.

    Args:
        source: the digest of the project's files, taken once when a run starts: the files may change
            while it runs (its own output may be redirected into the folder), its data sets must not.
    """
    made = {name: data_set for name, data_set in project.data_sets.items() if data_set.task}
    keys: dict[str, str] = {}

    def key(data_set: DataSet) -> str:
        if data_set.name not in keys:
            task = project.tasks[str(data_set.task)]
            inputs = [key(made[name]) for name in sorted(task.data_sets) if name in made]
            parts = [
                source,
                task.executor.kind,
                task.executor.command,
                task.executor.python_version,
                sorted(task.env.items()),
                inputs,
                data_set.path,
            ]
            digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
            keys[data_set.name] = f"data-sets/{data_set.name}/{digest[:20]}"
        return keys[data_set.name]

    for data_set in made.values():
        key(data_set)
    return keys
