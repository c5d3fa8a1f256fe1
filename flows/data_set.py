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
from ame.runtime import TaskInputs, borrowed_for, data_set_keys, execute_task
from ame.spec import DataSet, Task
from flows._borrowed import borrow
from flows._deployed import begin
from flows._dispatch import run_step
from flows._outcome import completed, diagnosed, refusing, settled
from flows._output import to_run_log
from flows._pipeline import run_pipeline
from flows._secrets import secrets_of
from flows._threads import stoppable
from flows._work import Work, in_home_of

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
    made = _made_by(work, maker)
    keys = await produced(work, maker.data_sets, and_keys_of=[each.name for each in made])
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


async def produced(work: Work, needed: Iterable[str], and_keys_of: Iterable[str] = ()) -> dict[str, str]:
    """See that data sets are in the store, making those that are not.

    Args:
        needed: names, as tasks have them; another project makes its own from its own files.
        and_keys_of: further data sets, of which only the keys are wanted.

    Returns:
        The store key of every data set that a task makes or that is another project's, by name; what neither
        these nor what they are made with need of other projects may be missing.

    Raises:
        Refused: AME-E207, when one cannot be made, AME-E725, when another project is not deployed.
    """
    needed = list(needed)
    borrowed = {
        name: await borrow(work, name) for name in sorted(borrowed_for(work.project, [*needed, *and_keys_of]))
    }
    keys = {name: each.key for name, each in borrowed.items()}
    keys |= data_set_keys(work.project, work.source, keys)
    for name in needed:
        if name not in keys or work.store.holds(keys[name]):
            continue
        of = borrowed.get(name)
        maker, own_name = (of.work, of.name) if of is not None else (work, name)
        with in_home_of(work):
            made = await run_step(produce_data_set, maker, own_name, data_set=own_name)
        if not work.store.holds(keys[name]):
            raise Refused(
                Diagnosis(
                    code="AME-E207",
                    where=maker.project.data_sets[own_name].where,
                    what=f"data set '{name}' could not be made.",
                    why=made.message,
                )
            )
    return keys
