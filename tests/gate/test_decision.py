"""The rule and its sentences, on metrics whose numbers are given."""

from __future__ import annotations

import math
from dataclasses import replace

import pytest

from ame.gate import ABTest, Margin, MetricResult, SliceResult
from ame.gate.config import LOSSES
from ame.gate.decision import decide
from ame.gate.result import Evenness, Systematic

Z95, POWER80 = 1.6448536269514722, 0.8416212335729143


def metric(
    name: str, champion: float, challenger: float, error: float, margin: float, role: str
) -> MetricResult:
    difference = champion - challenger if name in LOSSES else challenger - champion
    beyond = difference - margin if role == "primary" else difference + margin
    reach = (Z95 + POWER80) * error
    return MetricResult(
        metric=name,
        champion=champion,
        challenger=challenger,
        difference=difference,
        std_error=error,
        statistic=difference / error,
        p_value=0.5,
        interval=(difference - 1.96 * error, difference + 1.96 * error),
        lower_bound=difference - Z95 * error,
        upper_bound=difference + Z95 * error,
        mde=reach + (margin if role == "primary" else 0),
        rows_needed=round(1000 * (reach / beyond) ** 2) if beyond > 0 else None,
        method="",
        role=role,
        margin=margin,
    )


CASES = {
    "clearly better": (
        (0.6250, 0.6710, 0.0029, 0.002),
        [],
        "promote",
        (
            "ROC AUC rose by 0.0460 (0.6250 -> 0.6710); the one-sided 95 % lower bound 0.0412 is above the "
            "margin 0.0020."
        ),
    ),
    "better, and one guardrail": (
        (0.6250, 0.6710, 0.0029, 0.002),
        [("log_loss", 0.51, 0.511, 0.001, 0.005)],
        "promote",
        (
            "ROC AUC rose by 0.0460 (0.6250 -> 0.6710); the one-sided 95 % lower bound 0.0412 is above the "
            "margin 0.0020, and the guardrail log loss holds."
        ),
    ),
    "better, and two guardrails": (
        (0.6250, 0.6710, 0.0029, 0.002),
        [("log_loss", 0.51, 0.511, 0.001, 0.005), ("accuracy", 0.8, 0.8, 0.001, 0.01)],
        "promote",
        (
            "ROC AUC rose by 0.0460 (0.6250 -> 0.6710); the one-sided 95 % lower bound 0.0412 is above the "
            "margin 0.0020, and every guardrail holds."
        ),
    ),
    "better, but harm": (
        (0.6250, 0.6710, 0.0029, 0.002),
        [("log_loss", 0.51, 0.53, 0.003, 0.005)],
        "reject",
        (
            "Log loss rose by 0.0200 (0.5100 -> 0.5300): worse by at least 0.0151 (one-sided 95 % bound), "
            "and the guardrail allows 0.0050. ROC AUC rose by 0.0460 (0.6250 -> 0.6710); the one-sided 95 % "
            "lower bound 0.0412 is above the margin 0.0020, which does not make up for it."
        ),
    ),
    "better, but a guardrail is not shown to hold": (
        (0.6250, 0.6710, 0.0029, 0.002),
        [("log_loss", 0.51, 0.511, 0.003, 0.005)],
        "inconclusive",
        (
            "ROC AUC rose by 0.0460 (0.6250 -> 0.6710); the one-sided 95 % lower bound 0.0412 is above the "
            "margin 0.0020, but the guardrail log loss is not shown to hold: its lower bound -0.0059 is not "
            "above -0.0050 (about 3,478 rows (348 positives) would show it)."
        ),
    ),
    "better, but a guardrail that no number of rows would show": (
        (0.6250, 0.6710, 0.0029, 0.002),
        [("log_loss", 0.51, 0.516, 0.003, 0.005)],
        "inconclusive",
        (
            "ROC AUC rose by 0.0460 (0.6250 -> 0.6710); the one-sided 95 % lower bound 0.0412 is above the "
            "margin 0.0020, but the guardrail log loss is not shown to hold: its lower bound "
            "-0.0109 is not above -0.0050."
        ),
    ),
    "worse": (
        (0.70, 0.68, 0.005, 0.002),
        [],
        "reject",
        (
            "ROC AUC fell by 0.0200 (0.7000 -> 0.6800); the one-sided 95 % upper bound -0.0118 is below the "
            "margin 0.0020."
        ),
    ),
    "better by less than what matters": (
        (0.70, 0.7005, 0.0005, 0.002),
        [],
        "reject",
        (
            "ROC AUC rose by 0.0005 (0.7000 -> 0.7005); the one-sided 95 % upper bound 0.0013 is below the "
            "margin 0.0020."
        ),
    ),
    "not known, above the margin": (
        (0.70, 0.71, 0.01, 0.002),
        [],
        "inconclusive",
        (
            "ROC AUC rose by 0.0100 (0.7000 -> 0.7100); the margin 0.0020 lies between the one-sided 95 % "
            "bounds -0.0064 and 0.0264. These rows detect a difference of 0.0269 with 80 % power; a "
            "difference as large as the observed one needs about 9,660 rows (966 positives)."
        ),
    ),
    "not known, below the margin": (
        (0.70, 0.70, 0.01, 0.002),
        [],
        "inconclusive",
        (
            "ROC AUC stayed the same (0.7000 -> 0.7000); the margin 0.0020 lies between the one-sided 95 % "
            "bounds -0.0164 and 0.0164. These rows detect a difference of 0.0269 with 80 % power; twice the "
            "margin (0.0040) needs about 154,564 rows (15,456 positives)."
        ),
    ),
    "not known, no margin": (
        (0.70, 0.699, 0.01, 0.0),
        [],
        "inconclusive",
        (
            "ROC AUC fell by 0.0010 (0.7000 -> 0.6990); the margin 0.0000 lies between the one-sided 95 % "
            "bounds -0.0174 and 0.0154. These rows detect a difference of 0.0249 with 80 % power; half of "
            "that (0.0124) needs about 4,000 rows (400 positives)."
        ),
    ),
    "bound and margin agree in four digits": (
        (0.70, 0.70364, 0.001, 0.002),
        [],
        "inconclusive",
        (
            "ROC AUC rose by 0.0036 (0.7000 -> 0.7036); the margin 0.002000 lies between the one-sided 95 % "
            "bounds 0.001995 and 0.005285. These rows detect a difference of 0.004486 with 80 % power; a "
            "difference as large as the observed one needs about 2,299 rows (230 positives)."
        ),
    ),
}


