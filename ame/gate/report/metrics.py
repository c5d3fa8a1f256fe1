"""The metrics' part of the page: the table with its bars, the tiles on top, the histograms."""

from __future__ import annotations

import itertools
import math
from collections.abc import Mapping

from ame.gate.report.numbers import NONE, Scale, capital, metric_name, p_value, scale
from ame.gate.report.places import Axis, axis
from ame.gate.result import ABTestResult, Distribution, MetricResult

__all__ = ["histograms", "line_to_clear", "metric_rows", "metric_scale", "tiles", "verdict"]

#: Of a histogram, in the unit of its picture: the ends of the axis, the base line and the height.
_LEFT, _RIGHT, _BASE, _HEIGHT = 10.0, 350.0, 92.0, 84.0


def line_to_clear(metric: MetricResult) -> float | None:
    """What the lower bound must be above; None for a metric that decides nothing."""
    if metric.margin is None:
        return None
    return metric.margin if metric.role == "primary" else 0.0 - metric.margin


def verdict(metric: MetricResult) -> str:
    """What the metric says by itself, in two or three words; empty for one that is only reported."""
    line = line_to_clear(metric)
    if line is None:
        return ""
    if metric.undefined is not None:
        return "no value"
    tied = metric.difference == 0.0 and metric.std_error == 0.0
    if metric.role == "guardrail":
        if metric.lower_bound > line or tied:
            return "holds"
        return "harmed" if metric.upper_bound < line else "not shown to hold"
    if metric.lower_bound > line:
        return "better by the margin" if line else "better"
    return "not better by the margin" if metric.upper_bound < line else "undecided"


def metric_scale(metric: MetricResult) -> Scale:
    line = line_to_clear(metric)
    size = max(abs(metric.champion), abs(metric.challenger))
    apart = (metric.difference, 0.0, *((metric.lower_bound, line) if line else ()))
    return scale(size, metric.std_error, *apart)


def metric_rows(result: ABTestResult) -> list[dict[str, object]]:
    """The table's lines, the primary metric first."""
    return [_row(metric) for metric in result.metrics.values()]


def _row(metric: MetricResult) -> dict[str, object]:
    written, line, needed = metric_scale(metric), line_to_clear(metric), metric.rows_needed
    return {
        "name": metric_name(metric.metric, start=True),
        "role": capital(metric.role),
        "verdict": verdict(metric),
        "champion": written.plain(metric.champion),
        "challenger": written.plain(metric.challenger),
        "difference": written.plus(metric.difference),
        "interval": written.interval(metric.interval),
        "lower": written.plus(metric.lower_bound),
        "line": "\u2013" if line is None else written.plain(line),
        "p_value": p_value(metric.p_value),
        "mde": written.plain(metric.mde),
        "needed": NONE if needed is None else f"{needed:,}",
        "method": metric.method,
        "notes": _notes(metric, written),
        "undefined": metric.undefined,
        "bar": _bar(metric),
    }


def _notes(metric: MetricResult, written: Scale) -> list[str]:
    notes = []
    if metric.undefined is None and metric.difference != 0.0 and math.isnan(metric.p_value):
        notes.append("it differs by the same amount on every row, so its error is not known")
    if metric.design_effect is not None and math.isfinite(metric.design_effect):
        notes.append(f"design effect {metric.design_effect:.2f}")
    if metric.error_bound > 0 and math.isfinite(metric.error_bound):
        finer = scale(0.0, metric.error_bound) if metric.error_bound < 1 else written
        notes.append(f"binning moves it by at most {finer.plain(metric.error_bound)}")
    return notes


def _bar(metric: MetricResult) -> dict[str, float] | None:
    """Places of the interval, the bounds, the estimate, zero and the line to clear, from 0 to 100."""
    values = {
        "low": metric.interval[0],
        "high": metric.interval[1],
        "lower": metric.lower_bound,
        "upper": metric.upper_bound,
        "estimate": metric.difference,
        "zero": 0.0,
    }
    line = line_to_clear(metric)
    if line is not None:
        values["line"] = line
    drawn = axis(values.values())
    if drawn is None or not all(math.isfinite(value) for value in values.values()):
        return None
    return {name: drawn.place(value) for name, value in values.items()}


def tiles(result: ABTestResult) -> list[dict[str, str]]:
    """What a reader in a hurry takes along: a name, a number or word, and a line beneath it."""
    primary = result.metrics.get(result.config.primary.metric)
    shown = []
    if primary is not None and primary.undefined is None:
        written = metric_scale(primary)
        shown.append(
            {
                "name": f"{metric_name(primary.metric, start=True)}, difference",
                "value": written.plus(primary.difference),
                "detail": f"{written.interval(primary.interval)} (95 %)",
            }
        )
    guardrails = [metric for metric in result.metrics.values() if metric.role == "guardrail"]
    if guardrails:
        failing = [metric for metric in guardrails if verdict(metric) != "holds"]
        named = ", ".join(f"{metric_name(metric.metric)} {verdict(metric)}" for metric in failing)
        kept = f"{len(guardrails) - len(failing)} of {len(guardrails)} hold"
        shown.append({"name": "Guardrails", "value": kept, "detail": capital(named) or "None is in danger"})
    judged = [each for each in result.slices if each.judged]
    if result.slices:
        harmed, small = sum(each.harmed for each in judged), len(result.slices) - len(judged)
        value = f"{harmed} of {len(judged)} harmed" if judged else "None judged"
        left = f"{small} more" if judged else str(small)
        detail = f"{left} not judged" if small else "All were judged"
        shown.append({"name": "Slices", "value": value, "detail": detail})
    if result.checks:
        passed = sum(check.passed for check in result.checks)
        blocks = sum(not check.passed and check.blocks for check in result.checks)
        warnings = len(result.checks) - passed - blocks
        found = [f"{blocks} blocking"] * bool(blocks) + [_counted(warnings, "warning")] * bool(warnings)
        detail = capital(", ".join(found)) or "Nothing to report"
        value = f"{passed} of {len(result.checks)} passed"
        shown.append({"name": "Checks", "value": value, "detail": detail})
    ledger = result.ledger
    if ledger is not None and ledger.look:
        total = "" if ledger.looks is None else f" of {ledger.looks}"
        detail = f"alpha {ledger.alpha:.2g} of {ledger.total:g}"
        shown.append({"name": "Look at this holdout", "value": f"{ledger.look}{total}", "detail": detail})
    return shown


