"""Metrics that are smooth functions of means: losses, RMSE and R2, by the delta method.

With z the columns of one row and g a function of their means, row i's influence on g is
grad g . (z_i - mean z), so that sums of z by group and the matrix of its second moments are all that is
kept (Deng et al., KDD 2018). The challenger's loss enters as its difference from the champion's: two models
that hardly differ then lose no digits. Everything is shifted by the means of the first rows for the same
reason.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from functools import partial
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ame.gate.config import ABTest
from ame.gate.metrics.cut import Cut, Floats, Part, dot, undefined
from ame.gate.summary import MetricSummary

__all__ = ["SMOOTH", "Moments", "log_losses", "squared_errors"]

#: The metrics of this family.
SMOOTH = frozenset({"log_loss", "brier", "mae", "mse", "rmse", "r2", "pinball"})


class _Smooth(NamedTuple):
    """A metric from the means of its columns.

    Attributes:
        champion, challenger: the values.
        difference: the metric's own difference, challenger less champion.
        gradient: shape (2, columns): of the champion's value and of `difference`.
    """

    champion: float
    challenger: float
    difference: float
    gradient: Floats


def log_losses(part: Part) -> tuple[Floats, Floats]:
    """-log of the probability given to what came true, clipped away from 0 and 1 as scikit-learn does."""
    if part.champion.ndim == 1:
        missed = (~part.label).astype(np.float64)
        given = [np.abs(missed - score) for score in (part.champion, part.challenger)]
    else:
        rows = np.arange(part.label.size)
        given = [score[rows, part.label] for score in (part.champion, part.challenger)]
    eps = np.finfo(np.float64).eps
    for each in given:
        np.clip(each, eps, 1.0 - eps, out=each)
        np.log(each, out=each)
        np.negative(each, out=each)
    return given[0], given[1]


def squared_errors(part: Part) -> tuple[Floats, Floats]:
    """The terms of the Brier score, or of the mean squared error."""
    truth = part.label.astype(np.float64)
    return np.square(part.champion - truth), np.square(part.challenger - truth)


def _absolute_errors(part: Part) -> tuple[Floats, Floats]:
    return np.abs(part.champion - part.label), np.abs(part.challenger - part.label)


def _pinball(part: Part, *, quantile: float) -> tuple[Floats, Floats]:
    above = part.label - part.champion, part.label - part.challenger
    champion, challenger = (np.maximum(quantile * each, (quantile - 1.0) * each) for each in above)
    return champion, challenger


def _loss(mean: Floats) -> _Smooth:
    return _Smooth(mean[0], mean[0] + mean[1], mean[1], np.eye(2))


def _rmse(mean: Floats) -> _Smooth:
    champion, challenger = np.sqrt(np.maximum([mean[0], mean[0] + mean[1]], 0.0))
    # A model without any error has no slope there, and all of its squared errors are 0.
    first, second = (0.5 / root if root > 0.0 else 0.0 for root in (champion, challenger))
    both = champion + challenger
    difference = mean[1] / both if both > 0.0 else 0.0
    return _Smooth(champion, challenger, difference, np.array([[first, 0.0], [second - first, second]]))


def _r2(mean: Floats) -> _Smooth | str:
    loss, more, outcome, square = mean
    total = square - outcome * outcome
    if not total > 1e-14 * square:
        return "Every row has the same outcome."
    of_total = np.array([2.0 * outcome, -1.0]) / total  # how 1 / total grows with the last two means
    gradient = np.array(
        [
            [-1.0 / total, 0.0, *(-loss * of_total / total)],
            [0.0, -1.0 / total, *(-more * of_total / total)],
        ]
    )
    return _Smooth(1.0 - loss / total, 1.0 - (loss + more) / total, -more / total, gradient)


_VALUES: Mapping[str, Callable[[Floats], _Smooth | str]] = {"rmse": _rmse, "r2": _r2}


class Moments:
    """Sums of the columns that some metrics need, by group, and their second moments by stratum.

    Attributes:
        sums: float64, shape (columns, groups), of the shifted columns.
        squares: float64, shape (columns, columns, strata), sums of products of the shifted columns.
        shift: float64, shape (columns,), what is taken off each column; given, or the first rows' means.
    """

    def __init__(self, config: ABTest, names: Sequence[str], cut: Cut) -> None:
        self._pairs: dict[str, Callable[[Part], tuple[Floats, Floats]]] = {}
        self._columns: dict[str, list[int]] = {}
        self._size = 0
        pairs: dict[str, list[int]] = {}
        for name in names:
            pair = "squared" if name in {"brier", "mse", "rmse", "r2"} else name
            if pair not in pairs:
                self._pairs[pair] = _pair(pair, config.quantile)
                pairs[pair] = [self._size, self._size + 1]
                self._size += 2
            self._columns[name] = pairs[pair]
        self._centre = 0.0
        if "r2" in self._columns:
            self._columns["r2"] = [*self._columns["r2"], self._size, self._size + 1]
            self._size += 2
        self.shift: Floats | None = None
        self.sums = np.zeros((self._size, int(cut.groups[-1])))
        self.squares = np.zeros((self._size, self._size, cut.strata))

    @np.errstate(over="ignore", invalid="ignore")
    def start(self, part: Part) -> None:
        """Take the means of these rows as the shift."""
        if "r2" in self._columns:
            self._centre = float(part.label.mean())
        self.shift = np.array([column.mean() for column in self._read(part)])

    @np.errstate(over="ignore", invalid="ignore")  # too large numbers are told by `finish`
    def add(self, part: Part) -> None:
        if self.shift is None:
            self.start(part)
        columns = self._read(part)
        for column, shift, sums in zip(columns, self.shift, self.sums, strict=True):  # type: ignore[arg-type]
            column -= shift  # noqa: PLW2901  (in place)
            np.add.at(sums, part.group, column)
        for i, first in enumerate(columns):
            for j in range(i + 1):
                if part.stratum is None:
                    self.squares[i, j, 0] += dot(first, columns[j])
                else:
                    np.add.at(self.squares[i, j], part.stratum, first * columns[j])

    def grow(self, cut: Cut) -> None:
        """Make room for more strata behind those there are."""
        more = int(cut.groups[-1]) - self.sums.shape[1]
        self.sums = np.pad(self.sums, ((0, 0), (0, more)))
        self.squares = np.pad(self.squares, ((0, 0), (0, 0), (0, cut.strata - self.squares.shape[2])))

    def added(self, strata: int) -> list[NDArray[Any]]:
        """What is added up, as views whose first axis is the strata; of equal `shift`."""
        by_group = [sums.reshape(strata, -1) for sums in self.sums]
        return [*by_group, np.moveaxis(self.squares, 2, 0)]

    @np.errstate(over="ignore", invalid="ignore", divide="ignore")
    def finish(self, stratum: int, groups: slice, sizes: Floats, sign: int, name: str) -> MetricSummary:
        """One metric in one stratum; `sizes` are the rows of its groups, `sign` is -1 for a loss."""
        rows = float(sizes.sum())
        if rows < 2:
            return undefined("There are fewer than two rows.")
        columns = self._columns[name]
        sums = self.sums[columns, groups]
        mean = sums.sum(axis=1) / rows
        shift = np.zeros(len(columns)) if self.shift is None else self.shift[columns]
        value = _VALUES.get(name, _loss)(mean + shift)
        if isinstance(value, str):
            return undefined(value)
        lower = self.squares[np.ix_(columns, columns)][:, :, stratum]
        second = np.tril(lower) + np.tril(lower, -1).T
        covariance = (second / rows - np.outer(mean, mean)) * rows / (rows - 1)
        difference = value.gradient[1]
        variance = float(difference @ covariance @ difference)
        if not np.isfinite([value.champion, value.challenger, value.difference, variance]).all():
            return undefined("The numbers are too large to compute with.")
        influence = value.gradient @ (sums - np.outer(mean, sizes))
        return MetricSummary(
            champion=float(value.champion),
            challenger=float(value.challenger),
            difference=sign * float(value.difference),
            std_error=float(np.sqrt(max(0.0, variance) / rows)),
            groups=sign * influence[1],
            champion_groups=influence[0],
        )

    def _read(self, part: Part) -> list[Floats]:
        columns = []
        for pair in self._pairs.values():
            champion, challenger = pair(part)
            challenger -= champion
            columns += [champion, challenger]
        if "r2" in self._columns:
            outcome = part.label - self._centre
            columns += [outcome, np.square(outcome)]
        return columns


def _pair(name: str, quantile: float) -> Callable[[Part], tuple[Floats, Floats]]:
    named: dict[str, Callable[[Part], tuple[Floats, Floats]]] = {
        "log_loss": log_losses,
        "squared": squared_errors,
        "mae": _absolute_errors,
        "pinball": partial(_pinball, quantile=quantile),
    }
    return named[name]
