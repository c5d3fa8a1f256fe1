"""Do the holdout's rows come from where the training's came from? Each column against itself.

With many rows any shift is significant, so a column has drifted only when its test says so after Holm's
correction over all columns, and when its population stability index is above what it is by chance by
`PSI_MATTERS`: a shift of .02 standard deviations in 200,000 rows is shown and does not matter.

Every number is of at most `ame.gate.rows.SAMPLE` rows of each side, drawn without replacement; `Drift.rows`
says how many. The tests take rows to be independent; where they are not, the floor is what protects from
alarms.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from scipy.special import chdtrc, kolmogorov

from ame.gate.inference import holm
from ame.gate.result import Drift
from ame.gate.rows import Kind, LabelledRows, Rows, kind_of, open_rows

__all__ = ["LEVEL", "PSI_MATTERS", "codes", "drift", "drift_of", "kinds", "numbers"]

#: How far the population stability index must be above its floor to matter.
PSI_MATTERS = 0.1

#: The probability of an alarm in any column when nothing has shifted.
LEVEL = 0.05

#: Quantile bins of the training rows.
BINS = 10

#: The most categories that are told apart; the others are one.
CATEGORIES = 50

#: Fewer rows than this on one side, in the mean of a bin, are not enough for the chi-squared distribution.
_FEWEST = 5


@dataclass(frozen=True, slots=True)
class _Test:
    """A two-sample test: its statistic and p-value."""

    statistic: float
    p_value: float


def drift(holdout: Rows, training: Rows, columns: Sequence[str]) -> tuple[Drift, ...]:
    """Each of the columns that both sides have as numbers or as categories, in this order.

    Columns that one side lacks, that are of different kinds, or that have fewer than 20 rows on one side are
    left out; `kinds` tells which columns can be compared.

    Raises:
        Refused: AME-E540 when one side cannot be read.
    """
    sides = open_rows(holdout, "the holdout"), open_rows(training, "the training")
    comparable = kinds(*sides, columns)
    names = list(comparable)
    return drift_of(sides[0].sample(names), sides[1].sample(names, seed=1), comparable)


def kinds(holdout: LabelledRows, training: LabelledRows, columns: Sequence[str]) -> dict[str, Kind]:
    """Of these columns, those that can be compared, and how; times are not, as the holdout is newer."""
    found: dict[str, Kind] = {}
    for name in dict.fromkeys(columns):
        if name in holdout.schema.names and name in training.schema.names:
            here, there = (kind_of(side.schema.field(name).type) for side in (holdout, training))
            if here == there and here in {"number", "category"}:
                found[name] = here
    return found


def drift_of(holdout: pa.Table, training: pa.Table, comparable: Mapping[str, Kind]) -> tuple[Drift, ...]:
    """Each column of two tables, with Holm's correction over all of them.

    The p-value of a number is that of Kolmogorov and Smirnov's test, asymptotic (conservative with ties and
    with few rows); of a category that of chi-squared. Where a number has missing values it is twice the
    smaller of that and of the chi-squared test of their shares.
    """
    if min(holdout.num_rows, training.num_rows) < 4 * _FEWEST:
        return ()
    found = [
        _number(name, holdout[name], training[name])
        if kind == "number"
        else _category(name, holdout[name], training[name])
        for name, kind in comparable.items()
    ]
    adjusted = holm([each.p_value for each in found])
    return tuple(
        replace(
            each,
            adjusted_p_value=p_value,
            drifted=p_value < LEVEL and each.psi - each.psi_floor > PSI_MATTERS,
        )
        for each, p_value in zip(found, adjusted, strict=True)
    )


def numbers(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """The values as float64, shape (n,), NaN for those that are missing."""
    values: NDArray[np.float64] = _plain(column).cast(pa.float64(), safe=False).to_numpy()
    return values


def _plain(column: pa.ChunkedArray) -> pa.ChunkedArray:
    return column.cast(column.type.value_type) if pa.types.is_dictionary(column.type) else column


def _number(name: str, holdout: pa.ChunkedArray, training: pa.ChunkedArray) -> Drift:
    here, there = numbers(holdout), numbers(training)
    missing = [int(np.count_nonzero(np.isnan(side))) for side in (here, there)]
    known = np.sort(here[~np.isnan(here)]), np.sort(there[~np.isnan(there)])
    # A share of missing values is a bin of its own, at the end.
    counts = np.column_stack([_binned(*known), missing]).astype(np.float64)
    counts = _without_empty(counts)
    test = _kolmogorov_smirnov(*known)
    if any(missing):
        shares = np.array([missing, [known[0].size, known[1].size]], dtype=np.float64).T
        absent = _chi_squared(_common(shares))
        test = _Test(test.statistic, min(1.0, 2 * min(test.p_value, absent.p_value)))
    return _drift(name, "number", (here.size, there.size), counts, test)


def codes(column: pa.ChunkedArray) -> tuple[NDArray[np.int64], int]:
    """A code for each value, shape (n,), and how many values there are; missing values have the last code."""
    encoded = _plain(column).cast(pa.string()).combine_chunks().dictionary_encode()
    size = len(encoded.dictionary)
    code = encoded.indices.fill_null(size).to_numpy(zero_copy_only=False).astype(np.int64)
    return code, size + 1


def _category(name: str, holdout: pa.ChunkedArray, training: pa.ChunkedArray) -> Drift:
    both = [_plain(side).cast(pa.string()) for side in (holdout, training)]
    code, size = codes(pa.chunked_array([*both[0].chunks, *both[1].chunks], pa.string()))
    cut = len(holdout)
    each = [np.bincount(part, minlength=size) for part in (code[:cut], code[cut:])]
    counts = _common(_without_empty(np.array(each, dtype=np.float64)))
    return _drift(name, "category", (cut, code.size - cut), counts, _chi_squared(counts))


def _drift(name: str, kind: Kind, rows: tuple[int, int], counts: NDArray[np.float64], test: _Test) -> Drift:
    """The population stability index sum (p - q) ln(p / q) and its law without a shift.

    Half a row is added to each count, so that an empty bin has a finite logarithm.
    """
    df = counts.shape[1] - 1
    shares = (counts + 0.5) / (counts.sum(axis=1, keepdims=True) + 0.5 * counts.shape[1])
    psi = float(((shares[0] - shares[1]) * np.log(shares[0] / shares[1])).sum())
    unit = 1 / rows[0] + 1 / rows[1]
    return Drift(
        column=name,
        kind="number" if kind == "number" else "category",
        rows=rows,
        psi=psi,
        psi_floor=df * unit,
        psi_p_value=float(chdtrc(df, psi / unit)) if df else 1.0,
        statistic=test.statistic,
        p_value=test.p_value,
        adjusted_p_value=test.p_value,
        drifted=False,
    )


def _binned(holdout: NDArray[np.float64], training: NDArray[np.float64]) -> NDArray[np.float64]:
    """Rows of both sides in bins between the deciles of the training rows, shape (2, bins).

    A decile that many rows share is a bin of its own, so that a column with one value has bins below and
    above it; a bin with too few rows joins the next one.
    """
    if not training.size:
        return np.array([[holdout.size], [0]], dtype=np.float64)
    at = np.unique(training[(np.arange(1, BINS) * training.size) // BINS])
    counts = np.stack([_between(holdout, at), _between(training, at)])
    enough = _needed(np.array([holdout.size, training.size]))
    bins: list[NDArray[np.float64]] = []
    for column in counts.T:
        if bins and bins[-1].sum() < enough:
            bins[-1] = bins[-1] + column
        else:
            bins.append(column)
    if len(bins) > 1 and bins[-1].sum() < enough:
        last = bins.pop()
        bins[-1] = bins[-1] + last
    return np.column_stack(bins)


def _between(values: NDArray[np.float64], at: NDArray[np.float64]) -> NDArray[np.float64]:
    """Of sorted values, how many are below, at, between and above the points."""
    ends = np.column_stack([np.searchsorted(values, at, "left"), np.searchsorted(values, at, "right")])
    return np.diff(np.concatenate([[0], ends.ravel(), [values.size]])).astype(np.float64)


def _needed(rows: NDArray[np.generic]) -> float:
    """Rows of both sides of which the smaller side has five when nothing has shifted."""
    fewer = float(rows.min())
    return _FEWEST * float(rows.sum()) / fewer if fewer else math.inf


def _without_empty(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    return counts[:, counts.sum(axis=0) > 0]


def _common(counts: NDArray[np.float64]) -> NDArray[np.float64]:
    """The most frequent categories of both sides together, and one of all others.

    Which are kept depends on the sum of both sides only, so that the test keeps its level.
    """
    together = counts.sum(axis=0)
    needed = _needed(counts.sum(axis=1))
    order = np.argsort(-together, kind="stable")
    kept = counts[:, [each for each in order[:CATEGORIES] if together[each] >= needed]]
    rest = counts.sum(axis=1) - kept.sum(axis=1)
    if rest.sum() >= needed or not kept.size:
        return np.column_stack([kept, rest])
    kept[:, -1] += rest
    return kept


def _chi_squared(counts: NDArray[np.float64]) -> _Test:
    """Pearson's test of two rows of counts; its statistic is Cramer's V = sqrt(chi^2 / n)."""
    df = counts.shape[1] - 1
    total = counts.sum()
    expected = counts.sum(axis=1, keepdims=True) * counts.sum(axis=0) / total
    if df < 1 or not expected.all():
        return _Test(0.0, 1.0)
    statistic = float(((counts - expected) ** 2 / expected).sum())
    return _Test(math.sqrt(statistic / float(total)), float(chdtrc(df, statistic)))


def _kolmogorov_smirnov(holdout: NDArray[np.float64], training: NDArray[np.float64]) -> _Test:
    """D of two sorted samples and its asymptotic p-value, K(sqrt(n m / (n + m)) D)."""
    n, m = holdout.size, training.size
    if not n or not m:
        return _Test(0.0, 1.0)
    values = np.concatenate([holdout, training])
    below = [np.searchsorted(side, values, "right") / side.size for side in (holdout, training)]
    distance = float(np.abs(below[0] - below[1]).max())
    return _Test(distance, float(kolmogorov(math.sqrt(n * m / (n + m)) * distance)))
