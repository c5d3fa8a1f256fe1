"""Validation: does a version keep the thresholds of the file, and does the validation task say yes?"""

from __future__ import annotations

import asyncio

from prefect import task
from prefect.cache_policies import NO_CACHE

from ame.diagnosis import Diagnosis, Refused
from ame.registry import Version
from ame.spec import Model, Threshold
from flows._dispatch import run_step
from flows._work import Work
from flows.task import run_task

__all__ = ["DELIVER_AGAIN", "validate"]

DELIVER_AGAIN = "The next registry watch or `ame run` goes on with it."


async def validate(work: Work, declared: Model, candidate: Version) -> str:
    """Why the version does not pass validation; an empty text when it does.

    Raises:
        Refused: AME-E308, when the validation could not be made at all.
    """
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
            fix=f"It stays undecided. {DELIVER_AGAIN}",
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
