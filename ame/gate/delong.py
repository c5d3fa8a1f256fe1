"""Exact paired DeLong from one sorted pass per model.

The area under the ROC curve is the mean *placement* of the positives: the share of the negatives
that score lower, ties counted by half; likewise for the negatives. The difference of two correlated
areas then needs no 2x2 covariance: subtract the two models' placements row by row and take the
variance in each class (DeLong, DeLong & Clarke-Pearson 1988, Biometrics 44:837).

Counts are integers and scores keep all their 64 bits, so nothing here is approximate. What is fast is
the order of the rows: the leading bits of a score and the number of its row are packed into one
integer and sorted as such, which is several times faster than an argsort; the rare scores that agree
in the leading bits only are put in order afterwards.
"""

from __future__ import annotations

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

__all__ = ["Ranking", "auc_and_influence", "placements", "rank"]


class Ranking(NamedTuple):
    """Rows in ascending order of their score.

    Attributes:
        rows: int64, shape (n,), the row at each position.
        label: bool, shape (n,), that row's label.
        ties: bool, shape (n - 1,), whether a position's score equals the next one's.
    """

    rows: NDArray[np.int64]
    label: NDArray[np.bool_]
    ties: NDArray[np.bool_]


def auc_and_influence(
    label: NDArray[np.bool_], champion: NDArray[np.float64], challenger: NDArray[np.float64]
) -> tuple[float, float, NDArray[np.float64]]:
    """Both areas and the influence of each row on their difference, challenger minus champion.

    The influence sums to 0 in each class and `mean(influence)` linearises the difference:
    (n/m)(V10 - D) for the m positives and (n/k)(V01 - D) for the k negatives, where V10 and V01 are
    differences of placements. Both classes must occur; scores must be at least 0 and finite.
    """
    n = label.size
    positives = int(np.count_nonzero(label))
    negatives = n - positives
    first = placements(label, champion)
    champion_pairs = int(first[label].sum(dtype=np.int64))
    gained = placements(label, challenger)
    challenger_pairs = int(gained[label].sum(dtype=np.int64))
    gained -= first
    del first
    pairs = 2 * positives * negatives
    difference = (challenger_pairs - champion_pairs) / pairs
    # A negative is well placed when positives score higher: its placement is 1 - lower / positives.
    influence = gained * _by_class(label, n / pairs, -n / pairs)
    influence -= _by_class(label, n * difference / positives, n * difference / negatives)
    return champion_pairs / pairs, challenger_pairs / pairs, influence


def placements(label: NDArray[np.bool_], score: NDArray[np.float64]) -> NDArray[np.signedinteger]:
    """For each row, how many rows of the other class score lower, doubled, plus how many tie.

    Doubling keeps the half of a tie an integer. Shape (n,); int32 while it cannot overflow.
    """
    rows, sorted_label, ties = rank(label, score)
    counts = np.int32 if score.size < 2**30 else np.int64
    positives = np.cumsum(sorted_label, dtype=counts)  # through each position
    if ties.any():
        end = np.flatnonzero(np.append(~ties, True)).astype(counts)
        size = np.diff(end, prepend=counts(-1))
        through = positives[end]
        lower_positives = np.repeat(2 * through - np.diff(through, prepend=counts(0)), size)
        lower_both = np.repeat(2 * end + 2 - size, size)
    else:
        # Alone in its tie group, a positive counts itself once; only negatives read this number.
        lower_positives = 2 * positives
        lower_both = np.arange(2, 2 * score.size + 2, 2, dtype=counts)
    # A positive is placed among the negatives: all rows that are lower, less the positives.
    lower_both -= lower_positives
    np.copyto(lower_positives, lower_both, where=sorted_label)
    result: NDArray[np.signedinteger] = np.empty(score.size, dtype=counts)
    result[rows] = lower_positives
    return result


def rank(label: NDArray[np.bool_], score: NDArray[np.float64]) -> Ranking:
    """The rows in ascending order of score; exact for any finite float64 scores that are at least 0.

    The bits of such floats order as the floats do. Their leading bits, the row's number and its
    label share one uint64.
    """
    n = score.size
    key = (score + 0.0).view(np.uint64)  # adding 0.0 turns -0.0, whose bits are large, into 0.0
    key -= key.min()
    below = n.bit_length() + 1  # bits for the row's number and the label
    shift = max(0, int(key.max()).bit_length() + below - 64)
    key >>= np.uint64(shift)
    key <<= np.uint64(below)
    key |= np.arange(0, 2 * n, 2, dtype=np.uint64)
    key |= label
    key.sort()
    packed = key.view(np.int64)
    sorted_label = packed.astype(np.int8)
    sorted_label &= 1
    key >>= np.uint64(1)
    rows = packed & ((1 << (below - 1)) - 1)
    key >>= np.uint64(below - 1)
    ties = key[1:] == key[:-1]
    if shift:
        _resolve(score, rows, sorted_label.view(np.bool_), ties)
    return Ranking(rows, sorted_label.view(np.bool_), ties)


def _by_class(label: NDArray[np.bool_], positive: float, negative: float) -> NDArray[np.float64]:
    return np.array([negative, positive]).take(label.view(np.int8))


def _resolve(
    score: NDArray[np.float64],
    rows: NDArray[np.int64],
    label: NDArray[np.bool_],
    ties: NDArray[np.bool_],
) -> None:
    """Order, in place, the runs of positions whose scores agree in the leading bits but not in all."""
    left = np.flatnonzero(ties)
    differ = score[rows[left]] != score[rows[left + 1]]
    if not differ.any():
        return
    # Number the runs of consecutive `left` positions, and keep the runs that hold a difference.
    run = np.cumsum(np.diff(left, prepend=left[0]) > 1)
    mixed = np.zeros(run[-1] + 1, dtype=bool)
    mixed[run[differ]] = True
    left = left[mixed[run]]
    positions = np.union1d(left, left + 1)
    # Runs are ordered among themselves, so sorting all their scores at once moves rows in a run only.
    order = np.argsort(score[rows[positions]], kind="stable")
    rows[positions] = rows[positions[order]]
    label[positions] = label[positions[order]]
    ties[left] = score[rows[left]] == score[rows[left + 1]]
