"""How each metric would scatter over other rows like these: bounded work whatever their number.

Nothing here goes through the rows again. Independent rows enter a metric of counts through eight numbers,
whose multinomial law is exactly that of drawing rows with replacement; they enter a metric of ranks
through the cells of a grid of score bins, each of which is drawn a Poisson number of times (Hanley &
MacGibbon 2006, Comput Methods Programs Biomed 83:57). Everything else, and everything by entity, is drawn
from the sums of the rows' influence by group, which is the bootstrap of the linearised metric. The
decision reads none of this: it is the picture beside the standard errors.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from functools import cached_property
from typing import NamedTuple, TypeAlias

import numpy as np
from numpy.typing import NDArray

from ame.gate.config import LOSSES, ABTest
from ame.gate.rank_bootstrap import RANKS, bootstrap_ranks, merge_bins
from ame.gate.result import Distribution
from ame.gate.summary import MetricSummary, Summary

__all__ = ["DRAWS", "bootstrap_counts", "count_values", "distributions", "f1_interval"]

DRAWS = 2000
HISTOGRAM_BINS = 60
#: More groups than this are first put together at random, their spread kept.
GROUPS = 2000
#: A spread off by more than this from the standard error says that the bins are too coarse. That of 2,000
#: draws is itself known to 1.6 %.
TOLERANCE = 0.08

Floats: TypeAlias = NDArray[np.float64]


class _Drawn(NamedTuple):
    """Draws of one metric, each of shape (draws,); an empty array for what cannot be drawn."""

    method: str
    champion: Floats
    challenger: Floats
    difference: Floats
    #: The distance between neighbouring values where there are no others, else 0.
    step: float = 0.0


def distributions(
    config: ABTest,  # noqa: ARG001  (what is drawn may come to depend on it)
    summary: Summary,
    *,
    seed: int = 0,
    draws: int = DRAWS,
) -> Mapping[str, Distribution]:
    """For each metric that has a value: how it scatters for both models, and their difference.

    The metric's own values have a histogram where the summary tells enough to draw them. Draws in which a
    metric has no value (no predicted positive, say) are left out. The same summary and seed give the same
    numbers. They are drawn when they are first looked at, which most tests of a simulation never are.
    """
    return _Distributions(summary, seed, draws)


class _Distributions(Mapping[str, Distribution]):
    """Distributions by metric, drawn at the first look."""

    def __init__(self, summary: Summary, seed: int, draws: int) -> None:
        self._asked = (summary, seed, draws)

    @cached_property
    def _found(self) -> dict[str, Distribution]:
        return _distributions(*self._asked)

    def __getitem__(self, metric: str) -> Distribution:
        return self._found[metric]

    def __iter__(self) -> Iterator[str]:
        return iter(self._found)

    def __len__(self) -> int:
        return len(self._found)

    def __repr__(self) -> str:
        return repr(self._found)


def _distributions(summary: Summary, seed: int, draws: int) -> dict[str, Distribution]:
    metrics = {
        name: metric
        for name, metric in summary.total.metrics.items()
        if metric.undefined is None and np.isfinite(metric.difference)
    }
    drawn: dict[str, _Drawn] = {}
    if not summary.total.clustered:
        drawn |= _by_counts(metrics, summary.cells, draws, seed)
        drawn |= _by_ranks(metrics, summary, draws, seed)
    rest = {name: metric for name, metric in metrics.items() if name not in drawn}
    drawn |= _by_groups(rest, summary, draws, seed)
    return {name: _distribution(drawn[name]) for name in metrics if name in drawn}


def bootstrap_counts(cells: NDArray[np.int64], draws: int = DRAWS, seed: int = 0) -> NDArray[np.int64]:
    """The eight joint counts of rows drawn with replacement, int64, shape (draws, 2, 2, 2).

    `cells` has shape (2, 2, 2): rows by label, the champion's prediction and the challenger's. Their
    multinomial law is exactly that of the bootstrap over rows, in a time that does not depend on their
    number.
    """
    rows = int(cells.sum())
    drawn = np.random.default_rng(seed).multinomial(rows, cells.ravel() / max(rows, 1), size=draws)
    return drawn.reshape(draws, 2, 2, 2)


def f1_interval(
    cells: NDArray[np.int64], *, level: float = 0.95, draws: int = 1000, seed: int = 0
) -> tuple[float, float]:
    """The percentile interval of the difference in F1, challenger less champion; NaN where it has none."""
    champion, challenger = count_values(bootstrap_counts(cells, draws, seed))["f1"]
    difference = challenger - champion
    difference = difference[np.isfinite(difference)]
    if not difference.size:
        return np.nan, np.nan
    low, high = np.quantile(difference, [(1 - level) / 2, (1 + level) / 2])
    return float(low), float(high)


def count_values(counts: NDArray[np.int64]) -> dict[str, tuple[Floats, Floats]]:
    """Each metric of counts for champion and challenger, from cells of shape (..., 2, 2, 2).

    A ratio whose denominator is 0 is NaN.
    """
    rows = counts.sum(axis=(-3, -2, -1))
    positives = counts[..., 1, :, :].sum(axis=(-2, -1))
    values: dict[str, list[Floats]] = {"accuracy": [], "f1": [], "precision": [], "recall": []}
    for other in (-1, -2):
        table = counts.sum(axis=other)
        hits, predicted = table[..., 1, 1], table[..., :, 1].sum(axis=-1)
        values["accuracy"].append(_ratio(table[..., 0, 0] + hits, rows))
        values["f1"].append(_ratio(2 * hits, predicted + positives))
        values["precision"].append(_ratio(hits, predicted))
        values["recall"].append(_ratio(hits, positives))
    return {name: (champion, challenger) for name, (champion, challenger) in values.items()}


def _by_counts(
    metrics: Mapping[str, MetricSummary], cells: NDArray[np.int64] | None, draws: int, seed: int
) -> dict[str, _Drawn]:
    if cells is None:
        return {}
    method = f"multinomial bootstrap of the 8 joint counts, {draws:,} draws"
    values = count_values(bootstrap_counts(cells, draws, seed))
    step = 1 / max(int(cells.sum()), 1)
    return {
        name: _Drawn(
            method,
            champion,
            challenger,
            challenger - champion,
            step if name == "accuracy" else 0.0,
        )
        for name, (champion, challenger) in values.items()
        if name in metrics
    }


def _by_ranks(
    metrics: Mapping[str, MetricSummary], summary: Summary, draws: int, seed: int
) -> dict[str, _Drawn]:
    wanted = {name: metrics[name] for name in RANKS if name in metrics}
    if summary.grid is None or not wanted:
        return {}
    observed = merge_bins(summary.grid)
    champion, challenger, bins = bootstrap_ranks(summary.grid, draws, seed)
    method = f"Poisson bootstrap of {bins} x {bins} score bins, {draws:,} draws"
    drawn = {}
    for name, metric in wanted.items():
        value = RANKS[name]
        # Binning moves the values a little; the exact ones are the centre.
        first = value(champion) + metric.champion - value(observed.sum(axis=2))
        second = value(challenger) + metric.challenger - value(observed.sum(axis=1))
        if _resolved(second - first, metric):
            drawn[name] = _Drawn(method, first, second, second - first)
    return drawn


def _resolved(difference: Floats, metric: MetricSummary) -> bool:
    """Whether the bins are fine enough: models that nearly agree differ within a bin only."""
    defined = difference[np.isfinite(difference)]
    spread = float(np.std(defined)) if defined.size else np.nan
    return abs(spread - metric.std_error) <= TOLERANCE * metric.std_error


def _by_groups(
    metrics: Mapping[str, MetricSummary], summary: Summary, draws: int, seed: int
) -> dict[str, _Drawn]:
    drawn = {}
    rows = max(summary.total.rows, 1)
    unit = "entities" if summary.total.clustered else "random groups of rows"
    for size in sorted({metric.groups.size for metric in metrics.values() if metric.groups.size > 1}):
        alike = {name: metric for name, metric in metrics.items() if metric.groups.size == size}
        # A metric without the champion's own sums has a difference only.
        own = [metric.champion_groups for metric in alike.values() if metric.champion_groups.size == size]
        columns = np.column_stack([*(metric.groups for metric in alike.values()), *own])
        moved = iter((_resampled(columns, draws, seed) / rows).T)
        method = f"bootstrap of the influence of {size:,} {unit}, {draws:,} draws"
        differences = {name: metric.difference + next(moved) for name, metric in alike.items()}
        for name, metric in alike.items():
            champion = challenger = np.empty(0)
            if metric.champion_groups.size == size:
                champion = metric.champion + next(moved)
                gained = -differences[name] if name in LOSSES else differences[name]
                challenger = champion + gained
            drawn[name] = _Drawn(method, champion, challenger, differences[name])
    return drawn


def _resampled(sums: Floats, draws: int, seed: int) -> Floats:
    """Sums of as many groups drawn with replacement, by column; shape (draws, columns).

    Widened by sqrt(G / (G - 1)), as the cluster-robust standard error is.
    """
    draw = np.random.default_rng(seed)
    groups = sums.shape[0]
    widened = np.sqrt(groups / (groups - 1))
    if groups > GROUPS:
        home = draw.integers(0, GROUPS, groups)
        merged: Floats = np.column_stack([np.bincount(home, column, GROUPS) for column in sums.T]).astype(
            float
        )
        squares = (merged * merged).sum(axis=0)
        sums = merged * np.sqrt(_ratio((sums * sums).sum(axis=0), squares, otherwise=1.0))
        groups = GROUPS
    chunks = []
    for start in range(0, draws, 250):
        count = min(250, draws - start)
        picked = draw.integers(0, groups, (count, groups)) + groups * np.arange(count)[:, None]
        times = np.bincount(picked.ravel(), minlength=count * groups).reshape(count, groups)
        chunks.append(times.astype(np.float64) @ sums)
    resampled: Floats = (np.concatenate(chunks) - sums.sum(axis=0)) * widened
    return resampled


def _ratio(
    over: NDArray[np.int64] | Floats, under: NDArray[np.int64] | Floats, *, otherwise: float = np.nan
) -> Floats:
    missing: Floats = np.full(np.shape(over), otherwise)
    return np.divide(over, under, out=missing, where=under > 0)


def _distribution(drawn: _Drawn) -> Distribution:
    edges, counts, quantiles = {}, {}, {}
    for name, values in (
        ("champion", drawn.champion),
        ("challenger", drawn.challenger),
        ("difference", drawn.difference),
    ):
        defined = values[np.isfinite(values)]
        if defined.size:
            found, at = np.histogram(defined, _edges(defined, drawn.step))
            edges[name], counts[name] = tuple(at.tolist()), tuple(found.tolist())
            low, middle, high = np.quantile(defined, [0.025, 0.5, 0.975]).tolist()
            quantiles[name] = (low, middle, high)
    return Distribution(method=drawn.method, edges=edges, counts=counts, quantiles=quantiles)


def _edges(values: Floats, step: float) -> Floats:
    low, high = float(values.min()), float(values.max())
    if step > 0.0:
        # Whole steps to a bin: else some bins hold one more possible value than their neighbours.
        width = step * max(1, int(np.ceil((round((high - low) / step) + 1) / HISTOGRAM_BINS)))
        low, high = low - step / 2, low - step / 2 + width * HISTOGRAM_BINS
    elif high - low <= 1e-9 * max(abs(low), abs(high), 1e-9):
        half = max(1e-6 * abs(low), 1e-9)
        low, high = low - half, high + half
    edges: Floats = np.linspace(low, high, HISTOGRAM_BINS + 1).astype(np.float64)
    return edges
