"""Exact paired DeLong from one sorted pass per model.

The area under the ROC curve is the mean *placement* of the positives: the share of the negatives
that score lower, ties counted by half; likewise for the negatives. The difference of two correlated
areas then needs no 2x2 covariance: subtract the two models' placements row by row and take the
variance in each class (DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837).

Counts are integers and scores keep all their 64 bits, so nothing here is approximate.
"""

from __future__ import annotations

import math
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from ame.gate.order import rank

__all__ = ["PairedAreas", "paired_delong", "placements"]

Floats = NDArray[np.float64]
Counts = NDArray[np.signedinteger]


class PairedAreas(NamedTuple):
    """Two areas under the ROC curve on the same rows.

    Attributes:
        champion: the champion's.
        challenger: the challenger's.
        std_error: of their difference.
    """

    champion: float
    challenger: float
    std_error: float


def paired_delong(label: NDArray[np.bool_], champion: Floats, challenger: Floats) -> PairedAreas:
    """Both areas and the standard error of their difference, for independent rows.

    Scores must be at least 0 and finite, shape (n,), and there must be two rows of each class.
    """
    positives = int(np.count_nonzero(label))
    negatives = label.size - positives
    first = placements(label, champion)
    rows, gained, sorted_label = _placed(label, challenger)
    pairs = 2 * positives * negatives
    challenger_pairs = int(gained.sum(where=sorted_label, dtype=np.int64))
    gained -= first.take(rows)
    won = int(gained.sum(where=sorted_label, dtype=np.int64))
    lost = int(gained.sum(dtype=np.int64)) - won
    squares = np.square(gained, dtype=np.float64)
    of_all = float(squares.sum())
    squares *= sorted_label
    of_positives = float(squares.sum())
    in_positives = of_positives - won * won / positives
    in_negatives = of_all - of_positives - lost * lost / negatives
    variance = in_positives / (positives - 1) / positives / (2 * negatives) ** 2
    variance += in_negatives / (negatives - 1) / negatives / (2 * positives) ** 2
    error = math.sqrt(max(0.0, variance))
    return PairedAreas((challenger_pairs - won) / pairs, challenger_pairs / pairs, error)


def placements(label: NDArray[np.bool_], score: Floats) -> Counts:
    """For each row, how many rows of the other class score lower, doubled, plus how many tie.

    Doubling keeps the half of a tie an integer. Shape (n,); int32 while it cannot overflow.
    """
    rows, placed, _ = _placed(label, score)
    result: Counts = np.empty_like(placed)
    result[rows] = placed
    return result


def _placed(label: NDArray[np.bool_], score: Floats) -> tuple[NDArray[np.int64], Counts, NDArray[np.bool_]]:
    """The rows in ascending order of the score, their placements in that order, and their labels."""
    rows, sorted_label, ties = rank(label, score)
    counts = np.int32 if score.size < 2**29 else np.int64
    positives: Counts = np.cumsum(sorted_label, dtype=counts)  # through each position
    positives += positives  # alone with its score, a positive counts itself; only negatives read this
    lower_both: Counts = np.arange(2, 2 * score.size + 2, 2, dtype=counts)
    _share_ties(ties, positives, lower_both)
    # A positive is placed among the negatives: all rows that are lower, less the positives.
    lower_both -= positives
    np.copyto(positives, lower_both, where=sorted_label)
    return rows, positives, sorted_label


def _share_ties(ties: NDArray[np.bool_], *through: Counts) -> None:
    """In each run of ties put the sum of what is doubly counted before it and through it, halved."""
    change = np.diff(ties.astype(np.int8), prepend=0, append=0)
    first, last = np.flatnonzero(change == 1), np.flatnonzero(change == -1)
    if not first.size:
        return
    size = last - first + 1
    places = np.arange(int(size.sum()))
    places += np.repeat(first - (np.cumsum(size) - size), size)
    for counted in through:
        before = np.where(first > 0, counted[first - 1], 0)
        counted[places] = np.repeat((before + counted[last]) // 2, size)
