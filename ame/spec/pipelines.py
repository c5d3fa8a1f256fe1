"""Reading `pipeline`: the steps of a task, one after another or, in a nested list, at once."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from ame.spec import words
from ame.spec.drafts import TaskDraft
from ame.spec.entries import Entry, is_list, mapping_entries, wrong_kind
from ame.spec.nodes import is_null
from ame.spec.problems import shown
from ame.spec.reading import Reading, Step
from ame.spec.scalars import read_name
from ame.spec.section import Section
from ame.spec.tasks import is_reference, read_draft, referred_task

__all__ = ["read_pipelines"]

_STEP_FORM = "a task or a reference"


def read_pipelines(reading: Reading) -> None:
    """Reads the pipelines of all tasks, once every task is known; steps inline in them join the reading's."""
    for template in reading.templates.values():
        if template.pipeline is not None:
            reading.problems.add(
                "AME-E109",
                template.pipeline.key,
                f"{template.owner} has the key 'pipeline', which only a task has.",
                fix="Make the steps' common keys a template, and name it at each step.",
            )
    todo = [*reading.tasks.values(), *reading.inline.values()]
    for draft in todo:
        if draft.pipeline is not None:
            pipeline = _Pipeline(reading, draft)
            reading.pipelines[draft.name] = tuple(pipeline.groups(draft.pipeline))
            # A step that is a pipeline of its own has its turn, too.
            todo += pipeline.inline


class _Pipeline:
    """One pipeline under reading.

    Attributes:
        inline: the steps that are defined in it, as they are read.
    """

    def __init__(self, reading: Reading, draft: TaskDraft) -> None:
        self._reading = reading
        self._task = draft.name
        self._owner = draft.owner
        self._title = f"'pipeline' of {draft.owner}"
        self._count = 0
        self.inline: list[TaskDraft] = []

    def groups(self, entry: Entry) -> Iterator[tuple[Step, ...]]:
        problems, node = self._reading.problems, entry.value
        if isinstance(node, yaml.MappingNode):
            problems.add(
                "AME-W102",
                entry.key,
                f"{self._title} is a mapping of names, which is an older form.",
                fix="Write a list: `- name: ...`.",
            )
            steps = [self._step(found.value, word, found) for word, found in self._named(node)]
            if not steps:
                self._empty(node, self._title)
            yield from ((step,) for step in steps if step is not None)
            return
        if not is_list(node):
            wrong_kind(problems, node, self._title, "a list of steps")
            return
        if not node.value:
            self._empty(node, self._title)
        for each in node.value:
            if is_list(each):
                group = self._at_once(each)
            else:
                step = self._step(each)
                group = [step] if step is not None else []
            if group:
                yield tuple(group)

    def _named(self, node: yaml.MappingNode) -> Iterator[tuple[str, Entry]]:
        return mapping_entries(self._reading.problems, node, self._title)

    def _at_once(self, node: yaml.SequenceNode) -> list[Step]:
        title = f"a list within {self._title}"
        if not node.value:
            self._empty(node, title)
        steps: list[Step] = []
        names: set[str] = set()
        for each in node.value:
            if is_list(each):
                fix = "Make the inner list the pipeline of a task, and name that task here."
                wrong_kind(self._reading.problems, each, f"a step in {title}", _STEP_FORM, fix)
                continue
            step = self._step(each)
            if step is None:
                continue
            if step.name in names:
                what = f"{title} names the task {shown(step.name)} twice."
                why = "What a list within a pipeline names runs at once."
                self._reading.problems.add("AME-E115", each, what, why)
            names.add(step.name)
            steps.append(step)
        return steps

    def _step(self, node: yaml.Node, key: str | None = None, entry: Entry | None = None) -> Step | None:
        """A step; None, with a problem, for what is none.

        Args:
            key: the name that the older form as a mapping gives it.
        """
        problems = self._reading.problems
        self._count += 1
        title = f"a step of {self._owner}"
        if isinstance(node, yaml.ScalarNode):
            fix = "" if is_null(node) else f"Did you mean 'taskRef: {node.value[:60]}'?"
            wrong_kind(problems, node, title, _STEP_FORM, fix)
            return None
        found = [word for word, _ in mapping_entries(problems, node, title)]
        if is_reference(found):
            name = referred_task(self._reading, node, title, title)
            return Step(name, False, problems.where(node)) if name is not None else None
        return self._inline(node, key, entry)

    def _inline(self, node: yaml.Node, key: str | None, entry: Entry | None) -> Step:
        reading = self._reading
        place = Section(reading.problems, node, words.STEP, f"a step of {self._owner}")
        if entry is None or key is None:
            own = place.text("name")
        else:
            own = place.interpret(entry.key, "the name", key, read_name)
            said = place.raw("name")
            if said is not None and said != key:
                what = f"step {shown(key)} of {self._owner} says that its name is {shown(said)}."
                place.error("AME-E129", "name", what)
        name = f"{self._task}.{own or self._count}"
        if name in reading.inline or name in reading.tasks:
            what = f"two tasks have the name {shown(name)}."
            place.error("AME-E115", "name", what, fix="Rename one of them.")
        place.owner = f"task {shown(name)}"
        reading.inline[name] = read_draft(reading, place, name)
        self.inline.append(reading.inline[name])
        return Step(name, True, place.where())

    def _empty(self, node: yaml.Node, title: str) -> None:
        fix = "Write `- taskRef: NAME` or `- {name: ..., executor: ...}` for each."
        self._reading.problems.add("AME-E113", node, f"{title} has no steps.", fix=fix)
