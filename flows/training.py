"""train-model: run the training, find the version that it made, and start that version's delivery."""

from __future__ import annotations

import asyncio
import json
from dataclasses import replace
from typing import Any

from prefect import flow, get_run_logger, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from ame.diagnosis import Diagnosis, Refused
from ame.registry import TaskRun, Version
from ame.runtime import TaskInputs, execute_task
from ame.spec import Task
from flows._abandoned import refuse_abandoned
from flows._deployed import begin
from flows._dispatch import deployed, run_step, start_step
from flows._outcome import attempts, completed, diagnosed, failed, refusing
from flows._output import to_run_log
from flows._pipeline import run_pipeline
from flows._secrets import secrets_of
from flows._summary import show_artifacts
from flows._tags import tag_this_run
from flows._threads import stoppable
from flows._work import Work
from flows.data_set import produced
from flows.delivery import deliver_version

__all__ = ["train_model"]

_BEFORE = "ame-newest-before:"


@flow(name="train-model", flow_run_name="train {model}")
@diagnosed
async def train_model(
    project: str, model: str, env: dict[str, str] | None = None, source: str | None = None
) -> State[Any]:
    """Train a model and deliver the version that the training registers.

    Args:
        project: the project's folder, or `snapshot:NAME/DIGEST` for one in the artifact store.
        env: values for variables that tasks declare.
        source: the digest of the project's files; taken now when it is not given.
    """
    work = await begin(project, env, source)
    declared = work.model(model)
    if declared.training is None:
        raise Refused(
            Diagnosis(
                code="AME-E703",
                where=declared.where,
                what=f"model '{model}' has no training.",
                fix="Give it a `training` section; versions from elsewhere are delivered without one.",
            )
        )
    trainer = work.project.tasks[declared.training]
    # The steps of a pipeline go on when their parent is started again, and so does what they have registered.
    await refuse_abandoned(work, model, own=not trainer.pipeline)
    keys = await produced(work, trainer.data_sets)
    inputs = TaskInputs(mlflow=work.registry.uri, data_set_keys=keys)
    if trainer.pipeline:
        version = await _trained(work, model, trainer, inputs, 1)
    else:
        version = await attempts(lambda number: _train(work, model, trainer, inputs, number), trainer.retries)
    await tag_this_run(work.version_tag(model, version.number))
    if deployed():
        # The training's resources are given back now; a delivery may wait for hours.
        started = await start_step(deliver_version, work, model, model=model, version=version.number)
        message = f"version {version.number} of '{model}'; its delivery is the flow run '{started.name}'"
        return completed("Trained", message, version=version.number)
    delivered = await run_step(deliver_version, work, model, model=model, version=version.number)
    end = failed if delivered.failed else completed
    return end(delivered.state, delivered.message, version=version.number)


@task(name="train", task_run_name="{trainer.name}, attempt {attempt}", cache_policy=NO_CACHE)
@refusing
async def _train(work: Work, model: str, trainer: Task, inputs: TaskInputs, attempt: int) -> Version:
    """See `_trained`."""
    return await _trained(work, model, trainer, inputs, attempt)


async def _trained(work: Work, model: str, trainer: Task, inputs: TaskInputs, attempt: int) -> Version:
    """Run the training once; its runs and versions count only if the command, or every step, ends well."""
    marks = TaskRun(
        id=str(flow_run.id),
        attempt=attempt,
        holder=work.holder,
        newest_before=await _newest_before(work, model, trainer),
    )
    marked = TaskInputs(
        mlflow=inputs.mlflow,
        extra={"MLFLOW_RUN_CONTEXT": json.dumps(marks.context)},
        data_set_keys=inputs.data_set_keys,
    )
    name = f"{trainer.name}-{flow_run.id}-{attempt}"
    try:
        if trainer.pipeline:
            kept = await run_pipeline(work, trainer, marked, name=name)
        else:
            kept = await stoppable(
                execute_task,
                work.project,
                trainer,
                replace(marked, secrets=await secrets_of(trainer)),
                home=work.home,
                store=work.store,
                name=name,
                on_line=to_run_log(),
            )
    except Refused as refused:
        await asyncio.to_thread(_refuse, work, model, marks, refused)
        raise
    await show_artifacts(trainer.name, kept)
    return await asyncio.to_thread(_candidate, work, model, marks)


async def _newest_before(work: Work, model: str, trainer: Task) -> int:
    """The highest version number of the model before the training began.

    A pipeline whose parent is started again goes on: it is noted as a tag of the run.
    """
    noted = [tag.removeprefix(_BEFORE) for tag in flow_run.tags if tag.startswith(_BEFORE)]
    if trainer.pipeline and noted:
        return int(noted[0])
    newest = await asyncio.to_thread(work.registry.newest_number, model)
    if trainer.pipeline and deployed():
        await tag_this_run(f"{_BEFORE}{newest}")
    return newest


def _refuse(work: Work, model: str, marks: TaskRun, refused: Refused) -> None:
    from mlflow.exceptions import MlflowException

    try:
        work.registry.refuse_attempt(model, marks, str(refused))
    except MlflowException as error:
        # Why the training failed must not be lost over it; what it registered has never been called
        # trained, so the next run refuses it.
        get_run_logger().warning("its versions could not be marked as refused: %s", error.message)


def _candidate(work: Work, model: str, marks: TaskRun) -> Version:
    """The version to deliver: the newest that the training made; its elder sisters are superseded."""
    made = work.registry.made_by(model, marks)
    if not made:
        raise Refused(_no_version(work, model, marks))
    *others, newest = made
    for other in others:
        work.registry.mark(
            other, "superseded", why=f"the same training registered version {newest.number} after it"
        )
    trained = work.registry.mark(newest, "trained", prefect_run=marks.id)
    work.registry.end_training(marks)
    return trained


def _no_version(work: Work, model: str, marks: TaskRun) -> Diagnosis:
    runs = work.registry.training_runs(marks)
    logged = sum(len(run.outputs.model_outputs) if run.outputs else 0 for run in runs)
    seen = f"It started {len(runs)} MLflow run(s), which logged {logged} model(s)"
    return Diagnosis(
        code="AME-E305",
        where=work.model(model).where,
        what=f"the training of '{model}' ended well but registered no version of it.",
        why=f"{seen}; no version of '{model}' names one of them, and none without a run appeared meanwhile.",
        fix=f"Log the model with registered_model_name='{model}', or call mlflow.register_model.",
    )
