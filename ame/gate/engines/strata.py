"""One cut of the rows (all of them, or the values of a slice column) through every metric asked of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from ame.gate.config import LOSSES, ABTest
from ame.gate.engines.shapes import Residuals, Shapes
from ame.gate.estimates import by_class, roles
from ame.gate.metrics import RANKED, SMOOTH, Cells, Confusion, Cut, Mixed, Moments, Part, Ranks, Rows
from ame.gate.summary import GroupSummary, MetricSummary, Summary

__all__ = ["GROUPS", "Strata", "metric_names", "rankings", "summary_of"]

#: Random groups of rows, or buckets of entities where these are too many to keep apart.
GROUPS = 1024


def metric_names(config: ABTest) -> tuple[str, ...]:
    """Each metric of the configuration once, the primary one first."""
    return tuple(roles(config))


def rankings(config: ABTest, names: Sequence[str], classes: int, *, pictures: bool = True) -> int:
    """How many orders of the rows the metrics need: one in a binary test, one a class in a multiclass one.

    The pictures of a binary test need its order whatever the metrics are.
    """
    if config.task == "binary" and pictures:
        return 1
    if not RANKED.intersection(names):
        return 0
    return 1 if config.task == "binary" else classes


def summary_of(
    engine: str,
    total: Strata,
    slices: Mapping[str, Mapping[str, GroupSummary]],
    drawn: Shapes | Residuals | None,
    *,
    same: bool,
) -> Summary:
    """The engine's answer from what it has added up."""
    tally = total.tally
    return Summary(
        engine=engine,
        total=total.finish(0),
        slices=slices,
        cells=tally.cells(slice(None)).sum(axis=0).reshape(2, 2, 2) if isinstance(tally, Cells) else None,
        grid=drawn.grid if isinstance(drawn, Shapes) else None,
        reliability=drawn.reliability() if isinstance(drawn, Shapes) else {},
        curves=drawn.curves() if drawn else {},
        same=same,
    )


class Strata:
    """Adds up the rows of one cut, and gives the summary of each stratum.

    The rows are added once with `add`; `turn` follows, and each row is given once more to `add_again`.
    """

    def __init__(self, config: ABTest, names: Sequence[str], cut: Cut) -> None:
        self.cut = cut
        self._config = config
        self._names = tuple(names)
        ranked = [name for name in names if name in RANKED]
        self.tally = _tally(config, names, cut)
        self.moments = Moments(config, [name for name in names if name in SMOOTH], cut)
        self.ranks = Ranks(ranked, cut)
        self._reads_again = bool(ranked) or "f1_macro" in names

    def add(self, part: Part) -> None:
        self.tally.add(part)
        self.moments.add(part)
        self.ranks.add(part)

    def turn(self, mixed: Mixed = ()) -> None:
        """`mixed` is the cut's own where that is known only after the first reading."""
        self.cut = replace(self.cut, mixed=mixed)
        self.tally.turn(self.cut)
        self.ranks.turn(self.cut)

    def add_again(self, part: Part) -> None:
        if self._reads_again:
            self.tally.add_again(part)
            self.ranks.add_again(part)

    def grow(self, cut: Cut, coarser: int) -> None:
        """Make room for more strata; of the bins, 2 ** `coarser` neighbours become one."""
        self.cut = cut
        self.tally.grow(cut)
        self.moments.grow(cut)
        self.ranks.grow(cut, coarser)

    def merge(self, other: Strata, places: NDArray[np.intp]) -> None:
        """Add what another first reading of the same cut has added up.

        `places` has for each of the other's strata, the first ones if there are fewer, its number here.
        """
        strata = self.cut.strata
        for mine, theirs in zip(self._added(strata), other._added(strata), strict=True):
            mine[places] += theirs[: places.size]

    def _added(self, strata: int) -> list[NDArray[Any]]:
        return [*self.tally.added(strata), *self.moments.added(strata), *self.ranks.added(strata)]

    def added_again(self) -> list[NDArray[Any]]:
        """What the second reading adds up: arrays that are added to those of other readings."""
        return [*self.tally.added_again(), *self.ranks.added_again()]

    def finish_slice(self, stratum: int) -> GroupSummary:
        """A slice's summary; without metrics where the slice is too small to judge."""
        rare = by_class(self._config, self._config.primary.metric)
        least = self._config.min_slice_positives if rare else 0
        return self.finish(stratum, least_rows=self._config.min_slice_rows, least_fewest=least)

    def finish(self, stratum: int, *, least_rows: int = 0, least_fewest: int = 0) -> GroupSummary:
        """A stratum's summary; without metrics where it has fewer rows (of its rarest class) than asked."""
        groups = slice(*(int(each) for each in self.cut.groups[stratum : stratum + 2]))
        sizes = self.tally.sizes(groups)
        rows = int(sizes.groups.sum())
        fewest = int(sizes.classes.min())
        metrics: dict[str, MetricSummary] = {}
        if rows >= least_rows and fewest >= least_fewest:
            used = sizes.groups > 0.0
            for name in self._names:
                metric = self._metric(name, stratum, groups, sizes.groups)
                metrics[name] = metric if metric.undefined else _only(metric, used)
        entities = int(np.count_nonzero(sizes.groups)) if self.cut.by_entity else 0
        return GroupSummary(
            rows=rows,
            positives=int(sizes.classes[1]) if self._config.task == "binary" else 0,
            fewest=fewest,
            metrics=metrics,
            discordant=sizes.discordant,
            entities=entities,
            effective_entities=rows * rows / float(sizes.groups @ sizes.groups) if entities else 0.0,
            fewest_entities=int(sizes.holders.min()) if entities else 0,
            clustered=self.cut.by_entity,
        )

    def _metric(self, name: str, stratum: int, groups: slice, sizes: NDArray[np.float64]) -> MetricSummary:
        if name in SMOOTH:
            return self.moments.finish(stratum, groups, sizes, -1 if name in LOSSES else 1, name)
        if name in RANKED:
            return self.ranks.finish(stratum, groups, int(sizes.sum()), name)
        return self.tally.finish(stratum, groups, name)


def _tally(config: ABTest, names: Sequence[str], cut: Cut) -> Cells | Confusion | Rows:
    if config.task == "binary":
        return Cells(cut, config.threshold)
    return Confusion(cut, names) if config.task == "multiclass" else Rows(cut)


def _only(metric: MetricSummary, used: NDArray[np.bool_]) -> MetricSummary:
    return replace(metric, groups=metric.groups[used], champion_groups=metric.champion_groups[used])
