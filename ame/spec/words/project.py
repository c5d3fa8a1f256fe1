"""The words at the top of the file."""

from __future__ import annotations

from ame.spec.grammar import Flag, Key, ListOf, MapOf, OneOf, Shape
from ame.spec.words.models import MODEL
from ame.spec.words.others import PROJECT_SOURCE
from ame.spec.words.tasks import DATA_SET, RECURRING, SOURCE, TASK
from ame.spec.words.values import NAME

__all__ = ["PROJECT"]

PROJECT = Shape(
    "project",
    "What the models of a project are, how they are trained, validated, compared and promoted, and what "
    "that needs.",
    {
        "name": Key(NAME, "The project's name.", required=True),
        "models": Key(ListOf(MODEL), "What is trained, validated, compared and promoted."),
        "tasks": Key(
            OneOf((ListOf(TASK, needs=("name",)),), older=(MapOf(TASK, NAME),)),
            "Commands, each with its environment and needs.",
        ),
        "templates": Key(
            ListOf(TASK, needs=("name",)), "Partial tasks, which tasks and other templates build on."
        ),
        "dataSets": Key(ListOf(DATA_SET), "Files that tasks and comparisons read."),
        "enableTriggers": Key(Flag(), "Whether schedules are active once they are deployed.", default=True),
        "projects": Key(
            MapOf(PROJECT_SOURCE, NAME),
            "Where other projects are that this file refers to, by their names.",
            otherwise="they are looked for",
        ),
    },
    older={
        "projectid": "name",
        "project": "name",
        "projectname": "name",
        "projectName": "name",
        "data_sets": "dataSets",
        "enable_triggers": "enableTriggers",
    },
    dated={
        "recurring_tasks": Key(
            MapOf(RECURRING, NAME),
            "Tasks with a schedule; write `tasks: [{name, taskRef, triggers: {schedule}}]`.",
        )
    },
    withheld={"source": SOURCE},
)
