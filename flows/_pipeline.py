"""A pipeline: its steps as flow runs of their own, one group after the other, and the files between them."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from typing import ParamSpec, TypeVar

from prefect import get_run_logger
from prefect.runtime import flow_run

from ame.diagnosis import Diagnosis, Refused
from ame.runtime import (
    Artifact,
    Carried,
    CarriedFolder,
    CarriedSnapshot,
    TaskInputs,
    keep_artifacts,
    keep_data_sets,
    refuse_in_the_way,
    refuse_missing,
    refusing_file_errors,
)
from ame.spec import DataSet, Task, steps_of
from flows._deployed import source_key
from flows._dispatch import cancel_steps, deployed, run_step
from flows._outcome import Outcome
from flows._work import Work

__all__ = ["run_pipeline"]

#: Prefect's SQLite takes one writer at a time, and lets those that come with it wait for seconds.
_SECONDS_BETWEEN_STARTS = 0.2

_P = ParamSpec("_P")
_T = TypeVar("_T")


async def run_pipeline(
    work: Work, task: Task, inputs: TaskInputs, *, name: str, makes: Iterable[DataSet] = ()
) -> tuple[Artifact, ...]:
    """Run the steps of a pipeline, and keep what it makes.

    A step that fails lets those that run beside it come to their end; nothing that stands after it starts.

    Args:
        name: unique among what runs at the same time.
        makes: data sets that the pipeline leaves.

    Returns:
        What is kept of the task's `artifacts`.

    Raises:
        Refused: AME-E211, when a step fails, AME-E212, when steps that ran at once left different files,
            AME-E213, when all took longer than the timeout; AME-E205, AME-E206, AME-E208, AME-E210,
            AME-E214 and AME-E84x, as a task's command does.
    """
    data_sets = {}
    for each in task.data_sets:
        key = inputs.data_set_keys.get(each)
        _, needed = work.project.data_set(each)
        if key:
            refuse_in_the_way(work.project, each)
            data_sets[needed.path] = key
        else:
            refuse_missing(work.project, needed)
    async with _files(work, task, inputs, name) as files:
        if await _beside(task, files.begin, data_sets):
            await _run_in_time(work, task, inputs, files)
            await _beside(task, files.end)
        made = [(data_set, inputs.data_set_keys[data_set.name]) for data_set in makes]
        await _beside(task, keep_data_sets, made, task, files.keep)
        return await _beside(task, keep_artifacts, task, name, work.store, files.keep, files.keep_changed)


@asynccontextmanager
async def _files(work: Work, task: Task, inputs: TaskInputs, name: str) -> AsyncIterator[Carried]:
    """Where the files are between the steps: where they run in this process a folder, else the store."""
    files: Carried
    if deployed():
        files = CarriedSnapshot(
            work.project,
            task,
            work.store,
            source=source_key(work),
            prefix=f"pipelines/{task.name}/{flow_run.id}",
            handed=inputs.handed,
        )
    else:
        files = CarriedFolder(work.project, task, work.store, work.home.work, name, inputs.handed)
    over = False
    try:
        yield files
        over = True
    except Refused:
        over = True
        raise
    finally:
        await asyncio.shield(asyncio.to_thread(files.close, over=over))


async def _beside(task: Task, work: Callable[_P, _T], *args: _P.args, **kwargs: _P.kwargs) -> _T:
    """Work with files in a thread beside the event loop."""
    with refusing_file_errors(f"task '{task.name}' cannot read or write its files.", task.where):
        return await asyncio.to_thread(work, *args, **kwargs)


async def _run_in_time(work: Work, task: Task, inputs: TaskInputs, files: Carried) -> None:
    at: Sequence[Task] = ()
    try:
        async with asyncio.timeout(task.timeout) as limit:
            for group in task.pipeline:
                at = [work.project.tasks[step] for step in group]
                await _run_group(work, task, at, inputs, files)
    except TimeoutError:
        if not limit.expired():
            raise
        if deployed():
            await cancel_steps()
        names = " and ".join(f"'{step.name}'" for step in at)
        raise Refused(
            Diagnosis(
                code="AME-E213",
                where=task.where,
                what=f"pipeline '{task.name}' was ended: it took more than its timeout, {task.timeout:g} s.",
                why=f"It was at {names}.",
                fix="Give it more time, which includes that in which steps wait for a machine.",
            )
        ) from None


async def _run_group(
    work: Work, task: Task, steps: Sequence[Task], inputs: TaskInputs, files: Carried
) -> None:
    # These two run pipelines themselves.
    from flows.data_set import produced
    from flows.task import run_task

    if len(steps) > 1:
        # Steps that need the same data set at the same time would both make it.
        all_steps = [each for step in steps for each in (step, *steps_of(step, work.project.tasks))]
        await produced(work, dict.fromkeys(name for step in all_steps for name in step.data_sets))
    handed = await _beside(task, files.hand, steps)

    async def started(number: int) -> Outcome:
        await asyncio.sleep(number * _SECONDS_BETWEEN_STARTS)
        name, files_of_step = steps[number].name, handed[number].parameter
        return await run_step(
            run_task, work, name, task_name=name, extra=dict(inputs.extra), files=files_of_step
        )

    ended = await asyncio.gather(*map(started, range(len(steps))), return_exceptions=True)
    _refuse_failures(task, steps, ended)
    await _beside(task, files.take, steps, handed)
    get_run_logger().info("%s ended well", " and ".join(f"'{step.name}'" for step in steps))


def _refuse_failures(task: Task, steps: Sequence[Task], ended: Sequence[Outcome | BaseException]) -> None:
    """Refuse, with AME-E211, when steps have failed; an error of ours is raised as it is."""
    failures = []
    for step, outcome in zip(steps, ended, strict=True):
        if isinstance(outcome, BaseException):
            raise outcome
        if outcome.failed:
            failures.append(
                Diagnosis(
                    code="AME-E211",
                    where=task.where,
                    what=f"step '{step.name}' of '{task.name}' failed.",
                    why=outcome.message,
                )
            )
    if failures:
        raise Refused(*failures)
