"""The key of a data set: what it is made from, so that nothing is made twice and nothing old is used."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Mapping
from typing import Any

from ame.spec import DataSet, Project, Task, steps_of

__all__ = ["borrowed_for", "data_set_keys"]

_NOTHING: Mapping[str, str] = {}


def data_set_keys(project: Project, source: str, borrowed: Mapping[str, str] = _NOTHING) -> dict[str, str]:
    """The store key of every data set that a task makes, by name.

    Those that are made with a data set of another project whose key is not given are left out.

    A key covers the task's command, executor, variables and names of secrets, or those of its steps, the
    files of the project, and the keys of the data sets that they read.

    Args:
        source: the digest of the project's files, taken once when a run starts: the files may change
            while it runs (its own output may be redirected into the folder), its data sets must not.
        borrowed: the keys of other projects' data sets, by `PROJECT.NAME`.
    """
    made = {name: data_set for name, data_set in project.data_sets.items() if data_set.task}
    keys: dict[str, str] = {}

    def key(data_set: DataSet) -> str:
        if data_set.name not in keys:
            task = project.tasks[str(data_set.task)]
            needed = _needed(project, data_set)
            inputs = [key(made[name]) for name in sorted(needed & made.keys())]
            inputs += [borrowed[name] for name in sorted(needed & borrowed.keys())]
            parts = [source, *_recipe(task), inputs, data_set.path]
            steps = steps_of(task, project.tasks)
            if steps:
                parts += [task.pipeline, [[step.name, step.pipeline, *_recipe(step)] for step in steps]]
            digest = hashlib.sha256(json.dumps(parts).encode()).hexdigest()
            keys[data_set.name] = f"data-sets/{data_set.name}/{digest[:20]}"
        return keys[data_set.name]

    for data_set in made.values():
        if not project.borrowed or borrowed_for(project, [data_set.name]) <= borrowed.keys():
            key(data_set)
    return keys


def borrowed_for(project: Project, names: Iterable[str]) -> set[str]:
    """Which of these data sets are other projects', and which of those go into these, by `PROJECT.NAME`."""
    found: set[str] = set()
    todo = list(names)
    while todo:
        name = todo.pop()
        if name not in found:
            found.add(name)
            todo += _needed(project, project.data_sets[name]) if name in project.data_sets else ()
    return found & project.borrowed.keys()


def _needed(project: Project, data_set: DataSet) -> set[str]:
    """The data sets that the task which makes one needs, its steps included."""
    if data_set.task is None:
        return set()
    task = project.tasks[data_set.task]
    return {name for each in (task, *steps_of(task, project.tasks)) for name in each.data_sets}


def _recipe(task: Task) -> list[Any]:
    executor = task.executor
    recipe: list[Any] = [
        executor.kind,
        executor.command,
        executor.python_version,
        sorted(task.env.items()),
    ]
    if task.secrets:
        # Which they are, not what: their values may not be told from a key.
        named = [
            (secret.inject_as, secret.vault or "", secret.key, secret.field or "") for secret in task.secrets
        ]
        recipe.append(sorted(named))
    return recipe
