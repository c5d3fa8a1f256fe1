"""deliver-version: what happens to one model version after it is registered.

Validate, compare with the champion, decide, promote. The truth is in the registry and its journal: each step
reads it, acts under a claim on the model, and writes what it did; so a delivery that died anywhere goes on at
that step, and one that is done is left alone.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

from prefect import flow, get_run_logger, tags
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from ame.diagnosis import Diagnosis, Refused
from ame.registry import (
    DECIDED,
    ChampionMoved,
    Claim,
    ClaimLost,
    Draft,
    Entry,
    ModelJournal,
    Version,
)
from ame.registry import State as VersionState
from ame.spec import Model
from flows._abandoned import is_over
from flows._announce import announce
from flows._claims import held
from flows._decision import Judged, judge, passed
from flows._deployed import begin
from flows._dispatch import deployed
from flows._outcome import completed, diagnosed, failed
from flows._queue import end_queued
from flows._tags import tag_this_run
from flows._validation import validate
from flows._work import Work

__all__ = ["deliver_version", "undelivered", "waiting"]

#: How often a champion that changes under the comparison is followed.
_COMPARISONS = 3
#: How often a delivery may fail before those of newer versions stop trying it first.
_TRIES_FOR_OTHERS = 3


@flow(name="deliver-version", flow_run_name="deliver {model} v{version}")
@diagnosed
async def deliver_version(
    project: str, model: str, version: str, env: dict[str, str] | None = None, source: str | None = None
) -> State[Any]:
    """Validate a version, compare it with the champion, decide, and promote it if it is better.

    Older versions of the model that still wait for a decision come first.

    Args:
        project: the project's folder, or `snapshot:NAME/DIGEST` for one in the artifact store.
        version: the number, as MLflow spells it.
        env: values for variables that tasks declare.
        source: the digest of the project's files; taken now when it is not given.
    """
    work = await begin(project, env, source)
    declared = work.model(model)
    journal = work.journal(model)
    candidate = await asyncio.to_thread(work.registry.version, model, version)
    if candidate.state in DECIDED and candidate.journaled:
        return _already(candidate)
    training = await asyncio.to_thread(work.registry.unfinished_training, candidate)
    if training:
        if not await is_over(training.flow_run):
            return completed(
                "NotTrained", f"its training, held by {training.holder}, has not ended", version=version
            )
        await asyncio.to_thread(work.registry.give_up_training, candidate, training)
    await tag_this_run(work.version_tag(model, version))
    while True:
        try:
            async with held(work, journal, f"deliver version {version}") as claim:
                ended = await _Delivery(work, declared, journal, claim).up_to(version)
            break
        except ClaimLost:
            get_run_logger().info("somebody else has decided on '%s' meanwhile: looking again", model)
    await announce(journal, work.project.name)
    if deployed():
        await end_queued(work, deliver_version.name, model)
    return ended


def undelivered(work: Work, model: str) -> list[Version]:
    """Versions that wait for a decision, oldest first.

    A version whose training has not said that it is done is not delivered. When that training belonged
    to this home it was killed, and the version is refused: this must be called while no other process
    of this home trains the model. A training held elsewhere is left alone.
    """
    for version in work.registry.undecided(model):
        training = work.registry.unfinished_training(version)
        if training and training.holder == work.holder:
            work.registry.give_up_training(version, training)
    return waiting(work, model)


def waiting(work: Work, model: str) -> list[Version]:
    """Versions that have no decision though nothing trains them any more, oldest first.

    One that passed validation and is left to somebody is none of them.
    """
    asks_for_more = work.model(model).promotion.decides(work.registry.champion(model))
    return [
        version
        for version in work.registry.undecided(model)
        if (version.state != "validated" or asks_for_more)
        and work.registry.unfinished_training(version) is None
    ]


def _already(version: Version, name: str = "AlreadyDecided") -> State[Any]:
    why = version.tags.get("ame.why", "")
    message = f"{version.state}: {why}" if name == "AlreadyDecided" else why
    end = failed if name in ("Refused", "Invalid") else completed
    return end(name, message, version=version.number)


@dataclass(frozen=True, slots=True)
class _Delivery:
    """What a run does while it holds the claim on a model; ClaimLost ends it wherever it is."""

    work: Work
    declared: Model
    journal: ModelJournal
    claim: Claim

    async def up_to(self, number: str) -> State[Any]:
        """Deliver the versions that wait, oldest first, the last of them `number`; its end is told."""
        settled = await self._settle()
        target = await self._version(number)
        if target.state in DECIDED:
            # A promotion that had been cut off, an end of its training, somebody who made it champion.
            mine = any(entry.version == number for entry in settled)
            return _already(target, str(target.state).title() if mine else "AlreadyDecided")
        target = await self._before(target)
        if target.state in DECIDED:
            return _already(target, "Superseded")
        try:
            return await self._deliver(target)
        except Refused:
            await self._count_failure(target)
            raise

    async def _before(self, target: Version) -> Version:
        """Deal with the other versions that wait; returns the target as it is then."""
        others = await asyncio.to_thread(waiting, self.work, target.model)
        if self.declared.delivery == "latest":
            await self._supersede({version.number: version for version in (*others, target)}.values())
            return await self._version(target.number)
        for other in others:
            if int(other.number) < int(target.number) and other.failures < _TRIES_FOR_OTHERS:
                await self._deliver_other(other)
        return target

    async def _supersede(self, versions: Iterable[Version]) -> None:
        versions = list(versions)
        newest = max(versions, key=lambda version: int(version.number))
        for version in versions:
            if int(version.number) < int(newest.number) and version.state not in DECIDED:
                why = f"version {newest.number} is newer, and the file says `delivery: latest`"
                await self._end(version, Judged("supersede", why))

    async def _deliver_other(self, other: Version) -> None:
        """Deliver an older version first; what keeps it from being decided does not keep the newer one."""
        logger = get_run_logger()
        logger.info("version %s still waits for its decision and comes first", other.number)
        await tag_this_run(self.work.version_tag(other.model, other.number))
        try:
            ended = await self._deliver(other)
        except Refused as refused:
            await self._count_failure(other)
            logger.warning("version %s stays undecided: %s", other.number, refused)
        else:
            logger.info("version %s: %s, %s", other.number, ended.name, ended.message)

    async def _deliver(self, candidate: Version) -> State[Any]:
        with tags(self.work.version_tag(candidate.model, candidate.number)):
            if candidate.state in (None, "trained"):
                refusal = await validate(self.work, self.declared, candidate)
                if refusal:
                    return await self._end(candidate, Judged("refuse", refusal))
                candidate = await self._reach(candidate, "validated")
            for _ in range(_COMPARISONS):
                champion = await asyncio.to_thread(self.work.registry.champion, candidate.model)
                judged = await judge(self.work, self.declared, candidate, champion)
                if judged is None:
                    message = f"{passed(self.declared)}; promotion is left to you"
                    return completed("Validated", message, version=candidate.number)
                if judged.test:
                    candidate = await self._reach(
                        candidate,
                        "compared",
                        why=judged.why[:4000],
                        ab_test_run=judged.test.run_id,
                        champion=str(champion),
                    )
                try:
                    return await self._end(candidate, judged, champion)
                except ChampionMoved:
                    get_run_logger().info("the champion has changed meanwhile: looking at the new one")
                    await self._settle()
                    candidate = await self._version(candidate.number)
                    if candidate.state in DECIDED:
                        return _already(candidate, str(candidate.state).title())
        raise Refused(_champion_unsteady(candidate))

    async def _end(self, candidate: Version, judged: Judged, champion: str | None = None) -> State[Any]:
        """Write the decision down and carry it out.

        Args:
            champion: whom the version was judged against; the present one where that did not matter.
        """
        if judged.decision in ("refuse", "supersede"):
            champion = await asyncio.to_thread(self.work.registry.champion, candidate.model)
        promoted = judged.decision == "promote"
        draft = Draft(
            decision=judged.decision,
            version=candidate.number,
            before=champion,
            after=candidate.number if promoted else champion,
            runner_up=champion if promoted else None,
            state=judged.state,
            by=f"deliver-version of {self.work.project.name}, flow run {flow_run.id}",
            reason=judged.why,
            key=judged.test.key if judged.test else None,
            numbers=judged.numbers,
            digests={"code": self.work.source} | (dict(judged.test.digests) if judged.test else {}),
            links=self._links(candidate, judged),
        )
        await asyncio.to_thread(self.journal.decide, self.claim, draft)
        name = judged.state.title()
        # An invalid test has judged nothing: somebody must look, so the run is not a green one.
        end = failed if judged.state in ("invalid", "refused") else completed
        return end(name, judged.why, version=candidate.number)

    def _links(self, candidate: Version, judged: Judged) -> dict[str, str]:
        links = {"flowRun": str(flow_run.id), "model": self.work.registry.model_page(candidate)}
        if candidate.run_id:
            links["run"] = candidate.run_id
        if judged.test:
            links["abTest"] = judged.test.run_id
        return links

    async def _reach(self, candidate: Version, state: VersionState, **marks: str) -> Version:
        """Write an intermediate state, unless the claim was lost."""
        await asyncio.to_thread(self.claim.check)
        if state == "validated":
            await asyncio.to_thread(self.work.registry.challenge, candidate)
        return await asyncio.to_thread(lambda: self.work.registry.mark(candidate, state, **marks))

    async def _settle(self) -> list[Entry]:
        by = f"deliver-version of {self.work.project.name}"
        return await asyncio.to_thread(self.journal.settle, self.claim, by)

    async def _version(self, number: str) -> Version:
        return await asyncio.to_thread(self.work.registry.version, self.journal.model, number)

    async def _count_failure(self, candidate: Version) -> None:
        await asyncio.to_thread(self.claim.check)
        await asyncio.to_thread(self.work.registry.count_failure, candidate)


def _champion_unsteady(candidate: Version) -> Diagnosis:
    return Diagnosis(
        code="AME-E306",
        what=f"version {candidate.number} of '{candidate.model}' could not be promoted: the champion "
        f"changed {_COMPARISONS} times while it was compared.",
        fix="Find who moves the alias 'champion', then run again.",
    )
