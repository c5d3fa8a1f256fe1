"""All rows in memory: every different score is a bin of its own, every entity a group."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray

from ame.gate.config import ABTest
from ame.gate.engines.coding import random_group
from ame.gate.engines.shapes import Residuals, Shapes
from ame.gate.engines.strata import GROUPS, Strata, metric_names, rankings, summary_of
from ame.gate.metrics import Cut, Indices, Part
from ame.gate.order import Dense, dense, keys
from ame.gate.summary import GroupSummary, Summary
from ame.gate.table import Progress, ScoredRows, Source

__all__ = ["measure_exact"]

T = TypeVar("T", bound=np.generic)


def measure_exact(
    config: ABTest, source: Source, kept: list[ScoredRows], progress: Progress, *, pictures: bool = True
) -> Summary:
    """The summary of these rows; `kept` is emptied."""
    slices = {column: _joined([batch.slices[column] for batch in kept]) for column in config.slices}
    entity = _joined([batch.entity for batch in kept if batch.entity is not None])
    label = _joined([batch.label for batch in kept])
    champion = _joined([batch.champion for batch in kept])
    challenger = _joined([batch.challenger for batch in kept])
    kept.clear()

    progress("putting the scores in order", 0.5)
    names = metric_names(config)
    classes = 0 if config.task == "regression" else champion.shape[1] if champion.ndim == 2 else 2
    groups = _groups(config, entity, label.size)
    ranked = [
        [dense(keys(score if score.ndim == 1 else score[:, ranking])) for score in (champion, challenger)]
        for ranking in range(rankings(config, names, classes, pictures=pictures))
    ]
    cut = Cut(
        groups=np.array([0, groups.values.size]),
        bins=tuple((np.array([0, a.values.size]), np.array([0, b.values.size])) for a, b in ranked),
        classes=classes,
        by_entity=config.entity is not None,
    )
    part = Part(label, champion, challenger, None, groups.codes, _bins(ranked))
    total = Strata(config, names, cut)
    progress("comparing the models", 0.6)
    _add(total, part)

    by_slice: dict[str, dict[str, GroupSummary]] = {}
    for done, (column, codes) in enumerate(slices.items()):
        progress(f"comparing the models by {column}", 0.75 + 0.2 * done / len(slices))
        values = source.slice_values[column]
        strata = _slice(config, cut, part, codes.astype(np.intp), len(values), ranked)
        by_slice[column] = {value: strata.finish_slice(place) for place, value in enumerate(values)}
    shapes = residuals = None
    if config.task == "binary" and pictures:
        shapes = Shapes(total.ranks)
        shapes.add_again(part)
    elif config.task == "regression" and pictures:
        residuals = Residuals(label, champion, challenger)
        residuals.add(part)
    same = bool(np.array_equal(champion, challenger))
    return summary_of("local exact", total, by_slice, shapes or residuals, same=same)


def _groups(config: ABTest, entity: NDArray[np.uint64], rows: int) -> Dense:
    if config.entity is not None:
        return dense(entity)
    return Dense(random_group(0, rows, GROUPS), np.arange(GROUPS, dtype=np.uint64))


def _add(strata: Strata, part: Part) -> None:
    strata.add(part)
    strata.turn()
    strata.add_again(part)


def _slice(
    config: ABTest, whole: Cut, part: Part, stratum: Indices, strata: int, ranked: Sequence[Sequence[Dense]]
) -> Strata:
    """The strata of one slice column, groups and bins being numbered anew in each."""
    names = (config.primary.metric,)
    groups, group_starts = _within(stratum, strata, part.group, int(whole.groups[-1]))
    codes: list[list[Dense]] = []
    starts = []
    for both in ranked[: rankings(config, names, whole.classes, pictures=False)]:
        found = [_within(stratum, strata, each.codes, each.values.size) for each in both]
        codes.append([each for each, _ in found])
        starts.append((found[0][1], found[1][1]))
    cut = Cut(group_starts, tuple(starts), whole.classes, by_entity=whole.by_entity)
    result = Strata(config, names, cut)
    rows = Part(part.label, part.champion, part.challenger, stratum, groups.codes, _bins(codes))
    _add(result, rows)
    return result


def _within(stratum: Indices, strata: int, codes: Indices, size: int) -> tuple[Dense, NDArray[np.int64]]:
    """Codes numbered through the strata, and where each stratum's begin."""
    found = dense((stratum * size + codes).astype(np.uint64))
    return found, np.searchsorted(found.values, np.arange(strata + 1, dtype=np.uint64) * np.uint64(size))


def _bins(ranked: Sequence[Sequence[Dense]]) -> Callable[[int], tuple[Indices, Indices]]:
    return lambda ranking: (ranked[ranking][0].codes, ranked[ranking][1].codes)


def _joined(chunks: list[NDArray[T]]) -> NDArray[T]:
    return np.concatenate(chunks) if chunks else np.empty(0, dtype=np.uint64)
