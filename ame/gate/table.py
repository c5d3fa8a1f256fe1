"""Reading a table of scores: only the columns that the test needs, batch by batch, into numpy.

Nothing is dropped and nothing is repaired. What is wrong with the rows is counted in a `Tally`, from
which `ame.gate.checks` makes sentences; only a table that cannot be read at all is refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from typing import Any, TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ame.gate import columns
from ame.gate.batches import Batches, Scores, open_batches
from ame.gate.config import ABTest
from ame.gate.keys import Hashes, combine64
from ame.gate.tally import MODELS, Tally

__all__ = [
    "MODELS",
    "Progress",
    "ScoredRows",
    "Scores",
    "Source",
    "Tally",
    "empty_tally",
    "open_scores",
    "read_again",
    "read_and_count",
]

#: Called with what is being done and the share of the whole test that is done, from 0 to 1.
Progress: TypeAlias = Callable[[str, float], None]

Labels: TypeAlias = "NDArray[np.bool_] | NDArray[np.int32] | NDArray[np.float64]"

#: By how much a row's probabilities may miss 1.
_SUM_TOLERANCE = 1e-6


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRows:
    """Some rows of a test.

    Attributes:
        label: shape (n,): bool in a binary test, int32 class codes in a multiclass one, float64 in a
            regression.
        champion: float64, shape (n,): the champion's probabilities of the positive class or its
            predictions; shape (n, classes) in a multiclass test.
        challenger: the challenger's, of the same shape.
        entity: uint64 hashes, shape (n,), or None without an entity column.
        slices: column -> int32 codes, shape (n,); `Source.slice_values` has their texts.
    """

    label: Labels
    champion: NDArray[np.float64]
    challenger: NDArray[np.float64]
    entity: Hashes | None = None
    slices: Mapping[str, NDArray[np.int32]] = field(default_factory=dict)


class Source:
    """The rows of a test, to be read as often as it takes.

    Attributes:
        data: the record batches that the rows come from.
        rows: how many there are; None when that is known only after the first pass.
        tally: what the first pass counted. When its `sound` is false the arrays of that batch and of later
            ones hold values that mean nothing, and only the counting goes on.
    """

    def __init__(self, config: ABTest, batches: Batches) -> None:
        self._config = config
        self._counted = False
        self.data = batches
        self.rows = batches.rows
        self.tally = empty_tally(config)

    @property
    def slice_values(self) -> Mapping[str, list[str]]:
        """Slice column -> the texts of its codes, as far as they have been seen."""
        return self.tally.slice_values

    @property
    def classes(self) -> int:
        """Probabilities in a row of multiclass scores, once a batch was read; 0 in other tasks."""
        return self.tally.classes

    def batches(self) -> Iterator[ScoredRows]:
        """All rows in their order, at most `BATCH_ROWS` at a time; each call begins anew.

        The first pass that comes to its end fills the tally.

        Raises:
            Refused: AME-E504 when a file breaks while it is read.
        """
        if self._counted:
            yield from read_again(self._config, self.data, self.slice_values)
            return
        self.tally = empty_tally(self._config)
        yield from read_and_count(self._config, self.data, self.tally)
        self.counted(self.tally)

    def counted(self, tally: Tally) -> None:
        """All rows have been read, and this was counted."""
        self.tally = tally
        self._counted = True
        self.rows = tally.rows

    def replaced(self, batches: Batches) -> None:
        """The same rows can be read from here."""
        self.data = batches
        self.rows = batches.rows


def open_scores(config: ABTest, data: Scores) -> Source:
    """Open what holds the rows of a paired test: a file, a folder of files, or Arrow data.

    It must have the columns `config.label`, `champion` and `challenger`, and those that `config.entity`,
    `row`, `time` and `slices` name.

    Raises:
        Refused: AME-E504 when a file cannot be read, AME-E505 when a column is missing.
        TypeError: when `data` is none of the kinds of `Scores`.
    """
    named = [each for each in (config.entity, config.row, config.time) if each is not None]
    types = {**dict.fromkeys(config.slices, pa.string()), **dict.fromkeys(MODELS, pa.float64())}
    if config.task == "multiclass":
        types = dict.fromkeys(config.slices, pa.string())
    elif config.task == "regression":
        types[config.label] = pa.float64()
    wanted = [config.label, *MODELS, *named, *config.slices]
    return Source(config, open_batches(data, wanted, csv_types=types, coded=config.slices))


def empty_tally(config: ABTest) -> Tally:
    """The tally of no rows yet."""
    return Tally(
        slice_values={name: [] for name in config.slices}, time_column=config.time or Tally().time_column
    )


def read_and_count(config: ABTest, batches: Iterable[pa.RecordBatch], tally: Tally) -> Iterator[ScoredRows]:
    """The rows of the batches that have any; the tally counts them before they come."""
    for batch in batches:
        if batch.num_rows:
            yield _read(config, batch, tally, count=True)


def read_again(
    config: ABTest, batches: Iterable[pa.RecordBatch], slice_values: Mapping[str, list[str]]
) -> Iterator[ScoredRows]:
    """The rows of the batches that have any, once more: nothing is counted, and slices have known codes."""
    for batch in batches:
        if batch.num_rows:
            yield _read(config, batch, Tally(slice_values=dict(slice_values)), count=False)


def _read(config: ABTest, batch: pa.RecordBatch, tally: Tally, *, count: bool) -> ScoredRows:
    tally.rows += batch.num_rows
    champion, challenger = _scores(config, batch, tally, count=count)
    entity = None
    if config.entity is not None:
        entity = columns.keys(config.entity, batch.column(config.entity), tally)
        tally.entities_missing += int(np.count_nonzero(entity == 0))
    if config.row is not None and count:
        keys = columns.keys(config.row, batch.column(config.row), tally)
        tally.keys_missing += int(np.count_nonzero(keys == 0))
        tally.sketch.add(keys)
        tally.repeats.add(keys)
    if config.time is not None and count:
        columns.note_times(config.time, batch.column(config.time), tally)
    label = _label(config, batch.column(config.label), tally)
    if config.row is None and count:
        known = [_bits(champion), _bits(challenger), _bits(label)]
        tally.repeats.add(combine64(known if entity is None else [*known, entity]))
        tally.answers.add(combine64(known[:1]))
    return ScoredRows(
        label=label,
        champion=champion,
        challenger=challenger,
        entity=entity,
        slices={name: columns.slice_codes(name, batch.column(name), tally) for name in config.slices},
    )


def _bits(values: NDArray[Any]) -> NDArray[np.uint64]:
    """The same 64 bits for equal numbers, or rows of numbers."""
    if values.ndim == 2:
        return combine64([_bits(column) for column in values.T])
    return (values.astype(np.float64) + 0.0).view(np.uint64)  # -0.0 + 0.0 is 0.0


def _label(config: ABTest, column: pa.Array, tally: Tally) -> Labels:
    if config.task == "binary":
        return columns.binary_labels(config.label, column, tally)
    if config.task == "regression":
        return columns.outcomes(config.label, column, tally)
    return columns.class_codes(config.label, column, config.classes, tally)


def _scores(
    config: ABTest, batch: pa.RecordBatch, tally: Tally, *, count: bool
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Both models' scores of one batch, NaN where a score is missing."""
    read = columns.probability_rows if config.task == "multiclass" else columns.numbers
    both = {model: read(model, batch.column(model), tally) for model in MODELS}
    champion, challenger = (both[model] for model in MODELS)
    if not count:
        return champion, challenger
    absent = {model: _without_answer(values) for model, values in both.items()}
    if not tally.wrong_types and len(tally.lengths) <= 1:
        for model, missing in absent.items():
            tally.unanswered[model] += int(np.count_nonzero(missing))
            if missing.any():
                nulls = batch.column(model).null_count
                tally.not_a_number += int(np.count_nonzero(missing)) - nulls
        tally.answered_by_one += int(np.count_nonzero(absent["champion"] != absent["challenger"]))
    for model, values in both.items():
        _note_range(config, model, values, tally)
    tally.same = tally.same and np.array_equal(champion, challenger)
    return champion, challenger


def _without_answer(values: NDArray[np.float64]) -> NDArray[np.bool_]:
    missing = np.isnan(values)
    return missing if missing.ndim == 1 else np.asarray(missing.any(axis=1))


def _note_range(config: ABTest, model: str, values: NDArray[np.float64], tally: Tally) -> None:
    """Whether the scores are what they must be, and between which bounds they lie."""
    least, greatest = np.fmin.reduce(values, axis=0), np.fmax.reduce(values, axis=0)
    if config.task == "regression":
        if least < -columns.LARGEST or greatest > columns.LARGEST:
            tally.out_of_range[model] += int(np.count_nonzero(np.abs(values) > columns.LARGEST))
    elif np.any(least < 0.0) or np.any(greatest > 1.0):
        outside = (values < 0.0) | (values > 1.0)
        tally.out_of_range[model] += int(np.count_nonzero(outside if outside.ndim == 1 else outside.any(1)))
    if values.ndim == 2:
        off = np.abs(values.sum(axis=1) - 1.0) > _SUM_TOLERANCE
        tally.not_summing[model] += int(np.count_nonzero(off))
    tally.note_bounds(model, least, greatest)
