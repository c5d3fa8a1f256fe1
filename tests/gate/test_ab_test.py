"""The whole test on small tables: what a user sees for good and for bad data."""

from __future__ import annotations

import json
import math
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from ame.gate import ABTest, ABTestResult, Margin, run_ab_test

N = 100
LABEL = np.arange(N) % 2
CHAMPION = np.linspace(0.05, 0.95, N)
CHALLENGER = np.where(LABEL == 1, 0.6, 0.3) + np.linspace(0, 0.3, N)
TEST = ABTest(label="late")


def judge(config: ABTest = TEST, **columns: object) -> ABTestResult:
    table = {"late": LABEL, "champion": CHAMPION, "challenger": CHALLENGER, **columns}
    return run_ab_test(config, pa.table(table))


def with_holes(values: np.ndarray, places: dict[int, float | None]) -> pa.Array:
    return pa.array([places.get(row, value) for row, value in enumerate(values.tolist())])


INVALID = {
    "no rows": (
        {
            "late": pa.array([], pa.int8()),
            "champion": pa.array([], pa.float64()),
            "challenger": pa.array([], pa.float64()),
        },
        "The table of scores has no rows. Score some labelled rows with both models.",
    ),
    "text": (
        {"champion": ["high"] * N},
        (
            "'champion' holds string: scores and labels must be numbers, and an entity a plain value. "
            "Convert the column."
        ),
    ),
    "missing labels": (
        {"late": with_holes(LABEL, {3: None, 4: math.nan})},
        "2 of 100 rows have no label in 'late'. Score only rows whose outcome is known.",
    ),
    "three classes": (
        {"late": with_holes(LABEL, {0: 2, 1: 2, 2: -1})},
        (
            "3 of 100 rows have a label in 'late' other than 0 and 1 (such as -1, 2). Encode the positive "
            "class as 1 and the other as 0."
        ),
    ),
    "unanswered": (
        {
            "champion": with_holes(CHAMPION, {0: None, 1: None}),
            "challenger": with_holes(CHALLENGER, {1: math.nan, 2: math.nan, 3: None}),
        },
        (
            "Of 100 rows there are 2 without a score of the champion and 3 without a score of the "
            "challenger, 2 of them NaN; 3 were scored by one model only. Both models must score the same "
            "rows: find out why one failed, and score again."
        ),
    ),
    "not a probability": (
        {"challenger": with_holes(CHALLENGER, {0: -0.1, 1: 1.1, 2: math.inf})},
        "3 scores of the challenger lie outside [0, 1]. Score with the probability of the positive class.",
    ),
    "one class": (
        {"late": np.ones(N)},
        (
            "Too few negatives: 100 positive and 0 negative rows, and at least 20 of each are needed. "
            "Collect more labelled rows."
        ),
    ),
    "19 positives": (
        {"late": np.arange(N) < 19},
        (
            "Too few positives: 19 positive and 81 negative rows, and at least 20 of each are needed. "
            "Collect more labelled rows."
        ),
    ),
    "constant": (
        {"champion": np.full(N, 0.25)},
        "The champion gives every row 0.25. A constant score ranks nothing: look at how the model is scored.",
    ),
    "several at once": (
        {"late": with_holes(LABEL, {0: None}), "challenger": with_holes(CHALLENGER, {0: 7.0})},
        (
            "1 of 100 rows have no label in 'late'. Score only rows whose outcome is known. (1 more check "
            "failed.)"
        ),
    ),
}


@pytest.mark.parametrize("name", INVALID)
def test_bad_rows_make_the_test_invalid_and_are_counted(name: str) -> None:
    columns, why = INVALID[name]

    result = judge(**columns)

    assert (result.decision, result.why, result.metrics) == ("invalid", why, {})


def test_missing_entities_are_counted() -> None:
    entity = pa.array([None, math.nan, *np.arange(98.0)])

    result = judge(replace(TEST, entity="tail"), tail=entity)

    assert result.decision == "invalid"
    assert result.why == "2 of 100 rows have no tail. Fill it in or leave these rows out."


