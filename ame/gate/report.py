"""One self-contained HTML page that shows a decision to a person, and its pictures for logging.

The page loads nothing, follows the reader's light or dark setting, and has the same bytes for the same
result, so that it can be compared and cached.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING

from ame.gate.engines.local import roles
from ame.gate.metrics import compare
from ame.gate.result import ABTestResult, MetricResult
from ame.gate.table import Scores, read_scores
from ame.gate.wording import confidence, decimals, label, signed

if TYPE_CHECKING:
    from matplotlib.figure import Figure

__all__ = ["figures", "render_report"]

_CAPTIONS = {
    "difference": "How far the difference could have come out elsewhere: 4,000 bootstrap resamples of the "
    "influence values ({unit}, fixed seed). The bar below is the 95 % interval around the estimate; the "
    "decision compares the one-sided {confidence} lower bound with the margin.",
    "roc": "Both models on the same {rows:,} rows.",
    "calibration": "Bins of about {per_bin:,} rows each, by predicted probability; the lines are 95 % Wilson "
    "intervals. On the dotted line, what was predicted is what happened.",
}


def figures(result: ABTestResult, data: Scores) -> dict[str, Figure]:
    """The pictures by name: `difference`, `roc` and `calibration`, as matplotlib figures.

    Empty when the result has no metrics; without `difference` when that has no variation. `data` is
    what `run_ab_test` was given; an iterable must be a fresh one.
    """
    if not result.metrics:
        return {}
    from ame.gate.pictures import draw_calibration, draw_difference, draw_roc

    rows, _ = read_scores(result.config, data)
    primary = result.metrics[result.config.primary.metric]
    drawn = {}
    if primary.std_error > 0:
        paired = compare(primary.metric, rows, result.config.threshold)
        drawn["difference"] = draw_difference(result, rows, paired)
    drawn["roc"] = draw_roc(result, rows)
    drawn["calibration"] = draw_calibration(rows)
    return drawn


def render_report(
    result: ABTestResult, data: Scores, *, title: str, subtitle: Mapping[str, str] | None = None
) -> str:
    """The whole page. `subtitle` are facts shown under the title, such as the model and both versions;
    a value that starts with http:// or https:// becomes a link. Everything is escaped.
    """
    from jinja2 import Environment, PackageLoader, StrictUndefined
    from markupsafe import Markup

    from ame.gate.pictures import inline_svg

    environment = Environment(
        loader=PackageLoader("ame.gate"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    # Our own drawing holds no text of the user's but metric names, so it may stand as it is.
    drawn = {name: Markup(inline_svg(name, figure)) for name, figure in figures(result, data).items()}  # noqa: S704
    return environment.get_template("report.html").render(
        title=title,
        subtitle=subtitle or {},
        result=result,
        rows=[_row(metric) for metric in result.metrics.values()],
        figures=drawn,
        captions=_captions(result),
        settings=_settings(result),
        confidence=confidence(result.alpha),
    )


def _captions(result: ABTestResult) -> dict[str, str]:
    facts = {
        "unit": "whole entities" if result.config.entity else "rows",
        "confidence": confidence(result.alpha),
        "rows": result.rows,
        "per_bin": result.rows // 10,
    }
    return {name: text.format(**facts) for name, text in _CAPTIONS.items()}


def _row(metric: MetricResult) -> dict[str, object]:
    """A metric as the table shows it, every number of a line with as many decimals as it needs."""
    digits = decimals(metric.difference, 0.0, *([metric.lower_bound, metric.margin] if metric.margin else []))
    needed = metric.rows_needed
    return {
        "name": label(metric, start=True),
        "role": metric.role,
        "champion": signed(metric.champion, digits),
        "challenger": signed(metric.challenger, digits),
        "difference": _plus(metric.difference, digits),
        "interval": f"{_plus(metric.interval[0], digits)} to {_plus(metric.interval[1], digits)}",
        "lower": _plus(metric.lower_bound, digits),
        "margin": "" if metric.margin is None else f"{metric.margin:.{digits}f}",
        "p_value": "<0.0001" if metric.p_value < 1e-4 else f"{metric.p_value:.4f}",
        "mde": f"{metric.mde:.{digits}f}",
        "needed": "" if needed is None else f"{needed:,}",
        "method": metric.method,
        "bar": _bar(metric),
    }


def _plus(value: float, digits: int) -> str:
    text = signed(value, digits)
    return text if text.startswith("-") or float(text) == 0.0 else f"+{text}"


def _bar(metric: MetricResult) -> dict[str, float]:
    """Places of the interval, the estimate, zero and the line to clear, from 0 to 100."""
    line = {"primary": metric.margin, "guardrail": -(metric.margin or 0.0)}.get(metric.role)
    places = {
        "low": metric.interval[0],
        "high": metric.interval[1],
        "estimate": metric.difference,
        "zero": 0.0,
    }
    if line is not None:
        places["line"] = line
    least, most = min(places.values()), max(places.values())
    width = (most - least) or 1.0
    return {name: round(6 + 88 * (place - least) / width, 2) for name, place in places.items()}


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
