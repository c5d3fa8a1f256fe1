"""The whole test on small tables: what a user sees for good and for bad data."""

from __future__ import annotations

import datetime as dt
import json
import math
from collections.abc import Callable
from dataclasses import replace
from decimal import Decimal
from pathlib import Path

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pytest

from ame.gate import ABTest, ABTestResult, Check, Exhausted, FileLedger, LedgerUse, Margin, run_ab_test
from ame.gate.config import METRICS_OF
from ame.gate.engines import local
from ame.gate.training import TrainingComparison

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


def test_entities_of_many_rows_are_put_together_by_a_hash_and_said_so(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    draw = np.random.default_rng(3)
    n = 40_000
    late = draw.random(n) < 0.3
    table = {
        "late": late,
        "champion": np.clip(0.2 * late + 0.8 * draw.random(n), 0, 1),
        "challenger": np.clip(0.25 * late + 0.75 * draw.random(n), 0, 1),
        "tail": draw.integers(0, 5000, n),
    }
    config = replace(TEST, entity="tail")
    exact = judge(config, **table)
    monkeypatch.setattr(
        local.measure, "__kwdefaults__", {**local.measure.__kwdefaults__, "exact_rows": 10_000}
    )
    binned = judge(config, **table)

    assert exact.checks[-1].detail.startswith("4,99")
    assert binned.engine == "local binned"
    assert " groups of whole entities in 'tail' (as good as " in binned.checks[-1].detail
    found, wanted = binned.metrics["roc_auc"], exact.metrics["roc_auc"]
    assert abs(found.difference - wanted.difference) <= found.error_bound
    assert found.std_error == pytest.approx(wanted.std_error, rel=0.1)


def test_json_is_strict_and_complete() -> None:
    result = judge(replace(TEST, guardrails=(Margin("log_loss", 0.01),), metrics=("brier",)))

    written = json.loads(json.dumps(result.to_json(), allow_nan=False))

    assert set(written) == {
        *("decision", "why", "rows", "positives", "engine", "alpha", "checks", "slices", "ledger", "metrics"),
        *("systematic", "drift", "distributions"),
    }
    assert (written["rows"], written["positives"], written["engine"]) == (100, 50, "local exact")
    assert list(written["metrics"]) == ["roc_auc", "log_loss", "brier"]
    assert [metric["role"] for metric in written["metrics"].values()] == ["primary", "guardrail", "reported"]
    assert [metric["margin"] for metric in written["metrics"].values()] == [0.0, 0.01, None]
    assert written["metrics"]["roc_auc"]["lowerBound"] == result.metrics["roc_auc"].lower_bound
    assert written["checks"][1] == {"name": "rows", "passed": True, "blocks": True, "detail": "100 rows."}


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

    assert seen[0][0].startswith("engine auto: local, for ")
    assert (seen[1][0], seen[-1][0]) == ("reading the scores", "decided")
    assert [share for _, share in seen] == sorted(share for _, share in seen)
    assert seen[-1][1] == 1.0


def with_keys(share: float) -> pa.Array:
    """Keys of which a share repeats another."""
    return pa.array(np.arange(N) % round(N * (1 - share)))


def test_repeated_rows_are_invalid_beyond_what_is_allowed() -> None:
    config = ABTest(label="late", row="id", max_duplicates=0.05)

    assert judge(config, id=with_keys(0.05)).decision != "invalid"
    result = judge(config, id=with_keys(0.1))
    assert (result.decision, result.why) == (
        "invalid",
        (
            "10 of 100 rows (10 %) repeat another row's 'id', and at most 5 % may. A row that counts twice "
            "makes every number look surer than it is: leave the repetitions out."
        ),
    )
    assert judge(config, id=with_keys(0.05)).sketch == judge(config, id=with_keys(0.05)).sketch != ()


def test_rows_without_a_key_or_a_time_are_counted() -> None:
    config = ABTest(label="late", row="id", time="day")
    result = judge(
        config, id=with_holes(np.arange(N), {7: None}), day=with_holes(np.arange(N), {1: None, 2: math.nan})
    )

    assert result.why == (
        "1 of 100 rows have no id. Fill it in or leave these rows out. (1 more check failed.)"
    )
    ordered = judge(config, id=np.arange(N), day=[f"2026-11-{1 + row % 30:02d}T00:00:00" for row in range(N)])
    assert [check.detail for check in ordered.checks if check.name == "time present"] == [
        "Every row has a time in 'day', from 2026-11-01T00:00:00 to 2026-11-30T00:00:00."
    ]


def test_times_that_cannot_be_put_in_order_are_refused() -> None:
    result = judge(ABTest(label="late", time="day"), day=["11/21/2026"] * N)

    assert result.why == (
        "'day' holds string not of the form 2026-11-30: scores and labels must be numbers, entities, rows "
        "and slices plain values, and times dates or numbers. Convert the column."
    )


def test_a_slice_column_of_too_many_values_is_named() -> None:
    draw = np.random.default_rng(0)
    n = 400
    columns = {"late": np.arange(n) % 2, "champion": draw.random(n), "challenger": draw.random(n)}
    config = ABTest(label="late", slices=("street", "city"))

    result = run_ab_test(
        config, pa.table({**columns, "street": np.arange(n) % 101, "city": np.arange(n) % 100})
    )

    assert result.why == (
        "'street' has more than 100 different values. Name a column of coarser values, such as a region for "
        "an address or a band for a number."
    )
    fewer = run_ab_test(
        config, pa.table({**columns, "street": np.arange(n) % 3, "city": [None, "x"] * (n // 2)})
    )
    assert [(each.value, each.rows) for each in fewer.slices] == [
        ("0", 134),
        ("1", 133),
        ("2", 133),
        ("x", 200),
        ("(missing)", 200),
    ]


def lists(values: np.ndarray) -> pa.Array:
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])


def three_classes(n: int = 600) -> dict[str, object]:
    draw = np.random.default_rng(11)
    label = draw.integers(0, 3, n)
    near = np.eye(3)[label]
    return {
        "kind": label,
        "champion": 0.3 * near + 0.7 * draw.dirichlet([1, 1, 1], n),
        "challenger": 0.5 * near + 0.5 * draw.dirichlet([1, 1, 1], n),
    }


KIND = ABTest(label="kind", task="multiclass", metrics=("roc_auc_ovr", "f1_macro", "accuracy"))


def judge_kind(config: ABTest = KIND, **columns: object) -> ABTestResult:
    table = {**three_classes(), **columns}
    for model in ("champion", "challenger"):
        if isinstance(table[model], np.ndarray):
            table[model] = lists(table[model])
    return run_ab_test(config, pa.table(table))


def test_more_than_two_classes_from_end_to_end() -> None:
    from sklearn.metrics import accuracy_score, f1_score, log_loss, roc_auc_score

    rows = three_classes()
    result = judge_kind()

    assert result.decision == "promote"
    assert result.positives == 0
    for model in ("champion", "challenger"):
        scores, label = rows[model], rows["kind"]
        expected = {
            "log_loss": log_loss(label, scores),
            "roc_auc_ovr": roc_auc_score(label, scores, multi_class="ovr"),
            "f1_macro": f1_score(label, scores.argmax(1), average="macro"),
            "accuracy": accuracy_score(label, scores.argmax(1)),
        }
        found = {name: getattr(metric, model) for name, metric in result.metrics.items()}
        assert found == pytest.approx(expected, rel=1e-12)
    assert result.metrics["accuracy"].method.startswith("McNemar mid-p, Wald interval (")
    assert result.metrics["log_loss"].method == "paired t"


def test_classes_may_be_named_in_the_order_of_the_scores() -> None:
    names = np.array(["cat", "dog", "eel"])
    named = judge_kind(
        ABTest(label="kind", task="multiclass", classes=names.tolist()), kind=names[three_classes()["kind"]]
    )

    assert named.metrics["log_loss"] == judge_kind(replace(KIND, metrics=())).metrics["log_loss"]


BAD_KINDS = {
    "another class": (
        {"kind": np.where(np.arange(600) < 2, 7, three_classes()["kind"])},
        (
            "2 of 600 rows have a label in 'kind' that is none of the classes 0, 1, 2 (such as 7). Name the "
            "classes, in the order of the scores."
        ),
    ),
    "no list": (
        {"champion": pa.array([0.5] * 600)},
        (
            "'champion' holds double: a model's scores must be lists of one probability for each class, "
            "labels numbers or texts, and an entity a plain value. Convert the column."
        ),
    ),
    "lengths": (
        {"champion": pa.array([[0.5, 0.5]] * 600)},
        (
            "Scores are lists of 2 and 3 probabilities in different rows. Score with one probability for "
            "each class, in every row."
        ),
    ),
    "sums": (
        {"champion": np.where(np.arange(600)[:, None] < 5, 0.4, three_classes()["champion"])},
        (
            "5 rows of the champion have probabilities that do not sum to 1. Score with a probability for "
            "each class."
        ),
    ),
    "negative": (
        {"champion": np.where(np.arange(600)[:, None] < 5, [[-0.5, 1.0, 0.5]], three_classes()["champion"])},
        (
            "5 rows of the champion have a probability outside [0, 1]. Score with a probability for each "
            "class."
        ),
    ),
    "unanswered": (
        {"champion": pa.array([None, [0.5, None, 0.5], *([[0.5, 0.25, 0.25]] * 598)])},
        (
            "Of 600 rows there are 2 without a score of the champion, 1 of them NaN; 2 were scored by one "
            "model only. Both models must score the same rows: find out why one failed, and score again."
        ),
    ),
    "constant": (
        {"champion": pa.array([[0.5, 0.25, 0.25]] * 600)},
        (
            "The champion gives every row the same probabilities. A constant score tells nothing: look at "
            "how the model is scored."
        ),
    ),
}


@pytest.mark.parametrize("name", BAD_KINDS)
def test_bad_rows_of_several_classes_are_counted(name: str) -> None:
    columns, why = BAD_KINDS[name]

    result = judge_kind(**columns)

    assert (result.decision, result.why) == ("invalid", why)


def test_another_number_of_classes_than_scores() -> None:
    result = judge_kind(ABTest(label="kind", task="multiclass", classes=(0, 1, 2, 3)))

    assert result.why == (
        "Scores are lists of 3 probabilities, and 4 classes are named. Score with one probability for each "
        "class, in every row."
    )


def test_a_rare_class_blocks_only_what_is_a_mean_over_the_classes() -> None:
    rows = three_classes()
    kept = (rows["kind"] != 2) | (np.cumsum(rows["kind"] == 2) <= 5)
    table = pa.table(
        {name: lists(values[kept]) if values.ndim == 2 else values[kept] for name, values in rows.items()}
    )

    by_rows = run_ab_test(replace(KIND, metrics=()), table)
    by_classes = run_ab_test(replace(KIND, primary=Margin("f1_macro"), metrics=()), table)

    why = "Too few rows: class 2 has 5 rows, and at least 20 of each are needed. Collect more labelled rows."
    assert by_rows.decision == "promote"
    assert Check("classes", False, why, blocks=False) in by_rows.checks
    assert (by_classes.decision, by_classes.why) == ("invalid", why)


PRICE = ABTest(label="price", task="regression", metrics=("mse", "rmse", "r2", "pinball"), quantile=0.3)


def prices(n: int = 500) -> dict[str, np.ndarray]:
    draw = np.random.default_rng(4)
    price = draw.normal(100, 20, n)
    return {
        "price": price,
        "champion": price + draw.normal(0, 10, n),
        "challenger": price + draw.normal(0, 8, n),
    }


def test_a_regression_from_end_to_end() -> None:
    from scipy.stats import ttest_rel
    from sklearn.metrics import mean_absolute_error, mean_pinball_loss, mean_squared_error, r2_score

    rows = prices()
    result = run_ab_test(PRICE, pa.table(rows))

    assert result.decision == "promote"
    for model in ("champion", "challenger"):
        both = rows["price"], rows[model]
        expected = {
            "mae": mean_absolute_error(*both),
            "mse": mean_squared_error(*both),
            "rmse": mean_squared_error(*both) ** 0.5,
            "r2": r2_score(*both),
            "pinball": mean_pinball_loss(*both, alpha=0.3),
        }
        found = {name: getattr(metric, model) for name, metric in result.metrics.items()}
        assert found == pytest.approx(expected, rel=1e-12)
    losses = [abs(rows[model] - rows["price"]) for model in ("champion", "challenger")]
    paired = ttest_rel(*losses)
    assert result.metrics["mae"].statistic == pytest.approx(paired.statistic, rel=1e-9)
    assert result.metrics["mae"].p_value == pytest.approx(paired.pvalue, rel=1e-6)
    interval = paired.confidence_interval()
    assert result.metrics["mae"].interval == pytest.approx((interval.low, interval.high), rel=1e-9)


def test_numbers_that_are_not_finite_are_counted() -> None:
    rows = prices()
    label, score = rows["price"].copy(), rows["champion"].copy()
    label[:2] = math.inf
    score[:3] = -math.inf

    assert run_ab_test(PRICE, pa.table({**rows, "price": label})).why == (
        "2 of 500 rows have a label in 'price' that is no finite number below 1e75 (such as inf). Correct "
        "them or leave these rows out."
    )
    assert run_ab_test(PRICE, pa.table({**rows, "champion": score})).why == (
        "3 rows of the champion have a prediction that is no finite number below 1e75. Look at how the "
        "model is scored."
    )


def test_numbers_too_large_to_be_measurements_are_counted() -> None:
    rows = prices()

    assert run_ab_test(PRICE, pa.table({**rows, "champion": rows["champion"] * 1e100})).decision == "invalid"
    large = run_ab_test(PRICE, pa.table({name: values * 1e70 for name, values in rows.items()}))
    assert large.decision == "promote"


def test_no_predicted_positive_is_undefined_and_never_zero() -> None:
    cautious = CHAMPION / 2.1
    config = ABTest(label="late", metrics=("precision",))

    reported = judge(config, champion=cautious)
    decides = judge(replace(config, metrics=(), guardrails=(Margin("precision", 0.1),)), champion=cautious)

    assert math.isnan(reported.metrics["precision"].difference)
    assert reported.metrics["precision"].undefined
    assert reported.decision == "promote"
    assert decides.decision == "invalid"
    assert decides.why.startswith("The guardrail precision has no value. ")
    assert json.dumps(decides.to_json(), allow_nan=False)


class OneLook:
    """A ledger that gives `alpha`, or nothing."""

    def __init__(self, alpha: float | None) -> None:
        self.alpha = alpha
        self.asked: list[tuple[int, int]] = []
        self.decisions: list[str] = []

    def spend(self, config: ABTest, sketch: tuple[int, ...], rows: int) -> LedgerUse:
        self.asked.append((len(sketch), rows))
        left = self.alpha is not None
        note = "Look 3 of 30." if left else "All 30 looks are spent. Replace the holdout."
        use = LedgerUse(
            look=3 if left else 0,
            looks=30,
            alpha=self.alpha or 0.0,
            total=config.alpha,
            holdout="holdout",
            note=note,
        )
        if not left:
            raise Exhausted(use)
        return use

    def ended(self, use: LedgerUse, decision: str) -> None:
        assert use.look == 3
        self.decisions.append(decision)


def judge_with(ledger: OneLook, config: ABTest = TEST, **columns: object) -> ABTestResult:
    table = {"late": LABEL, "champion": CHAMPION, "challenger": CHALLENGER, **columns}
    return run_ab_test(config, pa.table(table), ledger=ledger)


def test_the_ledgers_alpha_is_the_tests() -> None:
    ledger = OneLook(0.05 / 30)
    config = replace(TEST, row="id", guardrails=(Margin("log_loss", 0.2),))

    result = judge_with(ledger, config, id=np.arange(N))
    alone = judge(replace(config, alpha=0.05 / 30), id=np.arange(N))

    assert ledger.asked == [(N, N)]
    assert ledger.decisions == [result.decision]
    assert (result.alpha, result.ledger) == (0.05 / 30, result.ledger)
    assert result.ledger is not None
    assert result.ledger.look == 3
    assert (result.metrics, result.why) == (alone.metrics, alone.why)
    assert "99.83 %" in result.why
    assert result.config.alpha == 0.05


def test_a_promotion_ends_the_use_of_a_holdout(tmp_path: Path) -> None:
    config = replace(TEST, row="id", looks=30)
    table = {"late": LABEL, "champion": CHAMPION, "challenger": CHALLENGER, "id": np.arange(N)}

    def night(key: str, **columns: object) -> ABTestResult:
        ledger = FileLedger(tmp_path / "ledger.json", key=key, holdout="flights")
        return run_ab_test(config, pa.table({**table, **columns}), ledger=ledger)

    first = night("one", challenger=1 - CHALLENGER)
    second, again, third = night("two"), night("two"), night("three")

    assert [each.decision for each in (first, second, again, third)] == [
        "reject", "promote", "promote", "invalid"
    ]  # fmt: skip
    assert [each.ledger.look for each in (first, second, again, third) if each.ledger] == [1, 2, 2, 0]
    assert first.alpha == second.alpha == 0.05 / 30
    assert (third.metrics, third.summary) == ({}, None)


def test_nothing_that_was_measured_is_told_when_no_look_is_left() -> None:
    ledger = OneLook(None)

    result = judge_with(ledger)

    assert (result.decision, result.why) == ("invalid", "All 30 looks are spent. Replace the holdout.")
    assert (result.metrics, result.slices, result.distributions, result.summary) == ({}, (), {}, None)
    assert result.ledger is not None
    assert (result.ledger.look, result.alpha) == (0, 0.0)
    assert ledger.decisions == []


@pytest.mark.parametrize(
    "columns", [{"challenger": CHAMPION}, {"late": np.ones(N)}], ids=["same model", "one class"]
)
def test_no_look_is_spent_on_what_cannot_be_decided(columns: dict[str, object]) -> None:
    ledger = OneLook(0.01)

    result = judge_with(ledger, **columns)

    assert (ledger.asked, result.ledger, result.metrics, result.summary) == ([], None, {}, None)


def test_too_few_entities_spend_no_look() -> None:
    ledger = OneLook(0.01)

    assert judge_with(ledger, replace(TEST, entity="tail"), tail=np.arange(N) % 5).decision == "invalid"
    assert ledger.asked == []


def test_the_training_rows_checks_count() -> None:
    warning = Check("drift", False, "'distance' drifted.", blocks=False)
    leak = Check("rows not seen in training", False, "12 of 100 rows were seen in training.")
    table = pa.table({"late": LABEL, "champion": CHAMPION, "challenger": CHALLENGER})

    warned = run_ab_test(TEST, table, training=TrainingComparison((warning,), ()))
    leaked = run_ab_test(TEST, table, training=TrainingComparison((warning, leak), ()))

    assert (warned.decision, warned.checks[-1]) == ("promote", warning)
    assert (leaked.decision, leaked.why) == ("invalid", leak.detail)


@pytest.mark.parametrize("seed", range(20))
def test_nothing_that_may_stand_in_a_table_ends_in_a_traceback(seed: int) -> None:
    """Columns of any type with any value: always a result that is strict JSON."""
    draw = np.random.default_rng(seed)
    for _ in range(15):
        task = str(draw.choice(["binary", "multiclass", "regression"]))
        n = int(draw.choice([0, 1, 2, 3, 60, 300]))
        names = ["label", "champion", "challenger", "entity", "row", "time", "slice"]
        columns = {name: wild(draw, n, task, name) for name in names}
        config = ABTest(
            label="label",
            task=task,
            min_positives=2,
            min_slice_rows=2,
            min_slice_positives=2,
            max_duplicates=1.0,
            slices=("slice",),
            primary=Margin(str(draw.choice(METRICS_OF[task])), float(draw.choice([0.0, 0.01]))),
            metrics=METRICS_OF[task],
            **{name: name for name in ("entity", "row", "time") if draw.random() < 0.4},
        )
        result = run_ab_test(config, pa.table(columns))
        json.dumps(result.to_json(), allow_nan=False)
        assert result.why.endswith((".", ")"))


def wild(draw: np.random.Generator, n: int, task: str, name: str) -> pa.Array:
    """A column as it should be, more often than not; else anything."""
    usual = draw.random() < 0.85
    if usual and name in {"champion", "challenger"}:
        if task == "multiclass":
            return lists(draw.dirichlet([1, 1, 1], n)) if n else pa.array([], pa.list_(pa.float64()))
        return pa.array(draw.random(n).round(int(draw.integers(0, 4))))
    if usual and name == "label":
        return pa.array(draw.integers(0, 3 if task == "multiclass" else 2, n))
    if usual and name in {"slice", "entity"}:
        return pa.array(draw.integers(0, 40 if name == "entity" else 3, n))
    return WILD[int(draw.integers(len(WILD)))](draw, n)


def some(values: list[object]) -> Callable[[np.random.Generator, int], pa.Array]:
    kind = pa.array(values).type

    def make(draw: np.random.Generator, n: int) -> pa.Array:
        return pa.array([values[place] for place in draw.integers(0, len(values), n)], kind)

    return make


WILD = [
    some([0, 1]),
    some([0.0, 0.5, 1.0, None]),
    some([0.0, 1e308, -1e308]),
    some([0.5, math.nan, math.inf, -math.inf]),
    some([2**62, -(2**62), 0]),
    some([1e-320, 0.5, 1.0]),
    some([True, False]),
    some([None]),
    some(["a", "", None, "nan", "2026-01-01"]),
    some([b"\xff", b""]),
    some([[0.5, 0.5], [1.0, 0.0]]),
    some([[0.2, 0.3, 0.5], None]),
    some([[0.5], [0.5, 0.5]]),
    some([{"a": 1}]),
    some([Decimal("0.5"), Decimal("1.0")]),
    some([dt.datetime(2026, 1, 1, tzinfo=dt.UTC), dt.datetime(1, 1, 1, tzinfo=dt.UTC)]),
    some([dt.date(9999, 12, 31), None]),
    some([dt.time(1, 2)]),
    some([dt.timedelta(1)]),
    lambda draw, n: some(["x", "y", None])(draw, n).dictionary_encode(),
    lambda draw, n: some([0.25, 0.75, None])(draw, n).dictionary_encode(),
    lambda draw, n: pa.array(draw.integers(0, 2**63, n).astype(np.uint64) * np.uint64(2)),
    lambda draw, n: pa.array(draw.integers(-(2**62), 2**62, n)).cast(pa.timestamp("s")),
    lambda draw, n: pa.array(draw.permutation(n)),
    lambda draw, n: pa.array(draw.random(n).astype(np.float16)),
    lambda draw, n: pc.run_end_encode(some([0, 1])(draw, n)),
]


def test_an_accuracy_that_no_row_changes_holds_as_a_guardrail_without_a_margin() -> None:
    """The challenger ranks better, and predicts each row as the champion does."""
    draw = np.random.default_rng(5)
    late = draw.random(4000) < 0.3
    champion = 0.4 * draw.random(4000)
    scores = pa.table({"late": late, "champion": champion, "challenger": champion + 0.05 * late})

    result = run_ab_test(ABTest(label="late", guardrails=(Margin("accuracy", 0.0),)), scores)

    assert result.metrics["accuracy"].difference == 0.0
    assert (result.decision, result.metrics["accuracy"].p_value) == ("promote", 1.0)


REPEATED = (
    "1,500 of 4,500 rows (33.3 %) look like repetitions: both scores, the label and all else that was read are "
    "those of another row. Name the column that tells rows apart as `row`, or leave the repetitions out."
)


def test_rows_that_look_repeated_are_warned_of_without_a_key_but_not_scores_that_tie() -> None:
    draw = np.random.default_rng(6)
    late = draw.random(3000) < 0.3
    scores = {name: 0.6 * draw.random(3000) + 0.3 * late for name in ("champion", "challenger")}
    rows = pa.table({"late": late, **scores})
    tied = pa.table({"late": late, **{name: values.round(1) for name, values in scores.items()}})
    test = ABTest(label="late")

    warnings = {
        name: [check.detail for check in run_ab_test(test, table).checks if not check.passed]
        for name, table in {
            "once": rows,
            "twice": pa.concat_tables([rows, rows.slice(0, 1500)]),
            "ties": tied,
        }.items()
    }

    assert warnings == {
        "once": [],
        "twice": [REPEATED],
        "ties": [],
    }


def test_a_text_like_the_name_of_missing_values_is_a_slice_of_its_own() -> None:
    draw = np.random.default_rng(6)
    late = draw.random(1500) < 0.3
    scores = {name: 0.6 * draw.random(1500) + 0.3 * late for name in ("champion", "challenger")}
    places = [None] * 300 + ["(missing)"] * 300 + [""] * 300 + ["(empty)"] * 300 + ["EWR"] * 300

    result = run_ab_test(
        ABTest(label="late", slices=("place",)), pa.table({"late": late, "place": places, **scores})
    )

    assert {each.value for each in result.slices} == {
        "(missing)",
        "'(missing)'",
        "(empty)",
        "'(empty)'",
        "EWR",
    }