@pytest.mark.parametrize(
    ("entity", "counts"),
    [
        (np.arange(N) % 19, "19 entities in 'tail' (as good as 18.9 of equal size), 19"),
        (np.maximum(np.arange(N) - 60, 0), "40 entities in 'tail' (as good as 2.7 of equal size), 20"),
        (
            np.where(LABEL == 1, np.arange(N) % 10, np.arange(N)),
            "55 entities in 'tail' (as good as 18.2 of equal size), 5",
        ),
    ],
    ids=["too few", "one that is most rows", "positives of five"],
)
def test_too_few_entities_are_invalid(entity: np.ndarray, counts: str) -> None:
    result = judge(replace(TEST, entity="tail"), tail=entity)

    assert result.decision == "invalid"
    assert result.why == (
        f"Too few entities: {counts} with rows of the rarer class, and at least 20 of each are needed. "
        "Collect rows of more entities."
    )


def test_identical_predictions_are_the_same_model() -> None:
    result = judge(challenger=CHAMPION)

    assert result.decision == "inconclusive"
    assert result.why == "Same model: champion and challenger gave each of the 100 rows the same score."
    assert all(check.passed for check in result.checks)


def test_the_same_ranking_cannot_decide_by_its_area_but_holds_as_a_guardrail() -> None:
    label = np.random.default_rng(0).random(N) < 0.5
    score = np.clip(CHAMPION * 0.6 + 0.3 * label, 0, 1)
    recalibrated = {"late": label, "champion": score**3, "challenger": score}
    by_area = judge(ABTest(label="late", primary=Margin("roc_auc", 0.002)), **recalibrated)
    by_loss = judge(
        ABTest(label="late", primary=Margin("log_loss"), guardrails=(Margin("roc_auc"),)), **recalibrated
    )

    assert by_area.decision == "inconclusive"
    assert by_area.why == (
        f"ROC AUC is {by_area.metrics['roc_auc'].champion:.4f} for both models, with no difference on any "
        "row: on these rows it cannot tell them apart."
    )
    assert by_area.metrics["roc_auc"].p_value == 1.0
    assert by_loss.decision == "promote"


def test_the_same_difference_on_every_row_has_no_error_and_is_refused() -> None:
    champion = np.where(LABEL == 1, 0.4, 0.6)
    result = judge(ABTest(label="late", primary=Margin("brier")), champion=champion, challenger=1 - champion)

    assert result.decision == "invalid"
    assert result.why == (
        "Brier score differs by 0.2 on every row alike, so its error cannot be known. Look at how the two "
        "models were scored."
    )


def test_agrestis_approval_ratings_from_end_to_end() -> None:
    """794, 150, 86, 570: published mid-p 2.89339e-5, difference .04 with Wald interval (.02128, .05872)."""
    right = np.repeat([[1, 1], [1, 0], [0, 1], [0, 0]], [794, 150, 86, 570], axis=0).astype(bool)
    label = np.arange(1600) % 2 == 0
    champion, challenger = (np.where(right[:, model] == label, 0.9, 0.1) for model in (0, 1))

    result = judge(
        ABTest(label="late", primary=Margin("accuracy")), late=label, champion=champion, challenger=challenger
    )

    accuracy = result.metrics["accuracy"]
    assert (accuracy.champion, accuracy.challenger) == (0.59, 0.55)
    assert accuracy.p_value == pytest.approx(2.89339e-5, rel=1e-5)
    assert accuracy.interval == pytest.approx((-0.05872, -0.02128), abs=5e-6)
    assert accuracy.statistic == pytest.approx(-math.sqrt(17.356), abs=1e-4)
    assert accuracy.method == "McNemar mid-p, Wald interval (236 discordant rows)"
    assert result.decision == "reject"
    assert result.why == (
        "Accuracy fell by 0.0400 (0.5900 -> 0.5500); the one-sided 95 % upper bound -0.0243 is below the "
        "margin 0.0000."
    )


def test_bounds_are_one_sided_at_the_alpha_of_the_configuration() -> None:
    """With alpha/30 of a ledger the bound lies 2.9352 standard errors below, not 1.6449."""
    draw = np.random.default_rng(2)
    label = draw.random(2000) < 0.4
    columns = {
        "late": label,
        "champion": draw.random(2000),
        "challenger": np.clip(0.3 * label + 0.7 * draw.random(2000), 0, 1),
    }
    for alpha, quantile in ((0.05, 1.6448536), (0.05 / 30, 2.9351995)):
        area = judge(replace(TEST, alpha=alpha), **columns).metrics["roc_auc"]
        assert area.lower_bound == pytest.approx(area.difference - quantile * area.std_error, rel=1e-6)
        assert area.upper_bound == pytest.approx(area.difference + quantile * area.std_error, rel=1e-6)
        assert area.interval[0] == pytest.approx(area.difference - 1.9599640 * area.std_error, rel=1e-6)


