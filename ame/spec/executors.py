"""Reading how a task's command gets its environment: `!pip {...}`, or the command of an older file."""

from __future__ import annotations

from collections.abc import Iterator

from ame.diagnosis import Where
from ame.spec import words
from ame.spec.section import Section
from ame.spec.tags import read_tagged

__all__ = ["commanded", "executor_form", "executor_said", "image_said"]

_EXECUTOR_FORM = "Write `executor: !pip {command: python train.py}`."
_COMMANDS = ("executor", "runcommand", "command")
_TYPES = ("executor", "taskType", "task_type")


def executor_form(kind: str | None) -> str:
    """The sentence that says how to write a command with its executor, of any kind if none is given."""
    kinds = (kind,) if kind else ("pip", "custom")
    return f"Write {' or '.join(f'`executor: !{each} {{command: ...}}`' for each in kinds)}."


def commanded(section: Section) -> bool:
    """Whether a task says what is run."""
    return any(map(section.given, _COMMANDS))


def executor_said(section: Section) -> Iterator[tuple[str, object]]:
    """The fields of a `TaskDraft` that a task's executor, or its command in an older file, gives."""
    for keys in (_COMMANDS, _TYPES):
        given = [key for key in keys if section.given(key)]
        if len(given) > 1:
            what = f"{section.owner} has both '{given[0]}' and '{given[1]}', which mean the same."
            fix = "Keep 'executor'." if given[0] == "executor" else "Write `executor` instead of both."
            section.error("AME-E110", given[1], what, fix=fix)
    if section.given("executor"):
        yield from _executor(section)
        return
    refused = False
    for key in (key for key in _TYPES if section.given(key)):
        kind = section.text(key)
        yield "kind", kind
        refused = kind is None
        what = f"'{key}' of {section.owner} is an older form."
        bare = kind == "mlflow" and not commanded(section)
        section.error(
            "AME-W102", key, what, fix="Write `executor: !mlflow`." if bare else executor_form(kind)
        )
    for key in (key for key in _COMMANDS if section.given(key)):
        command = section.text(key)
        yield "command", command
        yield "command_where", section.where(key)
        yield "dated", True
        refused = refused or command is None
    yield "refused", refused


def image_said(section: Section) -> tuple[str, Where] | None:
    """The image that a task, or its executor, names in the older form, and where."""
    if not section.given("image"):
        return None
    what = f"'image' of {section.owner} is an older form."
    section.error("AME-W102", "image", what, fix="Write `kubernetes: {image: ...}`.")
    image = section.text("image")
    return (image, section.where("image")) if image is not None else None


def _executor(section: Section) -> Iterator[tuple[str, object]]:
    title, node = f"the executor of {section.owner}", section.entries["executor"].value
    found = read_tagged(section.problems, node, words.EXECUTORS, title, _EXECUTOR_FORM)
    if found is None:
        yield "refused", True
        return
    executor = Section(section.problems, found.node, words.EXECUTOR, title)
    command = executor.text("command")
    yield "kind", found.kind
    yield "command", command
    yield "command_where", executor.where("command")
    yield "refused", not executor.sound or (command is None and executor.given("command"))
    yield "python_version", executor.text("pythonVersion")
    yield "image", image_said(executor)
