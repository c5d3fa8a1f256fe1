"""What may have moved the difference besides the models: uneven slices, their mix, and calibration.

Everything is computed from a `Summary`. None of it promotes a challenger; a reversed difference keeps one
from being promoted.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.special import chdtrc, expit, fdtrc, logit, ndtr, ndtri

from ame.gate.config import ABTest
from ame.gate.inference import clustered_std_error
from ame.gate.result import Evenness, MetricResult, ModelCalibration, Systematic
from ame.gate.summary import GroupSummary, MetricSummary, Reliability, Summary

__all__ = ["calibration", "systematic"]

#: Scores are kept this far from 0 and 1 where their log odds are needed.
_EDGE = 1e-6
#: Entities whose sums are multiplied at a time.
_ENTITIES_AT_ONCE = 1 << 16


@dataclass(frozen=True, slots=True, eq=False)
class _Slices:
    """The judged slices of one column.

    Attributes:
        rows, differences: float64, shape (slices,).
        covariance: of the differences, shape (slices, slices).
        entities: what the errors were summed by; None for independent rows and where they could not be
            followed from slice to slice.
        apart: whether no entity is known to have rows in several slices, or `covariance` has them.
        error_bound: by how much binning may have moved the standardised difference.
    """

    rows: NDArray[np.float64]
    differences: NDArray[np.float64]
    covariance: NDArray[np.float64]
    entities: int | None
    apart: bool
    error_bound: float


def systematic(
    config: ABTest, summary: Summary, metrics: Mapping[str, MetricResult] | None = None
) -> Systematic:
    """Evenness by slice column and the calibration of both models.

    `metrics` gives the bounds of the primary metric that the decision reads; without them they are taken
    from the summary, at `config.alpha`.
    """
    primary = config.primary.metric
    lower, upper = _bounds(config, summary.total, metrics)
    by_column = []
    for column, values in summary.slices.items():
        slices = _judged([group for group in values.values() if primary in group.metrics], primary, summary)
        covered = 2 * slices.rows.sum() >= summary.total.rows
        difference = _difference(summary, primary) if covered else math.nan
        by_column.append(_evenness(column, slices, lower, upper, difference))
    return Systematic(
        evenness=tuple(by_column),
        calibration={
            model: calibration(reliability)
            for model, reliability in summary.reliability.items()
            if reliability.rows.sum()
        },
    )


def _evenness(column: str, slices: _Slices, lower: float, upper: float, difference: float) -> Evenness:
    """Is the difference the same in all slices, and does it stand when their mix is held fixed?

    Cochran's Q = sum w_s (D_s - D_w)^2 with w = 1 / SE^2 and D_w the mean so weighted (Cochran 1954,
    Biometrics 10:101); I^2 = max(0, 1 - (S - 1) / Q) (Higgins & Thompson 2002, Stat Med 21:1539). Where
    entities have rows in several slices the differences depend on each other: Q is then the same form in
    the inverse of their covariance matrix, with the F distribution of Hotelling's T^2 for its p-value.
    Where entities have rows in some slices only, Q takes these to be independent, and the standardised
    interval is as wide as any dependence could make it.
    Slices in which the models never differ have no error and are left out of Q.

    The standardised difference is the mean of the slices' differences by their rows: in the mix of the
    test, but with no comparison across slices. It is reversed when the difference over all rows is shown
    (`lower` above 0 or `upper` below 0), the standardised interval does not show the same sign, and it
    leaves out the difference over all rows, so that a lack of rows is not the reason. Slices too small to
    judge are left out of it; when they hold more than half of the rows nothing is called reversed.

    Args:
        column: its name.
        slices: those that were judged.
        lower, upper: the one-sided bounds of the difference over all rows.
        difference: over all rows; NaN where nothing can be called reversed.
    """
    varying = np.flatnonzero(np.diagonal(slices.covariance) > 0.0)
    q, p_value = _cochran(
        slices.differences[varying], slices.covariance[np.ix_(varying, varying)], slices.entities
    )
    count = int(varying.size)
    standardised, low, high = math.nan, math.nan, math.nan
    if slices.differences.size >= 2:
        weights = slices.rows / slices.rows.sum()
        standardised = float(weights @ slices.differences)
        error = math.sqrt(max(0.0, float(weights @ slices.covariance @ weights)))
        if not slices.apart:
            # However they depend on each other, the error of a sum is at most the sum of errors.
            error = float(weights @ np.sqrt(np.diagonal(slices.covariance)))
        half = float(ndtri(0.975)) * error + slices.error_bound
        low, high = standardised - half, standardised + half
    return Evenness(
        column=column,
        slices=count,
        q=q,
        p_value=p_value,
        i_squared=max(0.0, 1.0 - (count - 1) / q) if q > 0.0 else q,
        standardised=standardised,
        interval=(low, high),
        reversed=(lower > 0.0 and low <= 0.0 and high < difference)
        or (upper < 0.0 and high >= 0.0 and low > difference),
    )


def calibration(reliability: Reliability) -> ModelCalibration:
    """Whether a model's probabilities are frequencies, if rows are independent.

    Spiegelhalter's z = sum (y - p)(1 - 2p) / sqrt(sum (1 - 2p)^2 p (1 - p)) (1986, Stat Med 5:421), which
    is exact in the scores; calibration in the large with its error sqrt(sum p (1 - p)) / n; and the
    logistic recalibration logit P(y) = intercept + slope logit(p) (Cox 1958, Biometrika 45:562), fitted to
    the bins' means. Scores of 0 and 1 alone have no variance: one that is wrong makes z infinite. Slope and
    intercept are NaN when the bins have one score only, or when some score separates the classes.
    """
    rows = float(reliability.rows.sum())
    z = _ratio(*reliability.spiegelhalter)
    intercept, slope = _recalibration(reliability)
    return ModelCalibration(
        spiegelhalter=z,
        p_value=float(2 * ndtr(-abs(z))),
        in_the_large=float(reliability.predicted.sum() - reliability.positives.sum()) / rows,
        in_the_large_error=math.sqrt(max(0.0, reliability.variance)) / rows,
        intercept=intercept,
        slope=slope,
    )


def _ratio(total: float, variance: float) -> float:
    if variance <= 0.0:
        return math.copysign(math.inf, total) if total else 0.0
    return total / math.sqrt(variance)


def _difference(summary: Summary, primary: str) -> float:
    """Over all rows; NaN, with which nothing is reversed, when it has no value."""
    found = summary.total.metrics.get(primary)
    return math.nan if found is None or found.undefined else found.difference


def _bounds(
    config: ABTest, total: GroupSummary, metrics: Mapping[str, MetricResult] | None
) -> tuple[float, float]:
    primary = config.primary.metric
    if metrics is not None and primary in metrics:
        return metrics[primary].lower_bound, metrics[primary].upper_bound
    found = total.metrics.get(primary)
    if found is None or found.undefined:
        return math.nan, math.nan
    half = -float(ndtri(config.alpha)) * _std_error(total, found) + found.error_bound
    return found.difference - half, found.difference + half


def _std_error(group: GroupSummary, metric: MetricSummary) -> float:
    """By entity where there are any."""
    if not group.clustered:
        return metric.std_error
    return clustered_std_error(metric.groups, group.entities, group.rows)


def _judged(groups: Sequence[GroupSummary], primary: str, summary: Summary) -> _Slices:
    """The slices that have a difference and, unless the models are the same there, an error of it."""
    found = []
    for group in groups:
        metric = group.metrics[primary]
        error = _std_error(group, metric)
        # A difference without variation, up to rounding, has an unknown error.
        constant = error <= 1e-9 * abs(metric.difference) and metric.difference != 0.0
        if not metric.undefined and math.isfinite(metric.difference + error) and not constant:
            found.append((group, metric, error))
    rows = np.array([group.rows for group, _, _ in found], dtype=np.float64)
    entities, covariance = _covariance([(group, metric) for group, metric, _ in found], primary, summary)
    if covariance is None:
        covariance = np.diag(np.array([error for _, _, error in found], dtype=np.float64) ** 2)
    bounds = np.array([metric.error_bound for _, metric, _ in found])
    listed = sum(group.entities for group, _, _ in found)
    return _Slices(
        rows=rows,
        differences=np.array([metric.difference for _, metric, _ in found], dtype=np.float64),
        covariance=covariance,
        entities=entities,
        apart=entities is not None or not summary.total.clustered or listed <= summary.total.entities,
        error_bound=float(rows @ bounds / rows.sum()) if rows.size else 0.0,
    )


def _covariance(
    found: Sequence[tuple[GroupSummary, MetricSummary]], primary: str, summary: Summary
) -> tuple[int | None, NDArray[np.float64] | None]:
    """The slices' covariance from the entities' sums, when all slices list the entities as the total does.

    They do when they list equally many: each list is in the order of the entities' codes. Otherwise the
    slices are taken to be independent of each other.
    """
    total = summary.total
    if not found or not total.clustered or primary not in total.metrics:
        return None, None
    size = total.metrics[primary].groups.size
    if any(metric.groups.size != size for _, metric in found):
        return None, None
    covariance = np.zeros((len(found), len(found)))
    for start in range(0, size, _ENTITIES_AT_ONCE):
        block = np.stack(
            [metric.groups[start : start + _ENTITIES_AT_ONCE] / group.rows for group, metric in found]
        )
        covariance += block @ block.T
    own = np.array([group.entities for group, _ in found], dtype=np.float64)
    correction = np.sqrt(own / (own - 1))
    return total.entities, covariance * np.outer(correction, correction)


def _cochran(
    differences: NDArray[np.float64], covariance: NDArray[np.float64], entities: int | None
) -> tuple[float, float]:
    """Q and its p-value; NaN with fewer than two slices, or fewer entities than slices."""
    df = differences.size - 1
    if df < 1 or (entities is not None and entities <= df + 1):
        return math.nan, math.nan
    errors = np.sqrt(np.diagonal(covariance))
    correlation = covariance / np.outer(errors, errors)
    if not np.linalg.cond(correlation) < 1e12:
        return math.nan, math.nan
    precision = np.linalg.inv(correlation) / np.outer(errors, errors)
    weights = precision.sum(axis=0)
    distances = differences - float(weights @ differences) / float(weights.sum())
    q = max(0.0, float(distances @ precision @ distances))
    if entities is None:
        return q, float(chdtrc(df, q))
    # Hotelling's T^2 of df contrasts whose covariance has entities - 1 degrees of freedom.
    free = entities - df
    return q, float(fdtrc(df, free, q * free / (df * (entities - 1))))


def _recalibration(reliability: Reliability) -> tuple[float, float]:
    """Intercept and slope by Newton's method, with steps halved until the likelihood does not fall."""
    filled = reliability.rows > 0
    rows = reliability.rows[filled].astype(np.float64)
    positives = reliability.positives[filled]
    means = np.clip(reliability.predicted[filled] / rows, _EDGE, 1 - _EDGE)
    x = np.column_stack([np.ones(rows.size), logit(means)])
    if np.ptp(x[:, 1]) == 0.0:
        return math.nan, math.nan

    def likelihood(at: NDArray[np.float64]) -> float:
        eta = x @ at
        return float(positives @ eta - rows @ np.logaddexp(0.0, eta))

    coefficients = np.array([0.0, 1.0])
    for _ in range(50):
        fitted = expit(x @ coefficients)
        information = (x * (rows * fitted * (1 - fitted))[:, None]).T @ x
        score = x.T @ (positives - rows * fitted)
        if not np.linalg.cond(information) < 1e14:
            break
        step = np.linalg.solve(information, score)
        # A fall within the rounding of the sums is none: halved last steps would end anywhere near the top.
        least = likelihood(coefficients)
        least -= 1e-12 * abs(least)
        while likelihood(coefficients + step) < least and np.abs(step).max() > 1e-9:
            step /= 2
        coefficients = coefficients + step
        if np.abs(step).max() <= 1e-9:
            return float(coefficients[0]), float(coefficients[1])
    return math.nan, math.nan
