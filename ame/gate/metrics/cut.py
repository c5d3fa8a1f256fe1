"""What every metric reads: some rows, cut into strata, and each stratum into groups.

A stratum is what a metric is measured in: all rows, or the rows of one value of a slice column. A group is
what may be drawn as a whole: an entity, a bucket of entities, or rows put together at random. Groups are
numbered through all strata, so that one array holds the sums of every stratum.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ame.gate.summary import MetricSummary

__all__ = ["Cut", "Floats", "Indices", "Mixed", "Part", "dot", "spread", "undefined"]

Floats: TypeAlias = NDArray[np.float64]
Indices: TypeAlias = NDArray[np.intp]
Mixed: TypeAlias = tuple[tuple[NDArray[np.bool_], NDArray[np.bool_]], ...]


@dataclass(frozen=True, slots=True, eq=False)
class Cut:
    """How all rows are cut.

    Attributes:
        groups: int64, shape (strata + 1,): stratum s has the groups from groups[s] to groups[s + 1] - 1.
        bins: for each ranking (one in a binary test, one a class in a multiclass one) the same for the
            bins of the champion's and of the challenger's scores; empty where nothing is ranked.
        classes: how many classes there are; 0 in a regression.
        by_entity: whether groups are entities.
        mixed: by ranking and model, bool, shape (bins,): whether scores that differ share that bin; empty
            where no bin is shared.
    """

    groups: NDArray[np.int64]
    bins: tuple[tuple[NDArray[np.int64], NDArray[np.int64]], ...]
    classes: int
    by_entity: bool = False
    mixed: Mixed = ()

    @property
    def strata(self) -> int:
        return self.groups.size - 1


@dataclass(frozen=True, slots=True, eq=False)
class Part:
    """Some rows of a cut.

    Attributes:
        label: bool, int32 class codes or float64, shape (n,).
        champion, challenger: float64, shape (n,), or (n, classes).
        stratum: shape (n,), or None where all rows are one stratum.
        group: shape (n,), numbered through all strata.
        bins: gives, for a ranking, the bins of both models' scores, shapes (n,), numbered through all
            strata and ascending with the score in each of them.
    """

    label: NDArray[Any]
    champion: Floats
    challenger: Floats
    stratum: Indices | None
    group: Indices
    bins: Callable[[int], tuple[Indices, Indices]]

    def by_stratum(self, values: Floats) -> tuple[Indices | int, Floats | float]:
        """Where values of the rows are to be added by stratum, and what: their sum if there is but one."""
        return (0, values.sum()) if self.stratum is None else (self.stratum, values)

    def within(self, codes: NDArray[Any], size: int) -> Indices:
        """Codes from 0 to `size` - 1 of a stratum, numbered through all strata."""
        flat = codes.astype(np.intp)
        if self.stratum is not None:
            flat += self.stratum * size
        return flat


def dot(first: Floats, second: Floats) -> float:
    """The sum of products, in one thread and always in the same order, which BLAS does not promise."""
    return float(np.einsum("i,i->", first, second))


def undefined(why: str) -> MetricSummary:
    """A metric without a value."""
    return MetricSummary(np.nan, np.nan, np.nan, np.nan, np.empty(0), undefined=why)


def spread(squares: float, rows: int) -> float:
    """The standard error of a mean of influences that sum to 0, from the sum of their squares (ddof 1)."""
    return float(np.sqrt(squares * rows / (rows - 1)) / rows) if rows > 1 else float("nan")
