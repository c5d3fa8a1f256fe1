"""What a test found: frozen plain data, with one JSON form that every other part of AME reads."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal, TypeAlias

from ame.gate.config import ABTest

if TYPE_CHECKING:
    from ame.gate.summary import Summary

__all__ = [
    "ABTestResult",
    "Check",
    "Decision",
    "Distribution",
    "Drift",
    "Evenness",
    "LedgerUse",
    "MetricResult",
    "ModelCalibration",
    "Role",
    "SliceResult",
    "Systematic",
]

Decision: TypeAlias = Literal["promote", "reject", "inconclusive", "invalid"]
Role: TypeAlias = Literal["primary", "guardrail", "reported"]


@dataclass(frozen=True, slots=True)
class Check:
    """One thing that was checked before the metrics were compared.

    Attributes:
        name: what was checked, in two or three words.
        passed: whether it is in order.
        detail: what was counted and, when it is not in order, what to do.
        blocks: whether the test is invalid when it is not in order; else it is a warning.
    """

    name: str
    passed: bool
    detail: str
    blocks: bool = True

    def to_json(self) -> dict[str, object]:
        return {"name": self.name, "passed": self.passed, "blocks": self.blocks, "detail": self.detail}


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
        design_effect: how many times the variance by entity is that of independent rows; None without
            entities.
        error_bound: by how much binning may have moved the difference at most; 0 when nothing was binned.
            `lower_bound` and `upper_bound` are that much further out.
        undefined: why the metric has no value on these rows; its numbers are NaN then.
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
    design_effect: float | None = None
    error_bound: float = 0.0
    undefined: str | None = None

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
            "designEffect": None if self.design_effect is None else _number(self.design_effect),
            "errorBound": _number(self.error_bound),
            "undefined": self.undefined,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class SliceResult:
    """The primary metric in the rows of one value of one slice column.

    Attributes:
        column, value: which rows.
        rows, positives: how many; positives are 0 where the task has none.
        champion, challenger, difference, std_error: as in `MetricResult`; NaN when not judged.
        interval: the two-sided 95 % confidence interval of the difference.
        p_value: one-sided, of no harm beyond the margin; small when harm is shown.
        adjusted_p_value: the same after Holm's correction over all slices judged.
        judged: whether there were rows enough.
        harmed: whether harm beyond the margin is shown.
        note: why it was not judged, or empty.
    """

    column: str
    value: str
    rows: int
    positives: int
    champion: float = math.nan
    challenger: float = math.nan
    difference: float = math.nan
    std_error: float = math.nan
    interval: tuple[float, float] = (math.nan, math.nan)
    p_value: float = math.nan
    adjusted_p_value: float = math.nan
    judged: bool = False
    harmed: bool = False
    note: str = ""

    def to_json(self) -> dict[str, object]:
        return {
            "column": self.column,
            "value": self.value,
            "rows": self.rows,
            "positives": self.positives,
            "champion": _number(self.champion),
            "challenger": _number(self.challenger),
            "difference": _number(self.difference),
            "stdError": _number(self.std_error),
            "interval": [_number(bound) for bound in self.interval],
            "pValue": _number(self.p_value),
            "adjustedPValue": _number(self.adjusted_p_value),
            "judged": self.judged,
            "harmed": self.harmed,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class LedgerUse:
    """Which look at the holdout this test was, and what of alpha it was given.

    Attributes:
        look: the number of this look at the holdout, from 1; 0 when none was spent.
        looks: how many there are; None for any number.
        alpha: what this look may spend, one-sided.
        total: alpha of the whole epoch.
        holdout: the identity of the holdout's epoch.
        note: a sentence for people.
    """

    look: int
    looks: int | None
    alpha: float
    total: float
    holdout: str
    note: str

    def to_json(self) -> dict[str, object]:
        return {
            "look": self.look,
            "looks": self.looks,
            "alpha": self.alpha,
            "total": self.total,
            "holdout": self.holdout,
            "note": self.note,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Evenness:
    """Is the difference the same in all values of a slice column, and does their mix explain it?

    Attributes:
        column: the slice column.
        slices: how many values were judged.
        q: Cochran's Q, chi-squared with slices - 1 degrees of freedom when the difference is the same.
        p_value: of Q.
        i_squared: the share of the variation that is more than chance, 0 to 1.
        standardised: the mean of the slices' differences, weighted by their rows.
        interval: its two-sided 95 % confidence interval.
        reversed: whether it contradicts the difference over all rows (Simpson's paradox).
    """

    column: str
    slices: int
    q: float
    p_value: float
    i_squared: float
    standardised: float
    interval: tuple[float, float]
    reversed: bool

    def to_json(self) -> dict[str, object]:
        return {
            "column": self.column,
            "slices": self.slices,
            "q": _number(self.q),
            "pValue": _number(self.p_value),
            "iSquared": _number(self.i_squared),
            "standardised": _number(self.standardised),
            "interval": [_number(bound) for bound in self.interval],
            "reversed": self.reversed,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ModelCalibration:
    """Whether one model's probabilities are the frequencies that they claim.

    Attributes:
        spiegelhalter: z of Spiegelhalter's test (1986), N(0, 1) for calibrated scores.
        p_value: two-sided, of that z.
        in_the_large: mean score - share of positives.
        in_the_large_error: its standard error if the scores were calibrated.
        intercept, slope: of the logistic recalibration; 0 and 1 for calibrated scores.
    """

    spiegelhalter: float
    p_value: float
    in_the_large: float
    in_the_large_error: float
    intercept: float
    slope: float

    def to_json(self) -> dict[str, object]:
        return {
            "spiegelhalter": _number(self.spiegelhalter),
            "pValue": _number(self.p_value),
            "inTheLarge": _number(self.in_the_large),
            "inTheLargeError": _number(self.in_the_large_error),
            "intercept": _number(self.intercept),
            "slope": _number(self.slope),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Systematic:
    """What may have moved the difference besides the models.

    Attributes:
        evenness: by slice column.
        calibration: by model; empty outside of binary tests.
        placebo: two-sided p-value of a comparison of the models with their answers swapped at random, in
            whole entities: a difference that cannot be there; None when it was not run.
    """

    evenness: tuple[Evenness, ...] = ()
    calibration: Mapping[str, ModelCalibration] = field(default_factory=dict)
    placebo: float | None = None

    def to_json(self) -> dict[str, object]:
        return {
            "evenness": [each.to_json() for each in self.evenness],
            "calibration": {model: each.to_json() for model, each in self.calibration.items()},
            "placebo": None if self.placebo is None else _number(self.placebo),
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Drift:
    """A column of the holdout against the same column of the training rows.

    Attributes:
        column: its name.
        kind: number or category.
        rows: of the holdout and of the training.
        psi: population stability index over bins of the training rows.
        psi_floor: what it would be on average without any shift, (bins - 1)(1/n + 1/m).
        psi_p_value: of no shift, from psi / (1/n + 1/m) ~ chi-squared with bins - 1 degrees of freedom.
        statistic: Kolmogorov-Smirnov's D, or Cramer's V of the categories.
        p_value: of the two-sample test of Kolmogorov and Smirnov, or of chi-squared.
        adjusted_p_value: after Holm's correction over all columns.
        drifted: whether a shift is shown that is large enough to matter.
    """

    column: str
    kind: Literal["number", "category"]
    rows: tuple[int, int]
    psi: float
    psi_floor: float
    psi_p_value: float
    statistic: float
    p_value: float
    adjusted_p_value: float
    drifted: bool

    def to_json(self) -> dict[str, object]:
        return {
            "column": self.column,
            "kind": self.kind,
            "rows": list(self.rows),
            "psi": _number(self.psi),
            "psiFloor": _number(self.psi_floor),
            "psiPValue": _number(self.psi_p_value),
            "statistic": _number(self.statistic),
            "pValue": _number(self.p_value),
            "adjustedPValue": _number(self.adjusted_p_value),
            "drifted": self.drifted,
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class Distribution:
    """How a metric scatters when the rows (or entities) are drawn again: three histograms.

    Attributes:
        method: how it was drawn.
        edges: by `champion`, `challenger`, `difference`, the bins' edges, one more than counts.
        counts: by the same names, how many draws fell into each bin.
        quantiles: by the same names, the 2.5 %, 50 % and 97.5 % quantiles.
    """

    method: str
    edges: Mapping[str, tuple[float, ...]]
    counts: Mapping[str, tuple[int, ...]]
    quantiles: Mapping[str, tuple[float, float, float]]

    def to_json(self) -> dict[str, object]:
        return {
            "method": self.method,
            "edges": {name: list(values) for name, values in self.edges.items()},
            "counts": {name: list(values) for name, values in self.counts.items()},
            "quantiles": {name: list(values) for name, values in self.quantiles.items()},
        }


@dataclass(frozen=True, slots=True, kw_only=True)
class ABTestResult:
    """The decision of an A/B test with every number that it rests on.

    Attributes:
        decision: promote, reject, inconclusive, or invalid when the data cannot answer.
        why: one or two sentences with the numbers.
        rows: rows read.
        positives: rows whose label is 1.
        alpha: the one-sided level that was used; the ledger's, where there is one.
        engine: where the numbers were computed.
        checks: what was checked, in order.
        metrics: by name, the primary metric first; empty when the data made them meaningless.
        config: what was asked.
        slices: the primary metric in each slice, in the order of columns and values.
        ledger: which look at the holdout this was; None without a ledger.
        systematic: signs of systematic error.
        drift: columns of the holdout against the training rows; empty when these were not given.
        distributions: by metric.
        sketch: the holdout's fingerprint: the smallest 64-bit hashes of its rows, ascending; empty when the
            configuration names no `row`.
        summary: what the engine found, for the pictures; not a part of the JSON.
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
    slices: tuple[SliceResult, ...] = ()
    ledger: LedgerUse | None = None
    systematic: Systematic = Systematic()
    drift: tuple[Drift, ...] = ()
    distributions: Mapping[str, Distribution] = field(default_factory=dict)
    sketch: tuple[int, ...] = ()
    summary: Summary | None = field(default=None, repr=False, compare=False)

    def to_json(self) -> dict[str, object]:
        """Strictly valid JSON: a number that is not finite becomes null."""
        return {
            "decision": self.decision,
            "why": self.why,
            "rows": self.rows,
            "positives": self.positives,
            "engine": self.engine,
            "alpha": self.alpha,
            "checks": [check.to_json() for check in self.checks],
            "slices": [each.to_json() for each in self.slices],
            "ledger": None if self.ledger is None else self.ledger.to_json(),
            "metrics": {name: metric.to_json() for name, metric in self.metrics.items()},
            "systematic": self.systematic.to_json(),
            "drift": [each.to_json() for each in self.drift],
            "distributions": {name: each.to_json() for name, each in self.distributions.items()},
        }


def _number(value: float) -> float | None:
    return float(value) if math.isfinite(value) else None
