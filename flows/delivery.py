"""deliver-version: what happens to one model version after it is registered.

Validate, compare with the champion, decide, promote. The truth is in the registry: each step reads it
first, so that a delivery that was cut off goes on where it stopped, and one that is done is left alone.
"""

from __future__ import annotations

import asyncio
from typing import Any

from prefect import flow, get_run_logger, tags, task
from prefect.cache_policies import NO_CACHE
from prefect.client.schemas.objects import State
from prefect.runtime import flow_run

from ame.diagnosis import Diagnosis, Refused
from ame.registry import DECIDED, Version, now_text
from ame.registry import State as VersionState
from ame.spec import Model, Threshold
from flows._abandoned import is_over
from flows._deployed import begin
from flows._dispatch import run_step
from flows._outcome import completed, diagnosed, failed
from flows._tags import tag_this_run
from flows._work import Work
from flows.comparison import compare_versions
from flows.task import run_task

__all__ = ["deliver_version", "undelivered", "waiting"]

_FINAL: dict[str, VersionState] = {
    "Reject": "rejected",
    "Inconclusive": "inconclusive",
    "Invalid": "invalid",
}
_DELIVER_AGAIN = "The next `ame run`, training or deliver-version of the model goes on with it."
_COMPARISONS = 3  #: how often a champion that changes under the comparison is followed


@flow(name="deliver-version", flow_run_name="deliver {model} v{version}")
@diagnosed
async def deliver_version(
    project: str, model: str, version: str, env: dict[str, str] | None = None, source: str | None = None
) -> State[Any]:
    """Validate a version, compare it with the champion, decide, and promote it if it is better.

    Args:
        project: the project's folder, or `snapshot:NAME/DIGEST` for one in the artifact store.
        version: the number, as MLflow spells it.
        env: values for variables that tasks declare.
        source: the digest of the project's files; taken now when it is not given.
    """
    work = await begin(project, env, source)
    declared = work.model(model)
    candidate = await asyncio.to_thread(work.registry.version, model, version)
    if candidate.state in DECIDED:
        why = candidate.tags.get("ame.why", "")
        return completed("AlreadyDecided", f"{candidate.state}: {why}", version=version)
    training = await asyncio.to_thread(work.registry.unfinished_training, candidate)
    if training:
        if not await is_over(training.flow_run):
            return completed(
                "NotTrained", f"its training, held by {training.holder}, has not ended", version=version
            )
        await asyncio.to_thread(work.registry.give_up_training, candidate, training)
        return failed("Refused", "its training was killed before it ended", version=version)
    await tag_this_run(work.version_tag(model, version))
    with tags(work.version_tag(model, version)):
        if candidate.state in (None, "trained"):
            refusal = await _validate(work, declared, candidate)
            if refusal:
                await _mark(work, candidate, "refused", refusal)
                return failed("Refused", refusal, version=version)
            candidate = await _mark(work, candidate, "validated", "")
        return await _decide(work, declared, candidate)


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
    asks_for_more = work.model(model).promotion.strategy != "never"
    return [
        version
        for version in work.registry.undecided(model)
        if (version.state != "validated" or asks_for_more)
        and work.registry.unfinished_training(version) is None
    ]


async def _decide(work: Work, declared: Model, candidate: Version) -> State[Any]:
    for _ in range(_COMPARISONS):
        champion = await asyncio.to_thread(work.registry.champion, candidate.model)
        if champion is None or champion == candidate.number or declared.promotion.strategy != "abTest":
            return await _without_comparison(work, declared, candidate, champion)
        compared = await run_step(
            compare_versions,
            work,
            candidate.model,
            model=candidate.model,
            version=candidate.number,
            champion=champion,
        )
        if compared.state not in (*_FINAL, "Promote"):
            raise Refused(_not_compared(candidate, champion, compared.message))
        test = await asyncio.to_thread(work.registry.ab_test_run, candidate, champion)
        candidate = await _mark(
            work,
            candidate,
            "compared",
            compared.message,
            ab_test_run=test or "none",
            champion=champion,
            decision=compared.state.lower(),
        )
        if compared.state in _FINAL:
            final = _FINAL[compared.state]
            await _mark(work, candidate, final, compared.message)
            # An invalid test has judged nothing: somebody must look, so the run is not a green one.
            end = failed if final == "invalid" else completed
            return end(final.title(), compared.message, version=candidate.number)
        if await _promote(work, candidate, champion, compared.message):
            return completed("Promoted", compared.message, version=candidate.number)
        get_run_logger().info("the champion has changed meanwhile: comparing with the new one")
    raise Refused(
        Diagnosis(
            code="AME-E306",
            what=f"version {candidate.number} of '{candidate.model}' could not be promoted: the champion "
            f"changed {_COMPARISONS} times while it was compared.",
            fix="Find who moves the alias 'champion', then run again.",
        )
    )


