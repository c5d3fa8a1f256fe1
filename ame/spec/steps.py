"""What a pipeline gives its steps, and the check that none contains itself."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import replace
from typing import TYPE_CHECKING

from ame.spec.kubernetes import merged_kubernetes
from ame.spec.problems import listed, shown
from ame.spec.reading import Reading, Step
from ame.spec.unfolding import note_unfolded

if TYPE_CHECKING:
    from ame.spec.drafts import TaskDraft
    from ame.spec.project import Secret

__all__ = ["with_steps"]


def with_steps(reading: Reading, drafts: Mapping[str, TaskDraft]) -> dict[str, TaskDraft]:
    """All tasks once more: pipelines with their steps, and steps with what their pipeline gives them.

    A task that is referred to stays as it is. Where the pipeline gives its steps something, the step is a
    task of its own, `PIPELINE.TASK`, which stands behind the pipeline.

    Args:
        drafts: by name, with their templates.
    """
    _refuse_circles(reading)
    complete = dict(drafts)
    copies: dict[str, list[str]] = {}
    for name, groups in reading.pipelines.items():
        giver = complete[name]
        steps = tuple(
            tuple(_taken(reading, giver, step, drafts, complete) for step in group) for group in groups
        )
        complete[name] = replace(giver, steps=steps, resources={}, kubernetes={}, secrets=None)
        taken = dict.fromkeys(step for group in steps for step in group)
        copies[name] = [step for step in taken if step not in drafts]
    return {name: complete[name] for draft in drafts for name in (draft, *copies.get(draft, ()))}


def _taken(
    reading: Reading,
    giver: TaskDraft,
    step: Step,
    drafts: Mapping[str, TaskDraft],
    complete: dict[str, TaskDraft],
) -> str:
    """The name of the task that a step is; what the pipeline gives it is in `complete`."""
    if step.inline:
        own = complete[step.name]
        if own.cron is not None:
            reading.problems.add(
                "AME-E129",
                own.where,
                f"{own.owner} has a schedule, though it is a step of {giver.owner}.",
                why="A step runs when its pipeline does.",
                fix="Give the pipeline `triggers`.",
            )
        complete[step.name] = _given(reading, giver, own)
        return step.name
    gives = _gives(giver)
    if not gives:
        return step.name
    if step.name in reading.pipelines:
        reading.problems.add(
            "AME-E129",
            step.where,
            f"{giver.owner} gives its steps {listed([shown(key) for key in gives], ' and ')}, and its step "
            f"{shown(step.name)} is a pipeline of its own.",
            why="Its steps are defined elsewhere.",
            fix="Write them at the steps themselves.",
        )
        return step.name
    name = f"{giver.name}.{step.name}"
    if name in drafts:
        what = f"two tasks have the name {shown(name)}."
        why = f"One is the step {shown(step.name)} with what {giver.owner} gives it."
        reading.problems.add("AME-E115", step.where, what, why, "Rename the other one.")
    complete[name] = replace(_given(reading, giver, drafts[step.name]), name=name, cron=None, timezone=None)
    return name


def _gives(giver: TaskDraft) -> list[str]:
    """The keys of a pipeline that hold for its steps."""
    return [key for key in ("env", "secrets", "resources", "kubernetes") if getattr(giver, key)]


def _given(reading: Reading, giver: TaskDraft, own: TaskDraft) -> TaskDraft:
    if not _gives(giver):
        return own
    whole = replace(
        own,
        env={**giver.env, **own.env},
        secrets=_both(giver.secrets, own.secrets),
        resources={**giver.resources, **own.resources},
        kubernetes=merged_kubernetes(giver.kubernetes, own.kubernetes),
    )
    note_unfolded(reading, whole, "pipelines")
    return whole


def _both(given: tuple[Secret, ...] | None, own: tuple[Secret, ...] | None) -> tuple[Secret, ...]:
    """All secrets; of two for one variable, the step's own."""
    return tuple({secret.inject_as: secret for secret in (*(given or ()), *(own or ()))}.values())


def _refuse_circles(reading: Reading) -> None:
    """Reports each circle of pipelines in which every one has the next as a step (AME-E137)."""
    done: set[str] = set()
    for start in reading.pipelines:
        if start in done:
            continue
        path = {start: 0}
        todo = [_pipelines_in(reading, start)]
        while todo:
            for step in todo[-1]:
                if step.name in path:
                    if not reading.problems.has("AME-E137", step.where):
                        _refuse_circle(reading, step, [*list(path)[path[step.name] :], step.name])
                elif step.name not in done:
                    path[step.name] = len(path)
                    todo.append(_pipelines_in(reading, step.name))
                    break
            else:
                todo.pop()
                done.add(path.popitem()[0])


def _refuse_circle(reading: Reading, step: Step, circle: list[str]) -> None:
    what = f"task {shown(step.name)} is a step of itself."
    why = f"{listed(circle, ' -> ')}: each has the next one as a step."
    reading.problems.add("AME-E137", step.where, what, why)


def _pipelines_in(reading: Reading, name: str) -> Iterator[Step]:
    return (step for group in reading.pipelines[name] for step in group if step.name in reading.pipelines)
