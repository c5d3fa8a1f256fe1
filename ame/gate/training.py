"""Has the holdout been seen, and is it like the rows that the training has learned from?

A model knows the rows that it was trained on, so a holdout that shares rows with the training, or that is
not newer than it, says nothing about rows to come.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ame.gate.config import ABTest
from ame.gate.drift import drift_of, kinds
from ame.gate.keys import combine64, hash64, is_plain
from ame.gate.leakage import LEAK_CHECK, leak_check
from ame.gate.result import Check, Drift
from ame.gate.rows import LabelledRows, Rows, kind_of, open_rows
from ame.gate.times import NEWER, newer_check

__all__ = ["CHECKS", "TrainingComparison", "compare_with_training"]

_SCORES = ("champion", "challenger")

#: Equal rows are the same row when at least this share of rows has no equal.
_TOLD_APART = 0.99

#: Hashes that are gathered before equal ones are counted as one.
_GATHERED = 1 << 22

_EMPTY = "training rows"
_SEEN = "rows not seen in training"
_KNOWN = "entities in training"
_COLUMNS = "columns of the training"
_DRIFT = "drift"

#: The names of the checks that `compare_with_training` makes, so that they are found among others.
CHECKS = frozenset({_EMPTY, NEWER, _SEEN, _KNOWN, LEAK_CHECK, _COLUMNS, _DRIFT})


@dataclass(frozen=True, slots=True)
class TrainingComparison:
    """The holdout against the training rows.

    Attributes:
        checks: in order; they join the checks of the data.
        drift: of each column that both have.
    """

    checks: tuple[Check, ...]
    drift: tuple[Drift, ...]


def compare_with_training(
    config: ABTest, holdout: Rows, training: Rows, *, columns: Sequence[str] | None = None
) -> TrainingComparison:
    """Look for rows that the training has seen, for columns that tell the label, and for drift.

    `columns` are those that the models read; by default all columns of the holdout but the scores, the row,
    the entity, the time and, of a split test, the variant. Memory holds about 32 bytes for each row of the
    smaller side or entity of the holdout, and samples of at most `ame.gate.rows.SAMPLE` rows of each side.

    Raises:
        Refused: AME-E540 when one side cannot be read.
    """
    here, there = open_rows(holdout, "the holdout"), open_rows(training, "the training")
    rows = here.count(), there.count()
    if not all(rows):
        empty = here.name if not rows[0] else there.name
        return TrainingComparison((Check(_EMPTY, False, f"There is no row in {empty}.", blocks=False),), ())
    checks = []
    if config.time is not None:
        checks.append(newer_check(config.time, here, there))
    checks.append(_seen_check(config, here, there, rows))
    if config.entity is not None:
        checks.append(_entities_check(config.entity, here, there))
    aside = {*_SCORES, config.row, config.entity, config.time}
    if config.design == "split":
        aside |= {config.variant, "score"}
    named = [name for name in here.schema.names if name not in aside] if columns is None else list(columns)
    leaking = {
        name: kind
        for name in named
        if name in here.schema.names and name != config.label
        for kind in [kind_of(here.schema.field(name).type)]
        if kind in {"number", "category"}
    }
    comparable = kinds(here, there, named)
    label = [config.label] if config.label in here.schema.names else []
    sample = here.sample([*dict.fromkeys((*leaking, *comparable, *label))])
    if config.task == "binary":
        checks.append(leak_check(config.label, sample, leaking, rows[0]))
    drifts = drift_of(sample, there.sample(list(comparable), seed=1), comparable)
    checks.append(_columns_check(here, there, named, given=columns is not None))
    checks.append(_drift_check(drifts))
    return TrainingComparison(tuple(checks), drifts)


def _seen_check(config: ABTest, here: LabelledRows, there: LabelledRows, rows: tuple[int, int]) -> Check:
    key = config.row
    if key is not None and _shared([key], here, there):
        names, told_by = [key], f"by '{key}'"
    else:
        aside = {*_SCORES, key}
        names = [name for name in here.schema.names if name not in aside]
        names = _shared(names, here, there)
        told_by = f"in all {len(names):,} columns that both have"
        key = None
    if not names:
        return Check(
            _SEEN,
            False,
            "Nobody knows: the holdout and the training have no column in common. Name the column that tells "
            "rows apart, and write it with both.",
            blocks=False,
        )
    found, distinct = _found(names, here, there, rows)
    counts = f"{found:,} of {rows[0]:,} rows of the holdout are in the training, {told_by}"
    if found <= config.max_overlap * rows[0]:
        return Check(_SEEN, True, f"{counts}.")
    allowed = f"at most {100 * config.max_overlap:g} % may be"
    if key is None and distinct < _TOLD_APART:
        return Check(
            _SEEN,
            False,
            f"{counts}; {allowed}. But only {100 * distinct:.1f} % of rows differ from all others there, so "
            "they may be other rows with the same values. Name the column that tells rows apart.",
            blocks=False,
        )
    return Check(
        _SEEN,
        False,
        f"{counts}; {allowed}. A model knows the rows that it has learned from: take them out of the "
        "holdout, or train again without them.",
    )


def _entities_check(entity: str, here: LabelledRows, there: LabelledRows) -> Check:
    name = _KNOWN
    if not _shared([entity], here, there):
        return Check(name, True, f"Not counted: '{entity}' is not a column of both.", blocks=False)
    entities, _ = _distinct(_hashes([entity], here, there))
    known = int(np.count_nonzero(_seen(entities, _hashes([entity], there, here))))
    share = 100 * known / max(1, entities.size)
    return Check(
        name,
        True,
        f"The training knows {known:,} of {entities.size:,} entities in '{entity}' ({share:.1f} %). The "
        "result holds for such a mix of old and new ones.",
        blocks=False,
    )


def _columns_check(here: LabelledRows, there: LabelledRows, named: Sequence[str], *, given: bool) -> Check:
    said = []
    for name in dict.fromkeys(named):
        types = [_type_of(name, side) for side in (here, there)]
        absent = [side.name for side, found in zip((here, there), types, strict=True) if found is None]
        if absent and given:
            said.append(f"'{name}' is no column of {' or of '.join(absent)}")
        elif not absent and kind_of(types[0]) != kind_of(types[1]):
            said.append(f"'{name}' is {types[0]} in the holdout and {types[1]} in the training")
    detail = f"Not compared: {'; '.join(said)}." if said else "Columns that are compared have the same types."
    return Check(_COLUMNS, not said, detail, blocks=False)


def _drift_check(drifts: Sequence[Drift]) -> Check:
    found = sorted((each for each in drifts if each.drifted), key=lambda each: -each.psi)
    if not drifts:
        return Check(_DRIFT, True, "Not looked for: no column can be compared.", blocks=False)
    if not found:
        return Check(
            _DRIFT, True, f"None of {len(drifts):,} columns has shifted by what matters.", blocks=False
        )
    named = ", ".join(f"'{each.column}' (PSI {each.psi:.2f})" for each in found)
    return Check(
        _DRIFT,
        False,
        f"{len(found):,} of {len(drifts):,} columns are not as they were in the training: {named}. Find out "
        "whether the rows to come are like the holdout.",
        blocks=False,
    )


def _type_of(name: str, side: LabelledRows) -> pa.DataType | None:
    return side.schema.field(name).type if name in side.schema.names else None


def _shared(names: Sequence[str], here: LabelledRows, there: LabelledRows) -> list[str]:
    """Those that both sides have, with values that can be held against each other."""
    found = []
    for name in names:
        types = _type_of(name, here), _type_of(name, there)
        if all(kind is not None and is_plain(kind) for kind in types) and _as_one(*types) is not False:
            found.append(name)
    return found


def _as_one(one: pa.DataType, other: pa.DataType) -> pa.DataType | bool | None:
    """The type as which both are hashed; None as they are, False when they cannot be compared."""
    one, other = (kind.value_type if pa.types.is_dictionary(kind) else kind for kind in (one, other))
    if one == other:
        return None
    truths = [pa.types.is_boolean(kind) for kind in (one, other)]
    found = {"number" if truth else kind_of(kind) for truth, kind in zip(truths, (one, other), strict=True)}
    if found == {"number"}:
        # A float32 that was widened is no longer the float64 that it was made of.
        if any(pa.types.is_float16(kind) or pa.types.is_float32(kind) for kind in (one, other)):
            return pa.float32()
        return pa.float64() if any(pa.types.is_decimal(kind) for kind in (one, other)) else None
    if found == {"number", "category"}:
        return pa.string() if pa.types.is_integer(one) or pa.types.is_integer(other) else False
    return None if len(found) == 1 and None not in found else False


def _hashes(names: Sequence[str], side: LabelledRows, other: LabelledRows) -> Iterator[NDArray[np.uint64]]:
    """One hash a row; 0 where the only column is missing."""
    types = {name: _as_one(_type_of(name, side), _type_of(name, other)) for name in names}
    for batch in side.batches(names):
        each = []
        for name in names:
            column = batch.column(name)
            if isinstance(types[name], pa.DataType):
                if pa.types.is_dictionary(column.type):
                    column = column.dictionary_decode()
                column = column.cast(types[name], safe=False)
            each.append(hash64(column))
        yield each[0] if len(names) == 1 else combine64(each)


def _found(
    names: Sequence[str], here: LabelledRows, there: LabelledRows, rows: tuple[int, int]
) -> tuple[int, float]:
    """Rows of the holdout that the training has, and the share of different rows on the smaller side."""
    if rows[0] <= rows[1]:
        hashes, counts = _distinct(_hashes(names, here, there))
        found = int(counts[_seen(hashes, _hashes(names, there, here))].sum())
    else:
        hashes, counts = _distinct(_hashes(names, there, here))
        found = sum(int(_places(hashes, part)[1].sum()) for part in _hashes(names, here, there))
    return found, hashes.size / max(1, int(counts.sum()))


def _distinct(parts: Iterable[NDArray[np.uint64]]) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    """The different hashes in ascending order without 0, and how many rows have each."""
    hashes, counts = np.empty(0, dtype=np.uint64), np.empty(0, dtype=np.int64)
    waiting: list[NDArray[np.uint64]] = []
    for part in parts:
        waiting.append(part[part != 0])
        if sum(each.size for each in waiting) >= max(_GATHERED, hashes.size):
            hashes, counts = _merged(hashes, counts, waiting)
            waiting = []
    return _merged(hashes, counts, waiting)


def _merged(
    hashes: NDArray[np.uint64], counts: NDArray[np.int64], waiting: Sequence[NDArray[np.uint64]]
) -> tuple[NDArray[np.uint64], NDArray[np.int64]]:
    if not waiting:
        return hashes, counts
    fresh, times = np.unique(np.concatenate(waiting), return_counts=True)
    if not hashes.size:
        return fresh, times.astype(np.int64)
    both, place = np.unique(np.concatenate([hashes, fresh]), return_inverse=True)
    total = np.zeros(both.size, dtype=np.int64)
    total[place[: hashes.size]] = counts
    total[place[hashes.size :]] += times
    return both, total


def _seen(hashes: NDArray[np.uint64], parts: Iterable[NDArray[np.uint64]]) -> NDArray[np.bool_]:
    """Which of the ascending hashes occur in any of the parts."""
    seen = np.zeros(hashes.size, dtype=bool)
    for part in parts:
        places, equal = _places(hashes, part)
        seen[places[equal]] = True
    return seen


def _places(
    hashes: NDArray[np.uint64], part: NDArray[np.uint64]
) -> tuple[NDArray[np.intp], NDArray[np.bool_]]:
    """Where each of the part's hashes would stand, in ascending order of them, and whether it is there."""
    ordered = np.sort(part)  # neighbours are then looked up in neighbouring memory
    if not hashes.size:
        return np.zeros(part.size, dtype=np.intp), np.zeros(part.size, dtype=bool)
    places = np.minimum(np.searchsorted(hashes, ordered), hashes.size - 1)
    return places, hashes[places] == ordered
