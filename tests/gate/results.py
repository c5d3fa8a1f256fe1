"""Results made by hand, one of each kind that the report must show, without any engine."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import replace

import numpy as np

from ame.gate.config import ABTest, Margin
from ame.gate.result import (
    ABTestResult,
    Check,
    Distribution,
    Drift,
    Evenness,
    LedgerUse,
    MetricResult,
    ModelCalibration,
    Role,
    SliceResult,
    Systematic,
)
from ame.gate.summary import BINS, GroupSummary, MetricSummary, Reliability, Summary

NAN = math.nan


def metric(
    name: str,
    champion: float,
    challenger: float,
    error: float,
    role: Role = "reported",
    margin: float | None = None,
    **more: object,
) -> MetricResult:
    loss = name in {"log_loss", "brier", "mae", "mse", "rmse", "pinball"}
    difference = champion - challenger if loss else challenger - champion
    return MetricResult(
        metric=name,
        champion=champion,
        challenger=challenger,
        difference=difference,
        std_error=error,
        statistic=difference / error,
        p_value=math.erfc(abs(difference / error) / math.sqrt(2)),
        interval=(difference - 1.96 * error, difference + 1.96 * error),
        lower_bound=difference - 2.94 * error,
        upper_bound=difference + 2.94 * error,
        mde=(margin or 0.0) + 3.78 * error,
        rows_needed=12_345,
        method=more.pop("method", "paired t, by entity (cluster-robust), t with 2145 df"),  # type: ignore[arg-type]
        role=role,
        margin=margin,
        **more,  # type: ignore[arg-type]
    )


def undefined(name: str, why: str) -> MetricResult:
    return replace(
        metric(name, 1.0, 1.0, 1.0),
        **dict.fromkeys(
            ("champion", "challenger", "difference", "std_error", "statistic", "p_value", "lower_bound"), NAN
        ),
        upper_bound=NAN,
        mde=NAN,
        interval=(NAN, NAN),
        rows_needed=None,
        undefined=why,
    )


def distribution(each: MetricResult, seed: int = 0) -> Distribution:
    draw = np.random.default_rng(seed).normal(size=(2, 2000)) * each.std_error
    loss = each.difference * (each.challenger - each.champion) < 0
    champion = each.champion + 2 * draw[0]
    difference = each.difference + draw[1]
    series = {
        "champion": champion,
        "challenger": champion - difference if loss else champion + difference,
        "difference": difference,
    }
    made = {name: np.histogram(values, bins=60) for name, values in series.items()}
    return Distribution(
        method="bootstrap of the influence of 2,146 entities, 2,000 draws",
        edges={name: tuple(map(float, edges)) for name, (_, edges) in made.items()},
        counts={name: tuple(map(int, counts)) for name, (counts, _) in made.items()},
        quantiles={
            name: tuple(map(float, np.quantile(values, [0.025, 0.5, 0.975])))  # type: ignore[misc]
            for name, values in series.items()
        },
    )


def judged_slice(column: str, value: str, difference: float, error: float, **more: object) -> SliceResult:
    p_value = math.erfc(-difference / error / math.sqrt(2)) / 2
    return SliceResult(
        column=column,
        value=value,
        rows=2_400,
        positives=700,
        champion=0.64,
        challenger=0.64 + difference,
        difference=difference,
        std_error=error,
        interval=(difference - 1.96 * error, difference + 1.96 * error),
        p_value=p_value,
        adjusted_p_value=min(1.0, 18 * p_value),
        judged=True,
        **more,  # type: ignore[arg-type]
    )


def summary(engine: str = "local exact", rows: int = 20_000) -> Summary:
    """Curves and reliability of two simulated models, the challenger's signal the stronger."""
    draw = np.random.default_rng(7)
    label = draw.random(rows) < 0.3
    noise = draw.normal(size=rows)
    curves, reliability = {}, {}
    for model, strength in (("champion", 0.9), ("challenger", 1.2)):
        shift = strength * label + 0.9 * noise + 0.44 * draw.normal(size=rows)
        score = 1 / (1 + np.exp(-(strength * shift - strength**2 / 2 + math.log(3 / 7))))
        curves[model] = _curves(label, score)
        reliability[model] = _reliability(label, score)
    nothing = MetricSummary(0.6, 0.7, 0.1, 0.01, np.zeros(4))
    total = GroupSummary(rows, int(label.sum()), int(label.sum()), {"roc_auc": nothing})
    return Summary(engine, total, reliability=reliability, curves=curves)


