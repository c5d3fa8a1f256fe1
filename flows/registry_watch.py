"""watch-registry: starts what nobody has started, and what stands still.

Events get lost, machines too, and versions are registered past every event. The registry tells which versions
have no decision; a run of this flow, by a schedule, starts the deliveries that are missing.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Collection
from typing import Any

from prefect import flow, get_client, get_run_logger
from prefect.client.schemas.objects import FlowRun, State, StateType
from prefect.states import Crashed

from ame.diagnosis import Refused
from ame.registry import ClaimLost, ModelJournal, Silence, Version, patience, server_time
from flows._abandoned import refuse_abandoned
from flows._announce import announce
from flows._claims import held, is_stale
from flows._deployed import begin
from flows._dispatch import deployed, run_step, start_step
from flows._on_change import train_on_change
from flows._outcome import completed, diagnosed
from flows._queue import runs_of
from flows._work import Work
from flows.delivery import deliver_version, waiting

__all__ = ["watch_registry"]

#: A version whose delivery has failed so often is left to people.
_MOST_FAILURES = 5
#: How many times the patience with a claim a run may stay in one state without making one: it may wait for
#: its pod, or be coming up.
_STANDING_STILL = 10
_SEEN = "ame-seen:"


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
    told = await asyncio.gather(*(_looked_after(work, model) for model in work.project.models))
    started = [line for lines in told for line in lines]
    if not started:
        return completed("Completed", "every version has its decision, or its delivery is under way")
    return completed("Started", "; ".join(started))


async def _looked_after(work: Work, model: str) -> list[str]:
    """See `_look_after`; what keeps one model from being looked after does not keep the others."""
    try:
        told = await _look_after(work, model)
        if await train_on_change(work, model):
            told.append(f"{model}: a training, because files of the project have changed")
        return told
    except Refused as refused:
        get_run_logger().warning(str(refused))
        return [f"{model}: {refused}"]


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


async def _somebody_works(work: Work, model: str, under_way: Collection[FlowRun]) -> bool:
    """Whether one of these runs is on its way: it gives signs of life, or has not had the time yet.

    One that was seen before, and has neither gone on nor given a sign since, is called Crashed: it would keep
    all others waiting.
    """
    journal, silence = work.journal(model), Silence()
    while not await is_stale(link := await asyncio.to_thread(journal.chain.begun), silence):
        if silence.heard:
            return True
        await asyncio.sleep(patience() / 15)
    holder = link.claim.told["flowRun"] if link.claim else None
    now = await asyncio.to_thread(lambda: server_time(work.registry.uri).timestamp())
    alive = False
    for run in under_way:
        if run.state_type == StateType.SCHEDULED:
            alive = True
        elif str(run.id) == holder or now - await _first_seen(run, now) > _STANDING_STILL * patience():
            await _call_crashed(run)
        else:
            alive = True
    return alive


async def _first_seen(run: FlowRun, now: float) -> float:
    """When a watch first found the run in the state that it is in, in seconds by the MLflow server's clock.

    Noted as a tag of the run: a watch does not stay, and its machine's clock is its own.
    """
    mark = f"{_SEEN}{run.state_id}:"
    for tag in run.tags:
        if tag.startswith(mark):
            return float(tag.removeprefix(mark))
    kept = {tag for tag in run.tags if not tag.startswith(_SEEN)}
    async with get_client() as client:
        await client.update_flow_run(run.id, tags=[*sorted(kept), f"{mark}{now:.0f}"])
    return now


async def _call_crashed(run: FlowRun) -> None:
    message = "it gives no sign of life, and keeps its model from others"
    async with get_client() as client:
        await client.set_flow_run_state(run.id, Crashed(message=message), force=True)
    get_run_logger().warning("flow run '%s' is called Crashed: %s", run.name, message)


def _left_to_people(version: Version) -> str:
    return (
        f"{version.model}: version {version.number} is left to you, its delivery has failed "
        f"{version.failures} times"
    )