def test_few_positives_use_students_distribution_and_say_so() -> None:
    draw = np.random.default_rng(6)
    late = np.arange(N) < 30
    area = judge(late=late, champion=draw.random(N), challenger=draw.random(N)).metrics["roc_auc"]

    assert area.method == "paired DeLong, t with 29 df (30 rows in the smaller class)"
    assert area.lower_bound == pytest.approx(area.difference - 1.6991270 * area.std_error, rel=1e-6)


def test_entities_are_summed_and_what_that_costs_is_said() -> None:
    """Every row four times: a quarter of the information, whatever the number of rows says."""
    draw = np.random.default_rng(12)
    label = draw.random(300) < 0.5
    champion = np.clip(0.2 * label + 0.8 * draw.random(300), 0, 1)
    challenger = np.clip(0.3 * label + 0.7 * draw.random(300), 0, 1)
    repeated = {
        name: np.repeat(column, 4)
        for name, column in {"late": label, "champion": champion, "challenger": challenger}.items()
    }
    once = judge(late=label, champion=champion, challenger=challenger)
    metrics = ("log_loss", "accuracy")

    result = judge(
        replace(TEST, entity="tail", metrics=metrics),
        **repeated,
        tail=[f"N{row // 4}" for row in range(1200)],
    )

    area = result.metrics["roc_auc"]
    assert area.std_error == pytest.approx(once.metrics["roc_auc"].std_error, rel=0.01)
    assert area.method == "paired DeLong, by entity (Obuchowski), t with 299 df"
    assert result.metrics["accuracy"].method == "paired t, by entity (cluster-robust), t with 299 df"
    assert result.checks[-1].detail == (
        "300 entities in 'tail' (as good as 300.0 of equal size), 300 with rows of the rarer class."
        " Design effect 4.01: rows of one entity depend on each other, and 1,200 rows tell as much as 299 "
        "independent ones would."
    ).replace("300 with", f"{min(label.sum(), 300 - label.sum())} with")


def test_json_is_strict_and_complete() -> None:
    result = judge(replace(TEST, guardrails=(Margin("log_loss", 0.01),), metrics=("brier",)))

    written = json.loads(json.dumps(result.to_json(), allow_nan=False))

    assert list(written) == ["decision", "why", "rows", "positives", "engine", "alpha", "checks", "metrics"]
    assert (written["rows"], written["positives"], written["engine"]) == (100, 50, "local")
    assert list(written["metrics"]) == ["roc_auc", "log_loss", "brier"]
    assert [metric["role"] for metric in written["metrics"].values()] == ["primary", "guardrail", "reported"]
    assert [metric["margin"] for metric in written["metrics"].values()] == [0.0, 0.01, None]
    assert written["metrics"]["roc_auc"]["lowerBound"] == result.metrics["roc_auc"].lower_bound
    assert written["checks"][1] == {"name": "rows", "passed": True, "detail": "100 rows."}


def test_json_has_null_for_numbers_that_are_not_finite() -> None:
    champion = np.where(LABEL == 1, 0.1, 0.9)
    result = judge(champion=champion, challenger=1 - champion)

    assert result.decision == "invalid"
    assert math.isnan(result.metrics["roc_auc"].p_value)
    written = json.loads(json.dumps(result.to_json(), allow_nan=False))
    assert written["metrics"]["roc_auc"]["pValue"] is None


def test_progress_goes_from_reading_to_done() -> None:
    seen: list[tuple[str, float]] = []
    run_ab_test(
        TEST,
        pa.table({"late": LABEL, "champion": CHAMPION, "challenger": CHALLENGER}),
        progress=lambda what, share: seen.append((what, share)),
    )

    assert [what for what, _ in seen] == ["reading the scores", "comparing roc_auc", "decided"]
    assert [share for _, share in seen] == sorted(share for _, share in seen)
    assert seen[-1][1] == 1.0
