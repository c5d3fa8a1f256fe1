"""Where a step of a flow runs: in this process, or as a run of its own deployment.

A run that was started from a deployment starts its steps from theirs, each with its own resources; all
others, those of `ame run` too, have their steps run in the same process.
"""

from __future__ import annotations

import asyncio
import hashlib
import json
import time
from collections.abc import Awaitable, Mapping
from typing import Any
from uuid import UUID

import httpx
from prefect import Flow, get_client, get_run_logger
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterId,
    FlowRunFilter,
    FlowRunFilterParentFlowRunId,
)
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.context import FlowRunContext, TagsContext
from prefect.deployments import arun_deployment
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run
from prefect.states import Cancelling

from ame.diagnosis import Diagnosis, Refused
from flows._outcome import Outcome, outcome_of
from flows._queue import runs_of
from flows._work import Work

__all__ = ["cancel_steps", "deployed", "run_step", "start_step"]

#: Between two looks at a step: at first, and at most, as it goes on.
_POLL_SECONDS, _LONGEST_POLL_SECONDS = 1.0, 10.0
#: How long Prefect's server may be silent before a run that waits for a step gives up.
_SILENCE_SECONDS = 600.0


def deployed() -> bool:
    """Whether this run was started from a deployment."""
    # The runtime's own word for it would ask the server, which may be away.
    running = FlowRunContext.get()
    return running is not None and running.flow_run is not None and running.flow_run.deployment_id is not None


async def run_step(step: Flow[Any, Any], work: Work, of: str, **parameters: Any) -> Outcome:
    """Run a flow on the same work and wait for it; a failed step is told, not raised.

    Args:
        of: the model, task or data set that the step is for.

    Raises:
        Refused: AME-E711, when the step has no deployment on the server.
    """
    if not deployed():
        running: Awaitable[State[Any]] = step(**work.parameters, **parameters, return_state=True)  # type: ignore[assignment]
        return await outcome_of(await running)
    started = await _living(step, work, of, parameters)
    if started is not None:
        # Its parent has died, or this run is that parent, started again.
        get_run_logger().info("the step is under way: waiting for the flow run '%s'", started.name)
    else:
        started = await start_step(step, work, of, **parameters)
    state = await _end_of(started.id)
    return Outcome(
        state=state.name or state.type.value.title(),
        message=state.message or f"its flow run '{started.name}' ended {state.name}",
        version=parameters.get("version"),
        flow_run=str(started.id),
        failed=not state.is_completed(),
    )


async def start_step(
    step: Flow[Any, Any], work: Work, of: str, *, once: str | None = None, **parameters: Any
) -> FlowRun:
    """Start a step from its deployment and do not wait for it.

    Args:
        once: names what is to be started once whoever starts it; the run that there is comes back, also one
            that has failed.

    Raises:
        Refused: AME-E711, when the step has no deployment on the server.
    """
    name = f"{step.name}/{work.project.name}.{of}"
    given = {**work.parameters, **parameters}
    tags = TagsContext.get().current_tags
    if "version" in parameters:
        tags = tags | {work.version_tag(of, parameters["version"])}
    key = f"{flow_run.id}:{name}:{_distinct(parameters)}:{await _lost(name, given)}"
    found: FlowRun = await arun_deployment(
        name,
        parameters=given,
        timeout=0,
        # The run gives itself the same name when it starts; until then it may wait for long.
        flow_run_name=str(step.flow_run_name).format(**given),
        tags=sorted(tags),
        idempotency_key=f"{once}:{name}" if once else key,
    )
    return found


async def _living(step: Flow[Any, Any], work: Work, of: str, parameters: Mapping[str, Any]) -> FlowRun | None:
    """A run of the step with the same parameters that has begun and not ended, whoever started it."""
    given = {**work.parameters, **parameters}
    begun = await runs_of(work, step.name, of, (StateType.PENDING, StateType.RUNNING, StateType.PAUSED))
    return next((run for run in begun if _is_the_same(run.parameters, given)), None)


async def _end_of(run: UUID) -> State[Any]:
    """The last state of a run, once it has ended; a server that is restarted does not end the waiting."""
    began = heard = time.monotonic()
    while True:
        try:
            async with get_client() as client:
                found = await client.read_flow_run(run)
            heard = time.monotonic()
            if found.state is not None and found.state.is_final():
                return found.state
        except httpx.HTTPError as silent:
            if isinstance(silent, httpx.HTTPStatusError) and silent.response.status_code < 500:
                raise
            if time.monotonic() - heard > _SILENCE_SECONDS:
                raise
        waited = time.monotonic() - began
        await asyncio.sleep(min(_POLL_SECONDS + waited / 60, _LONGEST_POLL_SECONDS))


async def cancel_steps() -> None:
    """Let the runs be cancelled that this one has started and that have not ended; do not wait for it."""
    mine = FlowRunFilter(parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[flow_run.id]))
    async with get_client() as client:
        for run in await client.read_flow_runs(flow_run_filter=mine):
            if run.state is not None and not run.state.is_final():
                await client.set_flow_run_state(run.id, Cancelling(message="its parent ran out of time"))


def _distinct(parameters: Mapping[str, Any]) -> str:
    """What sets one step apart from the others that its parent starts from the same deployment."""
    told = parameters.get("files") or parameters
    return hashlib.sha256(json.dumps(told, sort_keys=True).encode()).hexdigest()[:16]


def _is_the_same(one: Mapping[str, Any], other: Mapping[str, Any]) -> bool:
    """Whether two runs of a deployment do the same; what a step of a pipeline leaves, only it does.

    Other parameters of a step may tell of the process in which its parent ran, before that one died.
    """
    if one.get("files") or other.get("files"):
        return one.get("files") == other.get("files")
    return one == other


async def _lost(name: str, parameters: Mapping[str, Any]) -> int:
    """How many earlier runs of this step, started by this same parent, ended without being completed.

    It stands in the key by which the server knows a run again. A parent that was started again finds its
    living child by it, and the result of a completed one, but is never given a dead one back.
    """
    async with get_client() as client:
        try:
            found = await client.read_deployment_by_name(name)
        except ObjectNotFound as missing:
            raise Refused(
                Diagnosis(
                    code="AME-E711",
                    what=f"there is no deployment '{name}' on the server.",
                    why="A run that was started from a deployment starts its steps from theirs.",
                    fix="Deploy the whole prefect.yaml: `prefect --no-prompt deploy --all`.",
                )
            ) from missing
        earlier = await client.read_flow_runs(
            flow_run_filter=FlowRunFilter(
                parent_flow_run_id=FlowRunFilterParentFlowRunId(any_=[flow_run.id])
            ),
            deployment_filter=DeploymentFilter(id=DeploymentFilterId(any_=[found.id])),
        )
    return sum(
        _is_the_same(run.parameters, parameters)
        and run.state is not None
        and run.state.is_final()
        and not run.state.is_completed()
        for run in earlier
    )
