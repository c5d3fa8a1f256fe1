"""From each arm's values to the difference between the arms: tests, bounds, power, and harm in slices.

The arms are independent, so variances add; the degrees of freedom are Satterthwaite's (1946),

    df = (v_A + v_B)^2 / (v_A^2 / (G_A - 1) + v_B^2 / (G_B - 1))

with v the variance of an arm's value and G its units. For means it is Welch's test (1947), and for the area
under the ROC curve of independent rows DeLong's unpaired test with the degrees of freedom that pROC gives.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np
from scipy.special import ndtr, stdtr

from ame.gate.config import LOSSES, ABTest
from ame.gate.estimates import FEW, roles
from ame.gate.inference import Estimate, holm, minimum_detectable_effect, rows_needed
from ame.gate.result import MetricResult, Role, SliceResult
from ame.gate.slices import MIN_ENTITIES, in_order
from ame.gate.split.measure import Found, Measured
from ame.gate.summary import GroupSummary, MetricSummary, Summary

__all__ = ["judge", "judge_slices", "summary_of", "welch"]

#: What has Welch's or pROC's degrees of freedom whatever the outcome is.
_BY_UNITS = frozenset({"mean", "roc_auc"})


def welch(difference: float, variances: tuple[float, float], units: tuple[int, int]) -> Estimate:
    """A difference of two independent values with variances, each from so many units."""
    total = sum(variances)
    below = sum(variance**2 / (count - 1) for variance, count in zip(variances, units, strict=True))
    return Estimate(difference, math.sqrt(total), total**2 / below if below > 0.0 else math.inf)


def judge(config: ABTest, found: Found) -> dict[str, MetricResult]:
    """Every metric that was measured, the primary one first, at the one-sided level `config.alpha`."""
    return {
        metric: _result(config, found, metric, role, margin)
        for metric, (role, margin) in roles(config).items()
    }


def _result(config: ABTest, found: Found, metric: str, role: Role, margin: float | None) -> MetricResult:
    champion, challenger = found.values[metric]
    undefined = _undefined(found, metric)
    if undefined:
        nothing = math.nan
        return MetricResult(
            metric=metric,
            champion=champion.value,
            challenger=challenger.value,
            difference=nothing,
            std_error=nothing,
            statistic=nothing,
            p_value=nothing,
            interval=(nothing, nothing),
            lower_bound=nothing,
            upper_bound=nothing,
            mde=nothing,
            rows_needed=None,
            method="",
            role=role,
            margin=margin,
            undefined=undefined,
        )
    estimate = _estimate(config, found, metric)
    bound = champion.error_bound + challenger.error_bound
    lower, upper = estimate.bounds(config.alpha)
    low, high = estimate.bounds(0.025)
    independent = champion.independent + challenger.independent
    effect = None
    if config.entity is not None and independent > 0.0:
        effect = (champion.variance + challenger.variance) / independent
    sought = margin if role == "primary" and margin is not None else 0.0
    if role == "reported" or margin is None:
        distance = abs(estimate.difference)
    else:
        distance = estimate.difference + (margin if role == "guardrail" else -margin)
    return MetricResult(
        metric=metric,
        champion=champion.value,
        challenger=challenger.value,
        difference=estimate.difference,
        std_error=estimate.std_error,
        statistic=estimate.statistic,
        p_value=estimate.p_value,
        interval=(low - bound, high + bound),
        lower_bound=lower - bound,
        upper_bound=upper + bound,
        mde=minimum_detectable_effect(estimate, config.alpha, config.power, sought + bound),
        rows_needed=rows_needed(estimate, sum(found.rows), config.alpha, config.power, distance - bound),
        method=_method(config, metric, estimate),
        role=role,
        margin=margin,
        design_effect=effect,
        error_bound=bound,
    )


def judge_slices(config: ABTest, measured: Measured) -> tuple[SliceResult, ...]:
    """In each slice the one-sided test of harm beyond the margin, with Holm's correction over all of them.

    As `ame.gate.slices.judge_slices` of the paired design, but each arm must have rows enough by itself, and
    rows of the rarer outcome, and entities.
    """
    results = [
        _slice(config, column, value, found)
        for column, values in measured.slices.items()
        for value, found in ((value, values[value]) for value in in_order(values))
    ]
    judged = [at for at, result in enumerate(results) if result.judged]
    adjusted = holm([results[at].p_value for at in judged])
    for at, p_value in zip(judged, adjusted, strict=True):
        results[at] = replace(results[at], adjusted_p_value=p_value, harmed=p_value <= config.alpha)
    return tuple(results)


def summary_of(config: ABTest, measured: Measured) -> Summary:
    """What signs of systematic error are read from: the primary metric over all rows and in the slices.

    Its errors are by unit already; slices are taken to be independent of each other.
    """

    def group(found: Found, *, judged: bool = True) -> GroupSummary:
        champion, challenger = found.values[config.primary.metric]
        metric = MetricSummary(
            champion=champion.value,
            challenger=challenger.value,
            difference=math.nan,
            std_error=math.nan,
            groups=np.empty(0),
            undefined=_undefined(found, config.primary.metric),
            error_bound=champion.error_bound + challenger.error_bound,
        )
        if judged and metric.undefined is None:  # too few units have no degrees of freedom
            known = _estimate(config, found, config.primary.metric)
            metric = replace(metric, difference=known.difference, std_error=known.std_error)
        return GroupSummary(
            rows=sum(found.rows),
            positives=sum(found.ones),
            fewest=0,
            metrics={config.primary.metric: metric} if judged else {},
        )

    return Summary(
        engine=measured.engine,
        total=group(measured.total),
        slices={
            column: {
                value: group(found, judged=not _too_small(config, found)) for value, found in values.items()
            }
            for column, values in measured.slices.items()
        },
    )


def _slice(config: ABTest, column: str, value: str, found: Found) -> SliceResult:
    metric = config.primary.metric
    result = SliceResult(column=column, value=value, rows=sum(found.rows), positives=sum(found.ones))
    note = _too_small(config, found)
    why = _undefined(found, metric) or ""
    if note or why:
        return replace(result, note=note or f"not judged: {why[0].lower()}{why[1:-1]}")
    champion, challenger = found.values[metric]
    estimate = _estimate(config, found, metric)
    bound = champion.error_bound + challenger.error_bound
    result = replace(
        result,
        champion=champion.value,
        challenger=challenger.value,
        difference=estimate.difference,
        std_error=estimate.std_error,
    )
    if estimate.is_degenerate:
        return replace(result, note="not judged: neither arm varies, so the error cannot be known")
    low, high = estimate.bounds(0.025)
    p_value = 1.0
    if estimate.std_error > 0.0:
        t = (estimate.difference + bound + config.slice_margin) / estimate.std_error
        p_value = float(ndtr(t) if math.isinf(estimate.df) else stdtr(estimate.df, t))
    return replace(result, interval=(low - bound, high + bound), p_value=p_value, judged=True)


def _too_small(config: ABTest, found: Found) -> str:
    rows, entities = min(found.rows), min(*found.effective, *found.holders)
    if config.task == "binary":
        fewest = min(min(ones, rows - ones) for rows, ones in zip(found.rows, found.ones, strict=True))
        if rows < config.min_slice_rows or fewest < config.min_slice_positives:
            return (
                f"too small to judge: {rows:,} rows in the smaller arm, {fewest:,} of the rarer outcome; "
                f"{config.min_slice_rows} and {config.min_slice_positives} are needed in each arm"
            )
    elif rows < config.min_slice_rows:
        return (
            f"too small to judge: {rows:,} rows in the smaller arm; {config.min_slice_rows} are needed in "
            "each arm"
        )
    if config.entity is not None and entities < MIN_ENTITIES:
        return (
            f"too small to judge: in an arm as good as {entities:,.1f} entities; {MIN_ENTITIES} are needed "
            "in each arm"
        )
    return ""


def _undefined(found: Found, metric: str) -> str | None:
    said: Mapping[str, str | None] = {
        arm: value.undefined
        for arm, value in zip(("champion", "challenger"), found.values[metric], strict=True)
    }
    parts = [f"in the {arm}'s arm {text}" for arm, text in said.items() if text]
    text = " and ".join(parts)
    return f"{text[0].upper()}{text[1:]}." if text else None


def _estimate(config: ABTest, found: Found, metric: str) -> Estimate:
    champion, challenger = found.values[metric]
    difference = challenger.value - champion.value
    if metric in LOSSES:
        difference = champion.value - challenger.value
    return welch(difference, (champion.variance, challenger.variance), _units(config, found, metric))


def _units(config: ABTest, found: Found, metric: str) -> tuple[int, int]:
    """What the degrees of freedom are counted by: units, or those of the rarer outcome when they are few."""
    if config.task != "binary" or (config.entity is None and metric in _BY_UNITS):
        return found.units
    champion, challenger = (
        fewer if fewer < FEW else units for units, fewer in zip(found.units, found.holders, strict=True)
    )
    return champion, challenger


def _method(config: ABTest, metric: str, estimate: Estimate) -> str:
    test = "unpaired DeLong" if metric == "roc_auc" else "Welch"
    if config.entity is not None:
        test += ", by entity (Obuchowski)" if metric == "roc_auc" else ", by entity (delta method)"
    elif metric not in {"mean", "roc_auc", "log_loss", "brier", "accuracy", "mae", "mse", "pinball"}:
        test += " (delta method)"
    return f"{test}, t with {estimate.df:,.1f} df (Satterthwaite)"
