"""run-task: one task of a project, by itself or as a step; or the steps of a pipeline."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from ame.diagnosis import Diagnosis, Refused
from ame.runtime import Handed, TaskInputs, execute_task
from ame.spec import Task
from flows._deployed import begin
from flows._outcome import attempts, completed, diagnosed, refusing
from flows._output import to_run_log
from flows._pipeline import run_pipeline
from flows._secrets import secrets_of
from flows._summary import show_artifacts
from flows._threads import stoppable
from flows._work import Work
from flows.data_set import produced

__all__ = ["run_task"]


@flow(name="run-task", flow_run_name="run {task_name}")
@diagnosed
async def run_task(
    project: str,
    task_name: str,
    env: dict[str, str] | None = None,
    source: str | None = None,
    extra: dict[str, str] | None = None,
    files: dict[str, str] | None = None,
) -> State[Any]:
    """Run one task with its data sets in place, or the steps of a pipeline.

    Args:
        project: the project's folder, or `snapshot:NAME/DIGEST` for one in the artifact store.
        env: values for variables that tasks declare.
        source: the digest of the project's files; taken now when it is not given.
        extra: variables of the step that the task is run for, such as the version under validation.
        files: for a step of a pipeline, `from` where its files come and `to` where they go: folders of this
            machine, or keys of the artifact store.
    """
    work = await begin(project, env, source)
    declared = work.project.tasks.get(task_name)
    if declared is None:
        raise Refused(
            Diagnosis(
                code="AME-E702",
                what=f"project '{work.project.name}' has no task '{task_name}'.",
                why=f"Its tasks: {', '.join(work.project.tasks) or 'none'}.",
            )
        )
    handed = Handed.of(files)
    if handed and not handed.is_local and await asyncio.to_thread(work.store.holds, handed.end):
        # This run was started before, and lost when all was done.
        return completed("Completed", f"task '{task_name}' has ended well")
    keys = await produced(work, declared.data_sets)
    inputs = TaskInputs(mlflow=work.registry.uri, extra=extra or {}, data_set_keys=keys, handed=handed)
    if declared.pipeline:
        name = f"{declared.name}-{flow_run.id}"
        await show_artifacts(declared.name, await run_pipeline(work, declared, inputs, name=name))
    else:
        await attempts(lambda number: _execute(work, declared, inputs, number), declared.retries)
    return completed("Completed", f"task '{task_name}' ended well")


@task(name="execute", task_run_name="{declared.name}, attempt {attempt}", cache_policy=NO_CACHE)
@refusing
async def _execute(work: Work, declared: Task, inputs: TaskInputs, attempt: int) -> None:
    kept = await stoppable(
        execute_task,
        work.project,
        declared,
        replace(inputs, secrets=await secrets_of(declared)),
        home=work.home,
        store=work.store,
        name=f"{declared.name}-{flow_run.id}-{attempt}",
        on_line=to_run_log(),
    )
    await show_artifacts(declared.name, kept)
