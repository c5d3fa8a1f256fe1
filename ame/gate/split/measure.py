"""From the rows of logged traffic to each arm's values, over all rows and in every slice.

Up to `EXACT_ROWS` rows are kept, and every number is exact. Beyond, the rows are read again: moments are
sums and stay exact, scores are binned (`ame.gate.split.bins`), and where there are more units than
`MAX_UNITS` their sums are kept by random groups of whole units.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from ame.gate.config import ABTest
from ame.gate.estimates import roles
from ame.gate.split.bins import binned, edges_of, mixed
from ame.gate.split.moments import ArmValue, Columns, Floats, Moments, columns_of
from ame.gate.split.ranks import RANKS, Ranks
from ame.gate.split.reading import Traffic, TrafficRows
from ame.gate.split.smooth import COLUMNS_OF
from ame.gate.table import Progress

__all__ = ["EXACT_ROWS", "Found", "Measured", "measure"]

#: Up to so many rows are kept in memory, about 35 bytes each, and compared exactly.
EXACT_ROWS = 3_000_000

#: How many bins of scores a slice has beyond that.
SLICE_BINS = 1 << 13

#: By how many random groups of units the sums of a slice are kept beyond that.
SLICE_BUCKETS = 1 << 10


@dataclass(frozen=True, slots=True, eq=False)
class Found:
    """A group of rows; every pair is of the champion's arm and the challenger's.

    Attributes:
        rows: how many.
        ones: rows whose outcome is 1.
        units: how many units the errors rest on: entities, random groups of them, or rows.
        effective: how many units of equal size would tell as much, (sum n)^2 / sum n^2.
        holders: of a 0/1 outcome, units with a row of the rarer class; all units in a regression.
        values: by metric.
    """

    rows: tuple[int, int]
    ones: tuple[int, int]
    units: tuple[int, int]
    effective: tuple[float, float]
    holders: tuple[int, int]
    values: Mapping[str, tuple[ArmValue, ArmValue]]


@dataclass(frozen=True, slots=True, eq=False)
class Measured:
    """Everything that was found.

    Attributes:
        engine: how it was computed.
        total: all rows, with every metric that is named.
        slices: column -> value -> its rows, with the primary metric.
    """

    engine: str
    total: Found
    slices: Mapping[str, Mapping[str, Found]]


def measure(config: ABTest, traffic: Traffic, progress: Progress | None = None) -> Measured | None:
    """Read everything; None when the tally says that the rows cannot be compared."""
    kept: list[TrafficRows] = []
    edges: Floats | None = None
    tally = traffic.tally
    for rows in traffic.first_pass(progress):
        if not tally.sound:
            kept.clear()
        elif edges is None:
            kept.append(rows)
            if tally.rows > EXACT_ROWS:
                edges = edges_of(_first_scores(kept))
    if not tally.sound or min(tally.by_arm) == 0:
        return None
    if edges is None:
        return _exact(config, traffic, _together(kept))
    return _streamed(config, traffic, edges, progress)


class _Group:
    """A group of rows while it is being added up."""

    def __init__(
        self,
        config: ABTest,
        metrics: Sequence[str],
        codes: int,
        units: int | None,
        impure: NDArray[np.bool_] | None = None,
    ) -> None:
        smooth = [metric for metric in metrics if metric in COLUMNS_OF]
        self.metrics = metrics
        self.binary = config.task == "binary"
        self.columns = Columns(columns_of(smooth), self.binary, config.threshold, config.quantile)
        self.moments = [Moments(self.columns, units) for _ in (0, 1)]
        self.ranked = [metric for metric in metrics if metric in RANKS]
        self.ranks = [Ranks(codes if self.ranked else 1, impure, units) for _ in (0, 1)]

    def add(self, rows: _Coded) -> None:
        for arm, part in enumerate(rows.arms()):
            if part.outcome.size:
                self.moments[arm].add(self.columns(part.outcome, part.score), part.unit)
                if self.ranked and part.code is not None:
                    self.ranks[arm].add(part.outcome == 1.0, part.code)

    def add_units(self, rows: _Coded) -> None:
        for arm, part in enumerate(rows.arms()):
            if part.unit is not None and part.code is not None:
                for metric in self.ranked:
                    self.ranks[arm].add_units(metric, part.outcome == 1.0, part.code, part.unit)

    def found(self) -> Found:
        champion, challenger = self.moments
        values = {metric: (self._value(metric, 0), self._value(metric, 1)) for metric in self.metrics}
        return Found(
            rows=(champion.rows, challenger.rows),
            ones=_ones(champion, challenger) if self.binary else (0, 0),
            units=(champion.units, challenger.units),
            effective=(_effective(champion), _effective(challenger)),
            holders=(
                (min(champion.holders), min(challenger.holders))
                if self.binary
                else (champion.units, challenger.units)
            ),
            values=values,
        )

    def _value(self, metric: str, arm: int) -> ArmValue:
        moments = self.moments[arm]
        return self.ranks[arm].value(metric, moments.units) if metric in RANKS else moments.value(metric)


@dataclass(frozen=True, slots=True, eq=False)
class _Coded:
    """Rows with their scores and units as codes."""

    arm: NDArray[np.int8]
    outcome: Floats
    score: Floats | None
    code: NDArray[np.int64] | None
    unit: NDArray[np.int64] | None

    def pick(self, rows: NDArray[np.intp] | NDArray[np.bool_]) -> _Coded:
        return _Coded(
            self.arm[rows],
            self.outcome[rows],
            None if self.score is None else self.score[rows],
            None if self.code is None else self.code[rows],
            None if self.unit is None else self.unit[rows],
        )

    def arms(self) -> tuple[_Coded, _Coded]:
        challenger = self.arm == 1
        return self.pick(~challenger), self.pick(challenger)


def _exact(config: ABTest, traffic: Traffic, rows: TrafficRows) -> Measured:
    metrics = list(roles(config))
    unit = None if rows.unit is None else traffic.tally.units.code(rows.unit)
    units = None if rows.unit is None else traffic.tally.units.codes

    def found(coded: _Coded, named: Sequence[str], units: int | None) -> Found:
        codes = 1
        if coded.score is not None and any(metric in RANKS for metric in named):
            different, code = np.unique(coded.score, return_inverse=True)
            coded = _Coded(coded.arm, coded.outcome, coded.score, code, coded.unit)
            codes = different.size
        group = _Group(config, named, codes, units)
        group.add(coded)
        group.add_units(coded)
        return group.found()

    coded = _Coded(rows.arm, rows.outcome, rows.score, None, unit)
    slices: dict[str, dict[str, Found]] = {}
    for column, codes in rows.slices.items():
        slices[column] = {}
        for value, places in _places(codes, traffic.values[column]):
            part = coded.pick(places)
            known = None
            if part.unit is not None:
                different, again = np.unique(part.unit, return_inverse=True)
                part = _Coded(part.arm, part.outcome, part.score, None, again)
                known = different.size
            slices[column][value] = found(part, metrics[:1], known)
    return Measured("local exact", found(coded, metrics, units), slices)


def _streamed(config: ABTest, traffic: Traffic, edges: Floats, progress: Progress | None) -> Measured:
    metrics = list(roles(config))
    clustered = config.entity is not None
    codes = 2 * (edges.size + 1)
    per_bin = -(-codes // SLICE_BINS)
    total = _Group(config, metrics, codes, traffic.tally.units.codes if clustered else None, mixed(codes, 1))
    few = -(-codes // per_bin)
    slices = {
        column: [
            _Group(config, metrics[:1], few, SLICE_BUCKETS if clustered else None, mixed(few, per_bin))
            for _ in values
        ]
        for column, values in traffic.values.items()
    }
    ranked = bool(total.ranked)
    passes = 2 if ranked and clustered else 1
    for number in range(passes):
        done = 0
        for rows in traffic.batches():
            unit = None if rows.unit is None else traffic.tally.units.code(rows.unit)
            code = None
            if ranked and rows.score is not None:
                code = binned(edges, rows.score)
            coded = _Coded(rows.arm, rows.outcome, rows.score, code, unit)
            _take(total, coded, number)
            small = _Coded(
                rows.arm,
                rows.outcome,
                rows.score,
                None if code is None else code // per_bin,
                None if unit is None else unit % SLICE_BUCKETS,
            )
            for column, values in rows.slices.items():
                groups = zip(slices[column], _places(values, traffic.values[column]), strict=True)
                for group, (_, places) in groups:
                    _take(group, small.pick(places), number)
            done += rows.arm.size
            if progress is not None and traffic.rows:
                progress("comparing the arms", 0.5 + 0.5 * (number + done / traffic.rows) / passes)
    return Measured(
        "local binned",
        total.found(),
        {
            column: {
                value: group.found() for value, group in zip(traffic.values[column], groups, strict=True)
            }
            for column, groups in slices.items()
        },
    )


def _take(group: _Group, rows: _Coded, number: int) -> None:
    if number == 0:
        group.add(rows)
    else:
        group.add_units(rows)


def _places(codes: NDArray[np.int32], values: list[str]) -> Iterator[tuple[str, NDArray[np.intp]]]:
    """For each value of a slice column, where its rows are."""
    order = np.argsort(codes, kind="stable")
    starts = np.searchsorted(codes[order], np.arange(len(values) + 1))
    for number, value in enumerate(values):
        yield value, order[starts[number] : starts[number + 1]]


def _first_scores(kept: list[TrafficRows]) -> Floats:
    """Of exactly `EXACT_ROWS` rows, however they come in batches; `kept` is emptied."""
    scores = [rows.score for rows in kept if rows.score is not None]
    kept.clear()
    return np.concatenate(scores)[:EXACT_ROWS] if scores else np.empty(0)


def _together(kept: list[TrafficRows]) -> TrafficRows:
    scores = [each.score for each in kept if each.score is not None]
    units = [each.unit for each in kept if each.unit is not None]
    rows = TrafficRows(
        arm=np.concatenate([each.arm for each in kept]),
        outcome=np.concatenate([each.outcome for each in kept]),
        score=np.concatenate(scores) if scores else None,
        unit=np.concatenate(units) if units else None,
        slices={column: np.concatenate([each.slices[column] for each in kept]) for column in kept[0].slices},
    )
    kept.clear()
    return rows


def _ones(champion: Moments, challenger: Moments) -> tuple[int, int]:
    return round(champion.sum("outcome")), round(challenger.sum("outcome"))


def _effective(moments: Moments) -> float:
    if moments.by_unit is None:
        return float(moments.rows)
    sizes = moments.unit_rows
    return float(sizes.sum() ** 2 / (sizes @ sizes)) if sizes.size else 0.0