@pytest.mark.parametrize("name", CASES)
def test_decision_and_sentence(name: str) -> None:
    primary, guardrails, decision, why = CASES[name]
    metrics = {"roc_auc": metric("roc_auc", *primary, "primary")}
    metrics |= {guardrail[0]: metric(*guardrail, "guardrail") for guardrail in guardrails}
    config = ABTest(
        label="late",
        primary=Margin("roc_auc", primary[-1]),
        guardrails=tuple(Margin(guardrail[0], guardrail[-1]) for guardrail in guardrails),
    )

    assert decide(config, metrics, 1000, 100) == (decision, why)


@pytest.mark.parametrize(
    ("challenger", "decision", "why"),
    [
        (
            0.49,
            "promote",
            (
                "Log loss fell by 0.0200 (0.5100 -> 0.4900); the one-sided 95 % lower bound of the "
                "improvement 0.0118 is above the margin 0.0010."
            ),
        ),
        (
            0.53,
            "reject",
            (
                "Log loss rose by 0.0200 (0.5100 -> 0.5300); the one-sided 95 % upper bound of the "
                "improvement -0.0118 is below the margin 0.0010."
            ),
        ),
    ],
)
def test_less_loss_is_better(challenger: float, decision: str, why: str) -> None:
    metrics = {"log_loss": metric("log_loss", 0.51, challenger, 0.005, 0.001, "primary")}
    config = ABTest(label="late", primary=Margin("log_loss", 0.001))

    assert decide(config, metrics, 1000, 100) == (decision, why)


GAIN = metric("roc_auc", 0.6250, 0.6710, 0.0029, 0.002, "primary")
GAINED = "ROC AUC rose by 0.0460 (0.6250 -> 0.6710); the one-sided 95 % lower bound 0.0412 is above the margin 0.0020"
LOSS = metric("roc_auc", 0.7000, 0.6800, 0.005, 0.002, "primary")
LOST = "ROC AUC fell by 0.0200 (0.7000 -> 0.6800); the one-sided 95 % upper bound -0.0118 is below the margin 0.0020"
TEST = ABTest(label="late", primary=Margin("roc_auc", 0.002), slices=("origin",))


def harmed(value: str, difference: float, adjusted: float) -> SliceResult:
    return SliceResult(
        column="origin",
        value=value,
        rows=1234,
        positives=300,
        difference=difference,
        adjusted_p_value=adjusted,
        judged=True,
        harmed=adjusted <= 0.05,
    )


