"""Reading how a task's command gets its environment: `!pip {...}`, or the command of an older file."""

from __future__ import annotations

from collections.abc import Iterator

import yaml

from ame.spec import words
from ame.spec.entries import wrong_kind
from ame.spec.problems import shown
from ame.spec.section import Section

__all__ = ["executor_said"]

_KINDS, _WITHHELD = words.EXECUTORS.kinds, words.EXECUTORS.withheld
_EXECUTOR_FORM = "Write `executor: !pip {command: python train.py}`."


def executor_said(section: Section) -> Iterator[tuple[str, object]]:
    """The fields of a `TaskDraft` that a task's executor, or its command in an older file, gives."""
    given = [key for key in ("executor", "runcommand", "command") if section.given(key)]
    if not given:
        return
    if len(given) > 1:
        what = f"{section.owner} has both '{given[0]}' and '{given[1]}', which mean the same."
        fix = "Keep 'executor'." if given[0] == "executor" else _EXECUTOR_FORM
        section.error("AME-E110", given[1], what, fix=fix)
    if given[0] != "executor":
        command = section.text(given[0])
        yield "command", command
        yield "refused", command is None
        yield "command_where", section.where(given[0])
        yield "dated", True
        return
    kind, node = _executor_kind(section, section.entries["executor"].value)
    yield "kind", kind
    if node is None:
        yield "refused", True
        return
    executor = Section(section.problems, node, words.EXECUTOR, f"the executor of {section.owner}")
    command = executor.text("command")
    yield "command", command
    yield "command_where", executor.where("command")
    yield "refused", command is None and executor.given("command")
    yield "python_version", executor.text("pythonVersion")


def _executor_kind(section: Section, node: yaml.Node) -> tuple[str | None, yaml.Node | None]:
    """An executor's kind and the mapping of its fields: `!pip {...}`, `{pip: {...}}` or `{...}`."""
    problems = section.problems
    if not isinstance(node, yaml.MappingNode):
        if node.tag.startswith("!") and not _is_bare_tag(node):
            what = f"the executor of {section.owner} must be a mapping, which does not stand after its tag."
            problems.add("AME-E112", node, what, fix=_EXECUTOR_FORM)
        elif node.tag.startswith("!"):
            if _known_kind(section, node, node.tag[1:]):
                problems.add("AME-E113", node, f"{section.owner} has no command.", fix=_EXECUTOR_FORM)
        else:
            wrong_kind(
                problems, node, f"the executor of {section.owner}", "a mapping with a tag", _EXECUTOR_FORM
            )
        return None, None
    if node.tag.startswith("!"):
        kind = _known_kind(section, node, node.tag[1:])
        return kind, _untagged(node) if kind else None
    if len(node.value) == 1:
        key, value = node.value[0]
        word = key.value if isinstance(key, yaml.ScalarNode) else None
        if isinstance(word, str) and (word in _KINDS or word in _WITHHELD):
            kind = _known_kind(section, key, word)
            return kind, value if kind else None
    return None, node


def _known_kind(section: Section, node: yaml.Node, word: str) -> str | None:
    problems = section.problems
    if word in _KINDS:
        return word
    if word in _WITHHELD:
        section.withhold(node, f"the executor '!{word}'", _WITHHELD[word])
    else:
        known = [f"!{kind}" for kind in _KINDS]
        problems.add(
            "AME-E131",
            node,
            f"{section.owner} has the unknown executor {shown('!' + word)}.",
            why=f"Known executors: {', '.join(known)}.",
            fix=problems.near("!" + word, known),
        )
    return None


def _is_bare_tag(node: yaml.Node) -> bool:
    """A tag with nothing behind it."""
    return isinstance(node, yaml.ScalarNode) and not node.value


def _untagged(node: yaml.MappingNode) -> yaml.MappingNode:
    return yaml.MappingNode("", node.value, node.start_mark, node.end_mark, node.flow_style)
