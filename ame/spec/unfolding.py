"""How much tasks become with what others give them; a small file can make a large one."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ame.spec.graphs import MOST_VALUES
from ame.spec.problems import shown
from ame.spec.project import Task
from ame.spec.reading import Reading

if TYPE_CHECKING:
    from ame.spec.drafts import TaskDraft

__all__ = ["note_needed", "note_unfolded"]


def note_unfolded(reading: Reading, draft: TaskDraft, givers: str) -> None:
    """Adds what a draft holds to what all of them do, which is no more than aliases may unfold to.

    Args:
        draft: with what it is given.
        givers: what gave it, in the plural.

    Raises:
        Refused: AME-E107, they hold more.
    """
    parts = (draft.resources, draft.env, draft.secrets, draft.data_sets, draft.artifacts, draft.kubernetes)
    reading.unfolded += sum(map(_weight, parts))
    if reading.unfolded > MOST_VALUES:
        reading.problems.give_up(
            draft.where,
            f"{draft.owner} unfolds to too much through its {givers}.",
            f"All tasks with what their {givers} say have more than {MOST_VALUES:,} keys and values.",
            "Say less there, or make two projects of it.",
        )


def note_needed(reading: Reading, task: Task, needed: int) -> None:
    """Adds how many steps and data sets a task has, with those of its steps, to what all tasks have.

    Raises:
        Refused: AME-E107, they are more than an AME file can mean.
    """
    reading.unfolded += needed
    if reading.unfolded > MOST_VALUES:
        reading.problems.give_up(
            task.where,
            f"task {shown(task.name)} unfolds to too much through its steps.",
            f"All tasks with those of their steps have more than {MOST_VALUES:,} steps and data sets.",
            "Put fewer pipelines into each other, or make two projects of it.",
        )


def _weight(value: object) -> int:
    """How many keys and values there are, at every depth; what was read from one place counts as one."""
    if isinstance(value, Mapping):
        return sum(1 + _weight(each) for each in value.values())
    if isinstance(value, tuple | list) and not hasattr(value, "_fields"):
        return sum(map(_weight, value))
    return 0 if value is None else 1
