"""Metrics as functions of means: the value with its gradient, or why there is none."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import TypeAlias

__all__ = ["COLUMNS_OF", "SMOOTH"]

Means: TypeAlias = Mapping[str, float]

#: The per-row quantities that each metric is a function of the means of.
COLUMNS_OF: Mapping[str, tuple[str, ...]] = {
    "mean": ("outcome",),
    "log_loss": ("log_loss",),
    "brier": ("square",),
    "accuracy": ("right",),
    "precision": ("hit", "predicted"),
    "recall": ("hit", "outcome"),
    "f1": ("hit", "predicted", "outcome"),
    "mae": ("absolute",),
    "mse": ("square",),
    "rmse": ("square",),
    "r2": ("square", "outcome", "outcome_square"),
    "pinball": ("pinball",),
}

#: The value, and its derivative by each mean; or a part of a sentence.
Found: TypeAlias = "tuple[float, Mapping[str, float]] | str"


def _mean_of(name: str) -> Callable[[Means, Means], Found]:
    def metric(means: Means, _: Means) -> Found:
        return means[name], {name: 1.0}

    return metric


def _rmse(means: Means, _: Means) -> Found:
    root = math.sqrt(max(0.0, means["square"]))
    return root, {"square": 0.5 / root if root else 0.0}


def _r2(means: Means, shift: Means) -> Found:
    centre = means["outcome"] - shift["outcome"]
    total = means["outcome_square"] - centre * centre
    if not total > 0.0:
        return "every outcome is the same"
    unexplained = means["square"] / total
    slopes = {
        "square": -1.0 / total,
        "outcome_square": unexplained / total,
        "outcome": -2.0 * centre * unexplained / total,
    }
    return 1.0 - unexplained, slopes


def _precision(means: Means, _: Means) -> Found:
    if means["predicted"] == 0.0:
        return "no row is predicted positive"
    value = means["hit"] / means["predicted"]
    return value, {"hit": 1.0 / means["predicted"], "predicted": -value / means["predicted"]}


def _recall(means: Means, _: Means) -> Found:
    if means["outcome"] == 0.0:
        return "no row is positive"
    value = means["hit"] / means["outcome"]
    return value, {"hit": 1.0 / means["outcome"], "outcome": -value / means["outcome"]}


def _f1(means: Means, _: Means) -> Found:
    both = means["predicted"] + means["outcome"]
    if both == 0.0:
        return "no row is positive or predicted positive"
    value = 2.0 * means["hit"] / both
    return value, {"hit": 2.0 / both, "predicted": -value / both, "outcome": -value / both}


SMOOTH: Mapping[str, Callable[[Means, Means], Found]] = {
    "mean": _mean_of("outcome"),
    "log_loss": _mean_of("log_loss"),
    "brier": _mean_of("square"),
    "accuracy": _mean_of("right"),
    "mae": _mean_of("absolute"),
    "mse": _mean_of("square"),
    "pinball": _mean_of("pinball"),
    "rmse": _rmse,
    "r2": _r2,
    "precision": _precision,
    "recall": _recall,
    "f1": _f1,
}
