"""Data sets of other projects: no circle over projects, and no two data sets in one place of a workspace."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator, Mapping
from dataclasses import replace
from operator import itemgetter

from ame.spec.circles import refuse_circles
from ame.spec.problems import Problems, shown
from ame.spec.project import DataSet, Project, Task, steps_of
from ame.spec.reading import Reading
from ame.spec.unfolding import note_needed

__all__ = ["refuse_circles_over", "refuse_one_place"]


def refuse_circles_over(problems: Problems, projects: Mapping[str, Project]) -> None:
    """`refuse_circles` of projects that need each other's data sets; every name begins with its project's."""
    tasks: dict[str, Task] = {}
    data_sets: dict[str, DataSet] = {}
    for project in projects.values():

        def full(name: str, of: str = project.name) -> str:
            return f"{of}.{name}"

        for name, data_set in project.data_sets.items():
            task = full(data_set.task) if data_set.task is not None else None
            data_sets[full(name)] = replace(data_set, task=task)
        for name, each in project.tasks.items():
            needed = (needed if needed in project.borrowed else full(needed) for needed in each.data_sets)
            steps = tuple(tuple(map(full, group)) for group in each.pipeline)
            tasks[full(name)] = replace(each, name=full(name), data_sets=tuple(needed), pipeline=steps)
    refuse_circles(problems, tasks, data_sets)


def refuse_one_place(reading: Reading, tasks: Mapping[str, Task]) -> None:
    """Reports tasks in whose workspace two data sets would stand in one place (AME-E144).

    One of another project must not stand in another's folder either: that has files of its own there.

    Raises:
        Refused: AME-E107, when pipelines have too many steps to look at all of them.
    """
    of_others = {name: found.reading.data_sets[found.name] for name, found in reading.borrowed.items()}
    known = {**reading.data_sets, **of_others}
    if not of_others and len({_path(each) for each in known.values()}) == len(known):
        return
    made: dict[str, list[str]] = {}
    for name, data_set in reading.data_sets.items():
        if data_set.task is not None:
            made.setdefault(data_set.task, []).append(name)
    # The workspace of a pipeline holds all that those of its steps do.
    steps = {step for task in tasks.values() for group in task.pipeline for step in group}
    for task in (each for each in tasks.values() if each.name not in steps or each.name in made):
        whole = (task, *steps_of(task, tasks))
        needed = [name for each in whole for name in each.data_sets]
        names = dict.fromkeys([*needed, *made.get(task.name, ())])
        note_needed(reading, task, len(whole) + len(names))
        for outer, inner in _one_in_another({name: _path(known[name]) for name in names}):
            same = _path(known[outer]) == _path(known[inner])
            if same or outer in of_others or inner in of_others:
                places = (f"{_path(known[name])} ({known[name].where})" for name in (outer, inner))
                reading.problems.add(
                    "AME-E144",
                    task.where,
                    f"the data sets {shown(outer)} and {shown(inner)} would stand in one place in the "
                    f"workspace of task {shown(task.name)}.",
                    why=f"Their paths are {' and '.join(places)}.",
                    fix="Give one of them another path.",
                )
                break


def _path(data_set: DataSet) -> str:
    return posixpath.normpath(data_set.path)


def _one_in_another(paths: Mapping[str, str]) -> Iterator[tuple[str, str]]:
    """The names of those of which one's path is, or is in, the other's; the outer one first."""
    around: list[tuple[str, list[str]]] = []
    for name, parts in sorted(((name, path.split("/")) for name, path in paths.items()), key=itemgetter(1)):
        while around and parts[: len(around[-1][1])] != around[-1][1]:
            around.pop()
        yield from ((outer, name) for outer, _ in around)
        around.append((name, parts))
