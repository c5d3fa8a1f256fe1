"""The gate's numbers as MLflow keeps them, under names of their own, and read back by every reader."""

from __future__ import annotations

import math
from typing import Any

from ame.gate.config import ABTest
from ame.gate.result import (
    ABTestResult,
    Check,
    Drift,
    Evenness,
    LedgerUse,
    MetricResult,
    ModelCalibration,
    SliceResult,
    Systematic,
)
from ame.registry.ab_test_numbers import as_metrics, to_numbers


def metric(name: str, **changed: Any) -> MetricResult:
    numbers: dict[str, Any] = {
        "metric": name,
        "champion": 0.7,
        "challenger": 0.75,
        "difference": 0.05,
        "std_error": 0.01,
        "statistic": 5.0,
        "p_value": 1e-6,
        "interval": (0.03, 0.07),
        "lower_bound": 0.033,
        "upper_bound": 0.067,
        "mde": 0.03,
        "rows_needed": 500,
        "method": "DeLong",
        "role": "primary",
        "margin": 0.0,
    }
    return MetricResult(**(numbers | changed))


def result(**changed: Any) -> dict[str, Any]:
    whole: dict[str, Any] = {
        "decision": "promote",
        "why": "It is better.",
        "rows": 1000,
        "positives": 300,
        "alpha": 0.025,
        "checks": (Check("rows", True, "."), Check("drift", False, ".", blocks=False)),
        "metrics": {"roc_auc": metric("roc_auc", design_effect=1.7, error_bound=1e-5)},
        "config": ABTest(label="y"),
    }
    return ABTestResult(**(whole | changed)).to_json()


def test_every_number_is_the_gates_and_comes_back() -> None:
    told = result()
    metrics = as_metrics(told)
    assert all(name.startswith("gate/") for name in metrics)
    assert metrics["gate/roc_auc.upper_bound"] == 0.067
    assert metrics["gate/alpha"] == 0.025
    assert metrics["gate/checks.failed"] == 1
    back = to_numbers(metrics)
    assert list(back) == ["roc_auc"]
    text_like = ("method", "role", "margin", "undefined")
    expected = {name: value for name, value in told["metrics"]["roc_auc"].items() if name not in text_like}
    assert back["roc_auc"] == expected
    assert isinstance(back["roc_auc"]["rowsNeeded"], int)


def test_runs_of_older_releases_are_read() -> None:
    old = {"brier.champion": 0.2, "brier.interval_low": -0.1, "brier.interval_high": 0.1, "brier.mde": 0.05}
    (found,) = to_numbers(old).values()
    assert (found["champion"], found["interval"], found["mde"]) == (0.2, [-0.1, 0.1], 0.05)
    assert found["upperBound"] is found["designEffect"] is found["difference"] is None


def test_numbers_that_are_none_are_left_out() -> None:
    nothing = math.nan
    undefined = metric("f1", champion=nothing, interval=(nothing, nothing), rows_needed=None, undefined="no")
    metrics = as_metrics(result(metrics={"f1": undefined}))
    assert "gate/f1.champion" not in metrics
    assert "gate/f1.interval_low" not in metrics
    assert all(math.isfinite(value) for value in metrics.values())
    assert to_numbers(metrics)["f1"]["interval"] is None


def test_what_is_about_the_whole_test_is_found_and_is_no_metrics_number() -> None:
    slices = (
        SliceResult(column="a", value="x", rows=500, positives=90, difference=-0.02, judged=True, harmed=True,
                    adjusted_p_value=0.001),
        SliceResult(column="a", value="y", rows=400, positives=80, difference=0.03, judged=True,
                    adjusted_p_value=1.0),
        SliceResult(column="a", value="z", rows=10, positives=1, note="too small"),
    )  # fmt: skip
    calibration = ModelCalibration(
        spiegelhalter=1.5, p_value=0.13, in_the_large=0.01, in_the_large_error=0.01, intercept=0.0, slope=0.9
    )
    evenness = Evenness(
        column="a/b.difference", slices=2, q=3.0, p_value=0.08, i_squared=0.6, standardised=0.01,
        interval=(-0.01, 0.03), reversed=False,
    )  # fmt: skip
    drift = Drift(
        column="a", kind="number", rows=(10, 10), psi=0.3, psi_floor=0.1, psi_p_value=0.2, statistic=0.2,
        p_value=0.01, adjusted_p_value=0.01, drifted=True,
    )  # fmt: skip
    use = LedgerUse(look=3, looks=30, alpha=0.05 / 30, total=0.05, holdout="h#1", note="Look 3.")
    metrics = as_metrics(
        result(
            slices=slices,
            ledger=use,
            systematic=Systematic(
                evenness=(evenness,), calibration={"champion": calibration}, placebo=0.4
            ),
            drift=(drift,),
        )
    )  # fmt: skip
    whole = {name: value for name, value in metrics.items() if not name.startswith("gate/roc_auc.")}
    assert whole == {
        "gate/rows": 1000,
        "gate/positives": 300,
        "gate/alpha": 0.025,
        "gate/checks.failed": 1,
        "gate/look": 3,
        "gate/looks": 30,
        "gate/slices.judged": 2,
        "gate/slices.too_small": 1,
        "gate/slices.harmed": 1,
        "gate/slices.smallest_difference": -0.02,
        "gate/slices.smallest_adjusted_p": 0.001,
        "gate/placebo.p": 0.4,
        "gate/calibration.champion_z": 1.5,
        "gate/calibration.champion_z_p": 0.13,
        "gate/calibration.champion_in_the_large": 0.01,
        "gate/calibration.champion_slope": 0.9,
        "gate/evenness.a_b.difference_q_p": 0.08,
        "gate/evenness.a_b.difference_i_squared": 0.6,
        "gate/evenness.a_b.difference_standardised_difference": 0.01,
        "gate/drift.columns": 1,
        "gate/drift.drifted": 1,
        "gate/drift.largest_psi": 0.3,
    }
    assert list(to_numbers(metrics)) == ["roc_auc"]
