"""A training that starts because a project was deployed with other files than the model was trained on."""

from __future__ import annotations

from prefect import get_client
from prefect.client.schemas.filters import (
    DeploymentFilter,
    DeploymentFilterName,
    FlowFilter,
    FlowFilterName,
)
from prefect.client.schemas.objects import FlowRun, StateType
from prefect.client.schemas.sorting import FlowRunSort

from flows._dispatch import deployed, start_step
from flows._work import Work
from flows.training import train_model

__all__ = ["train_on_change"]

#: Runs that are asked for at once, newest first: mostly the first ones are of the files that are deployed.
_PAGE = 100


async def train_on_change(work: Work, model: str) -> bool:
    """Start a training of a model with `onChange` whose files were never trained on; says whether it did.

    A training that has failed counts: it would fail again. So does one that somebody else has started.
    """
    declared = work.model(model)
    if not (declared.on_change and declared.training and work.project.enable_triggers and deployed()):
        return False
    if await _was_started(work, model):
        return False
    # Two watches at once are given the same run.
    await start_step(train_model, work, model, once=f"on-change:{work.source}", model=model)
    return True


async def _was_started(work: Work, model: str) -> bool:
    """Whether Prefect knows a training of these files that was begun, or asked for by somebody."""
    offset = 0
    async with get_client() as client:
        while True:
            runs = await client.read_flow_runs(
                flow_filter=FlowFilter(name=FlowFilterName(any_=[train_model.name])),
                deployment_filter=DeploymentFilter(
                    name=DeploymentFilterName(any_=[f"{work.project.name}.{model}"])
                ),
                sort=FlowRunSort.EXPECTED_START_TIME_DESC,
                limit=_PAGE,
                offset=offset,
            )
            if any(_is_of(run, work) for run in runs):
                return True
            if len(runs) < _PAGE:
                return False
            offset += _PAGE


def _is_of(run: FlowRun, work: Work) -> bool:
    """Whether a run trains on the same files; one that a schedule has only planned may be far off."""
    if run.state_type == StateType.SCHEDULED and run.auto_scheduled:
        return False
    given = run.parameters
    return given.get("project") == work.origin and given.get("source") in (None, work.source)
