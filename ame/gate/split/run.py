"""The test of split traffic from beginning to end: read, check, ask the ledger, measure, decide."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from ame.diagnosis import Diagnosis, Refused
from ame.gate.config import ABTest, problems
from ame.gate.decision import decide
from ame.gate.ledger import Exhausted
from ame.gate.result import ABTestResult, Check
from ame.gate.split.checks import group_checks, tally_checks
from ame.gate.split.judge import judge, judge_slices, summary_of
from ame.gate.split.measure import Measured, measure
from ame.gate.split.reading import Traffic
from ame.gate.systematic import systematic
from ame.gate.table import Progress, Scores

if TYPE_CHECKING:
    from ame.gate.ledger import Ledger
    from ame.gate.training import TrainingComparison

__all__ = ["run_split"]


def run_split(
    config: ABTest,
    data: Scores,
    *,
    ledger: Ledger | None = None,
    training: TrainingComparison | None = None,
    progress: Progress | None = None,
) -> ABTestResult:
    """Decide whether the challenger is better than the champion on traffic that was split between them.

    `data` is what `run_ab_test` takes, with the columns `config.label` (the outcome), `config.variant`
    (`champion` or `challenger`), those that `config.entity`, `row` and `slices` name and, for every metric
    but `mean`, `score`: what the answering model said.

    The units are the entities, which must be what was assigned at random; without an entity column they are
    the rows. Bad rows never raise: they make the decision `invalid`, with what was counted and what to do. So
    does a sample ratio other than the promised one, which is checked before any outcome.

    Raises:
        Refused: as `problems` says, AME-E508 for a multiclass test, AME-E504 when a file cannot be read,
            AME-E505 when a column is missing.
    """
    wrong = problems(config) or _not_split(config)
    if wrong:
        raise Refused(*wrong)
    traffic = Traffic(config, data)
    measured = measure(config, traffic, progress)
    checks = tally_checks(config, traffic.tally)
    if measured is not None:
        checks += group_checks(config, measured)
    if training is not None:
        checks += training.checks
    result = ABTestResult(
        decision="invalid",
        why="",
        rows=traffic.tally.rows,
        positives=sum(traffic.tally.ones) if config.task == "binary" else 0,
        alpha=config.alpha,
        engine="local exact" if measured is None else measured.engine,
        checks=checks,
        metrics={},
        config=config,
        drift=() if training is None else training.drift,
        sketch=traffic.tally.common.sketch.hashes,
    )
    result = _judged(result, measured, ledger)
    if progress is not None:
        progress("decided", 1.0)
    return result


def _judged(result: ABTestResult, measured: Measured | None, ledger: Ledger | None) -> ABTestResult:
    failed = [check for check in result.checks if check.blocks and not check.passed]
    if failed or measured is None:
        return replace(result, why=_says_failed(failed))
    config, use = result.config, None
    if ledger is not None:
        try:
            use = ledger.spend(config, result.sketch, result.rows)
        except Exhausted as exhausted:
            return replace(result, why=str(exhausted), ledger=exhausted.use, alpha=exhausted.use.alpha)
        # Bounds, power and slices are all at the level of this look.
        config = replace(config, alpha=use.alpha)
    metrics = judge(config, measured.total)
    slices = judge_slices(config, measured)
    signs = systematic(config, summary_of(config, measured), metrics)
    decision, why = decide(config, metrics, result.rows, result.positives, slices=slices, systematic=signs)
    if ledger is not None and use is not None:
        ledger.ended(use, decision)
    return replace(
        result,
        decision=decision,
        why=why,
        alpha=config.alpha,
        metrics=metrics,
        slices=slices,
        ledger=use,
        systematic=signs,
    )


def _says_failed(failed: list[Check]) -> str:
    others = len(failed) - 1
    more = f" ({others} more check{'s' * (others > 1)} failed.)" if others else ""
    return f"{failed[0].detail}{more}"


def _not_split(config: ABTest) -> tuple[Diagnosis, ...]:
    if config.task != "multiclass":
        return ()
    return (
        Diagnosis(
            code="AME-E508",
            what="The A/B test's task is 'multiclass', which a test of the split design cannot have.",
            why="Known: binary, regression.",
            fix="Let both models score the same rows and set the design to paired, or test an outcome of 0 "
            "and 1.",
        ),
    )
