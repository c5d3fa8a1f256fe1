"""Trainings that were killed, found by what Prefect knows of their flow runs."""

from __future__ import annotations

import asyncio
from uuid import UUID

from prefect import get_client
from prefect.exceptions import ObjectNotFound
from prefect.runtime import flow_run

from flows._work import Work

__all__ = ["is_over", "refuse_abandoned"]


async def refuse_abandoned(work: Work, model: str, *, own: bool = True) -> None:
    """Refuse versions whose training was killed.

    Args:
        own: earlier executions of this very flow run are such trainings too.

    A training under a server that Prefect's API here does not know is left alone.
    """
    for version in await asyncio.to_thread(work.registry.undecided, model):
        training = await asyncio.to_thread(work.registry.unfinished_training, version)
        if training is None:
            continue
        if (own and training.flow_run == flow_run.id) or await is_over(training.flow_run):
            await asyncio.to_thread(work.registry.give_up_training, version, training)


async def is_over(run: str) -> bool:
    """Whether a flow run has ended, well or not; False for one that this server does not know."""
    try:
        async with get_client() as client:
            found = await client.read_flow_run(UUID(run))
    except (ObjectNotFound, ValueError):
        return False
    return found.state is not None and found.state.is_final()