def test_a_harmed_slice_is_named_and_the_challenger_rejected() -> None:
    slices = [harmed("JFK", -0.031, 0.0031), harmed("LGA", 0.01, 1.0)]

    assert decide(TEST, {"roc_auc": GAIN}, 1000, 100, slices=slices) == (
        "reject",
        (
            "The challenger harms the slice origin = JFK (ROC AUC worse by 0.0310; 1,234 rows, p = 0.0031 after "
            f"Holm's correction). {GAINED}, which does not make up for it."
        ),
    )


def test_a_challenger_that_is_worse_on_all_rows_is_rejected_for_that_first() -> None:
    slices = [harmed("JFK", -0.031, 0.0031)]

    assert decide(TEST, {"roc_auc": LOSS}, 1000, 100, slices=slices) == (
        "reject",
        (
            f"{LOST}. The challenger harms the slice origin = JFK (ROC AUC worse by 0.0310; 1,234 rows, "
            "p = 0.0031 after Holm's correction)."
        ),
    )


def test_many_harmed_slices_are_counted_the_surest_first() -> None:
    slices = [harmed(name, -0.03, p) for name, p in (("A", 0.04), ("B", 1e-6), ("C", 0.03), ("D", 0.02))]
    config = replace(TEST, slice_margin=0.005)

    decision, why = decide(config, {"roc_auc": GAIN}, 1000, 100, slices=slices)

    assert decision == "reject"
    assert why.startswith(
        "The challenger harms the slices origin = B (ROC AUC worse by 0.0300, 0.0050 is allowed; 1,234 rows, "
        "p < 0.0001 after Holm's correction), origin = D ("
    )
    assert ") and 1 more. ROC AUC rose" in why


def test_slices_without_harm_change_nothing() -> None:
    slices = [harmed("JFK", -0.031, 0.06)]

    assert decide(TEST, {"roc_auc": GAIN}, 1000, 100, slices=slices) == ("promote", f"{GAINED}.")


def test_a_gain_that_the_mix_of_slices_explains_is_not_promoted() -> None:
    found = Evenness(
        column="origin",
        slices=3,
        q=9.0,
        p_value=0.01,
        i_squared=0.7,
        standardised=-0.001,
        interval=(-0.004, 0.002),
        reversed=True,
    )

    assert decide(TEST, {"roc_auc": GAIN}, 1000, 100, systematic=Systematic(evenness=(found,))) == (
        "inconclusive",
        (
            f"{GAINED}, but the mix of 'origin' may explain it: with each value weighted by its rows the "
            "difference is -0.0010 (95 % interval -0.0040 to 0.0020). Look at its slices one by one."
        ),
    )
    even = Systematic(evenness=(replace(found, reversed=False),))
    assert decide(TEST, {"roc_auc": GAIN}, 1000, 100, systematic=even)[0] == "promote"


def test_a_deciding_metric_without_a_value_is_invalid_and_a_reported_one_is_not() -> None:
    nan = math.nan
    lacking = replace(
        metric("precision", 0.5, 0.5, 1.0, 0.01, "guardrail"),
        difference=nan,
        std_error=nan,
        lower_bound=nan,
        upper_bound=nan,
        undefined="The challenger predicts no row positive.",
    )
    guarded = replace(TEST, guardrails=(Margin("precision", 0.01),))

    assert decide(guarded, {"roc_auc": GAIN, "precision": lacking}, 1000, 100) == (
        "invalid",
        "The guardrail precision has no value. The challenger predicts no row positive.",
    )
    reported = {"roc_auc": GAIN, "precision": replace(lacking, role="reported", margin=None)}
    assert decide(TEST, reported, 1000, 100)[0] == "promote"


def test_a_regression_counts_rows_only() -> None:
    found = metric("rmse", 12.5, 12.4, 0.1, 0.0, "primary")
    config = ABTest(label="price", task="regression", primary=Margin("rmse"))

    assert decide(config, {"rmse": found}, 1000, 0) == (
        "inconclusive",
        (
            "Root mean squared error fell by 0.1000 (12.5000 -> 12.4000); the margin 0.0000 lies between the "
            "one-sided 95 % bounds -0.0645 and 0.2645. These rows detect a difference of 0.2486 with 80 % "
            "power; a difference as large as the observed one needs about 6,183 rows."
        ),
    )
