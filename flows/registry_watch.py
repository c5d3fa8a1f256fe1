"""watch-registry: starts what nobody has started, and what stands still.

Events get lost, machines too, and versions are registered past every event. The registry tells which versions
have no decision; a run of this flow, by a schedule, starts the deliveries that are missing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Iterable
from typing import Any

from prefect import flow, get_client, get_run_logger
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Crashed

from ame.registry import ClaimLost, ModelJournal, Silence, Version, patience
from flows._abandoned import refuse_abandoned
from flows._announce import announce
from flows._claims import held, is_stale
from flows._deployed import begin
from flows._dispatch import deployed, run_step, start_step
from flows._outcome import completed, diagnosed
from flows._queue import runs_of
from flows._work import Work
from flows.delivery import deliver_version, waiting

__all__ = ["watch_registry"]

#: A version whose delivery has failed so often is left to people.
_MOST_FAILURES = 5


@flow(name="watch-registry", flow_run_name="watch the models")
@diagnosed
async def watch_registry(
    project: str, env: dict[str, str] | None = None, source: str | None = None
) -> State[Any]:
    """Find versions without a decision that nobody works on, and start their deliveries.

    Args:
        project: the project's folder, or `snapshot:NAME/DIGEST` for one in the artifact store.
        env: values for variables that tasks declare.
        source: the digest of the project's files; taken now when it is not given.
    """
    work = await begin(project, env, source)
    told = await asyncio.gather(*(_look_after(work, model) for model in work.project.models))
    started = [line for lines in told for line in lines]
    if not started:
        return completed("Completed", "every version has its decision, or its delivery is under way")
    return completed("Started", "; ".join(started))


async def _look_after(work: Work, model: str) -> list[str]:
    """Start what is missing for one model; says what was started and what is left to people."""
    journal = work.journal(model)
    await refuse_abandoned(work, model)
    await _settle(work, journal)
    await announce(journal, work.project.name)
    left = await asyncio.to_thread(waiting, work, model)
    told = [_left_to_people(version) for version in left if version.failures >= _MOST_FAILURES]
    for line in told:
        get_run_logger().warning(line)
    missing = [version for version in left if version.failures < _MOST_FAILURES]
    if not missing:
        return told
    under_way = await runs_of(work, deliver_version.name, model) if deployed() else []
    if under_way and await _somebody_works(work, model, under_way):
        return told
    # It delivers the older ones first.
    newest = missing[-1]
    if deployed():
        await start_step(deliver_version, work, model, model=model, version=newest.number)
    else:
        await run_step(deliver_version, work, model, model=model, version=newest.number)
    numbers = ", ".join(version.number for version in missing)
    return [*told, f"{model}: the delivery of version {numbers}"]


async def _settle(work: Work, journal: ModelJournal) -> None:
    """Note what was done past the journal; where a delivery is at work, it has done so as it began."""
    if await asyncio.to_thread(journal.is_settled):
        return
    link = await asyncio.to_thread(journal.chain.end)
    if link is not None and link.claim is not None:
        return
    with contextlib.suppress(ClaimLost):
        async with held(work, journal, "note what was done by hand") as claim:
            by = f"watch-registry of {work.project.name}"
            await asyncio.to_thread(journal.settle, claim, by)


async def _somebody_works(work: Work, model: str, under_way: Iterable[FlowRun]) -> bool:
    """Whether one of these runs is on its way: it waits for its start, or gives signs of life.

    One that runs for Prefect and gives none is called Crashed, because it would keep all others waiting.
    """
    running = [run for run in under_way if run.state_type == StateType.RUNNING]
    if not running:
        return True
    journal, silence = work.journal(model), Silence()
    while not await is_stale(link := await asyncio.to_thread(journal.chain.begun), silence):
        if silence.heard:
            return True
        await asyncio.sleep(patience() / 15)
    held = link.claim.told["flowRun"] if link.claim else None
    dead = [run for run in running if str(run.id) == held]
    async with get_client() as client:
        for run in dead:
            message = "it holds its model and gives no sign of life"
            await client.set_flow_run_state(run.id, Crashed(message=message), force=True)
            get_run_logger().warning("flow run '%s' is called Crashed: %s", run.name, message)
    return not dead


def _left_to_people(version: Version) -> str:
    return (
        f"{version.model}: version {version.number} is left to you, its delivery has failed "
        f"{version.failures} times"
    )