def _curves(label: np.ndarray, score: np.ndarray) -> Mapping[str, np.ndarray]:
    ordered = label[np.argsort(-score)]
    true, false = np.cumsum(ordered), np.cumsum(~ordered)
    picked = np.linspace(0, label.size - 1, 499).astype(int)
    tpr, fpr = true[picked] / true[-1], false[picked] / false[-1]
    precision = true[picked] / (true[picked] + false[picked])
    return {
        "roc": np.array([np.append(0, fpr), np.append(0, tpr)]),
        "pr": np.array([tpr, precision]),
    }


def _reliability(label: np.ndarray, score: np.ndarray) -> Reliability:
    bins = np.searchsorted(np.quantile(score, np.linspace(0, 1, BINS + 1)[1:-1]), score, side="right")
    return Reliability(
        rows=np.bincount(bins, minlength=BINS),
        predicted=np.bincount(bins, weights=score, minlength=BINS),
        positives=np.bincount(bins, weights=label, minlength=BINS),
        spiegelhalter=(1.0, 1.0),
        variance=1.0,
    )


CHECKS = (
    Check("scores present", True, "All 20,000 rows have both scores."),
    Check("two classes", True, "6,012 positive and 13,988 negative rows."),
    Check("entities", True, "2,146 entities in 'tail'."),
    Check("drift", False, "The column 'distance' drifted.", blocks=False),
    Check("holdout newer than training", True, "From 2026-10-01 on; the training ends at 2026-09-30."),
)


