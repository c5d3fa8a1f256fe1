"""The numbers of a test, computed exactly in this process with numpy."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np

from ame.gate.config import ABTest
from ame.gate.inference import (
    Estimate,
    clustered_std_error,
    discordant_estimate,
    entities_in_smaller_class,
    mcnemar_mid_p,
    minimum_detectable_effect,
    paired_std_error,
    rows_needed,
)
from ame.gate.metrics import PairedMetric, compare, right_by_one
from ame.gate.result import MetricResult, Role
from ame.gate.table import Progress, ScoredRows

__all__ = ["FEW", "design_effect", "measure", "roles"]

#: With fewer rows (or entities) than this in the smaller class the normal distribution is too narrow.
FEW = 50


def measure(
    config: ABTest, rows: ScoredRows, progress: Progress | None = None
) -> tuple[Mapping[str, MetricResult], float | None]:
    """Every metric that the configuration names, and the primary metric's design effect by entity.

    The rows must have passed the checks: finite scores in [0, 1], two rows of each class at least,
    and two entities.
    """
    results = {}
    effect = None
    named = roles(config)
    for done, (metric, (role, margin)) in enumerate(named.items()):
        if progress is not None:
            progress(f"comparing {metric}", 0.3 + 0.7 * done / len(named))
        paired = compare(metric, rows, config.threshold)
        if role == "primary":
            effect = design_effect(paired, rows)
        results[metric] = _result(config, rows, metric, paired, role, margin)
    return results, effect


def roles(config: ABTest) -> dict[str, tuple[Role, float | None]]:
    """Each named metric once, the primary first, with what it decides and its margin."""
    named: dict[str, tuple[Role, float | None]] = {config.primary.metric: ("primary", config.primary.margin)}
    for guardrail in config.guardrails:
        named.setdefault(guardrail.metric, ("guardrail", guardrail.margin))
    for metric in config.metrics:
        named.setdefault(metric, ("reported", None))
    return named


def design_effect(paired: PairedMetric, rows: ScoredRows) -> float | None:
    """How many times the variance by entity is that of independent rows; None without entities."""
    if rows.entity is None:
        return None
    independent = paired_std_error(paired.influence, rows.label if paired.by_class else None)
    if independent == 0.0:
        return None
    return (clustered_std_error(paired.influence, rows.entity, rows.entities) / independent) ** 2


def _result(
    config: ABTest, rows: ScoredRows, metric: str, paired: PairedMetric, role: Role, margin: float | None
) -> MetricResult:
    estimate, method = _estimate(config, rows, metric, paired)
    statistic, p_value = estimate.statistic, estimate.p_value
    if metric == "accuracy" and rows.entity is None:
        discordant = right_by_one(rows, config.threshold)
        p_value = mcnemar_mid_p(*discordant)
        statistic = (discordant[1] - discordant[0]) / math.sqrt(max(1, sum(discordant)))
    lower, upper = estimate.bounds(config.alpha)
    sought = margin if role == "primary" and margin is not None else 0.0
    return MetricResult(
        metric=metric,
        champion=paired.champion,
        challenger=paired.challenger,
        difference=estimate.difference,
        std_error=estimate.std_error,
        statistic=statistic,
        p_value=p_value,
        interval=estimate.bounds(0.025),
        lower_bound=lower,
        upper_bound=upper,
        mde=minimum_detectable_effect(estimate, config.alpha, config.power, sought),
        rows_needed=_rows_needed(config, estimate, rows.label.size, role, margin),
        method=method,
        role=role,
        margin=margin,
    )


def _rows_needed(
    config: ABTest, estimate: Estimate, rows: int, role: Role, margin: float | None
) -> int | None:
    """Rows for the observed difference to clear what its role asks; a reported one to be told from 0."""
    if role == "primary" and margin is not None:
        distance = estimate.difference - margin
    elif role == "guardrail" and margin is not None:
        distance = estimate.difference + margin
    else:
        distance = abs(estimate.difference)
    return rows_needed(estimate, rows, config.alpha, config.power, distance)


def _estimate(config: ABTest, rows: ScoredRows, metric: str, paired: PairedMetric) -> tuple[Estimate, str]:
    test = "paired DeLong" if metric == "roc_auc" else "paired t"
    if rows.entity is not None:
        error = clustered_std_error(paired.influence, rows.entity, rows.entities)
        df = _entity_df(rows)
        source = "Obuchowski" if metric == "roc_auc" else "cluster-robust"
        return Estimate(paired.difference, error, df), f"{test}, by entity ({source}), t with {df} df"
    if metric == "accuracy":
        discordant = right_by_one(rows, config.threshold)
        estimate = discordant_estimate(*discordant, rows.label.size)
        interval = "Wald" if estimate.shift == 0.0 and sum(discordant) >= 25 else "Bonett-Price"
        return estimate, f"McNemar mid-p, {interval} interval ({sum(discordant)} discordant rows)"
    error = paired_std_error(paired.influence, rows.label if paired.by_class else None)
    positives = int(np.count_nonzero(rows.label))
    fewer = min(positives, rows.label.size - positives)
    if fewer < FEW:
        return (
            Estimate(paired.difference, error, fewer - 1),
            f"{test}, t with {fewer - 1} df ({fewer} rows in the smaller class)",
        )
    if metric == "roc_auc":
        return Estimate(paired.difference, error), test
    return Estimate(paired.difference, error, rows.label.size - 1), test


def _entity_df(rows: ScoredRows) -> int:
    """Entities less one; only those that hold a row of the rarer class when these are few."""
    if rows.entity is None:
        return 0
    fewer = entities_in_smaller_class(rows.label, rows.entity, rows.entities)
    return (rows.entities if fewer >= FEW else fewer) - 1
