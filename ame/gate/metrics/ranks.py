"""Metrics of the ranking: the area under the ROC curve, average precision, and the mean area over classes.

Rows enter through the bin of each model's score, bins ascending with the score. Where every different score
has a bin of its own the numbers are exact; where neighbouring scores share one they are exactly those of
the binned scores, whose ties count by half, and each comes with a bound of what binning can have moved it
(facts of the histogram, not of the rows).

A histogram of the bins by class gives, by running sums, the influence of a row in each bin: its placement
for the area (DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837), and for average precision, with
h(x) = P(Y = 1, X >= x), G(x) = P(X >= x), r = h / G and pi = P(Y = 1),

    psi(x, y) = (y (r(x) - AP) + y E[Y' 1{X' <= x} / G(X')] - E[Y' 1{X' <= x} h(X') / G(X')^2]) / pi.

The rows are then read once more to look their influence up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ame.gate.metrics.cut import Cut, Floats, Indices, Part, dot, spread, undefined
from ame.gate.summary import MetricSummary

__all__ = ["RANKED", "Ranked", "Ranks", "average_precision", "roc_auc"]


class Ranked(NamedTuple):
    """One model on one metric of the ranking.

    Attributes:
        value: the metric.
        influence: float64, shape (2, bins), of a negative and of a positive row in each bin.
        error_bound: by how much the value may differ from that of the scores themselves.
    """

    value: float
    influence: Floats
    error_bound: float


def roc_auc(counts: NDArray[np.int64], mixed: NDArray[np.bool_] | None = None) -> Ranked | str:
    """The area under the ROC curve from rows by class and bin, int64, shape (2, bins).

    `mixed` says in which bins there are scores that differ; without it in none.
    The influence sums to 0 in each class: n/m (V10 - A) and n/k (V01 - A). At worst all pairs in a bin are
    ordered one way, which moves the area by half of their share: sum_b (m_b / m)(k_b / k) / 2.
    """
    negatives, positives = (int(each) for each in counts.sum(axis=1))
    if min(positives, negatives) < 2:
        return f"There are {positives:,} positive and {negatives:,} negative rows; two of each are needed."
    lower = np.cumsum(counts, axis=1)
    lower += lower
    lower -= counts  # twice the rows that score lower, plus those that tie
    pairs = positives * negatives
    area = int(counts[1] @ lower[0]) / (2 * pairs)
    rows = positives + negatives
    influence = np.empty(counts.shape)
    np.multiply(lower[0], rows / (2 * pairs), out=influence[1])
    influence[1] -= area * rows / positives
    np.multiply(lower[1], -rows / (2 * pairs), out=influence[0])
    influence[0] += (1.0 - area) * rows / negatives
    bound = 0.0
    if mixed is not None:
        bound = float(np.sum(counts[0] * counts[1], where=mixed)) / (2 * pairs)
    return Ranked(area, influence, bound)


def average_precision(counts: NDArray[np.int64], mixed: NDArray[np.bool_] | None = None) -> Ranked | str:
    """Average precision as scikit-learn defines it, from rows by class and bin, int64, shape (2, bins).

    `mixed` says in which bins there are scores that differ; without it in none. At worst all positives of
    such a bin stand before, or all behind, its negatives.
    """
    rows, positives = int(counts.sum()), int(counts[1].sum())
    if positives < 2:
        return f"There are {positives:,} positive rows; two are needed."
    through = np.cumsum(counts.sum(axis=0)[::-1])[::-1]  # rows that score as high or higher
    hits = np.cumsum(counts[1][::-1])[::-1]
    inverse = 1.0 / np.maximum(through, 1)
    precision = hits * inverse
    share = counts[1] / positives
    value = float(np.sum(share * precision))
    scale = rows / positives
    influence = np.empty(counts.shape)
    negative, positive = influence
    np.multiply(share, inverse, out=positive)
    np.multiply(positive, precision, out=negative)
    np.cumsum(positive, out=positive)
    np.cumsum(negative, out=negative)
    influence *= -rows
    positive *= -1.0
    positive += negative
    positive += scale * (precision - value)
    if mixed is None:
        return Ranked(value, influence, 0.0)
    share, precision, through, hits = (each[mixed] for each in (share, precision, through, hits))
    inside = counts[:, mixed]
    before = hits - inside[1]
    best = hits / np.maximum(through - inside[0], 1)
    worst = (before + 1) / np.maximum(before + 1 + through - hits, 1)
    return Ranked(value, influence, max(dot(share, best - precision), dot(share, precision - worst)))


#: By metric: the function, and whether its influence sums to 0 in each class by itself.
_METRICS: Mapping[str, Callable[[NDArray[np.int64], NDArray[np.bool_] | None], Ranked | str]] = {
    "roc_auc": roc_auc,
    "roc_auc_ovr": roc_auc,
    "average_precision": average_precision,
}

#: The metrics of this family.
RANKED = frozenset(_METRICS)


@dataclass(slots=True, eq=False)
class _Looked:
    """What the second reading of the rows needs and sums up, for one metric.

    Attributes:
        tables: by ranking and model, float64, shape (2 * bins,): the influence by class and bin.
        values: float64, shape (2, strata): the mean over the rankings, by model.
        bounds: float64, shape (strata,).
        lacking: by stratum, why there is no value.
        sums: float64, shape (2, groups): the influence on the champion's value and on the difference.
        squares: float64, shape (strata * 2,): of the influence on the difference, by class.
    """

    tables: list[list[Floats]]
    values: Floats
    bounds: Floats
    lacking: dict[int, str]
    sums: Floats
    squares: Floats


class Ranks:
    """Histograms of the scores' bins, and from them the metrics of the ranking.

    Attributes:
        counts: by ranking and model, int64, shape (2, bins): rows by class and bin.
    """

    def __init__(self, names: Sequence[str], cut: Cut) -> None:
        self._names = tuple(names)
        self.counts = [[np.zeros((2, int(each[-1])), dtype=np.int64) for each in both] for both in cut.bins]
        self._looked: dict[str, _Looked] = {}
        self._cut = cut

    def add(self, part: Part) -> None:
        for ranking, both in enumerate(self.counts):
            positive = self._positive(part, ranking)
            for counts, places in zip(both, part.bins(ranking), strict=True):
                np.add.at(counts.reshape(-1), places + positive * counts.shape[1], 1)

    def turn(self, cut: Cut) -> None:
        """From histograms to tables of influence."""
        self._cut = cut
        groups = int(cut.groups[-1])
        for name in self._names:
            looked = _Looked(
                tables=[[np.zeros(counts.size) for counts in both] for both in self.counts],
                values=np.zeros((2, cut.strata)),
                bounds=np.zeros(cut.strata),
                lacking={},
                sums=np.zeros((2, groups)),
                squares=np.zeros(2 * cut.strata),
            )
            for stratum in range(cut.strata):
                self._rank(name, looked, stratum)
            self._looked[name] = looked

    def _rank(self, name: str, looked: _Looked, stratum: int) -> None:
        share = 1.0 / len(self.counts)
        for ranking, both in enumerate(self.counts):
            for model, counts in enumerate(both):
                starts = self._cut.bins[ranking][model]
                bins = slice(int(starts[stratum]), int(starts[stratum + 1]))
                mixed = self._cut.mixed[ranking][model][bins] if self._cut.mixed else None
                ranked = _METRICS[name](counts[:, bins], mixed)
                if isinstance(ranked, str):
                    several = len(self.counts) > 1
                    looked.lacking[stratum] = f"Class {ranking + 1}: {ranked}" if several else ranked
                    return
                looked.values[model, stratum] += share * ranked.value
                looked.bounds[stratum] += share * ranked.error_bound
                table = looked.tables[ranking][model].reshape(counts.shape)[:, bins]
                np.multiply(ranked.influence, share, out=table)

    def add_again(self, part: Part) -> None:
        if not self._names:
            return
        influences: dict[str, list[Floats]] = {}
        for ranking, both in enumerate(self.counts):
            positive = self._positive(part, ranking)
            for model, places in enumerate(part.bins(ranking)):
                places = places + positive * both[model].shape[1]  # noqa: PLW2901
                for name, looked in self._looked.items():
                    found = looked.tables[ranking][model].take(places)
                    models = influences.setdefault(name, [])
                    if model == len(models):
                        models.append(found)
                    else:
                        models[model] += found
        of_class = self._positive(part, 0) if len(self.counts) == 1 else np.zeros_like(part.group)
        for name, (champion, challenger) in influences.items():
            looked = self._looked[name]
            np.add.at(looked.sums[0], part.group, champion)
            difference = np.subtract(challenger, champion, out=challenger)
            np.add.at(looked.sums[1], part.group, difference)
            squares = np.square(difference, out=difference)
            by = of_class if part.stratum is None else part.stratum * 2 + of_class
            looked.squares += np.bincount(by, weights=squares, minlength=looked.squares.size)

    def finish(self, stratum: int, groups: slice, rows: int, name: str) -> MetricSummary:
        looked = self._looked[name]
        if stratum in looked.lacking:
            return undefined(looked.lacking[stratum])
        champion, challenger = (float(value) for value in looked.values[:, stratum])
        in_negatives, in_positives = (float(value) for value in looked.squares.reshape(-1, 2)[stratum])
        if name == "roc_auc":
            starts = self._cut.bins[0][0]
            bins = slice(int(starts[stratum]), int(starts[stratum + 1]))
            k, m = (int(each) for each in self.counts[0][0][:, bins].sum(axis=1))
            error = float(np.sqrt(in_positives * m / (m - 1) + in_negatives * k / (k - 1)) / rows)
        else:
            error = spread(in_negatives + in_positives, rows)
        return MetricSummary(
            champion=champion,
            challenger=challenger,
            difference=challenger - champion,
            std_error=error,
            groups=looked.sums[1, groups],
            champion_groups=looked.sums[0, groups],
            error_bound=float(looked.bounds[stratum]),
        )

    def grow(self, cut: Cut, coarser: int) -> None:
        """Room for more strata; 2 ** `coarser` neighbouring bins of each stratum become one."""
        strata = self._cut.strata
        for both in self.counts:
            for model, counts in enumerate(both):
                size = counts.shape[1] // strata
                merged = counts.reshape(2, strata, size >> coarser, 1 << coarser).sum(axis=3)
                more = np.pad(merged, ((0, 0), (0, cut.strata - strata), (0, 0)))
                both[model] = more.reshape(2, -1)
        self._cut = cut

    def added(self, strata: int) -> list[NDArray[Any]]:
        """What the first reading adds up, as views whose first axis is the strata."""
        every = [counts for both in self.counts for counts in both]
        return [of_class.reshape(strata, -1) for counts in every for of_class in counts]

    def added_again(self) -> list[NDArray[Any]]:
        """What the second reading adds up."""
        return [each for looked in self._looked.values() for each in (looked.sums, looked.squares)]

    def _positive(self, part: Part, ranking: int) -> Indices:
        binary = part.champion.ndim == 1
        return (part.label if binary else part.label == ranking).astype(np.intp)