def binary(**more: object) -> ABTestResult:
    """Everything that a result can have: a promotion of a binary test with slices, ledger and drift."""
    metrics = {
        "roc_auc": metric("roc_auc", 0.6432, 0.6871, 0.0042, "primary", 0.002, design_effect=1.84),
        "log_loss": metric("log_loss", 0.5712, 0.5521, 0.0031, "guardrail", 0.01),
        "brier": metric("brier", 0.1912, 0.1853, 0.0012, "guardrail", 0.005),
        "average_precision": metric("average_precision", 0.4612, 0.5024, 0.0061),
        "accuracy": metric("accuracy", 0.7312, 0.7402, 0.0023),
        "f1": metric("f1", 0.3312, 0.3698, 0.0083),
        "precision": undefined("precision", "the champion predicts no row positive."),
        "recall": metric("recall", 0.2291, 0.2702, 0.0071),
    }
    config = ABTest(
        label="late",
        primary=Margin("roc_auc", 0.002),
        guardrails=(Margin("log_loss", 0.01), Margin("brier", 0.005)),
        metrics=("average_precision", "accuracy", "f1", "precision", "recall"),
        slices=("origin", "carrier"),
        slice_margin=0.005,
        entity="tail",
        row="row",
        looks=30,
    )
    slices = (
        judged_slice("carrier", "UA", 0.031, 0.012),
        judged_slice("carrier", "DL", 0.047, 0.014),
        judged_slice("carrier", "B6", 0.012, 0.02),
        judged_slice("carrier", "AA", 0.066, 0.019),
        SliceResult(
            column="carrier",
            value="OO",
            rows=32,
            positives=4,
            note="too small to judge: 32 rows, 4 positive; 200 and 20 are needed",
        ),
        SliceResult(
            column="carrier",
            value="WN",
            rows=900,
            positives=300,
            note="not judged: it differs by the same on every row, so its error is unknown",
        ),
        judged_slice("origin", "EWR", 0.047, 0.008),
        judged_slice("origin", "JFK", 0.036, 0.009),
        judged_slice("origin", "LGA", 0.047, 0.0078),
    )
    result = ABTestResult(
        decision="promote",
        why="ROC AUC rose by 0.0439 (0.6432 -> 0.6871); the one-sided 99.83 % lower bound 0.0316 is above "
        "the margin 0.0020, and every guardrail holds.",
        rows=20_000,
        positives=6_012,
        alpha=0.05 / 30,
        checks=CHECKS,
        metrics=metrics,
        config=config,
        slices=slices,
        ledger=LedgerUse(
            look=3,
            looks=30,
            alpha=0.05 / 30,
            total=0.05,
            holdout="flights-2026-10",
            note="27 looks are left.",
        ),
        systematic=Systematic(
            evenness=(
                Evenness(
                    column="carrier",
                    slices=4,
                    q=4.31,
                    p_value=0.2298,
                    i_squared=0.304,
                    standardised=0.0391,
                    interval=(0.0301, 0.0481),
                    reversed=False,
                ),
                Evenness(
                    column="origin",
                    slices=3,
                    q=11.7,
                    p_value=0.0029,
                    i_squared=0.83,
                    standardised=-0.0031,
                    interval=(-0.006, -0.0002),
                    reversed=True,
                ),
            ),
            calibration={
                "champion": ModelCalibration(
                    spiegelhalter=3.41,
                    p_value=0.0006,
                    in_the_large=0.0132,
                    in_the_large_error=0.0031,
                    intercept=-0.11,
                    slope=0.87,
                ),
                "challenger": ModelCalibration(
                    spiegelhalter=0.31,
                    p_value=0.7566,
                    in_the_large=-0.0009,
                    in_the_large_error=0.0031,
                    intercept=0.01,
                    slope=1.01,
                ),
            },
            placebo=0.4312,
        ),
        drift=(
            drift("distance", 0.2312, drifted=True),
            drift("hour", 0.0021),
            replace(drift("carrier", 0.0044), kind="category"),
        ),
        distributions={
            name: distribution(each, seed)
            for seed, (name, each) in enumerate(metrics.items())
            if each.undefined is None
        },
        summary=summary(),
    )
    return replace(result, **more)  # type: ignore[arg-type]


def drift(column: str, psi: float, *, drifted: bool = False) -> Drift:
    return Drift(
        column=column,
        kind="number",
        rows=(20_000, 180_000),
        psi=psi,
        psi_floor=0.0005,
        psi_p_value=1e-9 if drifted else 0.41,
        statistic=psi,
        p_value=1e-9 if drifted else 0.52,
        adjusted_p_value=1e-8 if drifted else 1.0,
        drifted=drifted,
    )


def multiclass() -> ABTestResult:
    """Three classes, no curves and no reliability, undecided."""
    metrics = {
        "log_loss": metric("log_loss", 0.8123, 0.8101, 0.0031, "primary", 0.0),
        "roc_auc_ovr": metric("roc_auc_ovr", 0.8121, 0.8139, 0.0022),
        "f1_macro": metric("f1_macro", 0.6311, 0.6305, 0.0041),
    }
    metrics["log_loss"] = replace(metrics["log_loss"], rows_needed=None)
    total = GroupSummary(5_000, 0, 800, {})
    return ABTestResult(
        decision="inconclusive",
        why="Log loss fell by 0.0022 (0.8123 -> 0.8101); the margin 0.0000 lies between the bounds.",
        rows=5_000,
        positives=0,
        alpha=0.05,
        checks=CHECKS[:1],
        metrics=metrics,
        config=ABTest(
            label="kind",
            task="multiclass",
            classes=("cat", "dog", "bird"),
            primary=Margin("log_loss"),
            metrics=("roc_auc_ovr", "f1_macro"),
        ),
        distributions={"log_loss": distribution(metrics["log_loss"])},
        summary=Summary("local exact", total),
    )


