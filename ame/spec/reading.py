"""What has been read of a file so far, and how one part of it refers to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, NamedTuple

import yaml

from ame.spec.entries import text_of
from ame.spec.nodes import is_null
from ame.spec.problems import Problems, listed, shown
from ame.spec.section import Section
from ame.spec.words import NAMED

if TYPE_CHECKING:
    from ame.diagnosis import Where
    from ame.spec.drafts import TaskDraft
    from ame.spec.project import DataSet

__all__ = ["Reading", "Reference", "Step", "owner_of", "read_reference", "resolve", "take_name"]


@dataclass(slots=True)
class Reading:
    """One file under reading.

    Attributes:
        project: the project's name; None until it is known, or when it cannot be read.
        tasks, templates: as they stand under `tasks` and `templates`, by name.
        inline: tasks that stand where a reference could, by the name that they got.
        data_sets: by name.
        pipelines: by the task's name, the groups of steps that follow each other; of two tasks, one of which
            is an inline step of the other, the outer one comes first.
        unfolded: how many keys and values tasks and templates have with what their templates say.
    """

    problems: Problems
    project: str | None = None
    tasks: dict[str, TaskDraft] = field(default_factory=dict)
    templates: dict[str, TaskDraft] = field(default_factory=dict)
    inline: dict[str, TaskDraft] = field(default_factory=dict)
    data_sets: dict[str, DataSet] = field(default_factory=dict)
    pipelines: dict[str, tuple[tuple[Step, ...], ...]] = field(default_factory=dict)
    unfolded: int = 0


class Step(NamedTuple):
    """A step of a pipeline: the task that it is, and whether it is defined there or referred to."""

    name: str
    inline: bool
    where: Where


class Reference(NamedTuple):
    """A name as it stands in the file, with the project that it names apart, if any."""

    name: str
    project: str | None
    node: yaml.Node


def read_reference(problems: Problems, node: yaml.Node, name: str) -> Reference | None:
    """A reference: a text (`gpu`, `PROJECT.gpu`) or a mapping {name, project}."""
    if isinstance(node, yaml.MappingNode):
        section = Section(problems, node, NAMED, name)
        section.require()
        target = section.text("name")
        return Reference(target, section.text("project"), node) if target is not None else None
    text = text_of(problems, node, name)
    return Reference(text, None, node) if text is not None else None


def resolve(
    reading: Reading, reference: Reference, kind: str, owner: str, known: Mapping[str, object]
) -> str | None:
    """The name in `known` that is meant, or None with a problem (AME-E102, AME-E125)."""
    name, project = reference.name, reference.project
    if project is None and name in known:
        return name
    own = reading.project
    if project is None and own is not None and name.startswith(own + "."):
        project, name = own, name[len(own) + 1 :]
    problems = reading.problems
    if own is None and (project is not None or "." in name):
        return None  # the project's own name is what has to be put right first
    if project is not None and project != own:
        _other_project(reading, reference, f"{kind} {shown(name)} of project {shown(project)}", owner)
        return None
    if name in known:
        return name
    near = problems.near(name, known)
    if project is None and "." in name and not near:
        _other_project(reading, reference, f"{kind} {shown(name)} of another project", owner)
        return None
    problems.add(
        "AME-E102",
        reference.node,
        f"{owner} refers to {kind} {shown(name)}, which does not exist.",
        why=f"Known {kind}s: {listed(known)}." if known else f"The file has no {kind}s.",
        fix=near,
    )
    return None


def owner_of(node: yaml.Node, kind: str) -> str:
    """`task 'train'` for a mapping that has a name, else `a task`."""
    if isinstance(node, yaml.MappingNode):
        for key, value in node.value:
            if key.value == "name" and isinstance(value, yaml.ScalarNode) and not is_null(value):
                return f"{kind} {shown(value.value)}"
    return f"a {kind}"


def take_name(section: Section, taken: Mapping[str, object], kind: str) -> str | None:
    """The `name` of an entry of a list, which no earlier one has."""
    section.require("name")
    name = section.text("name")
    if name is None or name not in taken:
        return name
    section.error("AME-E115", "name", f"two {kind}s have the name {shown(name)}.", fix="Rename one of them.")
    return None


def _other_project(reading: Reading, reference: Reference, target: str, owner: str) -> None:
    own = f"This release reads one project, which is {shown(reading.project)}." if reading.project else ""
    reading.problems.add(
        "AME-E125", reference.node, f"{owner} refers to {target}.", why=own, fix="Copy it into this file."
    )
