"""The test from beginning to end: read, check, measure, decide."""

from __future__ import annotations

import numpy as np

from ame.diagnosis import Refused
from ame.gate.checks import data_checks, entity_check, predict_the_same
from ame.gate.config import ABTest, problems
from ame.gate.decision import decide
from ame.gate.engines import local
from ame.gate.result import ABTestResult, Check, Decision, MetricResult
from ame.gate.table import Progress, ScoredRows, Scores, read_scores

__all__ = ["run_ab_test"]


def run_ab_test(config: ABTest, data: Scores, *, progress: Progress | None = None) -> ABTestResult:
    """Decide whether the challenger is better than the champion on rows that both have scored.

    `data` is a parquet file or a folder of them, a pyarrow Table, RecordBatch or Dataset, or an
    iterable of record batches, with the columns `config.label`, `champion`, `challenger` and, where it
    is named, `config.entity`. `progress` is called with a few words and the share done, 0 to 1.

    Bad rows never raise: they make the decision `invalid`, with what was counted and what to do.

    Raises:
        Refused: AME-E501, E502, E503 or E506 for the configuration, AME-E504 when a file cannot be
            read, AME-E505 when a column is missing.
    """
    wrong = problems(config)
    if wrong:
        raise Refused(*wrong)
    rows, tally = read_scores(config, data, progress)
    result = _judge(config, rows, data_checks(config, rows, tally), progress)
    if progress is not None:
        progress("decided", 1.0)
    return result


def _judge(
    config: ABTest, rows: ScoredRows, checks: tuple[Check, ...], progress: Progress | None
) -> ABTestResult:
    failed = [check for check in checks if not check.passed]
    metrics: dict[str, MetricResult] = {}
    decision: Decision
    if failed:
        others = len(failed) - 1
        more = f" ({others} more check{'s' * (others > 1)} failed.)" if others else ""
        decision, why = "invalid", f"{failed[0].detail}{more}"
    elif predict_the_same(rows):
        decision = "inconclusive"
        why = f"Same model: champion and challenger gave each of the {rows.label.size:,} rows the same score."
    else:
        measured, design_effect = local.measure(config, rows, progress)
        metrics.update(measured)
        if config.entity is not None:
            checks = (*checks[:-1], entity_check(config.entity, rows, design_effect))
        decision, why = decide(config, metrics, rows.label.size, int(np.count_nonzero(rows.label)))
    return ABTestResult(
        decision=decision,
        why=why,
        rows=rows.label.size,
        positives=int(np.count_nonzero(rows.label)),
        alpha=config.alpha,
        checks=checks,
        metrics=metrics,
        config=config,
    )
