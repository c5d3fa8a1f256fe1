"""Reading logged traffic: which model answered a row, what came of it, and what the model had said.

Nothing is dropped and nothing is repaired: what is wrong with the rows is counted by arm.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import TypeAlias

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ame.gate import columns
from ame.gate.batches import Scores, open_batches
from ame.gate.config import MEAN, ABTest
from ame.gate.estimates import roles
from ame.gate.keys import Hashes
from ame.gate.split.units import Units
from ame.gate.table import Progress
from ame.gate.tally import MODELS, Tally

__all__ = ["ARMS", "SCORE", "Traffic", "TrafficRows", "TrafficTally", "needs_score"]

#: What the variant column says, in the order of the arms' numbers 0 and 1.
ARMS = MODELS

#: The column with the probability or the prediction that the answering model gave.
SCORE = "score"

#: How many different wrong variants are told apart.
_VARIANTS = 1000

Floats: TypeAlias = NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class TrafficRows:
    """Rows of logged traffic.

    Attributes:
        arm: int8, shape (n,): 0 for the champion, 1 for the challenger, -1 where the variant names neither.
        outcome: float64, shape (n,); NaN where it is missing.
        score: float64, shape (n,), NaN where it is missing; None when no metric needs it.
        unit: uint64 hashes of the entities, shape (n,), 0 where one is missing; None when rows are the units.
        slices: by column the int32 codes of its values, shape (n,).
    """

    arm: NDArray[np.int8]
    outcome: Floats
    score: Floats | None
    unit: Hashes | None
    slices: Mapping[str, NDArray[np.int32]]


@dataclass
class TrafficTally:
    """What was counted on the first pass; every pair is of the champion's arm and the challenger's.

    Attributes:
        common: what is counted of any table of scores: rows, wrong types, missing entities, slices, keys.
        by_arm: rows.
        ones: rows whose outcome is 1.
        variants_missing: rows whose variant is null.
        variants_other: text -> rows, for variants that name no arm.
        outcomes_missing: outcomes that are null or NaN.
        scores_missing: scores that are null or NaN.
        scores_other: scores that are no probability, or, in a regression, not finite.
        units: the entities; unused when rows are the units.
    """

    common: Tally = field(default_factory=Tally)
    by_arm: list[int] = field(default_factory=lambda: [0, 0])
    ones: list[int] = field(default_factory=lambda: [0, 0])
    variants_missing: int = 0
    variants_other: Counter[str] = field(default_factory=Counter)
    outcomes_missing: list[int] = field(default_factory=lambda: [0, 0])
    scores_missing: list[int] = field(default_factory=lambda: [0, 0])
    scores_other: list[int] = field(default_factory=lambda: [0, 0])
    units: Units = field(default_factory=Units)

    @property
    def rows(self) -> int:
        return self.common.rows

    @property
    def sound(self) -> bool:
        """Whether every value of every row so far can be used."""
        return self.common.sound and not (
            self.variants_missing
            or self.variants_other
            or sum(self.outcomes_missing)
            or sum(self.scores_missing)
            or sum(self.scores_other)
        )


def needs_score(config: ABTest) -> bool:
    """Whether any metric that is named reads the score."""
    return any(metric != MEAN for metric in roles(config))


class Traffic:
    """A table of logged traffic that can be read again and again.

    Attributes:
        tally: what the first pass counted.
        rows: how many rows there are, or None before that is known.

    Raises:
        Refused: AME-E504 when a file cannot be read, AME-E505 when a column is missing.
        TypeError: when `data` is none of the kinds of `Scores`.
    """

    def __init__(self, config: ABTest, data: Scores) -> None:
        self.config = config
        self.tally = TrafficTally()
        self.tally.common.slice_values = {column: [] for column in config.slices}
        wanted = [config.variant, config.label, *config.slices]
        wanted += [column for column in (config.entity, config.row) if column is not None]
        types = dict.fromkeys((*config.slices, config.variant), pa.string())
        if needs_score(config):
            wanted.append(SCORE)
            types[SCORE] = pa.float64()
        if config.task == "regression":
            types[config.label] = pa.float64()
        self._batches = open_batches(data, wanted, csv_types=types)
        self.rows = self._batches.rows

    @property
    def values(self) -> Mapping[str, list[str]]:
        """By slice column its values as text, in the order of their codes."""
        return self.tally.common.slice_values

    def first_pass(self, progress: Progress | None = None) -> Iterator[TrafficRows]:
        """The rows, batch by batch, counting what is wrong with them."""
        for batch in self._batches:
            if batch.num_rows == 0:
                continue
            rows = self._read(batch, self.tally.common)
            self._count(batch, rows)
            if progress is not None and self.rows:
                progress("reading the traffic", 0.5 * min(1.0, self.tally.rows / self.rows))
            yield rows
        self.rows = self.tally.rows

    def batches(self) -> Iterator[TrafficRows]:
        """The rows once more."""
        for batch in self._batches:
            if batch.num_rows:
                yield self._read(batch, Tally(slice_values=self.tally.common.slice_values))

    def _read(self, batch: pa.RecordBatch, tally: Tally) -> TrafficRows:
        config = self.config
        tally.rows += batch.num_rows
        entity = config.entity
        return TrafficRows(
            arm=self._arm(batch.column(config.variant), tally),
            outcome=columns.numbers(config.label, batch.column(config.label), tally),
            score=columns.numbers(SCORE, batch.column(SCORE), tally) if needs_score(config) else None,
            unit=None if entity is None else columns.keys(entity, batch.column(entity), tally),
            slices={name: columns.slice_codes(name, batch.column(name), tally) for name in config.slices},
        )

    def _arm(self, column: pa.Array, tally: Tally) -> NDArray[np.int8]:
        try:
            places, texts = columns.text_values(column)
        except (pa.ArrowException, TypeError):
            tally.wrong_types[self.config.variant] = str(column.type)
            return np.full(len(column), -1, dtype=np.int8)
        numbers = np.array([ARMS.index(text) if text in ARMS else -1 for text in texts], dtype=np.int8)
        arms: NDArray[np.int8] = numbers[places]
        return arms

    def _count(self, batch: pa.RecordBatch, rows: TrafficRows) -> None:
        config, tally, binary = self.config, self.tally, self.config.task == "binary"
        _add(tally.by_arm, rows.arm)
        _add(tally.ones, rows.arm, rows.outcome == 1.0)
        if (rows.arm < 0).any() and config.variant not in tally.common.wrong_types:
            self._count_variants(batch.column(config.variant))
        if config.label not in tally.common.wrong_types:
            missing = np.isnan(rows.outcome)
            _add(tally.outcomes_missing, rows.arm, missing)
            valid = (rows.outcome == 0.0) | (rows.outcome == 1.0) if binary else np.isfinite(rows.outcome)
            others = rows.outcome[~(valid | missing)]
            if others.size:
                tally.common.note_other(others.size, np.unique(others)[:3].tolist())
        if rows.score is not None and SCORE not in tally.common.wrong_types:
            absent = np.isnan(rows.score)
            _add(tally.scores_missing, rows.arm, absent)
            within = (rows.score >= 0.0) & (rows.score <= 1.0) if binary else np.isfinite(rows.score)
            _add(tally.scores_other, rows.arm, ~(within | absent))
        if rows.unit is not None:
            tally.common.entities_missing += int(np.count_nonzero(rows.unit == 0))
            known = rows.arm >= 0
            tally.units.add(rows.unit[known], rows.arm[known] == 1)
        self._count_keys(batch, rows)

    def _count_keys(self, batch: pa.RecordBatch, rows: TrafficRows) -> None:
        common = self.tally.common
        if self.config.row is not None:
            keys = columns.keys(self.config.row, batch.column(self.config.row), common)
            common.keys_missing += int(np.count_nonzero(keys == 0))
            common.repeats.add(keys)
            common.sketch.add(keys)
        elif rows.unit is not None:
            common.sketch.add(rows.unit)

    def _count_variants(self, column: pa.Array) -> None:
        places, texts = columns.text_values(column)
        counts = np.bincount(places, minlength=len(texts)).tolist()
        others = self.tally.variants_other
        for text, count in zip(texts, counts, strict=True):
            if text == columns.MISSING:
                self.tally.variants_missing += count
            elif text not in ARMS and (text in others or len(others) < _VARIANTS):
                others[text] += count


def _add(counts: list[int], arm: NDArray[np.int8], where: NDArray[np.bool_] | None = None) -> None:
    for number in range(len(counts)):
        rows = arm == number
        counts[number] += int(np.count_nonzero(rows if where is None else rows & where))
