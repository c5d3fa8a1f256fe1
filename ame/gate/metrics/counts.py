"""Metrics of counts: accuracy, F1, precision, recall, and the sizes that every test needs.

A binary row enters through one of eight cells: its label, the champion's prediction and the challenger's.
An influence is a number for each cell, so that counts by group are all that is kept. With n rows, P
positives, pp predicted positives and tp hits, the influence of a row with label y and prediction c is
n (c y - v c) / pp on the precision v, n (c y - v y) / P on the recall v, and n (2 c y - v (c + y)) / (pp + P)
on F1 = v. A multiclass row enters through its class and a prediction of each model; macro F1 is the mean
over the classes.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ame.gate.metrics.cut import Cut, Floats, Indices, Part, spread, undefined
from ame.gate.metrics.sizes import Sizes
from ame.gate.summary import MetricSummary

__all__ = ["COUNTED", "Cells", "Confusion"]

#: The metrics of this family.
COUNTED = frozenset({"accuracy", "f1", "precision", "recall", "f1_macro"})

_Y = np.repeat([0, 1], 4)
_PREDICTED = np.tile(np.repeat([0, 1], 2), 2), np.tile([0, 1], 4)
_WHO = ("The champion", "The challenger")


class Cells:
    """Counts of a binary test; `counts` is int64, shape (groups * 8,)."""

    def __init__(self, cut: Cut, threshold: float) -> None:
        self._threshold = threshold
        self.counts = np.zeros(8 * int(cut.groups[-1]), dtype=np.int64)

    def add(self, part: Part) -> None:
        cell = part.label.astype(np.intp)
        for score in (part.champion, part.challenger):
            cell += cell
            cell += score >= self._threshold
        cell += part.group * 8
        np.add.at(self.counts, cell, 1)

    def add_again(self, part: Part) -> None:
        """Nothing is left to learn."""

    def turn(self, cut: Cut) -> None:
        """Nothing is left to prepare."""

    def grow(self, cut: Cut) -> None:
        self.counts = np.pad(self.counts, (0, 8 * int(cut.groups[-1]) - self.counts.size))

    def added(self, strata: int) -> list[NDArray[Any]]:
        """What the first reading adds up, as views whose first axis is the strata."""
        return [self.counts.reshape(strata, -1)]

    def added_again(self) -> list[NDArray[Any]]:
        """What the second reading adds up."""
        return []

    def cells(self, groups: slice) -> NDArray[np.int64]:
        """Shape (groups, 8)."""
        return self.counts.reshape(-1, 8)[groups]

    def sizes(self, groups: slice) -> Sizes:
        cells = self.cells(groups)
        total = cells.sum(axis=0)
        by_class = np.stack([cells[:, :4].sum(axis=1), cells[:, 4:].sum(axis=1)])
        right = [predicted == _Y for predicted in _PREDICTED]
        return Sizes(
            groups=by_class.sum(axis=0).astype(np.float64),
            holders=np.count_nonzero(by_class, axis=1),
            classes=by_class.sum(axis=1),
            discordant=(int(total[right[0] & ~right[1]].sum()), int(total[right[1] & ~right[0]].sum())),
        )

    def finish(self, stratum: int, groups: slice, name: str) -> MetricSummary:  # noqa: ARG002
        cells = self.cells(groups)
        total = cells.sum(axis=0)
        rows = int(total.sum())
        if rows < 2:
            return undefined("There are fewer than two rows.")
        found = [_value(name, total, predicted) for predicted in _PREDICTED]
        lacking = [why for why in found if isinstance(why, str)]
        if lacking:
            both = "Neither model predicts a row positive."
            none = "predicts no row positive."
            return undefined(
                both
                if len(lacking) == 2 and lacking[0] == none
                else next(
                    why if why != none else f"{who} {why}"
                    for who, why in zip(_WHO, found, strict=True)
                    if isinstance(why, str)
                )
            )
        (champion, first), (challenger, second) = (each for each in found if not isinstance(each, str))
        gained = second - first
        difference = challenger - champion
        if name == "accuracy":  # a whole number of rows, which the difference of two shares may miss
            only = self.sizes(groups).discordant or (0, 0)
            difference = (only[1] - only[0]) / rows
        return MetricSummary(
            champion=champion,
            challenger=challenger,
            difference=difference,
            std_error=spread(float(total @ np.square(gained)), rows),
            groups=cells @ gained,
            champion_groups=cells @ first,
        )


def _value(name: str, total: NDArray[np.int64], predicted: NDArray[np.int64]) -> tuple[float, Floats] | str:
    """The metric of one model, and the influence of a row in each cell; or why there is none."""
    rows = int(total.sum())
    hit = predicted * _Y
    hits, guesses, positives = (int(total @ each) for each in (hit, predicted, _Y))
    if name == "accuracy":
        right = predicted == _Y
        value = int(total @ right) / rows
        return value, right - value
    if name == "precision":
        if not guesses:
            return "predicts no row positive."
        value = hits / guesses
        return value, (hit - value * predicted) * (rows / guesses)
    if not positives:
        return "No row is positive."
    if name == "recall":
        value = hits / positives
        return value, (hit - value * _Y) * (rows / positives)
    value = 2 * hits / (guesses + positives)
    return value, (2 * hit - value * (predicted + _Y)) * (rows / (guesses + positives))


class Confusion:
    """Counts of a multiclass test; macro F1 by group needs the rows a second time.

    Attributes:
        classes: int64, shape (groups * classes,), rows by group and class.
        right: int64, shape (groups * 4,), by group, whether the champion, and the challenger, is right.
        tables: int64, shape (2, strata * classes^2), by model, class and prediction.
    """

    def __init__(self, cut: Cut, names: Sequence[str]) -> None:
        k, groups = cut.classes, int(cut.groups[-1])
        self._k = k
        self._macro = "f1_macro" in names
        self.classes = np.zeros(groups * k, dtype=np.int64)
        self.right = np.zeros(groups * 4, dtype=np.int64)
        self.tables = np.zeros((2, cut.strata * k * k), dtype=np.int64)
        self._psi: Floats = np.empty(0)
        self._found: list[list[float | str]] = []
        self.sums: Floats = np.empty(0)
        self.squares: Floats = np.empty(0)

    def add(self, part: Part) -> None:
        label = part.label.astype(np.intp)
        np.add.at(self.classes, part.group * self._k + label, 1)
        right = part.group * 4
        for model, places in enumerate(self._places(part, label)):
            np.add.at(self.tables[model], places, 1)
            right += (places % self._k == label) * (2 - model)
        np.add.at(self.right, right, 1)

    def turn(self, cut: Cut) -> None:
        """Macro F1 of each stratum, and what a row adds to it."""
        if not self._macro:
            return
        k = self._k
        self._psi = np.zeros((2, cut.strata, k * k))
        self.sums = np.zeros((2, int(cut.groups[-1])))
        self.squares = np.zeros(cut.strata)
        for model, tables in enumerate(self.tables.reshape(2, cut.strata, k, k)):
            found: list[float | str] = []
            for stratum, table in enumerate(tables):
                value = _macro_f1(table)
                if isinstance(value, str):
                    found.append(value)
                    continue
                found.append(value[0])
                self._psi[model, stratum] = value[1].ravel()
            self._found.append(found)

    def add_again(self, part: Part) -> None:
        if not self._macro:
            return
        places = self._places(part, part.label.astype(np.intp))
        first, second = (psi.ravel().take(place) for psi, place in zip(self._psi, places, strict=True))
        np.add.at(self.sums[0], part.group, first)
        second -= first
        np.add.at(self.sums[1], part.group, second)
        np.add.at(self.squares, *part.by_stratum(np.square(second)))

    def grow(self, cut: Cut) -> None:
        groups = int(cut.groups[-1])
        self.classes = np.pad(self.classes, (0, groups * self._k - self.classes.size))
        self.right = np.pad(self.right, (0, groups * 4 - self.right.size))
        more = cut.strata * self._k * self._k - self.tables.shape[1]
        self.tables = np.pad(self.tables, ((0, 0), (0, more)))

    def added(self, strata: int) -> list[NDArray[Any]]:
        """What the first reading adds up, as views whose first axis is the strata."""
        by_group = [each.reshape(strata, -1) for each in (self.classes, self.right)]
        return [*by_group, *(table.reshape(strata, -1) for table in self.tables)]

    def added_again(self) -> list[NDArray[Any]]:
        """What the second reading adds up."""
        return [self.sums, self.squares] if self._macro else []

    def sizes(self, groups: slice) -> Sizes:
        classes = self.classes.reshape(-1, self._k)[groups]
        right = self.right.reshape(-1, 4)[groups].sum(axis=0)
        return Sizes(
            groups=classes.sum(axis=1).astype(np.float64),
            holders=np.count_nonzero(classes, axis=0),
            classes=classes.sum(axis=0),
            discordant=(int(right[2]), int(right[1])),
        )

    def finish(self, stratum: int, groups: slice, name: str) -> MetricSummary:
        right = self.right.reshape(-1, 4)[groups]
        total = right.sum(axis=0)
        rows = int(total.sum())
        if rows < 2:
            return undefined("There are fewer than two rows.")
        if name == "accuracy":
            champion = int(total[2] + total[3]) / rows
            difference = int(total[1] - total[2]) / rows
            gained = np.array([0.0, 1.0, -1.0, 0.0]) - difference
            return MetricSummary(
                champion=champion,
                challenger=int(total[1] + total[3]) / rows,
                difference=difference,
                std_error=spread(float(total @ np.square(gained)), rows),
                groups=right @ gained,
                champion_groups=right @ (np.array([0.0, 0.0, 1.0, 1.0]) - champion),
            )
        found = [values[stratum] for values in self._found]
        for value in found:
            if isinstance(value, str):
                return undefined(value)
        champion, challenger = (float(value) for value in found)
        return MetricSummary(
            champion=champion,
            challenger=challenger,
            difference=challenger - champion,
            std_error=spread(float(self.squares[stratum]), rows),
            groups=self.sums[1, groups],
            champion_groups=self.sums[0, groups],
        )

    def _places(self, part: Part, label: Indices) -> list[Indices]:
        """Where a row stands in `tables`, by model."""
        k = self._k
        return [
            part.within(label * k + score.argmax(axis=1), k * k) for score in (part.champion, part.challenger)
        ]


def _macro_f1(table: NDArray[np.int64]) -> tuple[float, Floats] | str:
    """Macro F1 from rows by class and prediction, and the influence of a row in each place of the table."""
    actual, predicted, hits = table.sum(axis=1), table.sum(axis=0), np.diagonal(table)
    if not actual.all():
        return "A class has no rows."
    both = (actual + predicted).astype(np.float64)
    f1 = 2 * hits / both
    part = f1 / both
    psi = np.diag(2 / both) - part[:, None] - part[None, :]
    return float(f1.mean()), psi * (table.sum() / hits.size)
