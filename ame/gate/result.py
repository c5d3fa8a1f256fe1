"""What a test found: frozen plain data, with one JSON form that every other part of AME reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias

from ame.gate.config import ABTest

__all__ = ["ABTestResult", "Check", "Decision", "MetricResult", "Role"]

Decision: TypeAlias = Literal["promote", "reject", "inconclusive", "invalid"]
Role: TypeAlias = Literal["primary", "guardrail", "reported"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked before the metrics were compared.

    Attributes:
        name: what was checked, in two or three words.
        passed: whether it is in order.
        detail: what was counted and, when it is not in order, what to do.
    """

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True, kw_only=True)
class MetricResult:
    """Both models on one metric, and how sure their difference is.

    Attributes:
        metric: one of `ame.gate.METRICS`.
        champion: the champion's value.
        challenger: the challenger's value.
        difference: in the metric's unit, signed so that more is better for the challenger.
        std_error: of the difference, paired, and by entity where one is named.
        statistic: difference / std_error, or the test's own statistic that `method` names.
        p_value: two-sided, of no difference.
        interval: the two-sided 95 % confidence interval of the difference.
        lower_bound: the one-sided bound at confidence 1 - alpha that the decision reads.
        upper_bound: the one-sided bound on the other side.
        mde: the minimum detectable effect: for the primary metric the true difference with which the
            test would promote with the configured power, else the one it would tell from none.
        rows_needed: rows like these with which the configured power is reached, or None when no
            number of rows would do (see `ame.gate.inference.rows_needed`).
        method: the test and its distribution.
        role: what the metric decides.
        margin: the configured margin; None for a metric that is only reported.
    """

    metric: str
    champion: float
    challenger: float
    difference: float
    std_error: float
    statistic: float
    p_value: float
    interval: tuple[float, float]
    lower_bound: float
    upper_bound: float
    mde: float
    rows_needed: int | None
    method: str
    role: Role
    margin: float | None

    def to_json(self) -> dict[str, object]:
        return {
            "champion": _number(self.champion),
            "challenger": _number(self.challenger),
            "difference": _number(self.difference),
            "stdError": _number(self.std_error),
            "statistic": _number(self.statistic),
            "pValue": _number(self.p_value),
            "interval": [_number(bound) for bound in self.interval],
            "lowerBound": _number(self.lower_bound),
            "upperBound": _number(self.upper_bound),
            "mde": _number(self.mde),
            "rowsNeeded": self.rows_needed,
            "method": self.method,
            "role": self.role,
            "margin": self.margin,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ABTestResult:
    """The decision of an A/B test with every number that it rests on.

    Attributes:
        decision: promote, reject, inconclusive, or invalid when the data cannot answer.
        why: one or two sentences with the numbers.
        rows: rows read.
        positives: rows whose label is 1.
        alpha: the one-sided level that was used.
        engine: where the numbers were computed.
        checks: what was checked, in order.
        metrics: by name, the primary metric first; empty when the data made them meaningless.
        config: what was asked.
    """

    decision: Decision
    why: str
    rows: int
    positives: int
    alpha: float
    engine: str = "local"
    checks: tuple[Check, ...]
    metrics: Mapping[str, MetricResult]
    config: ABTest

    def to_json(self) -> dict[str, object]:
        """Strictly valid JSON: a number that is not finite becomes null."""
        return {
            "decision": self.decision,
            "why": self.why,
            "rows": self.rows,
            "positives": self.positives,
            "engine": self.engine,
            "alpha": self.alpha,
            "checks": [
                {"name": check.name, "passed": check.passed, "detail": check.detail} for check in self.checks
            ],
            "metrics": {name: metric.to_json() for name, metric in self.metrics.items()},
        }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
