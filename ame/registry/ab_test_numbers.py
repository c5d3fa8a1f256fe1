"""The numbers of an A/B test as metrics of an MLflow run, and back.

All are under `gate/`, so that nobody takes what was measured on the gate's holdout for the metrics of a
training: who tunes on them wears the holdout out. `gate/roc_auc.difference` is a number of a metric;
`gate/look`, `gate/slices.harmed` and the like are about the whole test.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

__all__ = ["as_metrics", "to_numbers"]

_GATE = "gate/"
#: Name of a number in `ab_test.json` -> its suffix as a metric of the run.
_NUMBERS = {
    "champion": "champion",
    "challenger": "challenger",
    "difference": "difference",
    "stdError": "std_error",
    "statistic": "statistic",
    "pValue": "p_value",
    "lowerBound": "lower_bound",
    "upperBound": "upper_bound",
    "mde": "mde",
    "rowsNeeded": "rows_needed",
    "designEffect": "design_effect",
    "errorBound": "error_bound",
}
_CALIBRATION = {"spiegelhalter": "z", "pValue": "z_p", "inTheLarge": "in_the_large", "slope": "slope"}
_EVENNESS = {"pValue": "q_p", "iSquared": "i_squared", "standardised": "standardised_difference"}
_UNTOLD = re.compile(r"[^A-Za-z0-9_\-. ]")
_LONGEST_COLUMN = 100


def as_metrics(result: Mapping[str, Any]) -> dict[str, float]:
    """Metrics by name, of the gate's JSON; what is null there has none."""
    found: dict[str, Any] = {}
    for metric, numbers in result["metrics"].items():
        found |= {f"{metric}.{suffix}": numbers.get(name) for name, suffix in _NUMBERS.items()}
        low, high = numbers.get("interval") or (None, None)
        if low is not None and high is not None:
            found |= {f"{metric}.interval_low": low, f"{metric}.interval_high": high}
    found |= dict(_of_the_test(result))
    return {_GATE + name: float(value) for name, value in found.items() if value is not None}


def _of_the_test(result: Mapping[str, Any]) -> Iterator[tuple[str, Any]]:
    yield from ((name, result.get(name)) for name in ("rows", "positives", "alpha"))
    checks = result.get("checks", ())
    yield "checks.failed", sum(not check["passed"] for check in checks)
    ledger = result.get("ledger") or {}
    yield from ((name, ledger.get(name)) for name in ("look", "looks"))
    yield from _of_slices(result.get("slices") or ())
    systematic = result.get("systematic") or {}
    yield "placebo.p", systematic.get("placebo")
    for model, calibration in (systematic.get("calibration") or {}).items():
        for name, suffix in _CALIBRATION.items():
            yield f"calibration.{model}_{suffix}", calibration.get(name)
    for evenness in systematic.get("evenness") or ():
        column = _UNTOLD.sub("_", evenness["column"])[:_LONGEST_COLUMN]
        for name, suffix in _EVENNESS.items():
            yield f"evenness.{column}_{suffix}", evenness.get(name)
    drift = result.get("drift") or ()
    if drift:
        yield "drift.columns", len(drift)
        yield "drift.drifted", sum(each["drifted"] for each in drift)
        yield (
            "drift.largest_psi",
            max((each["psi"] for each in drift if each["psi"] is not None), default=None),
        )


def _of_slices(slices: Any) -> Iterator[tuple[str, Any]]:
    if not slices:
        return
    judged = [each for each in slices if each["judged"]]
    yield "slices.judged", len(judged)
    yield "slices.too_small", len(slices) - len(judged)
    yield "slices.harmed", sum(each["harmed"] for each in slices)
    for name, of in (("difference", "smallest_difference"), ("adjustedPValue", "smallest_adjusted_p")):
        known = [each[name] for each in judged if each[name] is not None]
        yield f"slices.{of}", min(known, default=None)


def to_numbers(metrics: Mapping[str, float]) -> dict[str, dict[str, Any]]:
    """By metric, its numbers by their names in `ab_test.json`, `interval` as a pair; None for an unknown one.

    Runs of older releases, whose metrics have no prefix, are read too.
    """
    plain = {name.removeprefix(_GATE): value for name, value in metrics.items()}
    named: dict[str, dict[str, Any]] = {}
    back = {suffix: name for name, suffix in _NUMBERS.items()}
    for full, value in plain.items():
        metric, _, suffix = full.rpartition(".")
        if suffix in back:
            named.setdefault(metric, {})[back[suffix]] = value
    for metric, numbers in named.items():
        low, high = plain.get(f"{metric}.interval_low"), plain.get(f"{metric}.interval_high")
        numbers["interval"] = [low, high] if low is not None and high is not None else None
        for name in _NUMBERS:
            numbers.setdefault(name, None)
        if numbers["rowsNeeded"] is not None:
            numbers["rowsNeeded"] = int(numbers["rowsNeeded"])
    return named
