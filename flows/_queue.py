"""The deliveries of a model that still wait to start, as Prefect knows them."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection

import httpx
from prefect import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
    FlowRunFilter,
    FlowRunFilterState,
    FlowRunFilterStateType,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Completed

from flows._work import Work

__all__ = ["ALIVE", "end_queued", "runs_of"]

#: The states of runs that have not ended; the first is that of those which have not begun either.
ALIVE = (
    StateType.SCHEDULED,
    StateType.PENDING,
    StateType.RUNNING,
    StateType.PAUSED,
    StateType.CANCELLING,
)


async def runs_of(work: Work, flow: str, of: str, states: Collection[StateType] = ALIVE) -> list[FlowRun]:
    """The runs of a deployment that are in one of these states.

    Args:
        of: the model, task or data set that the deployment is for.
    """
    wanted = FlowRunFilterStateType(any_=list(states))
    async with get_client() as client:
        return await client.read_flow_runs(
            flow_filter=FlowFilter(name=FlowFilterName(any_=[flow])),
            deployment_filter=DeploymentFilter(name=DeploymentFilterName(any_=[f"{work.project.name}.{of}"])),
            flow_run_filter=FlowRunFilter(state=FlowRunFilterState(type=wanted)),
        )


async def end_queued(work: Work, flow: str, model: str) -> None:
    """End the runs that wait to start for versions which are decided on: each would cost a process or a pod.

    When a server fails they start, and find that there is nothing to do.
    """
    from mlflow.exceptions import MlflowException

    with contextlib.suppress(httpx.HTTPError, MlflowException):
        decided = await asyncio.to_thread(work.registry.decided, model)
        for run in await runs_of(work, flow, model, [StateType.SCHEDULED]):
            if run.parameters.get("version") in decided:
                await _end(run, "its version was decided on by another delivery, before this one began")


async def _end(run: FlowRun, message: str) -> None:
    async with get_client() as client:
        ended: State[None] = Completed(name="AlreadyDecided", message=message)
        await client.set_flow_run_state(run.id, ended, force=True)
