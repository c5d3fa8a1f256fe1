"""Rows that are too many to keep: two readings, and arrays whose size does not depend on their number.

The first reading fills the histograms of the scores' bins, the second looks up what each row's bin means.
A `Reader` is made from the first rows alone. Copies of it may each read a part of the rows and be merged: all
they add up are arrays of counts and sums, and so the same whichever part which copy has read.
Entities are put into buckets by their hash, whole entities in one bucket, so that sums by bucket have the
same variance (random groups: Wolter 2007; Chamandy et al. 2012 for data of this kind).
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ame.gate.config import ABTest
from ame.gate.engines.coding import MIN_BITS, Coder, random_group
from ame.gate.engines.shapes import Residuals, Shapes
from ame.gate.engines.strata import GROUPS, Strata, metric_names, rankings, summary_of
from ame.gate.metrics import Cut, Indices, Mixed, Part
from ame.gate.summary import Summary
from ame.gate.table import Progress, ScoredRows, Source

__all__ = ["PILOT", "Reader", "measure_binned"]

#: So many rows at the beginning tell where the scores are, however they come in batches.
PILOT = 1 << 16

_BITS = 20  # of the bins of one model, for all rows
_SLICE_BITS = 20  # of the bins of one model in all strata of all slice columns together
_FEWEST_STRATA = 16
_MOST_STRATA = 1024
_KEPT_RANKINGS = 8  # with more classes the bins of a batch are computed again when they are needed again


def measure_binned(
    config: ABTest,
    source: Source,
    kept: list[ScoredRows],
    more: Iterator[ScoredRows],
    progress: Progress,
    *,
    pictures: bool = True,
) -> Summary | None:
    """The summary of the rows in `kept`, which is emptied, and in `more`, read to its end.

    `kept` holds at least `PILOT` rows. None when rows turn out not to be usable.
    """
    reader = Reader(config, kept, pictures=pictures)
    while kept:
        reader.add(kept.pop(0))
    for batch in more:
        if not reader.add(batch):
            for _ in more:
                """Read on, as all rows are to be counted."""
            return None
        if source.rows:
            progress("reading the scores", 0.5 * min(1.0, reader.rows / source.rows))
    if not source.tally.sound:
        return None
    rows, again = reader.rows, 0
    reader.close()
    reader.turn()
    for batch in source.batches():
        reader.add_again(batch)
        again += batch.label.size
        progress("comparing the models", 0.5 + 0.5 * min(1.0, again / rows))
    return reader.finish("local binned", source.slice_values)


@dataclass(slots=True, eq=False)
class _Column:
    """One slice column.

    Attributes:
        strata: what is added up.
        bits: 2 ** bits are the bins of one model in all strata together.
        capacity: how many values there is room for, a power of two.
    """

    strata: Strata
    bits: int
    capacity: int

    def size(self) -> int:
        """Bins of one stratum."""
        return (1 << self.bits) // self.capacity


class Reader:
    """Adds up batches, in two readings.

    Attributes:
        rows: how many the first reading has added.
    """

    def __init__(self, config: ABTest, kept: Sequence[ScoredRows], *, pictures: bool) -> None:
        """The first `PILOT` rows of `kept` tell where the scores are; none of them is added."""
        self.rows = 0
        self._config = config
        self._pictures = pictures
        self._next = 0
        self._same = True
        pilot = _first(kept)
        label, champion, challenger = pilot
        names = metric_names(config)
        self._classes = 0 if config.task == "regression" else champion.shape[1] if champion.ndim == 2 else 2
        count = rankings(config, names, self._classes, pictures=pictures)
        fewer = max(0, count - 1).bit_length()
        self._bits = max(MIN_BITS, _BITS - fewer)
        self._coders = [
            [
                Coder(score if score.ndim == 1 else score[:, ranking], self._bits)
                for score in (champion, challenger)
            ]
            for ranking in range(count)
        ]
        starts = np.array([0, 1 << self._bits])
        by_entity = config.entity is not None
        cut = Cut(np.array([0, GROUPS]), ((starts, starts),) * count, self._classes, by_entity)
        self._total = Strata(config, names, cut)
        self._sliced = rankings(config, names[:1], self._classes, pictures=False)
        fewer = max(0, max(1, len(config.slices)) * max(1, self._sliced) - 1).bit_length()
        self._columns = {name: self._column(max(MIN_BITS, _SLICE_BITS - fewer)) for name in config.slices}
        start = Part(label, champion, challenger, None, np.zeros(label.size, dtype=np.intp), self._bins(()))
        self._total.moments.start(start)
        for column in self._columns.values():
            column.strata.moments.start(start)
        self._residuals = (
            Residuals(label, champion, challenger) if config.task == "regression" and pictures else None
        )
        self._shapes: Shapes | None = None
        self._mixed: Mixed = ()
        self._mixed_by_column: dict[str, Mixed] = {}

    def start(self, row: int) -> None:
        """The next batch begins with the row of this number, counted from 0 over all rows."""
        self._next = row

    def add(self, batch: ScoredRows) -> bool:
        """First reading; False when there are more slices than can be told apart."""
        part = self._part(batch)
        self.rows += batch.label.size
        self._same = self._same and bool(np.array_equal(batch.champion, batch.challenger))
        self._total.add(part)
        for ranking, coders in enumerate(self._coders):
            for coder, score, codes in zip(
                coders, (batch.champion, batch.challenger), part.bins(ranking), strict=True
            ):
                coder.note(score if score.ndim == 1 else score[:, ranking], codes)
        for name, column in self._columns.items():
            stratum = batch.slices[name].astype(np.intp)
            if not self._room(column, int(stratum.max()) + 1):
                return False
            column.strata.add(self._sliced_part(part, column, stratum))
        if self._residuals is not None:
            self._residuals.add(part)
        return True

    def merge(self, other: Reader, places: Mapping[str, Indices]) -> bool:
        """Add what a copy has added up in its first reading, which is used up by this.

        `places` has for each slice column the codes here of the other's codes, shape (values,). False when
        there are more slices than can be told apart.
        """
        self.rows += other.rows
        self._same = self._same and other._same
        self._total.merge(other._total, np.zeros(1, dtype=np.intp))
        for mine, theirs in zip(self._coders, other._coders, strict=True):
            for coder, another in zip(mine, theirs, strict=True):
                coder.merge(another)
        for name, column in self._columns.items():
            place, another_column = places[name], other._columns[name]
            values = max(int(place.max(initial=-1)) + 1, column.capacity, another_column.capacity)
            if not (self._room(column, values) and self._room(another_column, values)):
                return False
            column.strata.merge(another_column.strata, place)
        if self._residuals is not None and other._residuals is not None:
            _add_up(self._residuals.added(), other._residuals.added())
        return True

    def added_again(self) -> list[NDArray[Any]]:
        """What the second reading adds up: to be added to the arrays of others, after `turn`."""
        strata = [self._total, *(column.strata for column in self._columns.values())]
        shapes = self._shapes.added_again() if self._shapes is not None else []
        return [*shapes, *(array for each in strata for array in each.added_again())]

    def merge_again(self, arrays: Sequence[NDArray[Any]]) -> None:
        """Add what the second reading of a copy has added up."""
        _add_up(self.added_again(), arrays)

    def close(self) -> None:
        """The first reading is complete; from here to `turn` a copy is smallest."""
        self._mixed = self._which_mixed(self._bits, 1, self._coders)
        self._mixed_by_column = {
            name: self._which_mixed(
                (column.size() - 1).bit_length(), column.capacity, self._coders[: self._sliced]
            )
            for name, column in self._columns.items()
        }
        for coders in self._coders:
            for coder in coders:
                coder.forget()

    def turn(self) -> None:
        """From the first reading, which is closed, to the second."""
        self._next = 0
        self._total.turn(self._mixed)
        for name, column in self._columns.items():
            column.strata.turn(self._mixed_by_column[name])
        if self._config.task == "binary" and self._pictures:
            self._shapes = Shapes(self._total.ranks)

    def _which_mixed(self, bits: int, strata: int, coders: Sequence[Sequence[Coder]]) -> Mixed:
        """Which bins of all strata hold scores that differ."""
        return tuple((np.tile(a.mixed(bits), strata), np.tile(b.mixed(bits), strata)) for a, b in coders)

    def add_again(self, batch: ScoredRows) -> None:
        part = self._part(batch)
        self._total.add_again(part)
        if self._shapes is not None:
            self._shapes.add_again(part)
        for name, column in self._columns.items():
            column.strata.add_again(self._sliced_part(part, column, batch.slices[name].astype(np.intp)))

    def finish(self, engine: str, slice_values: Mapping[str, Sequence[str]]) -> Summary:
        slices = {
            name: {value: column.strata.finish_slice(place) for place, value in enumerate(slice_values[name])}
            for name, column in self._columns.items()
        }
        drawn = self._shapes or self._residuals
        return summary_of(engine, self._total, slices, drawn, same=self._same)

    def _part(self, batch: ScoredRows) -> Part:
        start, self._next = self._next, self._next + batch.label.size
        if self._config.entity is not None and batch.entity is not None:
            group = (batch.entity & np.uint64(GROUPS - 1)).astype(np.intp)
        else:
            group = random_group(start, batch.label.size, GROUPS)
        scores = batch.champion, batch.challenger
        return Part(batch.label, *scores, None, group, self._bins(scores))

    def _bins(self, scores: Sequence[NDArray[np.float64]]) -> Callable[[int], tuple[Indices, Indices]]:
        found: dict[int, tuple[Indices, Indices]] = {}

        def bins(ranking: int) -> tuple[Indices, Indices]:
            if ranking not in found:
                first, second = (
                    coder(score if score.ndim == 1 else score[:, ranking])
                    for coder, score in zip(self._coders[ranking], scores, strict=True)
                )
                if len(self._coders) > _KEPT_RANKINGS:
                    return first, second
                found[ranking] = first, second
            return found[ranking]

        return bins

    def _sliced_part(self, part: Part, column: _Column, stratum: Indices) -> Part:
        dropped = self._bits - (column.size() - 1).bit_length()

        def bins(ranking: int) -> tuple[Indices, Indices]:
            base = stratum * column.size()
            first, second = (base + (codes >> dropped) for codes in part.bins(ranking))
            return first, second

        group = stratum * GROUPS
        group += part.group
        return Part(part.label, part.champion, part.challenger, stratum, group, bins)

    def _column(self, bits: int) -> _Column:
        cut = self._slice_cut(bits, _FEWEST_STRATA)
        return _Column(Strata(self._config, metric_names(self._config)[:1], cut), bits, _FEWEST_STRATA)

    def _slice_cut(self, bits: int, capacity: int) -> Cut:
        groups = np.arange(capacity + 1) * GROUPS
        starts = np.arange(capacity + 1) * ((1 << bits) // capacity)
        by_entity = self._config.entity is not None
        return Cut(groups, ((starts, starts),) * self._sliced, self._classes, by_entity)

    def _room(self, column: _Column, values: int) -> bool:
        """Make room for so many values, with fewer bins for each; False when they are too many."""
        if values <= column.capacity:
            return True
        if values > _MOST_STRATA:
            return False
        capacity = 1 << (values - 1).bit_length()
        coarser = capacity.bit_length() - column.capacity.bit_length()
        column.strata.grow(self._slice_cut(column.bits, capacity), coarser)
        column.capacity = capacity
        return True


def _add_up(mine: Sequence[NDArray[Any]], theirs: Sequence[NDArray[Any]]) -> None:
    for array, more in zip(mine, theirs, strict=True):
        np.add(array, more, out=array)


def _first(kept: Sequence[ScoredRows]) -> tuple[NDArray[np.float64], ...]:
    """Label and scores of the first `PILOT` rows."""
    return tuple(
        np.concatenate([getattr(batch, name) for batch in kept])[:PILOT]
        for name in ("label", "champion", "challenger")
    )
