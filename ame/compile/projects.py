"""What several projects may not share when they are deployed together, and which ones can be deployed."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from ame.diagnosis import Diagnosis, Where
from ame.spec import Project, Task

__all__ = ["also_at", "compared", "place"]

_FOUND_IN_A_FOLDER = ("ame.yml", "ame.yaml")


def compared(projects: Sequence[Project]) -> Iterator[Diagnosis]:
    """AME-E801, AME-E802 and AME-E805 of projects that are deployed together."""
    by_name: dict[str, Project] = {}
    by_model: dict[str, Project] = {}
    for project in projects:
        yield from _found_again(project)
        other = by_name.setdefault(project.name, project)
        if other is not project:
            yield Diagnosis(
                code="AME-E801",
                where=place(project),
                what=f"two projects have the name '{project.name}'.",
                why=f"The other one is {place(other)}.",
                fix="Rename one of them: deployments are named after their project.",
            )
            continue
        for model in project.models.values():
            owner = by_model.setdefault(model.name, project)
            if owner is not project:
                yield Diagnosis(
                    code="AME-E802",
                    where=model.where,
                    what=f"two projects deliver the registered model '{model.name}'.",
                    why=f"The other one is '{owner.name}', {owner.models[model.name].where}.",
                    fix="Rename one of them: a registered model has one champion.",
                )


def place(project: Project) -> Where:
    """A project's file, as the user would type it."""
    places = [model.where for model in project.models.values()]
    places += [task.where for task in project.tasks.values()]
    return Where(places[0].file if places else str(project.file))


def also_at(task: Task, found: Where) -> str:
    """Where a task is, in a sentence, when it takes a value from a template in another project's file."""
    if found.file == task.where.file:
        return ""
    return f" Task '{task.name}' at {task.where} takes it from there."


def _found_again(project: Project) -> Iterator[Diagnosis]:
    """A run is given the folder, in which it finds the file by its name, and a build step its path."""
    if project.file.name not in _FOUND_IN_A_FOLDER:
        yield Diagnosis(
            code="AME-E805",
            where=place(project),
            what=f"a deployed run would not find '{project.file.name}'.",
            why="It gets the project's folder and reads the ame.yml or ame.yaml in it.",
            fix="Rename the file to ame.yml.",
        )
    folder = str(project.folder)
    if not folder.isprintable() or "{{" in folder:
        yield Diagnosis(
            code="AME-E805",
            where=place(project),
            what="the path of this folder cannot stand in a prefect.yaml.",
            why="It holds a character that is not printable, or '{{', which Prefect would replace.",
            fix="Rename the folder.",
        )
