"""One self-contained HTML page that shows a decision to a person, and its pictures for logging.

    pictures = figures(result, "scores.parquet")
    page = render_report(result, pictures, title="arrival-delay v3 against v2")

The page loads nothing, follows the reader's light or dark setting, and has the same bytes for the same
result, so that it can be compared and cached.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ame.gate.engines.local import roles
from ame.gate.inference import Estimate
from ame.gate.metrics import compare
from ame.gate.result import ABTestResult, MetricResult
from ame.gate.table import Scores, read_scores
from ame.gate.wording import confidence, decimals, label, signed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figures", "render_report"]


def figures(
    result: ABTestResult, data: Scores, *, champion: str = "champion", challenger: str = "challenger"
) -> dict[str, Figure]:
    """The pictures by name: `difference`, `roc` and `calibration`, as matplotlib figures.

    Empty when the result has no metrics; without `difference` when that has no variation. `data` is
    what `run_ab_test` was given; an iterable must be a fresh one. `champion` and `challenger` are what
    the legends call the models, such as "champion v2". Several threads may draw at the same time.
    """
    if not result.metrics:
        return {}
    from ame.gate.pictures import draw_calibration, draw_difference, draw_roc

    rows, _ = read_scores(result.config, data)
    names = {"champion": champion, "challenger": challenger}
    primary = result.metrics[result.config.primary.metric]
    drawn = {}
    if primary.std_error > 0 and not Estimate(primary.difference, primary.std_error).is_degenerate:
        paired = compare(primary.metric, rows, result.config.threshold)
        drawn["difference"] = draw_difference(result, rows, paired, names)
    drawn["roc"] = draw_roc(result, rows, names)
    drawn["calibration"] = draw_calibration(rows, names)
    return drawn


def render_report(
    result: ABTestResult,
    pictures: Mapping[str, Figure],
    *,
    title: str,
    subtitle: Mapping[str, str] | None = None,
    champion: str = "champion",
    challenger: str = "challenger",
) -> str:
    """The whole page, with the pictures that `figures` drew of this result.

    `subtitle` are facts shown under the title, such as the model and both versions; a value that starts
    with http:// or https:// becomes a link. `champion` and `challenger` are what the table calls the
    models. Everything is escaped.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    environment = Environment(
        loader=PackageLoader("ame.gate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    return environment.get_template("report.html").render(
        title=title,
        subtitle=subtitle or {},
        champion=_capital(champion),
        challenger=_capital(challenger),
        result=result,
        rows=[_row(metric) for metric in result.metrics.values()],
        # matplotlib has escaped the names of the models, so its drawing may stand as it is.
        figures={name: Markup(svg) for name, svg in _inline(pictures)},  # noqa: S704
        settings=_settings(result),
        confidence=confidence(result.alpha).replace(" ", "\u00a0"),
    )


def _inline(pictures: Mapping[str, Figure]) -> list[tuple[str, str]]:
    if not pictures:
        return []
    from ame.gate.pictures import inline_svg

    return [(name, inline_svg(name, figure)) for name, figure in pictures.items()]


def _capital(name: str) -> str:
    return name[:1].upper() + name[1:]


def _row(metric: MetricResult) -> dict[str, object]:
    """A metric as the table shows it, every number of a line with as many decimals as it needs."""
    digits = decimals(metric.difference, 0.0, *([metric.lower_bound, metric.margin] if metric.margin else []))
    line, needed = _line(metric), metric.rows_needed
    return {
        "name": label(metric, start=True),
        "role": _capital(metric.role),
        "champion": signed(metric.champion, digits),
        "challenger": signed(metric.challenger, digits),
        "difference": _plus(metric.difference, digits),
        "interval": f"{_plus(metric.interval[0], digits)} to {_plus(metric.interval[1], digits)}",
        "lower": _plus(metric.lower_bound, digits),
        "line": "" if line is None else signed(line, digits),
        "p_value": "<0.0001" if metric.p_value < 1e-4 else f"{metric.p_value:.4f}",
        "mde": f"{metric.mde:.{digits}f}",
        "needed": "" if needed is None else f"{needed:,}",
        "method": metric.method,
        "bar": _bar(metric),
    }


def _plus(value: float, digits: int) -> str:
    text = signed(value, digits)
    return text if text.startswith("-") or float(text) == 0.0 else f"+{text}"


def _line(metric: MetricResult) -> float | None:
    """What the lower bound must be above; None for a metric that decides nothing."""
    if metric.margin is None:
        return None
    return metric.margin if metric.role == "primary" else 0.0 - metric.margin


def _bar(metric: MetricResult) -> dict[str, float]:
    """Places of the interval, the bounds, the estimate, zero and the line to clear, from 0 to 100."""
    places = {
        "low": metric.interval[0],
        "high": metric.interval[1],
        "lower": metric.lower_bound,
        "upper": metric.upper_bound,
        "estimate": metric.difference,
        "zero": 0.0,
    }
    line = _line(metric)
    if line is not None:
        places["line"] = line
    least, most = min(places.values()), max(places.values())
    width = (most - least) or 1.0
    return {name: round(2 + 96 * (place - least) / width, 2) for name, place in places.items()}


def _settings(result: ABTestResult) -> dict[str, str]:
    config = result.config
    named = roles(config)
    guardrails = [
        f"{metric} (margin {margin:g})" for metric, (role, margin) in named.items() if role == "guardrail"
    ]
    reported = [metric for metric, (role, _) in named.items() if role == "reported"]
    return {
        "label": config.label,
        "entity": config.entity or "none: rows are taken as independent",
        "primary": f"{config.primary.metric} (margin {config.primary.margin:g})",
        "guardrails": ", ".join(guardrails) or "none",
        "reported": ", ".join(reported) or "none",
        "alpha": f"{config.alpha:g} one-sided",
        "power": f"{config.power:g}",
        "threshold": f"{config.threshold:g} (accuracy)",
        "least rows of a class": f"{config.min_positives:,}",
        "engine": result.engine,
    }
