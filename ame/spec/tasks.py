"""Reading `tasks`, `templates`, and the places where a task or a reference to one may stand."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import yaml

from ame.spec import words
from ame.spec.drafts import TaskDraft
from ame.spec.entries import mapping_entries, wrong_kind
from ame.spec.executors import executor_said
from ame.spec.kubernetes import read_kubernetes
from ame.spec.nodes import is_null
from ame.spec.problems import shown
from ame.spec.reading import Reading, Reference, owner_of, read_reference, resolve, take_name
from ame.spec.resources import read_resources
from ame.spec.scalars import read_name
from ame.spec.section import Section

__all__ = ["read_draft", "read_task_use", "read_tasks", "read_templates", "referred_task"]

_ENV_FORM = "Write `env: [{key: MODE, val: fast}]`."


def read_tasks(reading: Reading, project: Section) -> None:
    """Reads `tasks`: a list, or the older mapping of names to tasks."""
    entry = project.entries.get("tasks")
    if entry is not None and isinstance(entry.value, yaml.MappingNode) and not entry.value.tag:
        reading.problems.add(
            "AME-W102",
            entry.key,
            "'tasks' is a mapping of names, which is an older form.",
            fix="Write a list: `- name: ...`.",
        )
        _read_named_tasks(reading, entry.value)
        return
    for node in project.items("tasks"):
        section = Section(reading.problems, node, words.TASK, owner_of(node, "task"))
        name = take_name(section, reading.tasks, "task")
        draft = read_draft(reading, section, name or "")
        if name is not None:
            reading.tasks[name] = draft


def read_templates(reading: Reading, project: Section) -> None:
    """Reads `templates`: a list of partial tasks."""
    for node in project.items("templates"):
        section = Section(reading.problems, node, words.TASK, owner_of(node, "template"))
        name = take_name(section, reading.templates, "template")
        draft = read_draft(reading, section, name or "")
        if name is not None:
            reading.templates[name] = draft


def read_task_use(reading: Reading, section: Section, key: str, inline_name: str) -> str | None:
    """The name of the task that stands under a key: referred to, or defined there.

    Args:
        inline_name: the name that a task defined there gets, unless it gives one.
    """
    entry = section.entries.get(key)
    if entry is None or is_null(entry.value):
        return None
    node = entry.value
    problems = reading.problems
    if isinstance(node, yaml.ScalarNode):
        what = f"'{key}' of {section.owner} must be a task or a reference, but here stands a text."
        problems.add("AME-E112", node, what, fix=f"Did you mean '{key}: {{taskRef: {node.value[:60]}}}'?")
        return None
    found = [word for word, _ in mapping_entries(problems, node, f"'{key}' of {section.owner}")]
    if "taskRef" in found or "taskref" in found:
        return referred_task(reading, node, f"'{key}' of {section.owner}", section.owner)
    inline = Section(problems, node, words.TASK, f"task '{inline_name}'")
    name = inline.text("name") or inline_name
    if name in reading.inline or name in reading.tasks:
        inline.error("AME-E115", "name", f"two tasks have the name {shown(name)}.", fix="Rename one of them.")
    reading.inline[name] = read_draft(reading, inline, name)
    return name


def referred_task(reading: Reading, node: yaml.Node, title: str, owner: str) -> str | None:
    """The name of the task that a mapping {taskRef: ...} means.

    Args:
        title: the mapping, as diagnoses name it.
        owner: what refers to the task.
    """
    reference = Section(reading.problems, node, words.REFERENCE, title)
    target = read_reference(reading.problems, reference.entries["taskRef"].value, f"'taskRef' of {owner}")
    return resolve(reading, target, "task", owner, reading.tasks) if target else None


def _read_named_tasks(reading: Reading, node: yaml.MappingNode) -> None:
    for word, entry in mapping_entries(reading.problems, node, "'tasks'"):
        section = Section(reading.problems, entry.value, words.TASK, f"task {shown(word)}")
        name = section.interpret(entry.key, "the name", word, read_name)
        said = section.raw("name")
        if said is not None and said != word:
            section.error("AME-E129", "name", f"{section.owner} says that its name is {shown(said)}.")
        draft = read_draft(reading, section, word)
        if name is not None:
            reading.tasks[name] = draft


def read_draft(reading: Reading, section: Section, name: str) -> TaskDraft:
    """What a mapping with the keys of a task says; its `pipeline` is read once all tasks are known."""
    owner = section.owner
    said: dict[str, Any] = dict(executor_said(section))
    if not section.sound:
        said["refused"] = True
    if section.given("projectid"):
        _check_project(reading, section)
    template = section.entries.get("fromTemplate")
    if template is not None and section.given("fromTemplate"):
        said["template"] = read_reference(section.problems, template.value, f"'fromTemplate' of {owner}")
    if "triggers" in section:
        triggers = section.section("triggers")
        if triggers is not None:
            said["cron"], timezone = triggers.text("schedule"), triggers.text("timezone")
            # A schedule that cannot be read is none that is missing.
            said["timezone"] = timezone if said["cron"] or not triggers.given("schedule") else None
    if "env" in section:
        said["env"] = dict(_env(section))
    if section.given("dataSets"):
        said["data_sets"] = tuple(Reference(text, None, node) for text, node in section.texts("dataSets"))
    if section.given("retries"):
        said["retries"] = section.integer("retries")
    if section.given("timeout"):
        said["timeout"] = section.read("timeout")
    if section.given("pipeline"):
        said["pipeline"] = section.entries["pipeline"]
    if section.given("artifacts"):
        said["artifacts"] = _artifacts(section)
    return TaskDraft(
        name=name,
        owner=owner,
        where=section.where(),
        resources=read_resources(section),
        kubernetes=read_kubernetes(section),
        **said,
    )


def _artifacts(section: Section) -> tuple[str, ...]:
    artifacts = section.section("artifacts")
    if artifacts is None:
        return ()
    artifacts.boolean("saveChangedFiles")  # true is refused
    return tuple(path for path, _ in artifacts.texts("paths"))


def _env(section: Section) -> Iterator[tuple[str, str]]:
    entry = section.entries["env"]
    problems = section.problems
    if isinstance(entry.value, yaml.MappingNode):
        nodes = _single_env(section, entry.value)
    else:
        nodes = section.items("env")
    seen: set[str] = set()
    for node in nodes:
        variable = Section(problems, node, words.ENV_ENTRY, f"a variable of {section.owner}")
        if isinstance(node, yaml.MappingNode):
            variable.require()
        name = variable.text("key")
        value = variable.text("val")
        if name in seen:
            what = f"{section.owner} gives the variable {shown(str(name))} twice."
            variable.error("AME-E115", "key", what)
        elif name is not None and value is not None:
            seen.add(name)
            yield name, value


def _single_env(section: Section, node: yaml.MappingNode) -> list[yaml.Node]:
    """The older form with one variable as a mapping; a mapping of names to values is refused."""
    problems = section.problems
    words_ = {word for word, _ in mapping_entries(problems, node, f"'env' of {section.owner}")}
    if not words_ & {"key", *words.ENV_ENTRY.older}:
        wrong_kind(problems, node, f"'env' of {section.owner}", "a list of {key, val}", _ENV_FORM)
        return []
    problems.add(
        "AME-W102",
        section.entries["env"].key,
        f"'env' of {section.owner} is one mapping, which is an older form.",
        fix="Write a list: `- {key: ..., val: ...}`.",
    )
    return [node]


def _check_project(reading: Reading, section: Section) -> None:
    said = section.text("projectid")
    if said is not None and reading.project is not None and said != reading.project:
        what = f"{section.owner} says that it is of project {shown(said)}."
        why = f"The file is of project {shown(reading.project)}."
        section.error("AME-E129", "projectid", what, why, "Leave 'projectid' out.")
        return
    what = f"'projectid' of {section.owner} is an older form."
    section.error("AME-W102", "projectid", what, fix="Leave it out; the project's name stands at the top.")
