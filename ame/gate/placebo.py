"""A comparison of the models that must find nothing: the test's test of itself.

If each row's (each entity's) two answers are swapped with probability 1/2, neither model can be better,
whatever the models are. To first order the swap turns the sign of the unit's influence on the difference:
one draw of random signs gives a placebo difference, and divided by the standard error that the test used
it must be a standard normal number, its p-value uniform on (0, 1).

What it can show: that the standard error of independent rows is not what the sums by unit scatter by, as when
sums are lost or counted twice; that a handful of units carries the whole difference. With entities error and
sums are the same numbers, so that only the latter is left. What it cannot show: that labels, scores or the
sample are wrong in a way that both models share, that units depend on each other in a way that no column
names, or anything about the decision. And by its nature one sound test in a thousand has a p-value
below .001.
"""

from __future__ import annotations

import hashlib

import numpy as np
from numpy.typing import NDArray
from scipy.special import ndtr

from ame.gate.config import ABTest
from ame.gate.inference import clustered_std_error
from ame.gate.metrics import dot
from ame.gate.summary import Summary

__all__ = ["placebo", "placebo_difference", "placebo_p_value"]


def placebo(config: ABTest, summary: Summary) -> float | None:
    """The two-sided p-value of one placebo comparison on the primary metric; 1 for equal models.

    None when the metric has no value or no sums by group. Its signs follow from the test's own numbers, so
    that the same rows give the same p-value.
    """
    metric = summary.total.metrics.get(config.primary.metric)
    if metric is None or metric.undefined is not None or metric.groups.size < 2:
        return None
    total = summary.total
    groups = metric.groups.size
    error = metric.std_error
    if total.clustered:
        error = clustered_std_error(metric.groups, groups, total.rows)
    said = f"{total.rows} {total.positives} {metric.champion:.6e} {metric.difference:.6e}"
    seed = int.from_bytes(hashlib.blake2b(said.encode(), digest_size=8).digest(), "big")
    return placebo_p_value(metric.groups, total.rows, error, seed)


def placebo_difference(sums: NDArray[np.float64], rows: int, seed: int) -> float:
    """A difference under random swaps: the mean over rows of the units' influence with random signs.

    `sums` has shape (units,): each unit's influence values summed. Exactly 0 for a model against itself.
    """
    draws = np.random.default_rng(seed).integers(0, 2, sums.size, dtype=np.int8)
    return dot(2.0 * draws.astype(np.float64) - 1.0, sums) / rows


def placebo_p_value(sums: NDArray[np.float64], rows: int, std_error: float, seed: int) -> float:
    """Two-sided, of that difference over `std_error`; 1 when there is neither difference nor error."""
    difference = placebo_difference(sums, rows, seed)
    if difference == 0.0:
        return 1.0
    return float(2 * ndtr(-abs(difference) / std_error)) if std_error > 0.0 else 0.0
