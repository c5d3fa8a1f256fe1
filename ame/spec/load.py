"""`load_project`: from a folder or file to a `Project`, or to everything that is wrong with it."""

from __future__ import annotations

import os
from pathlib import Path

from ame.diagnosis import Diagnosis, Refused, Where
from ame.spec import words
from ame.spec.circles import refuse_circles
from ame.spec.collector import collector_paused
from ame.spec.data_sets import read_data_sets
from ame.spec.drafts import finish_tasks
from ame.spec.models import read_models
from ame.spec.nodes import read_document
from ame.spec.pipelines import read_pipelines
from ame.spec.problems import Problems, printable
from ame.spec.project import Project
from ame.spec.reading import Reading
from ame.spec.section import Section
from ame.spec.tasks import read_tasks, read_templates

__all__ = ["find_project_file", "load_project"]

FILE_NAMES = ("ame.yml", "ame.yaml")


def load_project(path: Path) -> Project:
    """Reads and checks a whole AME file.

    Args:
        path: the file, or the folder that holds it.

    Returns:
        The project with absolute paths and with what is worth saying in `warnings`, by position.

    Raises:
        Refused: with every error of the file, by position.
    """
    file = find_project_file(path)
    with collector_paused():
        return _load(file)


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


def _load(file: Path) -> Project:
    problems = Problems(_as_typed(file))
    root = read_document(file, problems)
    section = Section(problems, root, words.PROJECT, "the project")
    section.require()
    reading = Reading(problems, project=section.text("name"))
    enable_triggers = section.boolean("enableTriggers")
    read_templates(reading, section)
    read_tasks(reading, section)
    read_data_sets(reading, section)
    models = read_models(reading, section)
    read_pipelines(reading)
    tasks = finish_tasks(reading)
    refuse_circles(problems, tasks, reading.data_sets)
    problems.refuse_errors()
    return Project(
        name=reading.project or "",
        folder=file.parent,
        file=file,
        models=models,
        tasks=tasks,
        data_sets=reading.data_sets,
        enable_triggers=enable_triggers,
        warnings=problems.warnings(),
    )


def _refused(code: str, path: Path, what: str, fix: str = "") -> Refused:
    return Refused(Diagnosis(code=code, where=Where(_as_typed(path)), what=what, fix=fix))


def _as_typed(path: Path) -> str:
    """Relative to the working directory when it lies below it, as a user types it; on one line."""
    try:
        here = Path.cwd()
    except FileNotFoundError:
        return printable(str(path))
    return printable(str(path.relative_to(here) if path.is_relative_to(here) else path))
