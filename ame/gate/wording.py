"""Numbers and metrics in sentences, so that what is printed never contradicts what was decided."""

from __future__ import annotations

import math
from decimal import Decimal

from ame.gate.result import MetricResult

__all__ = ["LABELS", "confidence", "decimals", "label", "moved", "signed"]

#: What a metric is called in a sentence.
LABELS = {"roc_auc": "ROC AUC", "log_loss": "log loss", "brier": "Brier score", "accuracy": "accuracy"}


def label(metric: MetricResult, *, start: bool = False) -> str:
    """The metric's name; with `start`, as the first word of a sentence."""
    name = LABELS[metric.metric]
    return name[0].upper() + name[1:] if start else name


def moved(metric: MetricResult) -> str:
    """`ROC AUC rose by 0.0460 (0.6250 -> 0.6710)`; the direction is that of the metric's own value."""
    change = metric.challenger - metric.champion
    digits = decimals(change, 0.0)
    values = f"({metric.champion:.{digits}f} -> {metric.challenger:.{digits}f})"
    if change == 0.0:
        return f"{label(metric, start=True)} stayed the same {values}"
    verb = "rose" if change > 0 else "fell"
    return f"{label(metric, start=True)} {verb} by {abs(change):.{digits}f} {values}"


def signed(value: float, digits: int) -> str:
    """The number without the `-0.0000` that rounding leaves."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0.0 else text


def decimals(*values: float) -> int:
    """At least 4, and as many as it takes for numbers that differ to look different, up to 12."""
    different = {abs(value) for value in values if math.isfinite(value)}
    for digits in range(4, 12):
        if len({f"{value:.{digits}f}" for value in different}) == len(different):
            return digits
    return 12


def confidence(alpha: float) -> str:
    """`95 %` for 0.05, `99.83 %` for 0.05/30: alpha is rounded to two significant digits."""
    return f"{(100 - Decimal(f'{100 * alpha:.2g}')).normalize():f} %"
