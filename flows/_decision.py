"""What is to become of a version: by the A/B test, by a logged metric, or by passing validation."""

from __future__ import annotations

import asyncio
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from ame.diagnosis import Diagnosis, Refused
from ame.registry import Decision, Recorded, Version, ab_test_of, rolled_back_twin
from ame.registry import State as VersionState
from ame.spec import Model
from flows._dispatch import run_step
from flows._validation import DELIVER_AGAIN
from flows._work import Work
from flows.comparison import compare_versions

__all__ = ["Judged", "judge", "passed"]

_STATE_OF: Mapping[Decision, VersionState] = {
    "promote": "promoted",
    "reject": "rejected",
    "inconclusive": "inconclusive",
    "invalid": "invalid",
    "refuse": "refused",
    "supersede": "superseded",
}
_DECISION_OF: Mapping[str, Decision] = {
    "Promote": "promote",
    "Reject": "reject",
    "Inconclusive": "inconclusive",
    "Invalid": "invalid",
}


@dataclass(frozen=True, slots=True)
class Judged:
    """A decision that has not been written down yet.

    Attributes:
        why: in sentences.
        test: the recorded A/B test that it follows from, or None.
        numbers: by metric.
    """

    decision: Decision
    why: str
    test: Recorded | None = None
    numbers: Mapping[str, Any] = field(default_factory=dict)

    @property
    def state(self) -> VersionState:
        return _STATE_OF[self.decision]


async def judge(work: Work, declared: Model, candidate: Version, champion: str | None) -> Judged | None:
    """Decide on a version that has passed validation; None when that is left to people.

    Raises:
        Refused: AME-E309, when it cannot be compared with the champion.
    """
    promotion = declared.promotion
    if not promotion.decides(champion):
        return None
    if promotion.strategy == "metric":
        logged = await asyncio.to_thread(work.registry.logged_metrics, candidate)
        if not _tells(str(promotion.metric), logged):
            # As a champion it would keep every other version from being compared.
            return Judged("invalid", f"its run {_logged(str(promotion.metric), logged)}")
    if champion is None:
        return Judged("promote", f"there was no champion and {passed(declared)}")
    if promotion.strategy == "always":
        why = f"every version is promoted that passes validation, and {passed(declared)}"
        return Judged("promote", why)
    if promotion.strategy == "metric":
        return await asyncio.to_thread(_by_metric, work, declared, candidate, champion)
    return await _by_ab_test(work, candidate, champion)


def passed(declared: Model) -> str:
    """What stands behind a version that was validated."""
    return "it passed validation" if declared.validation else "the file asks for no validation"


async def _by_ab_test(work: Work, candidate: Version, champion: str) -> Judged:
    compared = await run_step(
        compare_versions,
        work,
        candidate.model,
        model=candidate.model,
        version=candidate.number,
        champion=champion,
    )
    decision = _DECISION_OF.get(compared.state)
    if decision is None:
        raise Refused(_not_compared(candidate, champion, compared.message))
    test = await asyncio.to_thread(ab_test_of, work.registry, candidate, champion)
    if test is None or test.decision != decision:
        # The challenger answered nothing that could be tested, so no test is recorded.
        return Judged(decision, compared.message)
    if decision in ("promote", "invalid"):
        # Invalid, too: the promotion that was rolled back has used the holdout up.
        twin = await asyncio.to_thread(rolled_back_twin, work.registry, candidate.model, test)
        if twin is not None:
            # The night after a rollback trains the same model again, as long as code and data stay.
            why = (
                f"it answers every row as version {twin.number} does, which was rolled back: "
                f"{twin.tags.get('ame.why', '')}"
            )
            return Judged("reject", why, test, test.metrics)
    return Judged(decision, compared.message, test, test.metrics)


def _by_metric(work: Work, declared: Model, candidate: Version, champion: str) -> Judged:
    """Strictly better by the metric that both training runs logged."""
    name = str(declared.promotion.metric)
    greater = declared.promotion.greater_is_better
    new = work.registry.logged_metrics(candidate)
    old = work.registry.logged_metrics(work.registry.version(candidate.model, champion))
    if not _tells(name, old):
        raise Refused(_not_compared(candidate, champion, f"The champion's run {_logged(name, old)}."))
    better = new[name] > old[name] if greater else new[name] < old[name]
    word = "higher" if greater else "lower"
    why = (
        f"{name} is {new[name]:g}, {'' if better else 'not '}{word} than the {old[name]:g} of the champion, "
        f"version {champion}"
    )
    numbers = {name: {"champion": old[name], "challenger": new[name], "greaterIsBetter": greater}}
    return Judged("promote" if better else "reject", why, numbers=numbers)


def _tells(name: str, metrics: Mapping[str, float]) -> bool:
    """Whether a metric was logged, with a finite number: MLflow keeps what is infinite as the largest one."""
    return name in metrics and abs(metrics[name]) < sys.float_info.max


def _logged(name: str, metrics: Mapping[str, float]) -> str:
    if name in metrics:
        return f"logged for '{name}' what is no finite number"
    return f"logged no metric '{name}' (it logged: {', '.join(sorted(metrics)) or 'none'})"


def _not_compared(candidate: Version, champion: str, why: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E309",
        what=f"version {candidate.number} of '{candidate.model}' could not be compared with the champion, "
        f"version {champion}.",
        why=why,
        fix=f"It stays undecided. {DELIVER_AGAIN} If it is the champion that cannot be compared any more, "
        f"promote another version: `ame promote {candidate.model} VERSION --reason TEXT`.",
    )
