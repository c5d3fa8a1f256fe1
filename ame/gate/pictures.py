"""The report's pictures, drawn with matplotlib off screen, and their SVG with the page's own colours.

Their sizes belong to the page: shown at its full width, all of them have the same size of letters.
"""

from __future__ import annotations

import io
import re
import warnings
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from html import escape
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeAlias

import matplotlib as mpl
import numpy as np
from matplotlib.figure import Figure
from numpy.typing import NDArray

from ame.gate.config import LOSSES
from ame.gate.report.metrics import line_to_clear, metric_scale
from ame.gate.report.numbers import metric_name, shortened
from ame.gate.report.pooling import pooled
from ame.gate.result import ABTestResult, Distribution, MetricResult
from ame.gate.summary import Reliability, Summary

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["draw", "inline_svg"]

MODELS = ("champion", "challenger")
INK, MUTED, RULE = "#1c2330", "#6b7381", "#d8dce3"
COLOURS = {"champion": "#a8620c", "challenger": "#1f62d0"}
#: The champion's line is a soft band, so that it shows beneath a challenger that is just as good.
LINES: Any = {"champion": {"linewidth": 3.4, "alpha": 0.65}, "challenger": {"linewidth": 1.7}}
MARKS = {"champion": "s", "challenger": "o"}
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
    "axes.formatter.use_mathtext": False,
    "axes.formatter.useoffset": False,
    "axes.unicode_minus": False,
    "grid.color": RULE,
    "grid.linewidth": 0.8,
    "xtick.color": MUTED,
    "ytick.color": MUTED,
    "legend.frameon": False,
    "svg.fonttype": "none",  # text stays text: it can be read aloud, searched, and takes the page's font
    "svg.hashsalt": "ame-gate",
}
_Points: TypeAlias = Mapping[str, NDArray[np.float64]]
_ALONE = Lock()
_LONGEST_NAME = 34


@contextmanager
def _styled() -> Iterator[None]:
    """The settings of matplotlib are those of the process: one thread at a time may change them."""
    with _ALONE, mpl.rc_context(_STYLE):
        yield


@_styled()
def draw(result: ABTestResult, names: Mapping[str, str]) -> dict[str, Figure]:
    """Every picture of which the result has the numbers; `names` are what the two models are called."""
    names = {model: shortened(name, _LONGEST_NAME) for model, name in names.items()}
    drawn = {}
    primary = result.metrics.get(result.config.primary.metric)
    scattered = result.distributions.get(result.config.primary.metric)
    if primary is not None and scattered is not None and _can_scatter(primary, scattered):
        drawn["difference"] = _draw_difference(primary, scattered, names)
    if result.summary is None or not result.metrics:
        return drawn
    if points := _points(result.summary, "roc"):
        drawn["roc"] = _draw_roc(result, points, names)
    if points := _points(result.summary, "pr"):
        drawn["precision_recall"] = _draw_precision_recall(result, points, names)
    if all(model in result.summary.reliability for model in MODELS):
        drawn["calibration"] = _draw_calibration(result.summary.reliability, names)
    if points := _points(result.summary, "residuals"):
        drawn["residuals"] = _draw_residuals(result, points, names)
    return drawn


def _points(summary: Summary, curve: str) -> _Points:
    """By model; empty when not both have points to draw."""
    curves = {model: summary.curves.get(model, {}).get(curve) for model in MODELS}
    found = {model: points for model, points in curves.items() if points is not None and points.shape[1] > 1}
    return found if len(found) == len(MODELS) else {}


def _can_scatter(primary: MetricResult, scattered: Distribution) -> bool:
    edges = scattered.edges.get("difference", ())
    bounds = (primary.difference, primary.lower_bound, primary.upper_bound, *primary.interval)
    spans = len(edges) > 1 and edges[-1] - edges[0] > 1e-9 * abs(primary.difference)
    return spans and bool(np.isfinite(bounds).all() and np.isfinite(edges).all())


def _draw_difference(primary: MetricResult, scattered: Distribution, names: Mapping[str, str]) -> Figure:
    """The distribution of the primary metric's difference, with zero, margin and bounds."""
    figure, axes = _figure(6.4, 3.4, left=0.15)
    edges = np.asarray(scattered.edges["difference"], np.float64)
    counts = np.asarray(scattered.counts["difference"], np.float64)
    heights = np.divide(counts, np.diff(edges), out=np.zeros_like(counts), where=np.diff(edges) > 0)
    top = float(heights.max()) or 1.0
    heights /= top
    axes.stairs(heights, edges, fill=True, color=COLOURS["challenger"], alpha=0.35)
    _draw_interval(axes, primary, -0.09)
    highest = _draw_lines(axes, primary, (float(edges[0]), float(edges[-1])))
    axes.set(ylim=(-0.18, highest + 0.03), yticks=[])
    axes.locator_params(axis="x", nbins=6)
    axes.set_xlabel(_direction(primary, names))
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    return figure


def _draw_roc(result: ABTestResult, points: _Points, names: Mapping[str, str]) -> Figure:
    figure, axes = _figure(5.55, 4.5)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
    _draw_curves(axes, points, result.metrics.get("roc_auc"), "area", names)
    axes.set(xlabel="false positive rate", ylabel="true positive rate")
    axes.legend(loc="lower right")
    return figure


