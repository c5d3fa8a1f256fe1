"""A task as one place of the file says it, and the task that results with its templates.

A draft holds only what is said; templates are drafts too. `merged` puts one over another: the task
wins over its template, and `executor`, `resources`, `env`, `triggers`, `artifacts` and `kubernetes` merge
key by key.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from typing import Any, cast

from ame.diagnosis import Where
from ame.spec import words
from ame.spec.entries import Entry
from ame.spec.executors import executor_form
from ame.spec.kubernetes import kubernetes_of, merged_kubernetes
from ame.spec.likes import with_likes
from ame.spec.problems import Problems, shown
from ame.spec.project import Executor, Schedule, Secret, Task
from ame.spec.reading import Reading, Reference, Target, resolve
from ame.spec.resources import Said, check_gpu, resources_of
from ame.spec.secrets import refuse_shared_variables
from ame.spec.steps import with_steps
from ame.spec.templates import flat_template, with_template

__all__ = ["TaskDraft", "finish_tasks"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskDraft:
    """What one place of the file says about a task; None, or empty, where it says nothing.

    Attributes:
        owner: how diagnoses name it, for example "task 'train'".
        kind: the executor's, None when no tag says it.
        refused: it gives an executor or command that cannot be read, which has been reported.
        dated: the command stands at the task itself, as in older files.
        resources: by resource.
        kubernetes: by field of a `KubernetesSection`.
        like: the reference to another task that this one is like.
        pipeline: as it stands in the file, or `like` where the other task is one.
        steps: of a pipeline, the groups of tasks; known when all of them are.
    """

    name: str
    owner: str
    where: Where
    kind: str | None = None
    command: str | None = None
    command_where: Where | None = None
    refused: bool = False
    dated: bool = False
    python_version: str | None = None
    resources: Mapping[str, Said] = field(default_factory=dict)
    env: Mapping[str, str] = field(default_factory=dict)
    secrets: tuple[Secret, ...] | None = None
    data_sets: tuple[Reference, ...] | None = None
    retries: int | None = None
    timeout: float | None = None
    cron: str | None = None
    timezone: str | None = None
    artifacts: tuple[str, ...] | None = None
    save_changed: bool | None = None
    kubernetes: Mapping[str, Any] = field(default_factory=dict)
    template: Reference | None = None
    like: Entry | None = None
    pipeline: Entry | None = None
    steps: tuple[tuple[str, ...], ...] = ()


def finish_tasks(reading: Reading) -> dict[str, Task]:
    """Every task of the file with its templates merged in and its data sets checked, in file order."""
    for template in reading.templates.values():
        flat_template(Target(reading, template.name))
        _data_sets(reading, template)
    drafts = [*reading.tasks.values(), *reading.inline.values()]
    if reading.inline:
        drafts.sort(key=lambda draft: (draft.where.line or 0, draft.where.column or 0))
    complete = {draft.name: with_template(reading, draft) for draft in drafts}
    complete = with_likes(reading, complete, merged)
    return {name: _finish(reading, draft) for name, draft in with_steps(reading, complete).items()}


def merged(base: TaskDraft, own: TaskDraft) -> TaskDraft:
    """What `own` says, completed by `base`."""
    same_executor = own.kind is None or base.kind is None or own.kind == base.kind
    executor = base if same_executor else own
    return replace(
        own,
        kind=own.kind or executor.kind,
        command=own.command or executor.command,
        refused=own.refused or executor.refused,
        command_where=own.command_where or executor.command_where,
        dated=own.dated or (own.command is None and executor.dated),
        python_version=own.python_version or executor.python_version,
        resources={**base.resources, **own.resources},
        env={**base.env, **own.env},
        secrets=base.secrets if own.secrets is None else own.secrets,
        data_sets=base.data_sets if own.data_sets is None else own.data_sets,
        retries=base.retries if own.retries is None else own.retries,
        timeout=base.timeout if own.timeout is None else own.timeout,
        cron=own.cron or base.cron,
        timezone=own.timezone or base.timezone,
        artifacts=base.artifacts if own.artifacts is None else own.artifacts,
        save_changed=base.save_changed if own.save_changed is None else own.save_changed,
        kubernetes=merged_kubernetes(base.kubernetes, own.kubernetes),
    )


def _finish(reading: Reading, draft: TaskDraft) -> Task:
    problems = reading.problems
    taken_by = _TakenBy(reading, draft)
    if draft.pipeline is not None:
        _refuse_what_is_the_steps(problems, draft)
    elif draft.command is None and draft.kind != "mlflow" and not draft.refused:
        what = f"{draft.owner} has no command."
        problems.add("AME-E113", draft.where, what, fix=executor_form(draft.kind))
    elif (draft.kind is None or draft.dated) and not draft.refused:
        where = draft.command_where or draft.where
        why = "" if draft.kind else "With a requirements.txt it is run as by `!pip`, else as by `!custom`."
        problems.add(
            "AME-W102",
            where,
            f"{draft.owner} gives its command in an older form.",
            why=f"{why} {taken_by(where)}".strip(),
            fix=executor_form(draft.kind),
        )
    if draft.timezone and not draft.cron:
        what = f"{draft.owner} has a time zone and no schedule."
        problems.add("AME-E129", draft.where, what, fix="Add `schedule`, or leave `timezone` out.")
    resources = resources_of(draft.resources)
    check_gpu(problems, draft.owner, resources, taken_by)
    secrets = draft.secrets or ()
    refuse_shared_variables(problems, draft.owner, secrets, draft.env, taken_by)
    return Task(
        name=draft.name,
        executor=Executor(
            kind=cast(Any, draft.kind or ("custom" if draft.steps else "auto")),
            command=draft.command or "",
            python_version=draft.python_version,
        ),
        where=draft.where,
        resources=resources,
        env=draft.env,
        secrets=secrets,
        data_sets=_data_sets(reading, draft),
        retries=words.TASK.default("retries") if draft.retries is None else draft.retries,
        timeout=draft.timeout,
        schedule=_schedule(draft),
        artifacts=draft.artifacts or (),
        save_changed=bool(draft.save_changed),
        kubernetes=kubernetes_of(draft.kubernetes),
        pipeline=draft.steps,
    )


class _TakenBy:
    """The second place of what a task does not say itself: its own, beside that in the template."""

    def __init__(self, reading: Reading, draft: TaskDraft) -> None:
        self._reading = reading
        self._draft = draft

    def __call__(self, where: Where) -> str:
        draft = self._draft
        own = self._reading.tasks.get(draft.name) or self._reading.inline.get(draft.name)
        if own is not None:
            places = [own.where, own.command_where, *(each.where for each in own.resources.values())]
            if where in (*places, *(each.where for each in own.secrets or ())):
                return ""
        return f"{draft.owner[0].upper()}{draft.owner[1:]} at {draft.where} takes it from there."


def _schedule(draft: TaskDraft) -> Schedule | None:
    if not draft.cron:
        return None
    return Schedule(cron=draft.cron, timezone=draft.timezone or words.TRIGGERS.default("timezone"))


def _refuse_what_is_the_steps(problems: Problems, draft: TaskDraft) -> None:
    assert draft.pipeline is not None  # noqa: S101  # the caller has looked
    executor = draft.kind or draft.command or draft.python_version or draft.refused
    found = [f"'{key}'" for key, given in (("executor", executor), ("retries", draft.retries)) if given]
    if found:
        problems.add(
            "AME-E129",
            draft.pipeline.key,
            f"{draft.owner} has {' and '.join(found)} beside {shown(draft.pipeline.key.value)}.",
            why=f"{'' if draft.like is None else 'What it refers to is a pipeline. '}"
            "Each step has its own command and its own `retries`: what has succeeded is not run again.",
            fix="Write them at the steps.",
        )


def _data_sets(reading: Reading, draft: TaskDraft) -> tuple[str, ...]:
    names: dict[str, None] = {}
    for reference in draft.data_sets or ():
        name = resolve(reading, reference, "data set", draft.owner, reading.data_sets)
        if name is not None:
            names[name] = None
    return tuple(names)
