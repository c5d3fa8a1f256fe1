"""Reading `dataSets`."""

from __future__ import annotations

from ame.spec import words
from ame.spec.project import DataSet
from ame.spec.reading import Reading, owner_of, read_reference, resolve, take_name
from ame.spec.section import Section
from ame.spec.tasks import read_task_use

__all__ = ["read_data_sets"]


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