def _draw_precision_recall(result: ABTestResult, points: _Points, names: Mapping[str, str]) -> Figure:
    figure, axes = _figure(5.55, 4.5)
    if result.rows:
        share = result.positives / result.rows
        axes.plot([0, 1], [share, share], color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
    _draw_curves(axes, points, result.metrics.get("average_precision"), "average", names)
    axes.set(xlabel="recall", ylabel="precision")
    axes.legend(loc="upper right" if 2 * result.positives < result.rows else "lower left")
    return figure


def _draw_curves(
    axes: Axes, points: _Points, value: MetricResult | None, word: str, names: Mapping[str, str]
) -> None:
    for model in MODELS:
        name = names[model]
        if value is not None and value.undefined is None:
            name = f"{name} ({word} {getattr(value, model):.4f})"
        axes.plot(*points[model], color=COLOURS[model], label=name, **LINES[model])
    axes.set(aspect="equal", xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))


def _draw_calibration(reliability: Mapping[str, Reliability], names: Mapping[str, str]) -> Figure:
    """What was predicted against what happened, in bins of about equally many rows."""
    figure, axes = _figure(5.55, 4.5)
    furthest = 0.0
    for model in MODELS:
        predicted, observed, low, high = pooled(reliability[model])
        furthest = max(furthest, float(predicted.max()), float(high.max()))
        axes.vlines(predicted, low, high, color=COLOURS[model], linewidth=1.4, alpha=0.6)
        axes.plot(predicted, observed, color=COLOURS[model], **LINES[model])
        axes.plot(predicted, observed, MARKS[model], color=COLOURS[model], label=names[model], markersize=4.5)
    limit = min(1.0, furthest * 1.05)
    axes.plot([0, limit], [0, limit], color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
    axes.set(xlabel="mean predicted probability", ylabel="share of positives", aspect="equal")
    axes.set(xlim=(0, limit), ylim=(0, limit))
    axes.legend(loc="upper left")
    return figure


def _draw_residuals(result: ABTestResult, points: _Points, names: Mapping[str, str]) -> Figure:
    """How far the predictions are off, as the share of the rows in each bin."""
    figure, axes = _figure(6.4, 3.4)
    for model in MODELS:
        centres, rows = points[model]
        share = rows / max(float(rows.sum()), 1.0)
        axes.step(centres, 100 * share, where="mid", color=COLOURS[model], label=names[model], **LINES[model])
    axes.axvline(0.0, color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
    axes.set(
        xlabel=f"{shortened(result.config.label, _LONGEST_NAME)} less its prediction",
        ylabel="share of rows, %",
    )
    axes.set_ylim(bottom=0.0)
    axes.legend(loc="upper left")
    return figure


@_styled()
def inline_svg(name: str, figure: Figure, title: str) -> str:
    """The figure as an `<svg>` element for this page; the same figure gives the same bytes.

    Dates and generator metadata are left out, ids carry the figure's name so that several figures fit
    on a page, and colours become the page's CSS variables, so that dark mode reaches them. Text in it,
    and the `title` that stands for the picture where it is read aloud, are escaped.
    """
    drawn = io.StringIO()
    with warnings.catch_warnings():
        # Text stays text, so that it is the reader's fonts that must have the characters of a name.
        warnings.filterwarnings("ignore", message="Glyph .* missing from", category=UserWarning)
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
    opening, _, rest = svg.partition(">")
    return f'{opening} role="img">\n <title>{escape(title)}</title>{rest}'


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


def _draw_lines(axes: Axes, primary: MetricResult, drawn: tuple[float, float]) -> float:
    """Zero, the margin and the bounds that decide, named at their ends; returns the highest end.

    All names stand on the side with more room, and a line is the taller the more lines are on that
    side of it: so no name crosses a line.
    """
    margin = line_to_clear(primary) or 0.0
    lines = [(0.0, "no difference", MUTED, "solid")]
    lines.append((primary.lower_bound, "lower bound", COLOURS["challenger"], "solid"))
    if primary.lower_bound <= margin:
        lines.append((primary.upper_bound, "upper bound", COLOURS["challenger"], "solid"))
    if margin:
        lines.append((margin, "margin", INK, "dashed"))
    places = [place for place, *_ in lines]
    first, last = min(*places, drawn[0]), max(*places, drawn[1])
    rightwards = min(places) - first < last - max(places)
    room = 0.33 * (last - first)
    if rightwards:
        last = max(last, max(places) + room)
    else:
        first = min(first, min(places) - room)
    axes.set_xlim(first - 0.02 * (last - first), last + 0.02 * (last - first))
    written = metric_scale(primary)
    height = 1.0
    for place, name, colour, dash in sorted(lines, reverse=rightwards):
        height += 0.13
        axes.vlines(place, -0.18, height, color=colour, linewidth=1.2, linestyle=dash)
        axes.annotate(
            f"{name} {written.plus(place)}" if place else name,
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
    first, second = ("champion", "challenger") if metric.metric in LOSSES else ("challenger", "champion")
    return f"{metric_name(metric.metric, start=True)} of {names[first]} minus that of {names[second]}"
