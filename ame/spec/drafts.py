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
from ame.spec.problems import Problems, listed, shown
from ame.spec.project import Executor, Schedule, Secret, Task
from ame.spec.reading import Reading, Reference, resolve
from ame.spec.resources import Said, check_gpu, resources_of
from ame.spec.secrets import refuse_shared_variables
from ame.spec.steps import with_steps
from ame.spec.unfolding import note_unfolded

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
    flat: dict[str, TaskDraft] = {}
    for template in reading.templates.values():
        _flatten(reading, template, flat)
        _data_sets(reading, template)
    drafts = [*reading.tasks.values(), *reading.inline.values()]
    if reading.inline:
        drafts.sort(key=lambda draft: (draft.where.line or 0, draft.where.column or 0))
    complete = {}
    for draft in drafts:
        complete[draft.name] = _complete(reading, draft, flat)
    complete = with_likes(reading, complete, merged)
    return {name: _finish(reading, draft) for name, draft in with_steps(reading, complete).items()}


def _complete(reading: Reading, draft: TaskDraft, flat: Mapping[str, TaskDraft]) -> TaskDraft:
    """A task with what its template says, which `flat` knows."""
    if draft.template is None:
        return draft
    base = _base(reading, draft)
    if base is None:
        # Nobody knows whether the template would have given it a command.
        return replace(draft, refused=True)
    whole = merged(flat[base], draft)
    note_unfolded(reading, whole, "templates")
    return whole


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


def _flatten(reading: Reading, template: TaskDraft, flat: dict[str, TaskDraft]) -> None:
    """Puts a template and those that it builds on, each with all of its bases, into `flat`."""
    chain: dict[str, TaskDraft] = {}
    current: TaskDraft | None = template
    while current is not None and current.name not in flat:
        chain[current.name] = current
        base = _base(reading, current)
        if base in chain:
            names = list(chain)
            _refuse_cycle(reading, current, [*names[names.index(base) :], base])
            base = None
        current = reading.templates[base] if base else None
    below = flat[current.name] if current is not None else None
    for draft in reversed(chain.values()):
        if below is None:
            below = draft
        else:
            below = merged(below, draft)
            note_unfolded(reading, below, "templates")
        flat[draft.name] = below


def _base(reading: Reading, draft: TaskDraft) -> str | None:
    if draft.template is None:
        return None
    return resolve(reading, draft.template, "template", draft.owner, reading.templates)


def _refuse_cycle(reading: Reading, draft: TaskDraft, names: list[str]) -> None:
    assert draft.template is not None  # noqa: S101  # a cycle is made of references
    what = f"template {shown(draft.name)} builds on itself."
    reading.problems.add("AME-E126", draft.template.node, what, why=f"{listed(names, ' -> ')}.")


def _finish(reading: Reading, draft: TaskDraft) -> Task:
    problems = reading.problems
    if draft.pipeline is not None:
        _refuse_what_is_the_steps(problems, draft)
    elif draft.command is None and draft.kind != "mlflow" and not draft.refused:
        what = f"{draft.owner} has no command."
        problems.add("AME-E113", draft.where, what, fix=executor_form(draft.kind))
    elif (draft.kind is None or draft.dated) and not draft.refused:
        problems.add(
            "AME-W102",
            draft.command_where or draft.where,
            f"{draft.owner} gives its command in an older form.",
            why="" if draft.kind else "With a requirements.txt it is run as by `!pip`, else as by `!custom`.",
            fix=executor_form(draft.kind),
        )
    if draft.timezone and not draft.cron:
        what = f"{draft.owner} has a time zone and no schedule."
        problems.add("AME-E129", draft.where, what, fix="Add `schedule`, or leave `timezone` out.")
    resources = resources_of(draft.resources)
    check_gpu(problems, draft.owner, resources)
    secrets = draft.secrets or ()
    refuse_shared_variables(problems, draft.owner, secrets, draft.env)
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
