"""What speaks for or against the test itself: calibration, drift, ledger, placebo, checks and settings."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import fields

from ame.gate.config import ABTest, Margin
from ame.gate.report.numbers import NONE, metric_name, p_value, scale, shortened
from ame.gate.report.slices import MOST
from ame.gate.result import ABTestResult, Check, Drift, LedgerUse, ModelCalibration

__all__ = ["calibration", "checks", "drift", "engine", "ledger", "placebo", "settings"]

#: A field of the configuration as the page calls it; a field that is not here keeps its own name.
_WORDS = {
    "label": "label column",
    "metrics": "reported metrics",
    "slices": "slice columns",
    "slice_margin": "margin of a slice",
    "entity": "entity column",
    "row": "row column",
    "row_is_content": "row column is a hash of the row",
    "time": "time column",
    "variant": "variant column (split)",
    "share": "challenger's share (split)",
    "alpha": "alpha, one-sided",
    "looks": "looks at one holdout",
    "threshold": "threshold of a positive",
    "quantile": "quantile (pinball)",
    "min_positives": "least rows of a class",
    "min_slice_rows": "least rows of a slice",
    "min_slice_positives": "least rows of a class in a slice",
    "max_duplicates": "largest share of duplicates",
    "max_overlap": "largest share seen in training",
    "sample_ratio_alpha": "alpha of the sample ratio (split)",
}
_UNSET = {
    "entity": "none: rows are taken as independent",
    "row": "none: rows cannot be told apart",
    "time": "none: the rows' times are not compared",
    "looks": "any number: the k-th gets alpha / (k (k + 1))",
}


def calibration(result: ABTestResult, names: Mapping[str, str]) -> list[dict[str, str]]:
    """A line for each model with the tests' numbers and what they say."""
    return [
        _calibrated(names.get(model, model), each) for model, each in result.systematic.calibration.items()
    ]


def _calibrated(name: str, each: ModelCalibration) -> dict[str, str]:
    large = scale(1.0, each.in_the_large_error)
    error = (
        f" \u00b1 {large.plain(each.in_the_large_error)}" if math.isfinite(each.in_the_large_error) else ""
    )
    return {
        "name": name,
        "spiegelhalter": _two(each.spiegelhalter, "none" if math.isnan(each.spiegelhalter) else "infinite"),
        "p_value": p_value(each.p_value),
        "in_the_large": large.plus(each.in_the_large) + error,
        "intercept": _two(each.intercept),
        "slope": _two(each.slope),
        "word": _says_calibrated(each),
    }


def _two(value: float, otherwise: str = "could not be fitted") -> str:
    return f"{value:.2f}" if math.isfinite(value) else otherwise


def _says_calibrated(each: ModelCalibration) -> str:
    if math.isnan(each.p_value):
        return "Not tested: the scores have no variance to test with."
    found = []
    if abs(each.in_the_large) > 1.96 * each.in_the_large_error:
        found.append("too high on average" if each.in_the_large > 0 else "too low on average")
    if each.p_value < 0.05 and math.isfinite(each.slope) and not 0.95 <= each.slope <= 1.05:
        found.append("too extreme" if each.slope < 1 else "too timid")
    if found:
        return f"The probabilities are {' and '.join(found)}."
    if each.p_value < 0.05:
        return "The probabilities are not the frequencies that they claim."
    return "No sign of miscalibration."


def drift(result: ABTestResult) -> dict[str, object] | None:
    """The columns that moved most, and how many more there are; None when nothing was compared."""
    if not result.drift:
        return None
    ordered = sorted(result.drift, key=_most_moved_first)
    return {
        "lines": [_moved(each) for each in ordered[:MOST]],
        "more": max(0, len(ordered) - MOST),
        "drifted": sum(each.drifted for each in ordered),
        "columns": len(ordered),
    }


def _most_moved_first(each: Drift) -> tuple[bool, float, str]:
    return not each.drifted, -each.psi if math.isfinite(each.psi) else math.inf, each.column


