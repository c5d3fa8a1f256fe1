"""Holding the claim on a model, so that one run at a time decides on its versions, wherever it runs."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator

from prefect import get_run_logger
from prefect.runtime import flow_run

from ame.registry import Claim, Holder, Link, ModelJournal, Silence, make_claim, patience
from flows._abandoned import is_over
from flows._work import Work

__all__ = ["held", "is_stale"]

_SECONDS_BETWEEN_WORDS = 60.0


@contextlib.asynccontextmanager
async def held(work: Work, journal: ModelJournal, what: str) -> AsyncIterator[Claim]:
    """Wait until nobody else holds the model, and hold it for as long as the block runs.

    A holder that is at work is waited for, however long it takes. One that is over, as Prefect knows, is
    replaced at once, and one that gives no sign of life after a while.

    Args:
        what: the work, for those who wait for it.
    """
    holder = Holder(work.holder, str(flow_run.id), what)
    silence, said = Silence(), -_SECONDS_BETWEEN_WORDS
    while True:
        link = await asyncio.to_thread(journal.chain.begun)
        if link.claim is None or await is_stale(link, silence):
            claim = await asyncio.to_thread(make_claim, journal.chain, link, holder)
            if claim is not None:
                break
            continue
        if time.monotonic() - said >= _SECONDS_BETWEEN_WORDS:
            said = time.monotonic()
            told = link.claim.told
            get_run_logger().info(
                "model '%s' is held by %s (%s): waiting for it", journal.model, told["holder"], told["what"]
            )
        await asyncio.sleep(patience() / 15)
    with claim:
        try:
            yield claim
        finally:
            await _released(claim)


async def is_stale(link: Link, silence: Silence) -> bool:
    """Whether nobody works under the claim that a link holds any more, as far as this look tells."""
    if link.claim is None:
        return True
    run = link.claim.told["flowRun"]
    if run and (run == flow_run.id or await is_over(run)):
        return True
    return silence.look(link)


async def _released(claim: Claim) -> None:
    from mlflow.exceptions import MlflowException

    # Where the server has failed the claim ends by itself, and what failed is told by the block.
    with contextlib.suppress(MlflowException):
        await asyncio.to_thread(claim.release)
