"""What an engine finds in the rows, whatever their number: the input of every decision and picture.

An engine reads the rows; everything after it reads a `Summary`. All of its arrays are bounded in size, so
that two engines can be compared number by number.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

__all__ = ["BINS", "GroupSummary", "MetricSummary", "Reliability", "Summary"]

#: Quantile bins of a score in `Summary.grid` and `Reliability`.
BINS = 256


@dataclass(frozen=True, slots=True, eq=False)
class MetricSummary:
    """Two models on one metric over one group of rows.

    With psi_i the influence of row i, `difference` - its true value = mean(psi) up to smaller terms.

    Attributes:
        champion: the champion's value.
        challenger: the challenger's value.
        difference: signed so that more is better for the challenger.
        std_error: of the difference, if rows were independent; within classes for the area under the ROC
            curve (DeLong).
        groups: float64, shape (groups,): sums of psi by entity, or by random group of rows without
            entities; they sum to 0 up to rounding. Divided by the number of rows they are the terms of a
            cluster-robust standard error.
        undefined: why the metric has no value on these rows; its numbers are NaN then.
        error_bound: by how much binning may have moved `difference` at most; 0 when nothing was binned.
        champion_groups: float64, shape (groups,): the same sums for the champion's own value, from which
            and `groups` follow the challenger's; empty where they are not computed.
    """

    champion: float
    challenger: float
    difference: float
    std_error: float
    groups: NDArray[np.float64]
    undefined: str | None = None
    error_bound: float = 0.0
    champion_groups: NDArray[np.float64] = field(default_factory=lambda: np.empty(0))


@dataclass(frozen=True, slots=True, eq=False)
class GroupSummary:
    """A group of rows: all of them, or a slice.

    Attributes:
        rows: how many.
        positives: rows of the positive class; 0 where the task has none.
        fewest: rows in the smallest class; all rows in a regression.
        metrics: by name.
        discordant: rows that only the champion, and that only the challenger, predicts right; None in a
            regression.
        entities: different entities, 0 without an entity column; at most the number of buckets where
            entities are hashed into buckets.
        effective_entities: how many entities of equal size would tell as much, (sum n)^2 / sum n^2.
        fewest_entities: entities with a row of the rarer class; all of them in a regression.
        clustered: whether `MetricSummary.groups` are entities, so that errors are summed by them.
    """

    rows: int
    positives: int
    fewest: int
    metrics: Mapping[str, MetricSummary]
    discordant: tuple[int, int] | None = None
    entities: int = 0
    effective_entities: float = 0.0
    fewest_entities: int = 0
    clustered: bool = False


@dataclass(frozen=True, slots=True, eq=False)
class Reliability:
    """How one model's probabilities hold, in up to `BINS` bins of about equally many rows.

    Attributes:
        rows: int64, shape (bins,).
        predicted: float64, shape (bins,), the sum of the scores.
        positives: float64, shape (bins,), the rows that came true.
        spiegelhalter: sum (y - p)(1 - 2p), and its variance sum (1 - 2p)^2 p (1 - p) if the scores were
            the true probabilities.
        variance: sum p (1 - p).
    """

    rows: NDArray[np.int64]
    predicted: NDArray[np.float64]
    positives: NDArray[np.float64]
    spiegelhalter: tuple[float, float]
    variance: float


@dataclass(frozen=True, slots=True, eq=False)
class Summary:
    """Everything that was found.

    Attributes:
        engine: `local exact` or `local binned`, or another engine's name.
        total: all rows, with every metric.
        slices: column -> value -> its rows, with the primary metric.
        cells: int64, shape (2, 2, 2): rows by label, the champion's prediction and the challenger's; None
            outside of binary tests.
        grid: int64, shape (2, BINS, BINS): rows by label and the quantile bin of each model's score; None
            outside of binary tests.
        reliability: by model; empty outside of binary tests.
        curves: by model, `roc` as arrays (2, points) of false and true positive rates, and `pr` of recall
            and precision, 500 points at most; by model `residuals` as (2, bins) of edges' centres and
            rows in a regression.
        same: whether both models gave every row exactly the same answer.
    """

    engine: str
    total: GroupSummary
    slices: Mapping[str, Mapping[str, GroupSummary]] = field(default_factory=dict)
    cells: NDArray[np.int64] | None = None
    grid: NDArray[np.int64] | None = None
    reliability: Mapping[str, Reliability] = field(default_factory=dict)
    curves: Mapping[str, Mapping[str, NDArray[np.float64]]] = field(default_factory=dict)
    same: bool = False
