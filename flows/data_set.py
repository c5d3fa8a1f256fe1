"""produce-data-set: run the task that makes a data set, and keep what it leaves."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Any

from prefect import flow, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from ame.diagnosis import Diagnosis, Refused
from ame.runtime import TaskInputs, data_set_keys, execute_task
from ame.spec import DataSet, Task
from flows._deployed import begin
from flows._dispatch import run_step
from flows._outcome import completed, diagnosed, refusing, settled
from flows._output import to_run_log
from flows._pipeline import run_pipeline
from flows._secrets import secrets_of
from flows._threads import stoppable
from flows._work import Work

__all__ = ["produce_data_set", "produced"]


@flow(name="produce-data-set", flow_run_name="produce {data_set}")
@diagnosed
async def produce_data_set(
    project: str, data_set: str, env: dict[str, str] | None = None, source: str | None = None
) -> State[Any]:
    """Make a data set, and with it every other one that the same task makes.

    Args:
        project: the project's folder, or `snapshot:NAME/DIGEST` for one in the artifact store.
        env: values for variables that tasks declare.
        source: the digest of the project's files; taken now when it is not given.
    """
    work = await begin(project, env, source)
    maker = work.project.tasks[str(work.project.data_sets[data_set].task)]
    keys = await produced(work, maker.data_sets)
    made = _made_by(work, maker)
    if all(work.store.holds(keys[each.name]) for each in made):
        # Two runs needed it at once, and another one was first.
        return completed("Completed", f"data set '{data_set}' is there")
    inputs = TaskInputs(mlflow=work.registry.uri, data_set_keys=keys)
    if maker.pipeline:
        await run_pipeline(work, maker, inputs, name=f"{maker.name}-{flow_run.id}", makes=made)
    else:
        await settled(_make(work, maker, inputs))
    return completed("Completed", f"data set '{data_set}' is there")


@task(name="make data sets", task_run_name="{maker.name}", cache_policy=NO_CACHE)
@refusing
async def _make(work: Work, maker: Task, inputs: TaskInputs) -> None:
    await stoppable(
        execute_task,
        work.project,
        maker,
        replace(inputs, secrets=await secrets_of(maker)),
        home=work.home,
        store=work.store,
        name=f"{maker.name}-{flow_run.id}",
        on_line=to_run_log(),
        makes=_made_by(work, maker),
    )


def _made_by(work: Work, maker: Task) -> tuple[DataSet, ...]:
    return tuple(made for made in work.project.data_sets.values() if made.task == maker.name)


async def produced(work: Work, needed: Iterable[str]) -> dict[str, str]:
    """See that data sets are in the store, making those that are not.

    Returns:
        The store key of every data set that a task makes, by name.

    Raises:
        Refused: AME-E207, when one cannot be made.
    """
    keys = data_set_keys(work.project, work.source)
    for name in needed:
        if name in keys and not work.store.holds(keys[name]):
            made = await run_step(produce_data_set, work, name, data_set=name)
            if not work.store.holds(keys[name]):
                raise Refused(
                    Diagnosis(
                        code="AME-E207",
                        where=work.project.data_sets[name].where,
                        what=f"data set '{name}' could not be made.",
                        why=made.message,
                    )
                )
    return keys
