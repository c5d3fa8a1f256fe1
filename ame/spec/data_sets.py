"""Reading `dataSets`, and the check that no task needs what it makes itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping

from ame.spec import words
from ame.spec.problems import Problems, listed, shown
from ame.spec.project import DataSet, Task, steps_of
from ame.spec.reading import Reading, owner_of, read_reference, resolve, take_name
from ame.spec.section import Section
from ame.spec.tasks import read_task_use

__all__ = ["read_data_sets", "refuse_cycles"]


def read_data_sets(reading: Reading, project: Section) -> None:
    """Reads `dataSets`, once `tasks` are known; the tasks inline in it join the reading's."""
    for node in project.items("dataSets"):
        section = Section(reading.problems, node, words.DATA_SET, owner_of(node, "data set"))
        name = take_name(section, reading.data_sets, "data set")
        section.require()
        data_set = DataSet(
            name=name or "",
            path=section.text("path") or "",
            where=section.where(),
            task=_task(reading, section, f"{name}.task"),
            size=section.text("size"),
        )
        if name is not None:
            reading.data_sets[name] = data_set


def refuse_cycles(problems: Problems, tasks: Mapping[str, Task], data_sets: Mapping[str, DataSet]) -> None:
    """Reports each circle of tasks in which every one needs a data set that the next one makes."""
    done: set[str] = set()
    for start in tasks:
        if start in done:
            continue
        path = {start: 0}
        todo = [_makers(tasks[start], tasks, data_sets)]
        while todo:
            for data_set, maker in todo[-1]:
                if maker in path:
                    _report(problems, tasks, path, path[maker], data_set)
                elif maker in tasks and maker not in done:
                    path[maker] = len(path)
                    todo.append(_makers(tasks[maker], tasks, data_sets))
                    break
            else:
                todo.pop()
                done.add(path.popitem()[0])


def _makers(
    task: Task, tasks: Mapping[str, Task], data_sets: Mapping[str, DataSet]
) -> Iterator[tuple[str, str]]:
    """The data sets that a task and its steps need and that tasks make, with these."""
    for name in (name for each in (task, *steps_of(task, tasks)) for name in each.data_sets):
        maker = data_sets[name].task
        if maker is not None:
            yield name, maker


def _report(
    problems: Problems, tasks: Mapping[str, Task], path: dict[str, int], start: int, data_set: str
) -> None:
    """Reports the circle that is the end of a path, from the task at `start`.

    The last task of the path needs the data set that the one at `start` makes.
    """
    task = tasks[next(reversed(path))]
    if problems.has("AME-E127", task.where):
        return
    what = f"task {shown(task.name)} needs the data set {shown(data_set)}, which it makes itself."
    why = ""
    circle = list(path)[start:]
    if len(circle) > 1:
        what = (
            f"task {shown(task.name)} needs the data set {shown(data_set)}, which task {shown(circle[0])} "
            "makes, which waits for it."
        )
        why = f"{listed([*circle, circle[0]], ' -> ')}: each needs what the next one makes."
    problems.add("AME-E127", task.where, what, why)


def _task(reading: Reading, section: Section, inline_name: str) -> str | None:
    """The task that makes a data set; older files put `taskRef` beside its path."""
    if not section.given("taskRef"):
        return read_task_use(reading, section, "task", inline_name)
    if section.given("task"):
        what = f"{section.owner} has both 'task' and 'taskRef', which mean the same."
        section.error("AME-E110", "taskRef", what, fix="Keep 'task'.")
    what = f"'taskRef' of {section.owner} is an older form."
    section.error("AME-W102", "taskRef", what, fix="Write `task: {taskRef: ...}`.")
    node = section.entries["taskRef"].value
    target = read_reference(section.problems, node, f"'taskRef' of {section.owner}")
    return resolve(reading, target, "task", section.owner, reading.tasks) if target else None
