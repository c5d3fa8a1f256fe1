"""From what an engine found of a metric to everything that is said of it.

Which distribution a metric's difference is held against, by what its error is summed, and how far binning
and few rows widen its bounds is decided here, the same for the whole table and for a slice.
"""

from __future__ import annotations

import math
from collections.abc import Mapping

from ame.gate.config import ABTest
from ame.gate.inference import (
    FEW_DISCORDANT,
    Estimate,
    clustered_std_error,
    discordant_estimate,
    even_groups,
    mcnemar_mid_p,
    minimum_detectable_effect,
    rows_needed,
)
from ame.gate.result import MetricResult, Role
from ame.gate.summary import GroupSummary, MetricSummary

__all__ = ["FEW", "by_class", "estimate", "metric_results", "roles", "undefined"]

#: With fewer rows (or entities) than this in the smallest class the normal distribution is too narrow.
FEW = 50

_TESTS = {
    "roc_auc": "paired DeLong",
    "roc_auc_ovr": "paired DeLong, mean over the classes",
    "average_precision": "influence function",
    **dict.fromkeys(("log_loss", "brier", "accuracy", "mae", "mse", "pinball"), "paired t"),
    **dict.fromkeys(("f1", "f1_macro", "precision", "recall", "rmse", "r2"), "delta method"),
}


def roles(config: ABTest) -> dict[str, tuple[Role, float | None]]:
    """Each named metric once, the primary first, with what it decides and its margin."""
    named: dict[str, tuple[Role, float | None]] = {config.primary.metric: ("primary", config.primary.margin)}
    for guardrail in config.guardrails:
        named.setdefault(guardrail.metric, ("guardrail", guardrail.margin))
    for metric in config.metrics:
        named.setdefault(metric, ("reported", None))
    return named


def metric_results(config: ABTest, group: GroupSummary) -> dict[str, MetricResult]:
    """Every metric that the configuration names, the primary first, over one group of rows."""
    return {
        metric: _result(config, metric, group, role, margin)
        for metric, (role, margin) in roles(config).items()
    }


def by_class(config: ABTest, metric: str) -> bool:
    """Whether how sure a metric is hangs on the rows of the rarest class."""
    return config.task == "binary" or metric in {"roc_auc_ovr", "f1_macro"}


def estimate(config: ABTest, metric: str, group: GroupSummary) -> tuple[Estimate, str]:
    """A metric's difference with its error and distribution, and the name of the test.

    - Rows of one entity are summed, and there are as many degrees of freedom as entities, less one. With
      fewer than `FEW` entities in the rarest class only these count, and large ones count for less
      (`ame.gate.inference.even_groups`).
    - Accuracy of independent rows rests on the rows that one model alone predicts right.
    - With fewer than `FEW` rows in the rarest class Student's t has as many degrees of freedom, less one.
    """
    found, test = group.metrics[metric], _TESTS[metric]
    rare = by_class(config, metric)
    if group.clustered:
        entities = min(group.entities, group.fewest_entities) if rare else group.entities
        few = min(entities - 1, math.floor(min(group.entities, even_groups(found.groups))))
        df = max(1, few) if entities < FEW else group.entities - 1
        error = clustered_std_error(found.groups, group.entities, group.rows)
        source = "Obuchowski" if metric in {"roc_auc", "roc_auc_ovr"} else "cluster-robust"
        return Estimate(found.difference, error, df), f"{test}, by entity ({source}), t with {df} df"
    if metric == "accuracy" and group.discordant is not None:
        discordant = sum(group.discordant)
        interval = "Wald" if discordant >= FEW_DISCORDANT else "Bonett-Price"
        return (
            discordant_estimate(*group.discordant, group.rows),
            f"McNemar mid-p, {interval} interval ({discordant} discordant rows)",
        )
    if rare and group.fewest < FEW:
        df = max(1, group.fewest - 1)
        smaller = "smaller" if config.task == "binary" else "smallest"
        note = f"t with {df} df ({group.fewest} rows in the {smaller} class)"
        return Estimate(found.difference, found.std_error, df), f"{test}, {note}"
    if metric in {"roc_auc", "roc_auc_ovr"}:
        return Estimate(found.difference, found.std_error), test
    return Estimate(found.difference, found.std_error, max(1, group.rows - 1)), test


def undefined(metrics: Mapping[str, MetricSummary], metric: str) -> str | None:
    """Why a metric has no value on a group of rows; None when it has one."""
    found = metrics.get(metric)
    if found is None:
        return "It was not measured on these rows."
    if found.undefined is not None:
        return found.undefined
    if not (math.isfinite(found.difference) and math.isfinite(found.std_error)):
        return "Its numbers are too large to be computed with."
    return None


def _result(
    config: ABTest, metric: str, group: GroupSummary, role: Role, margin: float | None
) -> MetricResult:
    why = undefined(group.metrics, metric)
    if why is not None:
        return _without_value(metric, group.metrics.get(metric), role, margin, why)
    found = group.metrics[metric]
    known, method = estimate(config, metric, group)
    statistic, p_value = known.statistic, known.p_value
    if metric == "accuracy" and group.discordant is not None and not group.clustered:
        p_value = mcnemar_mid_p(*group.discordant)
        only_champion, only_challenger = group.discordant
        statistic = (only_challenger - only_champion) / math.sqrt(max(1, sum(group.discordant)))
    sought = margin if role == "primary" and margin is not None else 0.0
    bound = found.error_bound
    return MetricResult(
        metric=metric,
        champion=found.champion,
        challenger=found.challenger,
        difference=known.difference,
        std_error=known.std_error,
        statistic=statistic,
        p_value=p_value,
        interval=_bounds(known, 0.025, bound),
        lower_bound=_bounds(known, config.alpha, bound)[0],
        upper_bound=_bounds(known, config.alpha, bound)[1],
        mde=minimum_detectable_effect(known, config.alpha, config.power, sought + bound),
        rows_needed=_rows_needed(config, known, group.rows, role, margin, bound),
        method=method,
        role=role,
        margin=margin,
        design_effect=_design_effect(known, found) if group.clustered else None,
        error_bound=bound,
    )


def _bounds(known: Estimate, level: float, error_bound: float) -> tuple[float, float]:
    lower, upper = known.bounds(level)
    return lower - error_bound, upper + error_bound


def _design_effect(known: Estimate, found: MetricSummary) -> float | None:
    """How many times the variance by entity is that of independent rows."""
    return (known.std_error / found.std_error) ** 2 if found.std_error > 0.0 else None


def _rows_needed(
    config: ABTest, known: Estimate, rows: int, role: Role, margin: float | None, error_bound: float
) -> int | None:
    """Rows for the observed difference to clear what its role asks; a reported one to be told from 0."""
    if role == "primary" and margin is not None:
        distance = known.difference - margin
    elif role == "guardrail" and margin is not None:
        distance = known.difference + margin
    else:
        distance = abs(known.difference)
    return rows_needed(known, rows, config.alpha, config.power, distance - error_bound)


def _without_value(
    metric: str, found: MetricSummary | None, role: Role, margin: float | None, why: str
) -> MetricResult:
    nan = math.nan
    return MetricResult(
        metric=metric,
        champion=nan if found is None else found.champion,
        challenger=nan if found is None else found.challenger,
        difference=nan,
        std_error=nan,
        statistic=nan,
        p_value=nan,
        interval=(nan, nan),
        lower_bound=nan,
        upper_bound=nan,
        mde=nan,
        rows_needed=None,
        method="",
        role=role,
        margin=margin,
        undefined=why,
    )
