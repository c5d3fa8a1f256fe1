"""One arm on metrics of the ranking: the area under the ROC curve, and average precision.

Scores come as integer codes in the order of the scores, equal for equal scores; or, for tables too large
to sort, as bins, and then the metrics are exactly those of the binned scores, with a bound of what that
moved. The histograms by class hold every value; the error by unit needs the rows once more.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from ame.gate.metrics import dot
from ame.gate.split.moments import ArmValue, Floats

__all__ = ["RANKS", "Ranks"]

RANKS = ("roc_auc", "average_precision")


class Ranks:
    """One arm's rows by class and score.

    `codes` is how many codes there are; `mixed`, bool of shape (codes,), which of them hold different scores,
    or None when none does; `units` how many codes of units there are, or None when each row is a unit of its
    own. First `add` all rows; where there are units, `add_units` all rows again.
    """

    __slots__ = ("_influence", "_value", "by_unit", "hist", "mixed", "units")

    def __init__(self, codes: int, mixed: NDArray[np.bool_] | None, units: int | None) -> None:
        self.hist = np.zeros((2, codes), dtype=np.int64)  # negatives, positives
        self.mixed = mixed
        self.units = units
        self.by_unit: dict[str, Floats] = {}
        self._value: dict[str, float] = {}
        self._influence: dict[str, Floats] = {}

    def add(self, positive: NDArray[np.bool_], code: NDArray[np.int64]) -> None:
        codes = self.hist.shape[1]
        counts = np.bincount(code + codes * positive, minlength=2 * codes)
        self.hist += counts.reshape(2, codes)

    def add_units(
        self, metric: str, positive: NDArray[np.bool_], code: NDArray[np.int64], unit: NDArray[np.int64]
    ) -> None:
        """Sum the rows' influence by unit, after every row was added."""
        if self.units is None or not self._defined:
            return
        table = self._table(metric)
        sums = self.by_unit.setdefault(metric, np.zeros(self.units))
        np.add.at(sums, unit, table[positive.astype(np.intp), code])

    @property
    def _defined(self) -> bool:
        return bool((self.hist.sum(axis=1) >= 2).all())

    def value(self, metric: str, units: int) -> ArmValue:
        """The arm's value and variance; `units` is how many units the arm has."""
        negatives, positives = (int(count) for count in self.hist.sum(axis=1))
        if not self._defined:
            return ArmValue(
                undefined=f"there are {positives} positive and {negatives} negative rows, and 2 of each are "
                "needed"
            )
        if units < 2:
            return ArmValue(undefined=f"there are {units} units, and a variance needs 2")
        table, rows = self._table(metric), negatives + positives
        squares = (self.hist * np.square(table)).sum(axis=1)
        if metric == "roc_auc":
            # Each class is a sample of its own (DeLong): sum over classes of s^2 / size.
            sizes = np.array([negatives, positives])
            independent = float((squares * sizes / (sizes - 1)).sum()) / rows**2
        else:
            independent = float(squares.sum()) * rows / (rows - 1) / rows**2
        variance = independent
        if self.units is not None:
            sums = self.by_unit[metric]
            variance = dot(sums, sums) * units / (units - 1) / rows**2
        bound = 0.0 if self.mixed is None else self._bound(metric, self.mixed)
        return ArmValue(self._value[metric], variance, independent, error_bound=bound)

    def _table(self, metric: str) -> Floats:
        """The influence of a row by its class and code, shape (2, codes); it sums to 0 over the rows."""
        if metric not in self._influence:
            found = _roc_auc(self.hist) if metric == "roc_auc" else _average_precision(self.hist)
            self._value[metric], self._influence[metric] = found
        return self._influence[metric]

    def _bound(self, metric: str, mixed: NDArray[np.bool_]) -> float:
        negatives, positives = self.hist
        if metric == "roc_auc":
            # Pairs in one bin count 1/2, and may count 0 or 1.
            return 0.5 * dot(positives / positives.sum(), negatives / negatives.sum() * mixed)
        found = np.cumsum(positives[::-1])[::-1]
        above = np.cumsum((positives + negatives)[::-1])[::-1]
        here = found / np.maximum(above, 1)
        before_found, before = found - positives, above - positives - negatives
        # Within a bin the positives may come before or after all of its negatives.
        best = (before_found + positives) / np.maximum(before + positives, 1)
        worst = (before_found + 1) / np.maximum(before + negatives + 1, 1)
        reach = np.maximum(best - here, here - worst)
        return dot(positives / positives.sum(), reach * mixed)


def _roc_auc(hist: NDArray[np.int64]) -> tuple[float, Floats]:
    """Placements by midrank (DeLong, DeLong & Clarke-Pearson 1988), as influence: n/m (V10 - AUC)."""
    sizes = hist.sum(axis=1)
    below = np.cumsum(hist, axis=1) - 0.5 * hist
    placed_positive = below[0] / sizes[0]
    placed_negative = 1.0 - below[1] / sizes[1]
    auc = dot(hist[1].astype(np.float64), placed_positive) / float(sizes[1])
    rows = float(sizes.sum())
    return auc, np.stack(
        [rows / sizes[0] * (placed_negative - auc), rows / sizes[1] * (placed_positive - auc)]
    )


def _average_precision(hist: NDArray[np.int64]) -> tuple[float, Floats]:
    """The influence function of scikit-learn's average precision, in which equal scores are one threshold.

    With h(x) the share of rows that are positive and score at least x, G(x) the share of rows that score
    at least x, r = h/G and p the share of positives, AP = E[Y r(X)]/p and
    psi = (y (r(x) - AP) + y A1(x) - A2(x)) / p, A1(x) = E[Y 1{X <= x}/G(X)],
    A2(x) = E[Y 1{X <= x} h(X)/G(X)^2].
    """
    rows = float(hist.sum())
    positives = hist[1] / rows
    h = np.cumsum(positives[::-1])[::-1]
    g = np.cumsum(hist.sum(axis=0)[::-1])[::-1] / rows
    g = np.where(g > 0.0, g, math.inf)
    r, share = h / g, float(positives.sum())
    value = dot(positives, r) / share
    a1, a2 = np.cumsum(positives / g), np.cumsum(positives * r / g)
    return value, np.stack([-a2, r - value + a1 - a2]) / share