async def _without_comparison(
    work: Work, declared: Model, candidate: Version, champion: str | None
) -> State[Any]:
    """Decide where there is nothing to compare with, or nothing to compare by."""
    promotion = declared.promotion
    passed = "it passed validation" if declared.validation else "the file asks for no validation"
    if champion == candidate.number:
        # A promotion was cut off between the alias and the state, or somebody set the alias by hand.
        why = candidate.tags.get("ame.why") or "it already was the champion"
        replaced = candidate.tags.get("ame.replaced", "none")
        before = None if replaced == "none" else replaced
    elif champion is None and promotion.first_version == "validated" and promotion.strategy != "never":
        why, before = f"there was no champion and {passed}", None
    elif champion is not None and promotion.strategy == "always":
        why, before = f"every version is promoted that passes validation, and {passed}", champion
    else:
        return completed("Validated", f"{passed}; promotion is left to you", version=candidate.number)
    if not await _promote(work, candidate, before, why):
        raise Refused(_champion_moved(candidate))
    return completed("Promoted", why, version=candidate.number)


async def _validate(work: Work, declared: Model, candidate: Version) -> str:
    """Why the version does not pass validation; an empty text when it does."""
    validation = declared.validation
    if validation is None:
        return ""
    missed = await _missed_thresholds(work, candidate, validation.thresholds)
    if missed:
        return missed
    if validation.task is None:
        return ""
    ended = await run_step(
        run_task,
        work,
        validation.task,
        task_name=validation.task,
        extra={
            "AME_MODEL_NAME": candidate.model,
            "AME_MODEL_VERSION": candidate.number,
            "AME_MODEL_URI": candidate.uri,
        },
    )
    if ended.state == "Completed":
        return ""
    if "AME-E201" in ended.message or "AME-E202" in ended.message:
        return str(
            Diagnosis(
                code="AME-E307",
                what=f"version {candidate.number} of '{candidate.model}' did not pass validation.",
                why=ended.message,
            )
        )
    # The validation could not be run at all: that says nothing of the version, which stays undecided.
    raise Refused(
        Diagnosis(
            code="AME-E308",
            what=f"version {candidate.number} of '{candidate.model}' could not be validated.",
            why=ended.message,
            fix=f"It stays undecided. {_DELIVER_AGAIN}",
        )
    )


@task(
    name="check thresholds",
    task_run_name="check thresholds",
    cache_policy=NO_CACHE,
    retries=2,
    retry_delay_seconds=2,
)
async def _missed_thresholds(work: Work, candidate: Version, thresholds: tuple[Threshold, ...]) -> str:
    if not thresholds:
        return ""
    logged = await asyncio.to_thread(work.registry.logged_metrics, candidate)
    missed = []
    for bound in thresholds:
        value = logged.get(bound.metric)
        if value is None:
            names = ", ".join(sorted(logged)) or "none"
            missed.append(f"its run logged no metric '{bound.metric}' (it logged: {names})")
        elif bound.minimum is not None and not value >= bound.minimum:
            missed.append(f"{bound.metric} is {value:g}, below the least allowed {bound.minimum:g}")
        elif bound.maximum is not None and not value <= bound.maximum:
            missed.append(f"{bound.metric} is {value:g}, above the most allowed {bound.maximum:g}")
    if not missed:
        return ""
    return str(
        Diagnosis(
            code="AME-E307",
            where=thresholds[0].where,
            what=f"version {candidate.number} of '{candidate.model}' did not pass validation.",
            why=f"{'; '.join(missed)[0].upper()}{'; '.join(missed)[1:]}.",
        )
    )


@task(name="promote", task_run_name="promote v{candidate.number}", cache_policy=NO_CACHE)
async def _promote(work: Work, candidate: Version, instead_of: str | None, why: str) -> bool:
    return await asyncio.to_thread(_promote_now, work, candidate, instead_of, why)


def _promote_now(work: Work, candidate: Version, instead_of: str | None, why: str) -> bool:
    # The reason stands on the version before the alias moves, so that a cut-off promotion still has it.
    marks = {"why": why, "decision": "promote", "replaced": instead_of or "none"}
    for name, value in marks.items():
        work.registry.client.set_model_version_tag(candidate.model, candidate.number, f"ame.{name}", value)
    if not work.registry.promote(candidate, instead_of=instead_of):
        return False
    work.registry.mark(candidate, "promoted", decided_at=now_text(), decided_by=str(flow_run.id))
    return True


async def _mark(work: Work, candidate: Version, state: VersionState, why: str, **marks: str) -> Version:
    return await asyncio.to_thread(_mark_now, work, candidate, state, why, marks)


def _mark_now(
    work: Work, candidate: Version, state: VersionState, why: str, marks: dict[str, str]
) -> Version:
    if why:
        marks = {"why": why[:4000], **marks}
    if state in DECIDED:
        marks |= {"decided_at": now_text(), "decided_by": str(flow_run.id)}
        if state != "inconclusive":
            work.registry.drop_challenge(candidate)
    elif state == "validated":
        work.registry.challenge(candidate)
    return work.registry.mark(candidate, state, **marks)


def _not_compared(candidate: Version, champion: str, why: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E309",
        what=f"version {candidate.number} of '{candidate.model}' could not be compared with the champion, "
        f"version {champion}.",
        why=why,
        fix=f"It stays undecided. {_DELIVER_AGAIN} If it is the champion that cannot be scored any more, set "
        "the alias 'champion' in MLflow to another version.",
    )


def _champion_moved(candidate: Version) -> Diagnosis:
    return Diagnosis(
        code="AME-E306",
        what=f"version {candidate.number} of '{candidate.model}' was not promoted: another champion "
        "appeared meanwhile.",
        fix="Run again: it is decided on with the new champion in view.",
    )
