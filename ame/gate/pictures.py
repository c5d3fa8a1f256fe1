"""The report's pictures, drawn with matplotlib off screen, and their SVG with the page's own colours.

Their sizes belong to the page: shown at its full width, all of them have the same size of letters.
"""

from __future__ import annotations

import io
import re
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from threading import Lock
from typing import TYPE_CHECKING, Any

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure

from ame.gate.curves import bootstrap_differences, calibration, roc_points
from ame.gate.metrics import PairedMetric
from ame.gate.result import ABTestResult, MetricResult
from ame.gate.table import MODELS, ScoredRows
from ame.gate.wording import decimals, label, signed

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw_calibration", "draw_difference", "draw_roc", "inline_svg"]

INK, MUTED, RULE = "#1c2330", "#6b7381", "#d8dce3"
COLOURS = {"champion": "#a8620c", "challenger": "#1f62d0"}
#: The champion's line is a soft band, so that it shows beneath a challenger that is just as good.
LINES: Any = {"champion": {"linewidth": 3.4, "alpha": 0.65}, "challenger": {"linewidth": 1.7}}
_VARIABLES = {
    INK: "--ink",
    MUTED: "--muted",
    RULE: "--rule",
    COLOURS["champion"]: "--champion",
    COLOURS["challenger"]: "--challenger",
}
_STYLE: Any = {
    "font.size": 10,
    "text.color": INK,
    "text.parse_math": False,  # a dollar in a name is a dollar
    "axes.labelcolor": INK,
    "axes.edgecolor": MUTED,
    "axes.facecolor": "none",
    "axes.grid": True,
    "axes.axisbelow": True,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched, and takes the page's font
    "svg.hashsalt": "ame-gate",
}
_ALONE = Lock()


@contextmanager
def _styled() -> Iterator[None]:
    """The settings of matplotlib are those of the process: one thread at a time may change them."""
    with _ALONE, mpl.rc_context(_STYLE):
        yield


@_styled()
def draw_difference(
    result: ABTestResult, rows: ScoredRows, paired: PairedMetric, names: Mapping[str, str]
) -> Figure:
    """The bootstrap distribution of the primary metric's difference, with zero, margin and bounds.

    `names` are what the two of `MODELS` are called, here as below.
    """
    primary = result.metrics[result.config.primary.metric]
    draws = bootstrap_differences(paired, rows)
    figure, axes = _figure(7.35, 3.5, left=0.15)
    heights, edges = np.histogram(draws, bins=60, density=True)
    top = float(heights.max())
    axes.stairs(heights, edges, fill=True, color=COLOURS["challenger"], alpha=0.35)
    _draw_interval(axes, primary, -0.09 * top)
    highest = _draw_lines(axes, primary, top, (float(edges[0]), float(edges[-1])))
    axes.set(ylim=(-0.18 * top, highest + 0.03 * top), yticks=[])
    axes.set_xlabel(_direction(primary, names))
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    return figure


@_styled()
def draw_roc(result: ABTestResult, rows: ScoredRows, names: Mapping[str, str]) -> Figure:
    """Both ROC curves."""
    figure, axes = _figure(5.55, 4.5)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
    area = result.metrics.get("roc_auc")
    for model in MODELS:
        points = roc_points(rows.label, getattr(rows, model))
        name = f"{names[model]} (area {getattr(area, model):.4f})" if area else names[model]
        axes.plot(*points, color=COLOURS[model], label=name, **LINES[model])
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.legend(loc="lower right")
    return figure


