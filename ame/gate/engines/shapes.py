"""What the pictures are drawn from: score bins, reliability, curves and residuals, all bounded in size."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ame.gate.metrics import Part, Ranks, dot
from ame.gate.summary import BINS, Reliability

__all__ = ["MODELS", "Residuals", "Shapes"]

MODELS = ("champion", "challenger")
_POINTS = 500
_RESIDUAL_BINS = 80
_LARGEST = 1e300  # of a residual that is drawn

Floats: TypeAlias = NDArray[np.float64]
Curves: TypeAlias = Mapping[str, Mapping[str, Floats]]


class Shapes:
    """Of a binary test: the grid, reliability and curves of a `Summary`, from the second reading."""

    def __init__(self, ranks: Ranks) -> None:
        self._counts = ranks.counts[0]
        self._quantile = [_quantile_bins(counts) for counts in self._counts]
        self._grid = np.zeros(2 * BINS * BINS, dtype=np.int64)
        self._predicted = np.zeros((2, BINS))
        self._terms = np.zeros((2, 3))

    def add_again(self, part: Part) -> None:
        cell = part.label.astype(np.intp)
        truth = part.label.astype(np.float64)
        for model, places in enumerate(part.bins(0)):
            score = part.challenger if model else part.champion
            quantile = self._quantile[model].take(places)
            self._predicted[model] += np.bincount(quantile, weights=score, minlength=BINS)
            cell *= BINS
            cell += quantile
            variance = score * (1.0 - score)
            # With q = p (1 - p): (y - p)(1 - 2 p) = y - 2 y p + p - 2 q, and (1 - 2 p)^2 = 1 - 4 q.
            total = variance.sum()
            first = truth.sum() - 2.0 * dot(truth, score) + score.sum() - 2.0 * total
            self._terms[model] += first, total - 4.0 * dot(variance, variance), total
        np.add.at(self._grid, cell, 1)

    def added_again(self) -> list[NDArray[Any]]:
        """What the second reading adds up."""
        return [self._grid, self._predicted, self._terms]

    @property
    def grid(self) -> NDArray[np.int64]:
        return self._grid.reshape(2, BINS, BINS)

    def reliability(self) -> dict[str, Reliability]:
        found = {}
        for model, name in enumerate(MODELS):
            by_class = self.grid.sum(axis=2 - model)
            rows = by_class.sum(axis=0)
            used = rows > 0
            first, second, variance = (float(term) for term in self._terms[model])
            found[name] = Reliability(
                rows=rows[used],
                predicted=self._predicted[model][used],
                positives=by_class[1][used].astype(np.float64),
                spiegelhalter=(first, second),
                variance=variance,
            )
        return found

    def curves(self) -> dict[str, dict[str, Floats]]:
        return {
            name: {"roc": _roc(counts), "pr": _precision_recall(counts)}
            for name, counts in zip(MODELS, self._counts, strict=True)
        }


class Residuals:
    """Of a regression: histograms of outcome less prediction; what lies outside is in the end bins."""

    def __init__(self, label: NDArray[Any], champion: Floats, challenger: Floats) -> None:
        with np.errstate(over="ignore"):
            residuals = np.concatenate([label - champion, label - challenger]).clip(-_LARGEST, _LARGEST)
        low, high = np.quantile(residuals, [0.002, 0.998])
        if not high > low:
            low, high = residuals.min(), residuals.max()
        if high - low <= 1e-9 * max(abs(low), abs(high)):
            room = max(0.5, 1e-6 * abs(high))
            low, high = low - room, high + room
        self._edges = np.linspace(low, high, _RESIDUAL_BINS + 1)
        self._counts = np.zeros((2, _RESIDUAL_BINS))

    def add(self, part: Part) -> None:
        width = self._edges[1] - self._edges[0]
        for model, score in enumerate((part.champion, part.challenger)):
            with np.errstate(over="ignore"):
                residual = (part.label - score).clip(self._edges[0], self._edges[-1])
            place = ((residual - self._edges[0]) / width).clip(0, _RESIDUAL_BINS - 1)
            self._counts[model] += np.bincount(place.astype(np.intp), minlength=_RESIDUAL_BINS)

    def added(self) -> list[NDArray[Any]]:
        """What is added up, between the same edges."""
        return [self._counts]

    def curves(self) -> dict[str, dict[str, Floats]]:
        centres = (self._edges[1:] + self._edges[:-1]) / 2
        return {
            name: {"residuals": np.stack([centres, counts])}
            for name, counts in zip(MODELS, self._counts, strict=True)
        }


def _quantile_bins(counts: NDArray[np.int64]) -> NDArray[np.intp]:
    """For each bin of the scores which of `BINS` quantile bins it is in; equal scores stay together."""
    size = counts.sum(axis=0)
    before = np.cumsum(size) - size
    bins: NDArray[np.intp] = (before * BINS // max(1, int(size.sum()))).astype(np.intp)
    return bins


def _roc(counts: NDArray[np.int64]) -> Floats:
    """False and true positive rates from (0, 0) to (1, 1)."""
    through = np.pad(_from_the_top(counts), ((0, 0), (1, 0)))
    return _thinned(through) / np.maximum(through[:, -1:], 1)


def _precision_recall(counts: NDArray[np.int64]) -> Floats:
    """Recall and precision at each threshold, from the highest one on."""
    through = _from_the_top(counts)
    if not through.size or not through[1, -1]:
        return np.empty((2, 0))
    negatives, positives = _thinned(through)
    return np.stack([positives / through[1, -1], positives / (positives + negatives)])


def _from_the_top(counts: NDArray[np.int64]) -> NDArray[np.int64]:
    """Rows by class that score as high or higher, from the highest score that occurs to the lowest."""
    return np.cumsum(counts[:, counts.any(axis=0)][:, ::-1], axis=1)


def _thinned(through: NDArray[np.int64]) -> NDArray[np.int64]:
    """At most `_POINTS` of the points, evenly by the share of both classes, so that no bend is lost."""
    if through.shape[1] <= _POINTS:
        return through
    along = through[0] / max(1, int(through[0, -1]))
    along += through[1] / max(1, int(through[1, -1]))
    picked = np.searchsorted(along, np.linspace(along[0], along[-1], _POINTS)).clip(0, along.size - 1)
    return through[:, np.unique(np.append(picked[:-1], along.size - 1))]
