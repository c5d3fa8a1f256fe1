"""Where a step of a flow runs: today, in the process of the flow that asks for it."""

from __future__ import annotations

from collections.abc import Awaitable
from typing import Any

from prefect import Flow
from prefect.client.schemas.objects import State

from flows._outcome import Outcome, outcome_of

__all__ = ["run_step"]


async def run_step(step: Flow[Any, Any], **parameters: Any) -> Outcome:
    """Run a flow as a step of the current one and wait for it; a failed step is told, not raised."""
    running: Awaitable[State[Any]] = step(**parameters, return_state=True)  # type: ignore[assignment]
    return await outcome_of(await running)