@_styled()
def draw_calibration(rows: ScoredRows, names: Mapping[str, str]) -> Figure:
    """What was predicted against what happened, in bins of about equally many rows."""
    figure, axes = _figure(5.55, 4.5)
    furthest = 0.0
    for model in MODELS:
        bins = calibration(rows.label, getattr(rows, model))
        furthest = max(furthest, float(bins.predicted.max()), float(bins.high.max()))
        axes.vlines(bins.predicted, bins.low, bins.high, color=COLOURS[model], linewidth=1.4, alpha=0.6)
        axes.plot(bins.predicted, bins.observed, color=COLOURS[model], **LINES[model])
        axes.plot(
            bins.predicted, bins.observed, "o", color=COLOURS[model], label=names[model], markersize=4.5
        )
    limit = min(1.0, furthest * 1.05)
    axes.plot([0, limit], [0, limit], color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
    axes.set(xlabel="mean predicted probability", ylabel="share of positives", aspect="equal")
    axes.set(xlim=(0, limit), ylim=(0, limit))
    axes.legend(loc="upper left")
    return figure


@_styled()
def inline_svg(name: str, figure: Figure) -> str:
    """The figure as an `<svg>` element for this page; the same figure gives the same bytes.

    Dates and generator metadata are left out, ids carry the figure's name so that several figures fit
    on a page, and colours become the page's CSS variables, so that dark mode reaches them. Text in it
    is escaped.
    """
    drawn = io.StringIO()
    figure.savefig(drawn, format="svg", transparent=True, metadata={"Date": None})
    svg = drawn.getvalue()
    svg = svg[svg.index("<svg") :].strip()
    svg = re.sub(r"\s*<metadata>.*?</metadata>", "", svg, flags=re.DOTALL)
    svg = re.sub(r'\s(?:xmlns(?::\w+)?|version)="[^"]*"', "", svg)
    svg = re.sub(r'(<svg[^>]*?) width="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'(<svg[^>]*?) height="[^"]*"', r"\1", svg, count=1)
    svg = re.sub(r'\bid="', f'id="{name}-', svg)
    svg = re.sub(r'href="#', f'href="#{name}-', svg)
    svg = re.sub(r"url\(#", f"url(#{name}-", svg)
    for colour, variable in _VARIABLES.items():
        svg = svg.replace(colour, f"var({variable})")
    return svg


def _figure(width: float, height: float, left: float = 0.65) -> tuple[Figure, Axes]:
    """A figure and its axes at a fixed place, in inches: no layout depends on what was drawn before."""
    figure = Figure(figsize=(width, height))
    bottom, margin = 0.6, 0.15
    box = left / width, bottom / height, (width - left - margin) / width, (height - bottom - margin) / height
    return figure, figure.add_axes(box)


def _draw_interval(axes: Axes, primary: MetricResult, height: float) -> None:
    """The 95 % interval with caps, thick between the one-sided bounds, and the estimate."""
    bounds = (primary.lower_bound, primary.upper_bound)
    axes.plot(primary.interval, [height] * 2, "|-", color=INK, linewidth=1.2, markersize=9)
    axes.plot(bounds, [height] * 2, color=INK, linewidth=3.6, solid_capstyle="butt")
    axes.plot([primary.difference], [height], "o", color=INK, markersize=6.5)


def _draw_lines(axes: Axes, primary: MetricResult, top: float, drawn: tuple[float, float]) -> float:
    """Zero, the margin and the bounds that decide, named at their ends; returns the highest end.

    All names stand on the side with more room, and a line is the taller the more lines are on that
    side of it: so no name crosses a line.
    """
    margin = primary.margin or 0.0
    lines = [(0.0, "no difference", MUTED, "solid")]
    lines.append((primary.lower_bound, "lower bound", COLOURS["challenger"], "solid"))
    if primary.lower_bound <= margin:
        lines.append((primary.upper_bound, "upper bound", COLOURS["challenger"], "solid"))
    if margin:
        lines.append((margin, "margin", INK, "dashed"))
    places = [place for place, *_ in lines]
    first, last = min(*places, drawn[0]), max(*places, drawn[1])
    rightwards = min(places) - first < last - max(places)
    room = 0.28 * (last - first)
    if rightwards:
        last = max(last, max(places) + room)
    else:
        first = min(first, min(places) - room)
    axes.set_xlim(first - 0.02 * (last - first), last + 0.02 * (last - first))
    digits = decimals(*places)
    height = top
    for place, name, colour, dash in sorted(lines, reverse=rightwards):
        height += 0.13 * top
        axes.vlines(place, -0.18 * top, height, color=colour, linewidth=1.2, linestyle=dash)
        axes.annotate(
            f"{name} {signed(place, digits)}" if place else name,
            (place, height),
            xytext=(5 if rightwards else -5, 0),
            textcoords="offset points",
            color=colour,
            verticalalignment="top",
            horizontalalignment="left" if rightwards else "right",
        )
    return height


def _direction(metric: MetricResult, names: Mapping[str, str]) -> str:
    """What was taken from what, so that more is better for the challenger."""
    if metric.metric in {"log_loss", "brier"}:
        return f"{label(metric, start=True)} of {names['champion']} minus that of {names['challenger']}"
    return f"{label(metric, start=True)} of {names['challenger']} minus that of {names['champion']}"
