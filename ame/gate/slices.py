"""Is any slice harmed? One test of harm in each slice, with Holm's correction over all of them.

In a slice with difference D_s the hypothesis is D_s >= -margin; harm is shown when it is rejected. Without
a correction twenty slices of equal models would give a false alarm in two tests of three; Holm's (1979)
keeps the probability of any at alpha, whatever the dependence between the slices.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import replace

from scipy.special import ndtr, stdtr

from ame.gate.config import ABTest
from ame.gate.estimates import by_class, estimate, undefined
from ame.gate.inference import Estimate, holm
from ame.gate.result import SliceResult
from ame.gate.summary import GroupSummary

__all__ = ["MIN_ENTITIES", "in_order", "judge_slices"]

#: Sums over fewer entities than this tell too little about their own variance.
MIN_ENTITIES = 20


def judge_slices(config: ABTest, slices: Mapping[str, Mapping[str, GroupSummary]]) -> tuple[SliceResult, ...]:
    """The primary metric in each slice, by column and value, at `config.alpha`."""
    measured = [
        _measure(config, column, value, groups[value])
        for column, groups in slices.items()
        for value in in_order(groups)
    ]
    adjusted = iter(holm([each.p_value for each in measured if each.judged]))
    return tuple(_judged(config, each, adjusted) for each in measured)


def in_order(values: Iterable[str]) -> list[str]:
    """Numbers by their size, then texts; what is missing comes last."""

    def rank(value: str) -> tuple[int, float, str]:
        if value.startswith("("):
            return 2, 0.0, value
        try:
            number = float(value)
        except ValueError:
            return 1, 0.0, value
        return (0, number, value) if math.isfinite(number) else (1, 0.0, value)

    return sorted(values, key=rank)


def _judged(config: ABTest, measured: SliceResult, adjusted: Iterator[float]) -> SliceResult:
    if not measured.judged:
        return measured
    p_value = next(adjusted)
    return replace(measured, adjusted_p_value=p_value, harmed=p_value <= config.alpha)


def _measure(config: ABTest, column: str, value: str, group: GroupSummary) -> SliceResult:
    counted = SliceResult(column=column, value=value, rows=group.rows, positives=group.positives)
    metric = config.primary.metric
    note = _too_small(config, group)
    why = undefined(group.metrics, metric) if not note else None
    if note or why is not None:
        return replace(counted, note=note or f"not judged: {_inside(why or '')}")
    found = group.metrics[metric]
    known, _ = estimate(config, metric, group)
    if known.is_degenerate:
        return replace(
            counted, note="not judged: it differs by the same on every row, so its error is unknown"
        )
    lower, upper = known.bounds(0.025)
    return replace(
        counted,
        champion=found.champion,
        challenger=found.challenger,
        difference=known.difference,
        std_error=known.std_error,
        interval=(lower - found.error_bound, upper + found.error_bound),
        p_value=_p_value(known, config.slice_margin + found.error_bound),
        judged=True,
    )


def _p_value(known: Estimate, allowed: float) -> float:
    """One-sided, of a difference of at least minus `allowed`."""
    distance = known.difference + known.shift + allowed
    if known.std_error == 0.0:
        return 1.0 if distance >= 0.0 else 0.0
    z = distance / known.std_error
    return float(ndtr(z) if math.isinf(known.df) else stdtr(known.df, z))


def _too_small(config: ABTest, group: GroupSummary) -> str:
    """Why a slice cannot be judged, or nothing."""
    rare = by_class(config, config.primary.metric)
    few_rows = group.rows < config.min_slice_rows
    few_rare = rare and group.fewest < config.min_slice_positives
    if few_rows or few_rare:
        counts, needed = f"{group.rows:,} rows", f"{config.min_slice_rows:,}"
        if rare:
            counts += f", {group.fewest:,} {_rarest(config, group)}"
            needed += f" and {config.min_slice_positives:,}"
        return f"too small to judge: {counts}; {needed} are needed"
    effective = group.effective_entities
    holders = group.fewest_entities if rare else group.entities
    if group.clustered and min(effective, holders) < MIN_ENTITIES:
        of = f", {holders:,} with rows of the rarest class" if rare else ""
        return (
            f"too few entities to judge: {group.entities:,} (as good as {effective:,.1f} of equal size){of}; "
            f"{MIN_ENTITIES} are needed"
        )
    return ""


def _inside(sentence: str) -> str:
    """A sentence as a part of another."""
    if sentence[1:2].islower() or sentence[1:2] == " ":
        sentence = sentence[0].lower() + sentence[1:]
    return sentence.rstrip(".")


def _rarest(config: ABTest, group: GroupSummary) -> str:
    if config.task == "multiclass":
        return "of the rarest class"
    return "positives" if group.fewest == group.positives else "negatives"
