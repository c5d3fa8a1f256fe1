"""The slices' part of the page: a forest plot as a table, and whether the difference is even."""

from __future__ import annotations

import math
from collections.abc import Sequence

from ame.gate.report.metrics import metric_scale
from ame.gate.report.numbers import Scale, p_value, percent, scale, shortened
from ame.gate.report.places import Axis
from ame.gate.result import ABTestResult, Evenness, SliceResult

__all__ = ["MOST", "evenness", "forest"]

#: Of a long list, how many lines are shown, the worst first.
MOST = 30
#: What the note of a slice that is not judged may begin with.
_REASONS = ("too small to judge", "too few entities to judge", "not judged")


def forest(result: ABTestResult) -> dict[str, object] | None:
    """The worst judged slices, what the picture's axis holds, and who is not shown; None without slices."""
    if not result.slices:
        return None
    judged = sorted((each for each in result.slices if each.judged), key=_worst_first)
    shown = judged[:MOST]
    drawn = _axis(result, shown)
    return {
        "lines": [_line(each, drawn) for each in shown],
        "more": len(judged) - len(shown),
        "judged": len(judged),
        "harmed": sum(each.harmed for each in judged),
        "left": _not_judged(result),
        "zero": drawn.place(0.0),
        "margin": drawn.place(-result.config.slice_margin) if result.config.slice_margin else None,
        "overall": _overall(result, drawn),
        "ticks": drawn.ticks(3),
        "with_positives": any(each.positives for each in result.slices),
    }


def _worst_first(each: SliceResult) -> tuple[bool, float, float, float, str, str]:
    numbers = (each.adjusted_p_value, each.p_value, each.difference)
    ordered = [math.inf if math.isnan(number) else number for number in numbers]
    return (not each.harmed, ordered[0], ordered[1], ordered[2], each.column, each.value)


def _not_judged(result: ABTestResult) -> list[tuple[str, list[str], int]]:
    """By reason: its name, the first slices with what was found, and how many more there are."""
    by_reason: dict[str, list[str]] = {reason: [] for reason in _REASONS}
    for each in result.slices:
        if each.judged:
            continue
        note = each.note.removesuffix(".")
        reason, _, found = note.partition(": ")
        if reason not in by_reason:
            reason, found = _REASONS[-1] if note else _REASONS[0], note
        name = f"{shortened(each.column)} = {shortened(each.value)}"
        by_reason[reason].append(f"{name} ({found or _size(each, result)})")
    return [(name, said[:MOST], max(0, len(said) - MOST)) for name, said in by_reason.items() if said]


def _size(each: SliceResult, result: ABTestResult) -> str:
    positives = f", {each.positives:,} positive" if result.config.task == "binary" else ""
    return f"{each.rows:,} rows{positives}"


def _axis(result: ABTestResult, shown: Sequence[SliceResult]) -> Axis:
    """Holds every estimate; an interval much longer than all of these is cut, and its end says so."""
    fixed = [0.0, -result.config.slice_margin]
    primary = result.metrics.get(result.config.primary.metric)
    if primary is not None:
        fixed += [bound for bound in primary.interval if math.isfinite(bound)]
    estimates = [*fixed, *(each.difference for each in shown if math.isfinite(each.difference))]
    ends = [bound for each in shown for bound in each.interval if math.isfinite(bound)]
    low, high = min(estimates), max(estimates)
    room = (high - low) or max((abs(end) for end in ends), default=0.0) or 1.0
    return Axis(max(low - room, min((*ends, low))), min(high + room, max((*ends, high))))


def _overall(result: ABTestResult, drawn: Axis) -> tuple[float, float] | None:
    primary = result.metrics.get(result.config.primary.metric)
    if primary is None or not all(math.isfinite(bound) for bound in primary.interval):
        return None
    return drawn.place(primary.interval[0]), drawn.place(primary.interval[1])


def _line(each: SliceResult, drawn: Axis) -> dict[str, object]:
    size = max(abs(each.champion), abs(each.challenger))
    written = scale(size, each.std_error)
    low, high = each.interval
    bar = None
    if math.isfinite(low) and math.isfinite(high) and math.isfinite(each.difference):
        bar = {
            "low": drawn.place(low),
            "high": drawn.place(high),
            "estimate": drawn.place(each.difference),
            "cut_low": low < drawn.low,
            "cut_high": high > drawn.high,
        }
    return {
        "column": shortened(each.column),
        "value": shortened(each.value),
        "rows": f"{each.rows:,}",
        "positives": f"{each.positives:,}",
        "champion": written.plain(each.champion),
        "challenger": written.plain(each.challenger),
        "difference": written.plus(each.difference),
        "interval": written.interval(each.interval),
        "p_value": p_value(each.adjusted_p_value),
        "word": "harmed" if each.harmed else "no harm shown",
        "harmed": each.harmed,
        "bar": bar,
    }


def evenness(result: ABTestResult) -> list[dict[str, object]]:
    """A sentence or two for each slice column, and whether there is something to look at."""
    primary = result.metrics.get(result.config.primary.metric)
    written = metric_scale(primary) if primary is not None else scale(1.0, 0.01)
    return [
        {
            "column": shortened(each.column),
            "texts": _even(each, written),
            "alarm": _varies(each) or each.reversed,
        }
        for each in result.systematic.evenness
    ]


def _varies(each: Evenness) -> bool:
    return each.p_value < 0.05


def _even(each: Evenness, written: Scale) -> list[str]:
    if each.slices < 2 or not math.isfinite(each.q):
        return ["fewer than two of its values could be judged, so nothing is known about evenness."]
    head = (
        f"the difference is not the same in all {each.slices} values"
        if _varies(each)
        else f"no sign that the difference varies between the {each.slices} values"
    )
    found = (
        f"{head} (Cochran's Q {each.q:.1f} with {each.slices - 1} degrees of freedom, p "
        f"{p_value(each.p_value)}; I\u00b2 {percent(each.i_squared)})."
    )
    if not math.isfinite(each.standardised):
        return [found]
    weighed = f"Weighted by rows, its slices give {written.plus(each.standardised)}"
    if all(math.isfinite(bound) for bound in each.interval):
        weighed += f" (95 % interval {written.interval(each.interval)})"
    compared = (
        "which does not bear out the difference over all rows: that may come from how the slices are mixed "
        "(Simpson's paradox)."
        if each.reversed
        else "which does not speak against the difference over all rows (no Simpson's paradox)."
    )
    return [found, f"{weighed}, {compared}"]
