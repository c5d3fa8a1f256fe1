"""Numbers and metrics in sentences, so that what is printed never contradicts what was decided."""

from __future__ import annotations

import math
from decimal import Decimal

from ame.gate.result import MetricResult, SliceResult

__all__ = ["LABELS", "amount", "confidence", "decimals", "label", "moved", "rows_like", "signed", "slice_of"]

#: What a metric is called in a sentence.
LABELS = {
    "roc_auc": "ROC AUC",
    "average_precision": "average precision",
    "log_loss": "log loss",
    "brier": "Brier score",
    "accuracy": "accuracy",
    "f1": "F1",
    "precision": "precision",
    "recall": "recall",
    "roc_auc_ovr": "ROC AUC (mean over the classes)",
    "f1_macro": "macro F1",
    "mae": "mean absolute error",
    "mse": "mean squared error",
    "rmse": "root mean squared error",
    "r2": "R2",
    "pinball": "pinball loss",
    "mean": "mean of the outcome",
}


def label(metric: MetricResult | str, *, start: bool = False) -> str:
    """The metric's name; with `start`, as the first word of a sentence."""
    name = LABELS[metric if isinstance(metric, str) else metric.metric]
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


def slice_of(harmed: SliceResult) -> str:
    """`origin = JFK`."""
    return f"{harmed.column} = {harmed.value}"


def rows_like(needed: int, rows: int, positives: int) -> str:
    """`9,660 rows (966 positives)` with `positives` of `rows`; just `9,660 rows` when there are none."""
    with_positives = f" ({round(needed * positives / rows):,} positives)" if positives and rows else ""
    return f"{needed:,} rows{with_positives}"


def signed(value: float, digits: int) -> str:
    """The number without the `-0.0000` that rounding leaves."""
    text = f"{value:.{digits}f}"
    return text.removeprefix("-") if float(text) == 0.0 else text


def amount(p_value: float) -> str:
    """A p-value in a sentence: `p = 0.0031`, and `p < 0.0001` below that."""
    return "p < 0.0001" if p_value < 0.0001 else f"p = {p_value:.4f}"


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
