"""What has been read of a file so far, and how one part of it refers to another."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
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
    from ame.spec.elsewhere import Declared
    from ame.spec.neighbours import Neighbours
    from ame.spec.project import DataSet

__all__ = [
    "Reading",
    "Reference",
    "Step",
    "Target",
    "find",
    "owner_of",
    "read_reference",
    "resolve",
    "take_name",
]


@dataclass(slots=True, eq=False)
class Reading:
    """One file under reading.

    Attributes:
        file: absolute.
        beside: the folder with the projects beside this one; None: there are none.
        section: the file as a whole.
        neighbours: the other projects of this loading.
        project: the project's name; None until it is known, or when it cannot be read.
        projects: what it says of where others are, by name.
        others: the other projects that it refers to, by name.
        tasks, templates: as they stand under `tasks` and `templates`, by name.
        inline: tasks that stand where a reference could, by the name that they got.
        data_sets: by name.
        pipelines: by the task's name, the groups of steps that follow each other; of two tasks, one of which
            is an inline step of the other, the outer one comes first.
        unfolded: how many keys and values tasks and templates have with what their templates say.
        borrowed: data sets of other projects that are needed here, by `PROJECT.NAME`.
        flat: templates with all that they build on, by name; filled as they are needed.
    """

    problems: Problems
    file: Path
    beside: Path | None
    section: Section
    neighbours: Neighbours
    project: str | None = None
    projects: dict[str, Declared] = field(default_factory=dict)
    others: dict[str, Reading] = field(default_factory=dict)
    tasks: dict[str, TaskDraft] = field(default_factory=dict)
    templates: dict[str, TaskDraft] = field(default_factory=dict)
    inline: dict[str, TaskDraft] = field(default_factory=dict)
    data_sets: dict[str, DataSet] = field(default_factory=dict)
    pipelines: dict[str, tuple[tuple[Step, ...], ...]] = field(default_factory=dict)
    unfolded: int = 0
    borrowed: dict[str, Target] = field(default_factory=dict)
    flat: dict[str, TaskDraft] = field(default_factory=dict)


class Step(NamedTuple):
    """A step of a pipeline: the task that it is, and whether it is defined there or referred to."""

    name: str
    inline: bool
    where: Where


class Reference(NamedTuple):
    """A name as it stands in the file, with the project that it names apart, if any.

    Attributes:
        home: the file that it stands in, where that is another one than the file under reading.
    """

    name: str
    project: str | None
    node: yaml.Node
    home: Reading | None = None


class Target(NamedTuple):
    """What a reference means: something of this name in a file."""

    reading: Reading
    name: str


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
    """The name in `known` that is meant, or None with a problem (AME-E102, AME-E125).

    What another project has is called `PROJECT.NAME`, and noted as borrowed.
    """
    home = reference.home
    if home is None:
        target = find(reading, reference, kind, owner, known)
    else:
        target = find(home, reference, kind, owner, home.data_sets)
    if target is None or target.reading is reading:
        return target.name if target is not None else None
    name = f"{target.reading.project}.{target.name}"
    if name in known or reading.borrowed.setdefault(name, target) != target:
        what = f"two {kind}s have the name {shown(name)}."
        why = f"One is of project {shown(str(target.reading.project))}."
        reading.problems.add("AME-E115", reference.node, what, why, "Rename one of them.")
    reading.others[str(target.reading.project)] = target.reading
    return name


def find(
    reading: Reading, reference: Reference, kind: str, owner: str, known: Mapping[str, object]
) -> Target | None:
    """What is meant, in this file or in another project's, or None with a problem.

    Args:
        known: what this file has of that kind.
    """
    name, project, own = reference.name, reference.project, reading.project
    if project is None and name in known:
        return Target(reading, name)
    if project is None and own is not None and name.startswith(own + "."):
        project, name = own, name[len(own) + 1 :]
    if own is None and (project is not None or "." in name):
        return None  # the project's own name is what has to be put right first
    if project == own and name in known:
        return Target(reading, name)
    near = reading.problems.near(name, known)
    if project is None and "." in name:
        project, name = _apart(reading, name, near)
    if project is not None and project != own:
        return _find_elsewhere(reading, reference.node, kind, owner, project, name)
    reading.problems.add(
        "AME-E102",
        reference.node,
        f"{owner} refers to {kind} {shown(name)}, which does not exist.",
        why=f"Known {kind}s: {listed(known)}." if known else f"The file has no {kind}s.",
        fix=near,
    )
    return None


def _apart(reading: Reading, dotted: str, near: str) -> tuple[str | None, str]:
    """The project that a text names, as far as there is one, and the name in it; both may have dots.

    Args:
        near: not empty where the text looks like a mistyped name of this file.
    """
    parts = dotted.split(".")
    ways = [(".".join(parts[:count]), ".".join(parts[count:])) for count in range(1, len(parts))]
    ways = [(project, name) for project, name in ways if project and name]
    # Of `a` and `a.b` the longer one is meant: the other can be named as {name, project}.
    known = [way for way in reversed(ways) if reading.neighbours.knows(reading, way[0])]
    if known:
        return known[0]
    return ways[0] if ways and not near else (None, dotted)


def _find_elsewhere(
    reading: Reading, node: yaml.Node, kind: str, owner: str, project: str, name: str
) -> Target | None:
    target = f"{kind} {shown(name)} of project {shown(project)}"
    if kind == "task":
        reading.problems.add(
            "AME-E125",
            node,
            f"{owner} refers to {target}.",
            why="A task runs in the folder of its own project, with the files that are there.",
            fix="Define a task here, if need be on a template of that project "
            f"(`fromTemplate: {project}.NAME`), or take what that task makes as a data set of that project "
            f"(`dataSets: [{project}.NAME]`).",
        )
        return None
    other = reading.neighbours.need(reading, project, node, owner, target)
    if other is None:
        return None
    known: Mapping[str, object] = other.templates if kind == "template" else other.data_sets
    if name in known:
        return Target(other, name)
    reading.problems.add(
        "AME-E102",
        node,
        f"{owner} refers to {target}, which does not exist.",
        why=f"Its {kind}s: {listed(known)}." if known else f"{other.problems.file} has no {kind}s.",
        fix=reading.problems.near(name, known),
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
