"""The rule and its sentences, on metrics whose numbers are given."""

from __future__ import annotations

import pytest

from ame.gate import ABTest, Margin, MetricResult
from ame.gate.decision import decide

Z95, POWER80 = 1.6448536269514722, 0.8416212335729143


def metric(
    name: str, champion: float, challenger: float, error: float, margin: float, role: str
) -> MetricResult:
    difference = champion - challenger if name in {"log_loss", "brier"} else challenger - champion
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
