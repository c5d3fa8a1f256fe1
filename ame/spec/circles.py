"""The check that no task needs a data set that it makes itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import NamedTuple

from ame.spec.problems import Problems, listed, shown
from ame.spec.project import DataSet, Task

__all__ = ["refuse_circles"]


def refuse_circles(problems: Problems, tasks: Mapping[str, Task], data_sets: Mapping[str, DataSet]) -> None:
    """Reports each circle of tasks in which every one waits for the next one, and one for a data set of it.

    A pipeline waits for its steps; circles of steps only are reported elsewhere.
    """
    done: set[str] = set()
    for start in tasks:
        if start in done:
            continue
        path = _Path()
        path.add(start, None)
        todo = [_awaited(tasks[start], tasks, data_sets)]
        while todo:
            for name, data_set in todo[-1]:
                if name in path.places:
                    _report(problems, tasks, path, path.need(name, data_set))
                elif name not in done:
                    path.add(name, data_set)
                    todo.append(_awaited(tasks[name], tasks, data_sets))
                    break
            else:
                todo.pop()
                done.add(path.pop())


class _Need(NamedTuple):
    """What closes a circle: a data set that one of its tasks needs, and the next one makes.

    Attributes:
        place: of the task that needs it, on the path.
        start: of the circle.
    """

    data_set: str
    place: int
    start: int


class _Path:
    """Tasks of which each waits for the next one.

    Attributes:
        names: of the tasks.
        places: by name, how many stand before it.
    """

    def __init__(self) -> None:
        self.names: list[str] = []
        self.places: dict[str, int] = {}
        # By place, the data set for which the task before it waits for it; None: it is its step.
        self._data_sets: list[str | None] = []
        # By place, that of the last task, up to it, which another one waits for because of a data set.
        self._makers: list[int] = []

    def add(self, name: str, data_set: str | None) -> None:
        place = len(self.names)
        self.places[name] = place
        self.names.append(name)
        self._data_sets.append(data_set)
        self._makers.append(place if data_set is not None or not place else self._makers[-1])

    def pop(self) -> str:
        self._data_sets.pop()
        self._makers.pop()
        name = self.names.pop()
        del self.places[name]
        return name

    def need(self, name: str, data_set: str | None) -> _Need | None:
        """What is needed last in the circle that a task closes by waiting for one of the path.

        None in a circle of steps only.
        """
        start, end = self.places[name], len(self.names) - 1
        if data_set is not None:
            return _Need(data_set, end, start)
        maker = self._makers[end]
        needed = self._data_sets[maker]
        return _Need(needed, maker - 1, start) if maker > start and needed is not None else None


def _awaited(
    task: Task, tasks: Mapping[str, Task], data_sets: Mapping[str, DataSet]
) -> Iterator[tuple[str, str | None]]:
    """The tasks that must have ended before this one has, each with the data set for which."""
    for data_set in task.data_sets:
        # One of another project is made elsewhere.
        maker = data_sets[data_set].task if data_set in data_sets else None
        if maker is not None and maker in tasks:
            yield maker, data_set
    for step in dict.fromkeys(step for group in task.pipeline for step in group):
        if step in tasks:
            yield step, None


def _report(problems: Problems, tasks: Mapping[str, Task], path: _Path, need: _Need | None) -> None:
    if need is None:
        return
    task = tasks[path.names[need.place]]
    if problems.has("AME-E127", task.where):
        return
    circle = [*path.names[need.place + 1 :], *path.names[need.start : need.place + 1]]
    needs = f"task {shown(task.name)} needs the data set {shown(need.data_set)}"
    if len(circle) == 1:
        what, why = f"{needs}, which it makes itself.", ""
    else:
        what = f"{needs}, which task {shown(circle[0])} makes, which waits for it."
        why = f"{listed([*circle, circle[0]], ' -> ')}: each needs what the next one makes"
        # A circle may be as long as the file; the first of it are shown.
        why += ", or has it as a step." if any(tasks[name].pipeline for name in circle[:10]) else "."
    problems.add("AME-E127", task.where, what, why)