def _moved(each: Drift) -> dict[str, object]:
    written = scale(1.0, each.psi_floor)
    return {
        "column": shortened(each.column),
        "kind": each.kind,
        "rows": f"{each.rows[0]:,} / {each.rows[1]:,}",
        "psi": written.plain(each.psi),
        "floor": written.plain(each.psi_floor),
        "psi_p_value": p_value(each.psi_p_value),
        "statistic": f"{each.statistic:.4f}" if math.isfinite(each.statistic) else NONE,
        "test": "D" if each.kind == "number" else "V",
        "p_value": p_value(each.adjusted_p_value),
        "word": "drifted" if each.drifted else "no shift that matters",
        "drifted": each.drifted,
    }


def ledger(use: LedgerUse | None) -> list[str]:
    """Which look this was and what it was given, in sentences."""
    if use is None:
        return [
            (
                "No ledger was kept: alpha holds for this one look at the holdout. A holdout that is looked "
                "at again and again promotes by chance sooner or later."
            )
        ]
    if use.look == 0:
        found = "No look at this holdout was spent."
    else:
        total = f"Look {use.look}" if use.looks is None else f"Look {use.look} of {use.looks}"
        found = f"{total} at this holdout: alpha {use.alpha:.2g} of {use.total:g}."
    return [found, *([use.note] if use.note else []), f"The holdout's epoch is {use.holdout}."]


def placebo(p: float | None) -> str:
    if p is None or math.isnan(p):
        return "No placebo was run."
    found = f"With the models' answers swapped at random, the same test gives p {p_value(p)}"
    if p < 0.001:
        return (
            f"{found}: a difference that cannot be there, which one sound test in a thousand shows. If other "
            "tests show it too, the sums by unit are not what the standard error took them for."
        )
    if p < 0.05:
        return f"{found}, which one run in {round(1 / p):,} has by chance: no sign that its errors are wrong."
    return f"{found}: no difference, as it should be."


def engine(result: ABTestResult) -> str:
    """Where the numbers come from, and how far binning may have moved them."""
    name = result.summary.engine if result.summary is not None else result.engine
    bounds = {each.metric: each for each in result.metrics.values() if each.error_bound > 0}
    if not bounds:
        return f"The numbers were computed by the engine '{name}'; no score was rounded or binned."
    parts = [
        f"{metric_name(metric)} by at most {_bound(each.error_bound)}" for metric, each in bounds.items()
    ]
    return (
        f"The numbers were computed by the engine '{name}'. It puts scores into bins, which may move the "
        f"difference in {', '.join(parts)}; the bounds that decide are that much further out."
    )


def _bound(value: float) -> str:
    return f"{value:.2g}" if math.isfinite(value) else "an unknown amount"


def checks(result: ABTestResult) -> list[dict[str, object]]:
    """What blocks first, then what warns, then what is in order, each in the order of the test."""
    words = {"blocks": "blocks", "warns": "warning", "passed": "passed"}
    marks = {"blocks": "\u2717", "warns": "!", "passed": "\u2713"}
    listed = [(_state(check), check) for check in result.checks]
    ordered = sorted(listed, key=lambda each: list(words).index(each[0]))
    return [
        {
            "state": state,
            "mark": marks[state],
            "word": words[state],
            "name": check.name,
            "detail": check.detail,
        }
        for state, check in ordered
    ]


def _state(check: Check) -> str:
    if check.passed:
        return "passed"
    return "blocks" if check.blocks else "warns"


def settings(config: ABTest) -> dict[str, str]:
    """Every field of the configuration, in its order."""
    return {_WORDS.get(each.name, each.name): _setting(config, each.name) for each in fields(config)}


def _setting(config: ABTest, name: str) -> str:
    value = getattr(config, name)
    if isinstance(value, bool):
        value = "yes" if value else "no"
    if name == "guardrails" or isinstance(value, Margin):
        return (
            ", ".join(_margin(each) for each in (value if isinstance(value, tuple) else (value,))) or "none"
        )
    if name == "classes" and config.task == "multiclass" and not value:
        return "0, 1, 2, ..."
    if value is None or value == ():
        return _UNSET.get(name, "none")
    if isinstance(value, tuple):
        return ", ".join(str(each) for each in value)
    if isinstance(value, int | float):
        return f"{value:g}" if isinstance(value, float) else f"{value:,}"
    return str(value)


def _margin(named: Margin) -> str:
    return f"{named.metric} (margin {named.margin:g})"
