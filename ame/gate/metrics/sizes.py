"""How many rows there are, by group and class: what every test needs, whatever its metrics are."""

from __future__ import annotations

from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from ame.gate.metrics.cut import Cut, Floats, Part
from ame.gate.summary import MetricSummary

__all__ = ["Rows", "Sizes"]


class Sizes(NamedTuple):
    """How many rows one stratum has.

    Attributes:
        groups: float64, rows by group.
        holders: int64, shape (classes,), groups with a row of that class; one number in a regression, the
            groups that have rows.
        classes: int64, shape (classes,), rows by class; all rows in a regression.
        discordant: rows that only the champion, and that only the challenger, predicts right.
    """

    groups: Floats
    holders: NDArray[np.int64]
    classes: NDArray[np.int64]
    discordant: tuple[int, int] | None


class Rows:
    """Counts of a regression; `counts` is int64, shape (groups,)."""

    def __init__(self, cut: Cut) -> None:
        self.counts = np.zeros(int(cut.groups[-1]), dtype=np.int64)

    def add(self, part: Part) -> None:
        np.add.at(self.counts, part.group, 1)

    def add_again(self, part: Part) -> None:
        """Nothing is left to learn."""

    def turn(self, cut: Cut) -> None:
        """Nothing is left to prepare."""

    def grow(self, cut: Cut) -> None:
        self.counts = np.pad(self.counts, (0, int(cut.groups[-1]) - self.counts.size))

    def added(self, strata: int) -> list[NDArray[Any]]:
        """What the first reading adds up, as views whose first axis is the strata."""
        return [self.counts.reshape(strata, -1)]

    def added_again(self) -> list[NDArray[Any]]:
        """What the second reading adds up."""
        return []

    def sizes(self, groups: slice) -> Sizes:
        counts = self.counts[groups]
        return Sizes(
            groups=counts.astype(np.float64),
            holders=np.array([np.count_nonzero(counts)]),
            classes=np.array([counts.sum()]),
            discordant=None,
        )

    def finish(self, stratum: int, groups: slice, name: str) -> MetricSummary:  # noqa: ARG002
        """No metric of a regression is a count."""
        raise KeyError(name)
