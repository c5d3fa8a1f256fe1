"""What a user writes is never a template: Prefect would replace `{{ ... }}` in any text of a deployment.

`{{ prefect.blocks.secret.x }}` is resolved at deploy time and stored in plain text, `{{ $HOME }}` takes
the deployer's environment, and a mapping with the key `$ref` becomes the content of a block.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import fields
from typing import Any

from ame.compile.projects import also_at
from ame.diagnosis import Diagnosis
from ame.spec import Task

__all__ = ["neutral", "placeholders", "smuggled"]

_OPENING = "{{"
_BRACE = re.compile(r"\{(?=\{)")
_REFERENCE = "$ref"


def neutral(text: str) -> str:
    """A text for people in which nothing is a placeholder any more: `{ { x }}`."""
    return _BRACE.sub("{ ", text)


def placeholders(value: Any) -> Iterator[str]:
    """Every text in plain data, keys included, that Prefect would replace or resolve."""
    if isinstance(value, str):
        if _OPENING in value:
            yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            if key == _REFERENCE:
                yield _REFERENCE
            yield from placeholders(key)
            yield from placeholders(item)
    elif isinstance(value, list | tuple):
        for item in value:
            yield from placeholders(item)


def smuggled(task: Task) -> Iterator[Diagnosis]:
    """AME-E804 for each key of a task's `kubernetes` that holds a placeholder."""
    section = task.kubernetes
    for field in fields(section):
        if field.name == "places":
            continue
        for text in placeholders(getattr(section, field.name)):
            key = _in_file(field.name)
            found = section.places.get(key, task.where)
            yield Diagnosis(
                code="AME-E804",
                where=found,
                what=f"'{key}' of task '{task.name}' holds '{text}', which Prefect would replace.",
                why="A placeholder is resolved when it is deployed and kept in plain text."
                + also_at(task, found),
                fix="Write the value itself; a secret is named in `envFrom`.",
            )
            break


def _in_file(field: str) -> str:
    """node_selector -> nodeSelector"""
    first, *others = field.split("_")
    return first + "".join(word.title() for word in others)
