"""The tag by which Prefect's UI shows all runs of one model version together."""

from __future__ import annotations

from uuid import UUID

from prefect import get_client
from prefect.runtime import flow_run

__all__ = ["tag_this_run"]


async def tag_this_run(tag: str) -> None:
    """Put a tag on this flow run itself; `prefect.tags` only reaches the runs below it."""
    async with get_client() as client:
        # Those that it was given after it began count too.
        found = await client.read_flow_run(UUID(flow_run.id))
        await client.update_flow_run(found.id, tags={*found.tags, tag})
