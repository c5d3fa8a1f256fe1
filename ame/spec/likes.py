"""Tasks that are like another one: `{name: nightly, taskRef: train, triggers: {...}}`."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ame.spec.problems import listed, shown
from ame.spec.reading import Reading, Step, read_reference, resolve
from ame.spec.unfolding import note_unfolded

if TYPE_CHECKING:
    from ame.spec.drafts import TaskDraft

__all__ = ["with_likes"]


def with_likes(
    reading: Reading,
    drafts: Mapping[str, TaskDraft],
    merged: Callable[[TaskDraft, TaskDraft], TaskDraft],
) -> dict[str, TaskDraft]:
    """All tasks once more, those that refer to another one with what that one says.

    A task that is like a pipeline is a pipeline of one step, which is the other one.

    Args:
        drafts: by name, with their templates.
        merged: what the second draft says, completed by the first.
    """
    for template in reading.templates.values():
        if template.like is not None:
            reading.problems.add(
                "AME-E109",
                template.like.key,
                f"{template.owner} has the key 'taskRef', which only a task has.",
                fix="Name a template with `fromTemplate`.",
            )
    done: dict[str, TaskDraft] = {}
    for draft in drafts.values():
        chain: dict[str, TaskDraft] = {}
        current: TaskDraft | None = draft
        while current is not None and current.like is not None and current.name not in done:
            chain[current.name] = current
            name = _meant(reading, current, chain)
            current = drafts[name] if name is not None else None
        below = done.get(current.name, current) if current is not None else None
        for each in reversed(chain.values()):
            below = _like(reading, below, each, merged) if below is not None else replace(each, refused=True)
            done[each.name] = below
    return {name: done.get(name, draft) for name, draft in drafts.items()}


def _meant(reading: Reading, draft: TaskDraft, chain: Mapping[str, TaskDraft]) -> str | None:
    """The name of the task that another one refers to; None, with a problem, when there is none.

    Args:
        chain: the tasks that have led here, of which it can be none.
    """
    assert draft.like is not None  # noqa: S101  # the caller has looked
    reference = read_reference(reading.problems, draft.like.value, f"'taskRef' of {draft.owner}")
    if reference is None:
        return None
    name = resolve(reading, reference, "task", draft.owner, reading.tasks)
    if name is None or name not in chain:
        return name
    names = list(chain)
    circle = [*names[names.index(name) :], name]
    what = f"task {shown(name)} is like itself."
    why = f"{listed(circle, ' -> ')}: each refers to the next one."
    reading.problems.add("AME-E126", draft.like.value, what, why, "Say in one of them what is run.")
    return None


def _like(
    reading: Reading,
    other: TaskDraft,
    own: TaskDraft,
    merged: Callable[[TaskDraft, TaskDraft], TaskDraft],
) -> TaskDraft:
    if other.pipeline is None:
        whole = merged(replace(other, cron=None, timezone=None), own)
        note_unfolded(reading, whole, "references")
        return whole
    assert own.like is not None  # noqa: S101  # as above
    reading.pipelines[own.name] = ((Step(other.name, False, reading.problems.where(own.like.value)),),)
    return replace(own, pipeline=own.like)
