"""Each metric as two estimates and an influence value per row, from which all inference follows.

For a metric M with estimate of the difference D = M(challenger) - M(champion) (losses the other way
round), row i's influence psi_i has mean 0 and D - E(D) = mean(psi) up to terms of smaller order. So
the variance of D is that of a mean: over rows, or over the sums of the rows of one entity.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ame.gate.delong import auc_and_influence
from ame.gate.table import ScoredRows

__all__ = ["PairedMetric", "compare", "log_losses", "right_by_one", "squared_errors"]


@dataclass(frozen=True, slots=True, eq=False)
class PairedMetric:
    """Two models on one metric.

    Attributes:
        champion: the champion's value.
        challenger: the challenger's value.
        difference: signed so that more is better for the challenger.
        influence: float64, shape (n,), of each row on the difference; sums to 0.
        by_class: whether the influence sums to 0 in each class by itself, as the AUC's does, whose
            variance is then estimated in each class.
    """

    champion: float
    challenger: float
    difference: float
    influence: NDArray[np.float64]
    by_class: bool = False


def compare(metric: str, rows: ScoredRows, threshold: float) -> PairedMetric:
    """Estimates and influence of one of `ame.gate.METRICS`; both classes must occur."""
    return _METRICS[metric](rows, threshold)


def log_losses(label: NDArray[np.bool_], score: NDArray[np.float64]) -> NDArray[np.float64]:
    """-log of the probability given to what came true, clipped away from 0 and 1 as scikit-learn does."""
    eps = np.finfo(np.float64).eps
    given = np.where(label, score, 1.0 - score)
    np.clip(given, eps, 1.0 - eps, out=given)
    np.log(given, out=given)
    return np.negative(given, out=given)


def squared_errors(label: NDArray[np.bool_], score: NDArray[np.float64]) -> NDArray[np.float64]:
    """The terms of the Brier score."""
    error = score - label
    error *= error
    return error


def right_by_one(rows: ScoredRows, threshold: float) -> tuple[int, int]:
    """Rows that only the champion, and rows that only the challenger, predicts right."""
    champion, challenger = _right(rows, threshold)
    return int(np.count_nonzero(champion & ~challenger)), int(np.count_nonzero(challenger & ~champion))


def _roc_auc(rows: ScoredRows, _threshold: float) -> PairedMetric:
    champion, challenger, influence = auc_and_influence(rows.label, rows.champion, rows.challenger)
    return PairedMetric(champion, challenger, challenger - champion, influence, by_class=True)


def _log_loss(rows: ScoredRows, _threshold: float) -> PairedMetric:
    return _loss(log_losses(rows.label, rows.champion), log_losses(rows.label, rows.challenger))


def _brier(rows: ScoredRows, _threshold: float) -> PairedMetric:
    return _loss(squared_errors(rows.label, rows.champion), squared_errors(rows.label, rows.challenger))


def _loss(champion: NDArray[np.float64], challenger: NDArray[np.float64]) -> PairedMetric:
    means = float(champion.mean()), float(challenger.mean())
    champion -= challenger
    difference = float(champion.mean())
    champion -= difference
    return PairedMetric(*means, difference, champion)


def _right(rows: ScoredRows, threshold: float) -> tuple[NDArray[np.bool_], NDArray[np.bool_]]:
    """Which rows the champion, and which the challenger, predicts right."""
    return (rows.champion >= threshold) == rows.label, (rows.challenger >= threshold) == rows.label


def _accuracy(rows: ScoredRows, threshold: float) -> PairedMetric:
    champion, challenger = _right(rows, threshold)
    gained = challenger.astype(np.float64)
    gained -= champion
    difference = float(gained.mean())
    gained -= difference
    return PairedMetric(float(champion.mean()), float(challenger.mean()), difference, gained)


_METRICS: Mapping[str, Callable[[ScoredRows, float], PairedMetric]] = {
    "roc_auc": _roc_auc,
    "log_loss": _log_loss,
    "brier": _brier,
    "accuracy": _accuracy,
}