def _counted(number: int, thing: str) -> str:
    return f"{number} {thing}" if number == 1 else f"{number} {thing}s"


def histograms(result: ABTestResult, names: Mapping[str, str]) -> list[dict[str, object]]:
    """For each metric that was drawn again: the picture of both models and that of the difference."""
    shown: list[dict[str, object]] = []
    for name, metric in result.metrics.items():
        drawn = result.distributions.get(name)
        if drawn is None:
            continue
        written, line = metric_scale(metric), line_to_clear(metric)
        wanted = (0.0,) if line is None else (0.0, line)
        pictures = [
            _histogram(drawn, ("champion", "challenger"), names, written, ()),
            _histogram(drawn, ("difference",), names, written, wanted),
        ]
        shown.append(
            {
                "name": metric_name(name, start=True),
                "method": capital(drawn.method),
                "pictures": [picture for picture in pictures if picture is not None],
            }
        )
    return shown


def _histogram(
    drawn: Distribution,
    series: tuple[str, ...],
    names: Mapping[str, str],
    written: Scale,
    lines: tuple[float, ...],
) -> dict[str, object] | None:
    present = [each for each in series if len(drawn.edges.get(each, ())) > 1]
    if not present:
        return None
    is_difference = "difference" in series
    head = "the difference" if is_difference else "both models"
    legend = []
    for each in present:
        low, middle, high = drawn.quantiles.get(each, (math.nan,) * 3)
        write = written.plus if is_difference else written.plain
        span = f"95 % from {write(low)} to {write(high)}" if math.isfinite(low + high) else ""
        text = f"median {write(middle)}" if math.isfinite(middle) else f"median {NONE}"
        name = "difference" if is_difference else names[each]
        legend.append({"series": each, "name": name, "text": f"{text}, {span}".removesuffix(", ")})
    span_of = axis([edge for each in present for edge in drawn.edges[each]], _LEFT, _RIGHT)
    if span_of is None:
        return {"head": head, "legend": legend, "shapes": None}
    shown, off = _with_lines(span_of, lines)
    densities = {each: _density(drawn, each) for each in present}
    top = max((max(density) for density in densities.values()), default=0.0)
    if not (top > 0 and math.isfinite(top)):
        return {"head": head, "legend": legend, "shapes": None}
    shapes = [
        {
            "series": each,
            "path": _steps(shown, drawn.edges[each], density, top),
            "low": shown.place(drawn.quantiles[each][0]),
            "middle": shown.place(drawn.quantiles[each][1]),
            "high": shown.place(drawn.quantiles[each][2]),
        }
        for each, density in densities.items()
        if each in drawn.quantiles
    ]
    marks = [
        {"place": shown.place(line), "kind": "line" if line or order else "zero"}
        for order, line in enumerate(lines)
        if shown.holds(line) and not (order and line == 0.0)
    ]
    return {
        "head": head,
        "legend": legend,
        "shapes": shapes,
        "marks": marks,
        "off": off,
        "ticks": shown.ticks(6),
    }


def _with_lines(span: Axis, lines: tuple[float, ...]) -> tuple[Axis, str]:
    """The axis with the lines on it, unless these are so far away that nothing else could be seen."""
    width = span.high - span.low
    low, high = min((span.low, *lines)), max((span.high, *lines))
    if high - low <= 4 * width:
        pad = 0.03 * (high - low)
        return Axis(low - pad, high + pad, span.left, span.right), ""
    side = "left" if low < span.low else "right"
    return span, f"The line of no difference is far to the {side}."


def _density(drawn: Distribution, series: str) -> list[float]:
    edges, counts = drawn.edges[series], drawn.counts.get(series, ())
    total = sum(counts) or 1
    widths = [high - low for low, high in itertools.pairwise(edges)]
    return [
        count / (total * width) if width > 0 else 0.0 for count, width in zip(counts, widths, strict=False)
    ]


def _steps(drawn: Axis, edges: tuple[float, ...], density: list[float], top: float) -> str:
    parts = [f"M{drawn.place(edges[0])} {_BASE:g}"]
    for right, height in zip(edges[1:], density, strict=False):
        parts.append(f"V{_BASE - _HEIGHT * height / top:.1f}H{drawn.place(right)}")
    return "".join((*parts, f"V{_BASE:g}Z"))
