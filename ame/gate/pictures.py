"""The report's pictures, drawn with matplotlib off screen, and their SVG with the page's own colours."""

from __future__ import annotations

import io
import re
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
BOUND = COLOURS["challenger"]
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
}


@mpl.rc_context(_STYLE)
def draw_difference(result: ABTestResult, rows: ScoredRows, paired: PairedMetric) -> Figure:
    """The bootstrap distribution of the primary metric's difference, with zero, margin and interval."""
    primary = result.metrics[result.config.primary.metric]
    draws = bootstrap_differences(paired, rows)
    figure, axes = _figure(7.2, 3.3)
    heights, edges = np.histogram(draws, bins=60, density=True)
    axes.bar(edges[:-1], heights, np.diff(edges), align="edge", color=COLOURS["challenger"], alpha=0.35)
    top = float(heights.max())
    axes.plot(primary.interval, [-0.06 * top] * 2, color=INK, linewidth=2.5, solid_capstyle="butt")
    axes.plot([primary.difference], [-0.06 * top], "o", color=INK, markersize=5)
    _draw_lines(axes, primary, top)
    axes.set(ylim=(-0.12 * top, 1.42 * top), yticks=[])
    axes.set_xlabel(f"{label(primary, start=True)} {_direction(primary)}")
    axes.spines["left"].set_visible(False)
    axes.grid(visible=False)
    return figure


@mpl.rc_context(_STYLE)
def draw_roc(result: ABTestResult, rows: ScoredRows) -> Figure:
    """Both ROC curves."""
    figure, axes = _figure(4.6, 4.3)
    axes.plot([0, 1], [0, 1], color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
    area = result.metrics.get("roc_auc")
    for model in MODELS:
        points = roc_points(rows.label, getattr(rows, model))
        name = f"{model} (area {getattr(area, model):.4f})" if area else model
        axes.plot(*points, color=COLOURS[model], linewidth=1.8, label=name)
    axes.set(xlabel="false positive rate", ylabel="true positive rate", aspect="equal")
    axes.set(xlim=(-0.01, 1.01), ylim=(-0.01, 1.01))
    axes.legend(loc="lower right")
    return figure


@mpl.rc_context(_STYLE)
def draw_calibration(rows: ScoredRows) -> Figure:
    """What was predicted against what happened, in bins of about equally many rows."""
    figure, axes = _figure(4.6, 4.3)
    furthest = 0.0
    for model in MODELS:
        bins = calibration(rows.label, getattr(rows, model))
        furthest = max(furthest, float(bins.predicted.max()), float(bins.high.max()))
        axes.vlines(bins.predicted, bins.low, bins.high, color=COLOURS[model], linewidth=1.4, alpha=0.6)
        axes.plot(bins.predicted, bins.observed, "o-", color=COLOURS[model], label=model, markersize=4)
    limit = min(1.0, furthest * 1.05)
    axes.plot([0, limit], [0, limit], color=MUTED, linewidth=1, linestyle=(0, (2, 3)))
    axes.set(
        xlabel="mean predicted probability", ylabel="share of positives", xlim=(0, limit), ylim=(0, limit)
    )
    axes.legend(loc="upper left")
    return figure


def inline_svg(name: str, figure: Figure) -> str:
    """The figure as an `<svg>` element for this page; the same figure gives the same bytes.

    Dates and generator metadata are left out, ids carry the figure's name so that several figures fit
    on a page, and colours become the page's CSS variables, so that dark mode reaches them.
    """
    drawn = io.StringIO()
    with mpl.rc_context({**_STYLE, "svg.hashsalt": f"ame-gate-{name}"}):
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


def _figure(width: float, height: float) -> tuple[Figure, Axes]:
    figure = Figure(figsize=(width, height), layout="tight")
    return figure, figure.add_subplot()


def _draw_lines(axes: Axes, primary: MetricResult, top: float) -> None:
    """Zero, the margin and the lower bound; the further left, the taller, so that names cross no line."""
    lines = [(0.0, "no difference", MUTED, "solid"), (primary.lower_bound, "lower bound", BOUND, "solid")]
    if primary.margin:
        lines.append((primary.margin, "margin", INK, "dashed"))
    digits = decimals(*(place for place, *_ in lines))
    for row, (place, name, colour, dash) in enumerate(sorted(lines, reverse=True)):
        height = (1.12 + 0.1 * row) * top
        axes.vlines(place, -0.12 * top, height, color=colour, linewidth=1.2, linestyle=dash)
        value = f" {signed(place, digits)}" if place else ""
        axes.text(place, height, f" {name}{value}", color=colour, verticalalignment="top")


def _direction(metric: MetricResult) -> str:
    if metric.metric in {"log_loss", "brier"}:
        return "of the champion minus the challenger's (more is better)"
    return "of the challenger minus the champion's"
