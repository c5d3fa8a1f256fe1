"""The numbers behind the report's pictures, bounded in size whatever the number of rows."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ame.gate.delong import rank
from ame.gate.metrics import PairedMetric
from ame.gate.table import ScoredRows

__all__ = ["Calibration", "bootstrap_differences", "calibration", "roc_points"]

DRAWS = 4000
GROUPS = 2000


class Calibration(NamedTuple):
    """Bins of about equally many rows, in ascending order of score; each array has shape (bins,).

    Attributes:
        predicted: float64, the mean score.
        observed: float64, the share of positives.
        low: float64, lower end of that share's 95 % Wilson interval.
        high: float64, its upper end.
        rows: int64, how many rows.
    """

    predicted: NDArray[np.float64]
    observed: NDArray[np.float64]
    low: NDArray[np.float64]
    high: NDArray[np.float64]
    rows: NDArray[np.int64]


def roc_points(
    label: NDArray[np.bool_], score: NDArray[np.float64], limit: int = 500
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """False and true positive rates from (0, 0) to (1, 1): at most `limit` points, each on the curve.

    Points are picked evenly along the curve, so that none of its bends is lost.
    """
    ranking = rank(label, score)
    end = np.flatnonzero(np.append(~ranking.ties, True))
    through = np.cumsum(ranking.label)[end]
    positives = through[-1]
    negatives = label.size - positives
    tpr = np.append(1.0, (positives - through) / positives)[::-1]
    fpr = np.append(1.0, (negatives - (end + 1 - through)) / negatives)[::-1]
    if tpr.size > limit:
        picked = np.unique(np.searchsorted(fpr + tpr, np.linspace(0.0, 2.0, limit)).clip(0, tpr.size - 1))
        fpr, tpr = fpr[picked], tpr[picked]
    return fpr, tpr


def calibration(label: NDArray[np.bool_], score: NDArray[np.float64], bins: int = 10) -> Calibration:
    """Predicted against observed; equal scores are never split, so there may be fewer bins."""
    edges = np.unique(np.quantile(score, np.linspace(0, 1, bins + 1)[1:-1]))
    code = np.searchsorted(edges, score, side="right")
    count = np.bincount(code, minlength=edges.size + 1)
    used = count > 0
    count = count[used]
    predicted = np.bincount(code, weights=score, minlength=edges.size + 1)[used] / count
    observed = np.bincount(code, weights=label, minlength=edges.size + 1)[used] / count
    z = 1.959963984540054
    centre = (count * observed + z * z / 2) / (count + z * z)
    half = z / (count + z * z) * np.sqrt(count * observed * (1 - observed) + z * z / 4)
    return Calibration(predicted, observed, centre - half, centre + half, count)


def bootstrap_differences(paired: PairedMetric, rows: ScoredRows, seed: int = 0) -> NDArray[np.float64]:
    """4,000 resampled differences, shape (4000,), by resampling the influence values with replacement.

    What is drawn are rows, or whole entities. More than 2,000 of them are first put at random into
    2,000 groups, whose sums are drawn: the spread is kept (its own error is 1.6 %) and the work is the
    same for any number of rows.
    """
    draw = np.random.default_rng(seed)
    n = rows.label.size
    sums = paired.influence
    if rows.entity is not None:
        sums = _summed(rows.entity, sums, rows.entities)
    if sums.size > GROUPS:
        sums = _summed(draw.integers(0, GROUPS, sums.size), sums, GROUPS)
    chunks = [
        sums[draw.integers(0, sums.size, (DRAWS // 8, sums.size), dtype=np.int32)].sum(axis=1)
        for _ in range(8)
    ]
    return paired.difference + np.concatenate(chunks) / n


def _summed(group: NDArray[np.int64], values: NDArray[np.float64], groups: int) -> NDArray[np.float64]:
    return np.bincount(group, weights=values, minlength=groups).astype(np.float64, copy=False)