def regression() -> ABTestResult:
    """Large numbers, residuals, a rejected challenger."""
    metrics = {
        "mae": metric("mae", 15_321.22, 15_899.08, 61.7, "primary", 50.0),
        "rmse": metric("rmse", 22_321.9, 22_899.1, 101.3, "guardrail", 100.0),
        "r2": metric("r2", 0.8123, 0.8023, 0.0023),
    }
    centres = np.linspace(-60_000, 60_000, 121)
    curves = {
        model: {"residuals": np.array([centres, np.round(1e4 * np.exp(-((centres / width) ** 2)))])}
        for model, width in (("champion", 15_000), ("challenger", 17_000))
    }
    total = GroupSummary(8_000, 0, 8_000, {})
    return ABTestResult(
        decision="reject",
        why="MAE rose by 577.86 (15321.22 -> 15899.08); worse than the margin allows.",
        rows=8_000,
        positives=0,
        alpha=0.05,
        checks=CHECKS[:1],
        metrics=metrics,
        config=ABTest(
            label="price",
            task="regression",
            primary=Margin("mae", 50.0),
            guardrails=(Margin("rmse", 100.0),),
            metrics=("r2",),
        ),
        distributions={name: distribution(each) for name, each in metrics.items()},
        summary=Summary("local exact", total, curves=curves),
    )


def invalid() -> ABTestResult:
    """The data did not pass the checks, so that there is nothing but these."""
    return ABTestResult(
        decision="invalid",
        why="12 of 3,000 rows have no score of the challenger.",
        rows=3_000,
        positives=912,
        alpha=0.05,
        checks=(
            Check("label", True, "Every row has a label of 0 or 1."),
            Check("scores present", False, "12 of 3,000 rows have no score of the challenger. Score them."),
        ),
        metrics={},
        config=ABTest(label="late"),
    )


def split() -> ABTestResult:
    """Logged traffic: no summary at all."""
    each = metric("mean", 0.0312, 0.0338, 0.0011, "primary", 0.0, method="Welch t, t with 18,312 df")
    return ABTestResult(
        decision="promote",
        why="The mean rose by 0.0026 (0.0312 -> 0.0338).",
        rows=180_000,
        positives=5_850,
        alpha=0.05,
        checks=(Check("sample ratio", True, "89,912 and 90,088 rows, p 0.68."),),
        metrics={"mean": each},
        config=ABTest(label="bought", design="split", share=0.5),
    )


def binned() -> ABTestResult:
    """Binned scores, a hundred slices of which two are harmed, and ten metrics of which some are reported."""
    draw = np.random.default_rng(5)
    made = [judged_slice("route", f"R{number:02d}", *_effect(draw)) for number in range(81)]
    small = [
        SliceResult(column="plane", value=f"P{number:02d}", rows=100 + number, positives=3)
        for number in range(17)
    ]
    harmed = [
        replace(judged_slice("route", name, -0.09, 0.011), harmed=True) for name in ("SFO-EWR", "LAX-JFK")
    ]
    base = binary()
    metrics = {
        name: replace(each, error_bound=0.00021 if name == "roc_auc" else 0.0)
        for name, each in base.metrics.items()
    }
    return replace(
        base,
        decision="reject",
        why="The slice route = SFO-EWR is harmed: ROC AUC fell by 0.0900 there.",
        rows=50_000_000,
        positives=15_012_345,
        engine="local",
        metrics=metrics,
        slices=(*made, *small, *harmed),
        summary=summary("local binned"),
    )


def _effect(draw: np.random.Generator) -> tuple[float, float]:
    error = float(draw.uniform(0.008, 0.05))
    return float(draw.normal(0.04, error)), error


def everything() -> dict[str, ABTestResult]:
    return {
        "binary": binary(),
        "multiclass": multiclass(),
        "regression": regression(),
        "invalid": invalid(),
        "binned": binned(),
        "split": split(),
    }
