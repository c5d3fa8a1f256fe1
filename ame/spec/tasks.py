"""Reading `tasks`, `templates`, and the places where a task or a reference to one may stand."""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Mapping
from typing import Any

import yaml

from ame.diagnosis import Where
from ame.spec import words
from ame.spec.drafts import TaskDraft
from ame.spec.entries import Entry, mapping_entries, wrong_kind
from ame.spec.executors import commanded, executor_said, image_said
from ame.spec.kubernetes import read_kubernetes
from ame.spec.nodes import is_null
from ame.spec.problems import Problems, shown
from ame.spec.reading import Reading, Reference, owner_of, read_reference, resolve, take_name
from ame.spec.resources import read_resources
from ame.spec.scalars import read_name
from ame.spec.secrets import read_secrets
from ame.spec.section import Section

__all__ = ["is_reference", "read_draft", "read_task_use", "read_tasks", "read_templates", "referred_task"]

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
    else:
        for node in project.items("tasks"):
            section = Section(reading.problems, node, words.TASK, owner_of(node, "task"))
            name = take_name(section, reading.tasks, "task")
            draft = read_draft(reading, section, name or "")
            if name is not None:
                reading.tasks[name] = draft
    _read_recurring(reading, project)


def _read_recurring(reading: Reading, project: Section) -> None:
    """Reads `recurring_tasks`, the older mapping of names to {taskref, schedule}."""
    entry = project.entries.get("recurring_tasks")
    if entry is None or is_null(entry.value):
        return
    project.error(
        "AME-W102",
        "recurring_tasks",
        "'recurring_tasks' of the project is an older form.",
        fix="Write tasks: `- {name: ..., taskRef: ..., triggers: {schedule: ...}}`.",
    )
    for word, found in mapping_entries(reading.problems, entry.value, "'recurring_tasks' of the project"):
        section = Section(reading.problems, found.value, words.RECURRING, f"recurring task {shown(word)}")
        section.require()
        name = section.interpret(found.key, "the name", word, read_name)
        if name in reading.tasks:
            what = f"two tasks have the name {shown(word)}."
            reading.problems.add("AME-E115", found.key, what, fix="Rename one of them.")
        elif name is not None:
            reading.tasks[name] = TaskDraft(
                name=name,
                owner=f"task {shown(name)}",
                where=section.where(),
                like=section.entries.get("taskRef"),
                refused=not section.given("taskRef"),
                cron=section.text("schedule"),
            )


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
    if is_reference(found):
        return referred_task(reading, node, f"'{key}' of {section.owner}", section.owner)
    inline = Section(problems, node, words.TASK, f"task '{inline_name}'")
    name = inline.text("name") or inline_name
    if name in reading.inline or name in reading.tasks:
        inline.error("AME-E115", "name", f"two tasks have the name {shown(name)}.", fix="Rename one of them.")
    reading.inline[name] = read_draft(reading, inline, name)
    return name


def is_reference(keys: Collection[str]) -> bool:
    """Whether a mapping with these keys names a task; with others beside it is a task like the named one."""
    return bool(keys) and set(keys) <= {"taskRef", "taskref"}


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
    said["kubernetes"] = _with_image(section, read_kubernetes(section), said.pop("image", None))
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
    for key, (field, read) in _FIELDS.items():
        if section.given(key):
            said[field] = read(section)
    said.update(_artifacts(section))
    return TaskDraft(
        name=name,
        owner=owner,
        where=section.where(),
        resources=read_resources(section),
        **said,
    )


def _with_image(
    section: Section, kubernetes: dict[str, Any], of_executor: tuple[str, Where] | None
) -> dict[str, Any]:
    """What `kubernetes` says, with the image that older files name at the executor or at the task."""
    for older in (of_executor, image_said(section)):
        if older is None:
            continue
        image, where = older
        if "image" in kubernetes:
            what = f"{section.owner} names its image in two places."
            section.problems.add("AME-E110", where, what, fix="Keep `kubernetes: {image: ...}`.")
        places = {**kubernetes.get("places", {}), "image": where}
        kubernetes = {**kubernetes, "image": image, "places": places}
    return kubernetes


def _artifacts(section: Section) -> Iterator[tuple[str, object]]:
    artifacts = section.section("artifacts")
    if artifacts is None:
        return
    if artifacts.given("paths"):
        yield "artifacts", tuple(path for path, _ in artifacts.texts("paths"))
    if artifacts.given("saveChangedFiles"):
        yield "save_changed", artifacts.boolean("saveChangedFiles")


