"""`load_project`: from a folder or file to a `Project`, or to everything that is wrong with it."""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path

from ame.diagnosis import Diagnosis, Refused, Where
from ame.spec import words
from ame.spec.borrowed import refuse_circles_over, refuse_one_place
from ame.spec.circles import refuse_circles
from ame.spec.collector import collector_paused
from ame.spec.data_sets import read_data_sets
from ame.spec.drafts import finish_tasks
from ame.spec.elsewhere import Others, read_projects
from ame.spec.models import read_models
from ame.spec.neighbours import Neighbours, noted
from ame.spec.nodes import compose_document, read_document
from ame.spec.peek import FILE_NAMES
from ame.spec.pipelines import read_pipelines
from ame.spec.problems import Problems, printable
from ame.spec.project import Borrowed, Project
from ame.spec.reading import Reading
from ame.spec.section import Section
from ame.spec.tasks import read_tasks, read_templates

__all__ = ["as_typed", "find_project_file", "load_project", "load_text"]

_BESIDE = Others()


def load_project(path: Path, others: Others = _BESIDE) -> Project:
    """Reads and checks a whole AME file, with those of the other projects that it refers to.

    Args:
        path: the file, or the folder that holds it.
        others: where other projects are, besides those that the file tells of and those beside its folder.

    Returns:
        The project with absolute paths and with what is worth saying in `warnings`, by position.

    Raises:
        Refused: with every error of the file, by position, and of the others that it needs.
    """
    file = find_project_file(path)
    with collector_paused():
        return _load(file, others)


def load_text(text: str, file: Path, others: Others = _BESIDE) -> Project:
    """The project that a file would be if this text stood in it; the file is not read.

    Args:
        file: its absolute path.
        others: as for `load_project`.

    Raises:
        Refused: as `load_project`.
    """
    with collector_paused():
        return _load(file, others, text)


def find_project_file(path: Path) -> Path:
    """The absolute path of the AME file that `path` is, or that lies in the folder `path`.

    Raises:
        Refused: AME-E101 there is none, AME-E103 a folder holds both ame.yml and ame.yaml, AME-E104 a folder
            may not be entered.
    """
    try:
        path = Path(os.path.abspath(path))  # noqa: PTH100  # resolve() would replace links by their targets
    except FileNotFoundError:
        what = "the folder that this command runs in is not there any more."
        raise _refused("AME-E101", path, what, "Enter it again, or give an absolute path.") from None
    if not os.path.isdir(path):  # noqa: PTH112  # Path.is_dir() raises where a folder may not be entered
        if _exists(path):
            return path
        raise _refused("AME-E101", path, "there is no such file or folder.")
    found = [path / name for name in FILE_NAMES if _exists(path / name)]
    if not found:
        fix = "Name the folder of a project, or begin one with an ame.yml of one line: `name: my-project`."
        raise _refused("AME-E101", path, f"this folder holds neither {' nor '.join(FILE_NAMES)}.", fix)
    if len(found) > 1:
        what = f"this folder holds both {' and '.join(FILE_NAMES)}, and it is not clear which one counts."
        raise _refused("AME-E103", path, what, "Remove one of them, or name the file.")
    return found[0]


def _exists(path: Path) -> bool:
    """Whether anything is at this path, also a link to nowhere."""
    try:
        os.lstat(path)
    except PermissionError:
        what = "a folder on the way to it may not be entered."
        raise _refused("AME-E104", path, what, "Let the user that runs this enter it.") from None
    except (OSError, ValueError):
        return False
    return True


def _load(file: Path, others: Others, text: str | None = None) -> Project:
    def begun(path: Path, beside: Path | None, neighbours: Neighbours) -> Reading:
        return _begun(path, beside, neighbours, text if path == file else None)

    neighbours = Neighbours(others, find_project_file, begun)
    first = neighbours.read(file, file.parent.parent)
    referred: dict[Reading, dict[str, Project]] = {}
    projects: dict[Reading, Project] = {}
    for reading in neighbours.all():
        referred[reading] = {}
        projects[reading] = _finished(reading, referred[reading])
    for reading, found in referred.items():
        found |= {name: projects[other] for name, other in reading.others.items()}
    if any(project.borrowed for project in projects.values()):
        refuse_circles_over(first.problems, {each.name: each for each in projects.values()})
    errors = list(first.problems.errors())
    for other, (where, owner) in neighbours.needed.items():
        note = f"It is needed at {where}, by {owner}."
        errors += [noted(found, note) for found in other.problems.errors() if other is not first]
    if errors:
        raise Refused(*errors)
    return projects[first]


def _begun(file: Path, beside: Path | None, neighbours: Neighbours, text: str | None) -> Reading:
    """What a file defines: all that others can refer to.

    Args:
        text: what stands in it; None to read it.
    """
    problems = Problems(as_typed(file))
    root = read_document(file, problems) if text is None else compose_document(text, problems)
    section = Section(problems, root, words.PROJECT, "the project")
    section.require()
    reading = Reading(problems, file, beside, section, neighbours, project=section.text("name"))
    reading.projects = read_projects(section)
    read_templates(reading, section)
    read_tasks(reading, section)
    read_data_sets(reading, section)
    return reading


def _finished(reading: Reading, others: Mapping[str, Project]) -> Project:
    """A project with all that its file refers to.

    Args:
        others: the projects that it refers to, which may stand there later.
    """
    models = read_models(reading, reading.section)
    read_pipelines(reading)
    tasks = finish_tasks(reading)
    refuse_circles(reading.problems, tasks, reading.data_sets)
    refuse_one_place(reading, tasks)
    return Project(
        name=reading.project or "",
        folder=reading.file.parent,
        file=reading.file,
        models=models,
        tasks=tasks,
        data_sets=reading.data_sets,
        enable_triggers=reading.section.boolean("enableTriggers"),
        borrowed={
            name: Borrowed(str(found.reading.project), found.name) for name, found in reading.borrowed.items()
        },
        others=others,
        warnings=reading.problems.warnings(),
    )


def _refused(code: str, path: Path, what: str, fix: str = "") -> Refused:
    return Refused(Diagnosis(code=code, where=Where(as_typed(path)), what=what, fix=fix))


def as_typed(path: Path) -> str:
    """A path relative to the working directory when it lies below it, as a user types it; on one line."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return printable(str(path))
    return printable(str(path.relative_to(here) if path.is_relative_to(here) else path))
