"""Where a step of a flow runs: today, in the process of the flow that asks for it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import State

from flows._outcome import Outcome, outcome_of
from flows._work import Work

__all__ = ["run_step"]


async def run_step(step: Flow[Any, Any], work: Work, **parameters: Any) -> Outcome:
    """Run a flow on the same work and wait for it; a failed step is told, not raised."""
    running: Awaitable[State[Any]] = step(**work.parameters, **parameters, return_state=True)  # type: ignore[assignment]
    return await outcome_of(await running)