def _data_sets(section: Section) -> tuple[Reference, ...]:
    """The data sets that a task names, none of them twice."""
    found: dict[tuple[str, str | None], Reference] = {}
    title = f"an entry of 'dataSets' of {section.owner}"
    for node in section.items_or_one("dataSets", "- NAME"):
        reference = _data_set_use(section.problems, node, title)
        if reference is None:
            continue
        key = (reference.name, reference.project)
        if key in found:
            what = f"'dataSets' of {section.owner} names {shown(reference.name)} twice."
            section.problems.add("AME-E115", node, what)
        elif not reference.name.strip():
            section.problems.add("AME-E116", node, f"{title} is blank.")
        else:
            found[key] = reference
    return tuple(found.values())


def _data_set_use(problems: Problems, node: yaml.Node, title: str) -> Reference | None:
    """A data set by its name, as {name, project}, or as the older {ref: ...} of either."""
    if not isinstance(node, yaml.MappingNode) or "ref" not in dict(mapping_entries(problems, node, title)):
        return read_reference(problems, node, title)
    reference = Section(problems, node, words.DATA_SET_REFERENCE, title)
    if not reference.require():
        return None
    what = f"'ref' of {title} is an older form."
    reference.error("AME-W102", "ref", what, fix="Write the data set's name, or `{name: ..., project: ...}`.")
    return read_reference(problems, reference.entries["ref"].value, f"'ref' of {title}")


def _env(section: Section) -> dict[str, str]:
    entry = section.entries["env"]
    problems = section.problems
    if isinstance(entry.value, yaml.MappingNode):
        nodes = _single_env(section, entry.value)
    else:
        nodes = section.items("env")
    found: dict[str, str] = {}
    for node in nodes:
        variable = Section(problems, node, words.ENV_ENTRY, f"a variable of {section.owner}")
        if isinstance(node, yaml.MappingNode):
            variable.require()
        name = variable.text("key")
        value = variable.text("val")
        if name in found:
            what = f"{section.owner} gives the variable {shown(str(name))} twice."
            variable.error("AME-E115", "key", what)
        elif name is not None and value is not None:
            found[name] = value
    return found


def _single_env(section: Section, node: yaml.MappingNode) -> list[yaml.Node]:
    """The older form with one variable as a mapping; a mapping of names to values is refused."""
    problems = section.problems
    words_ = {word for word, _ in mapping_entries(problems, node, f"'env' of {section.owner}")}
    if not words_ & {"key", *words.ENV_ENTRY.older}:
        wrong_kind(problems, node, f"'env' of {section.owner}", "a list of {key, val}", _ENV_FORM)
        return []
    return section.items_or_one("env", "- {key: ..., val: ...}")


def _check_project(reading: Reading, section: Section) -> None:
    said = section.text("projectid")
    if said is not None and reading.project is not None and said != reading.project:
        what = f"'projectid' of {section.owner} has no effect."
        why = f"It says {shown(said)}, and the file is of project {shown(reading.project)}."
        section.error("AME-W104", "projectid", what, why, "Leave it out.")
        return
    what = f"'projectid' of {section.owner} is an older form."
    section.error("AME-W102", "projectid", what, fix="Leave it out; the project's name stands at the top.")


def _pipeline(section: Section) -> Entry | None:
    """A pipeline as it stands in the file; None for an empty one beside a command, as old files have it."""
    entry = section.entries["pipeline"]
    if not isinstance(entry.value, yaml.ScalarNode) and not entry.value.value and commanded(section):
        section.error("AME-W104", "pipeline", f"'pipeline' of {section.owner} has no effect.", "It is empty.")
        return None
    return entry


#: By key, the field of a `TaskDraft` that it fills and how it is read.
_FIELDS: Mapping[str, tuple[str, Callable[[Section], Any]]] = {
    "env": ("env", _env),
    "secrets": ("secrets", read_secrets),
    "dataSets": ("data_sets", _data_sets),
    "retries": ("retries", lambda section: section.integer("retries")),
    "timeout": ("timeout", lambda section: section.read("timeout")),
    "pipeline": ("pipeline", _pipeline),
    "taskRef": ("like", lambda section: section.entries["taskRef"]),
}
