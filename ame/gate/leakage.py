"""Does one column of the holdout tell the label all by itself?

A column that was written after the outcome, such as a refund's amount where a refund is to be predicted,
makes every metric of both models meaningless.
"""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ame.gate.drift import codes, numbers
from ame.gate.result import Check
from ame.gate.rows import Kind, kind_of

__all__ = ["LEAK", "LEAK_CHECK", "leak_check"]

#: With an area under the ROC curve above this, or below 1 - this, a column is the label in disguise.
LEAK = 0.99

#: Fewer rows of a class than this say nothing about a column.
_FEWEST = 10

LEAK_CHECK = "single-feature leak"


def leak_check(label: str, sample: pa.Table, compared: Mapping[str, Kind], rows: int) -> Check:
    """The area under the ROC curve of each column alone, for a binary label, on a sample of the rows.

    A number ranks by itself, its missing values once below and once above all others; a category ranks by
    its share of positive rows, found in one half of the sample and judged in the other.
    """
    truth = _label(sample[label]) if label in sample.column_names else None
    if truth is None:
        return Check(LEAK_CHECK, True, f"Not looked for: '{label}' does not hold 0 and 1 in the holdout.")
    known = ~np.isnan(truth)
    outcome = truth[known] == 1.0
    if min(_classes(outcome)) < _FEWEST:
        return Check(LEAK_CHECK, True, f"Not looked for: fewer than {_FEWEST} rows of one class.")
    found = {}
    for name, kind in compared.items():
        area = _area_of_column(sample[name], kind, known, outcome)
        if area > LEAK:
            found[name] = area
    of = f"of {outcome.size:,} rows" if outcome.size == rows else f"in a sample of {outcome.size:,} rows"
    if not found:
        return Check(LEAK_CHECK, True, f"None of {len(compared):,} columns tells the label by itself, {of}.")
    areas = ", ".join(f"'{name}' ({area:.4f})" for name, area in found.items())
    return Check(
        LEAK_CHECK,
        False,
        f"The label can be told from one column alone: {areas}, by the area under the ROC curve {of}. It was "
        "most likely written after the outcome: train and score without it. If it is known when the "
        "prediction is made, leave it out of the columns that are compared.",
    )


def _label(column: pa.ChunkedArray) -> NDArray[np.float64] | None:
    """0 and 1, NaN where it is missing; None when it holds something else."""
    if kind_of(column.type) != "number" and not pa.types.is_boolean(column.type):
        return None
    values = numbers(column)
    return values if np.isin(values[~np.isnan(values)], [0.0, 1.0]).all() else None


def _classes(outcome: NDArray[np.bool_]) -> tuple[int, int]:
    positives = int(np.count_nonzero(outcome))
    return positives, outcome.size - positives


def _area_of_column(
    column: pa.ChunkedArray, kind: Kind, known: NDArray[np.bool_], outcome: NDArray[np.bool_]
) -> float:
    """How far the column's area is from telling nothing: the greater of the area and 1 - the area."""
    if kind == "category":
        code = codes(column)[0][known]
        return _area_of_shares(code, outcome)
    values = numbers(column)[known]
    missing = np.isnan(values)
    ranks = np.unique(values, return_inverse=True)[1].astype(np.int64) + 1
    areas = [_area(np.where(missing, 0, ranks), outcome)]
    if missing.any():
        areas.append(_area(np.where(missing, ranks.max() + 1, ranks), outcome))
    return max(max(area, 1 - area) for area in areas)


def _area_of_shares(code: NDArray[np.int64], outcome: NDArray[np.bool_]) -> float:
    halves = np.arange(code.size) % 2 == 0
    if min(*_classes(outcome[halves]), *_classes(outcome[~halves])) == 0:
        return 0.5
    size = int(code.max()) + 1
    rows = np.bincount(code[halves], minlength=size)
    positives = np.bincount(code[halves], weights=outcome[halves], minlength=size)
    # One row of the usual mix is added to each category, so that an unknown one counts as usual.
    shares = (positives + outcome.mean()) / (rows + 1)
    order = np.unique(shares, return_inverse=True)[1].astype(np.int64)
    return _area(order[code[~halves]], outcome[~halves])


def _area(ranks: NDArray[np.int64], outcome: NDArray[np.bool_]) -> float:
    """The area under the ROC curve of ranks from 0, ties counted half."""
    rows = np.bincount(ranks).astype(np.float64)
    positives = np.bincount(ranks, weights=outcome, minlength=rows.size)
    negatives = rows - positives
    below = np.cumsum(negatives) - negatives
    return float(positives @ (below + negatives / 2) / (positives.sum() * negatives.sum()))
