"""One test of harm a slice, and Holm's correction over all of them."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import ndtr

from ame.gate import ABTest, Margin, SliceResult, run_ab_test
from ame.gate.inference import holm
from ame.gate.slices import in_order, judge_slices
from ame.gate.summary import GroupSummary, MetricSummary

from .conftest import Simulate, Table

TEST = ABTest(label="late", slices=("origin",))


def group(
    difference: float, error: float, *, rows: int = 1000, positives: int = 400, **more: object
) -> GroupSummary:
    found = MetricSummary(0.7, 0.7 + difference, difference, error, np.zeros(1))
    fewest = min(positives, rows - positives)
    return GroupSummary(rows=rows, positives=positives, fewest=fewest, metrics={"roc_auc": found}, **more)


def judged(config: ABTest = TEST, **groups: GroupSummary) -> Mapping[str, SliceResult]:
    return {each.value: each for each in judge_slices(config, {"origin": groups})}


def test_holm_of_benjamini_and_hochbergs_fifteen_p_values() -> None:
    """Their 1995 paper's example: at .05 Bonferroni and Holm reject 3; R: p.adjust(p, "holm")."""
    p = [0.0001, 0.0004, 0.0019, 0.0095, 0.0201, 0.0278, 0.0298, 0.0344, 0.0459, 0.3240]
    p += [0.4262, 0.5719, 0.6528, 0.7590, 1.0000]

    adjusted = holm(p)

    assert adjusted[:5] == pytest.approx([0.0015, 0.0056, 0.0247, 0.1140, 0.2211])
    assert sum(each <= 0.05 for each in adjusted) == 3
    assert holm(p[::-1]) == adjusted[::-1]
    assert holm([]) == []
    assert holm([0.04, 0.04]) == [0.08, 0.08]


def test_harm_is_shown_against_the_margin_at_alpha() -> None:
    config = ABTest(label="late", slices=("origin",), slice_margin=0.01)

    found = judged(config, JFK=group(-0.03, 0.01), LGA=group(0.0, 0.01))

    assert found["JFK"].p_value == pytest.approx(ndtr(-2.0))
    assert found["JFK"].adjusted_p_value == pytest.approx(2 * ndtr(-2.0))
    assert found["JFK"].harmed
    assert found["LGA"].p_value == pytest.approx(ndtr(1.0))
    assert (found["LGA"].adjusted_p_value, found["LGA"].harmed) == (pytest.approx(ndtr(1.0)), False)
    assert found["JFK"].interval == pytest.approx((-0.03 - 1.959964 * 0.01, -0.03 + 1.959964 * 0.01))


def test_what_binning_may_have_moved_counts_for_the_challenger() -> None:
    found = MetricSummary(0.7, 0.67, -0.03, 0.01, np.zeros(1), error_bound=0.01)
    binned = GroupSummary(rows=1000, positives=400, fewest=400, metrics={"roc_auc": found})

    assert judged(JFK=binned)["JFK"].p_value == pytest.approx(ndtr(-2.0))


def test_slices_too_small_are_said_and_do_not_count() -> None:
    found = judged(
        few=group(-0.5, 0.01, rows=120, positives=4),
        rare=group(-0.5, 0.01, rows=500, positives=490),
        enough=group(-0.03, 0.015, rows=200, positives=20),
    )

    assert found["few"].note == "too small to judge: 120 rows, 4 positives; 200 and 20 are needed"
    assert found["rare"].note == "too small to judge: 500 rows, 10 negatives; 200 and 20 are needed"
    assert not found["few"].judged
    assert not found["few"].harmed
    assert math.isnan(found["few"].difference)
    assert found["enough"].adjusted_p_value == found["enough"].p_value


def test_slices_of_few_entities_are_said() -> None:
    of_five = group(-0.5, 0.01, entities=5, effective_entities=4.2, fewest_entities=3, clustered=True)

    assert judged(JFK=of_five)["JFK"].note == (
        "too few entities to judge: 5 (as good as 4.2 of equal size), 3 with rows of the rarest class; 20 are "
        "needed"
    )


def test_slices_without_a_value_are_said() -> None:
    nan = math.nan
    lacking = MetricSummary(nan, nan, nan, nan, np.empty(0), undefined="There are fewer than two rows.")
    found = judged(
        lacking=GroupSummary(rows=1000, positives=400, fewest=400, metrics={"roc_auc": lacking}),
        unmeasured=GroupSummary(rows=1000, positives=400, fewest=400, metrics={}),
        alike=group(-0.1, 0.0),
        tied=group(0.0, 0.0),
    )

    assert found["lacking"].note == "not judged: there are fewer than two rows"
    assert found["unmeasured"].note == "not judged: it was not measured on these rows"
    assert found["alike"].note == "not judged: it differs by the same on every row, so its error is unknown"
    assert (found["tied"].judged, found["tied"].p_value, found["tied"].harmed) == (True, 1.0, False)


def test_a_regression_needs_rows_only() -> None:
    config = ABTest(label="price", task="regression", slices=("origin",))
    found = MetricSummary(2.0, 1.9, 0.1, 0.01, np.zeros(1))
    groups = {
        name: GroupSummary(rows=rows, positives=0, fewest=rows, metrics={"mae": found})
        for name, rows in (("JFK", 200), ("LGA", 199))
    }

    judged_, small = judge_slices(config, {"origin": groups})

    assert judged_.judged
    assert small.note == "too small to judge: 199 rows; 200 are needed"


def test_values_are_put_in_the_order_that_people_expect() -> None:
    assert in_order(["10", "(missing)", "b", "9", "nan", "a", "-1.5"]) == [
        "-1.5", "9", "10", "a", "b", "nan", "(missing)"
    ]  # fmt: skip


def twenty_slices(simulate: Simulate, draw: np.random.Generator, n: int, harmed: float = 0.0) -> object:
    """Rows in twenty slices; in the largest the challenger's scores are those of a worse model."""
    rows = simulate(draw, n)
    sizes = np.r_[0.24, np.full(19, 0.04)]
    slices = draw.choice(20, n, p=sizes)
    if harmed:
        worse = simulate(draw, n, gain=harmed)
        hit = slices == 0
        for name in ("label", "champion", "challenger"):
            getattr(rows, name)[hit] = getattr(worse, name)[hit]
    rows.slices["origin"] = slices
    return rows


def test_equal_models_raise_an_alarm_in_any_of_twenty_slices_at_most_at_alpha(
    simulate: Simulate, table: Table
) -> None:
    """120 tests: with a true rate of .05 more than 16 alarms have probability 1/20,000; uncorrected 64 %."""
    draw = np.random.default_rng(20)
    config = ABTest(label="late", slices=("origin",), primary=Margin("log_loss"), min_slice_rows=50)
    alarms = uncorrected = 0
    for _ in range(120):
        result = run_ab_test(config, table(twenty_slices(simulate, draw, 3000)))
        assert len(result.slices) == 20
        alarms += any(each.harmed for each in result.slices)
        uncorrected += any(each.p_value <= 0.05 for each in result.slices)

    assert alarms <= 16
    assert uncorrected >= 50


def test_a_harmed_slice_is_found_and_blocks_a_gain(simulate: Simulate, table: Table) -> None:
    draw = np.random.default_rng(21)
    config = ABTest(label="late", slices=("origin",), slice_margin=0.002)
    rows = twenty_slices(simulate, draw, 20_000, harmed=-0.4)
    better = rows.slices["origin"] != 0
    gain = simulate(draw, 20_000, gain=0.4)
    for name in ("label", "champion", "challenger"):
        getattr(rows, name)[better] = getattr(gain, name)[better]

    result = run_ab_test(config, table(rows))

    assert result.decision == "reject"
    assert [each.value for each in result.slices if each.harmed] == ["0"]
    assert result.why.startswith("The challenger harms the slice origin = 0 (ROC AUC worse by 0.")
    assert result.metrics["roc_auc"].lower_bound > 0


def test_a_slice_that_lacks_a_class_is_judged_by_a_mean_over_its_rows() -> None:
    draw = np.random.default_rng(4)
    label = draw.choice(3, 4000, p=[0.5, 0.4, 0.1])
    north = np.arange(4000) < 1000
    label[north & (label == 2)] = 0
    columns: dict[str, object] = {"late": label, "origin": np.where(north, "north", "south")}
    for model, told in (("champion", 1.5), ("challenger", np.where(north, 0.5, 1.7))):
        log_odds = draw.normal(size=(4000, 3))
        log_odds[np.arange(4000), label] += told
        scores = np.exp(log_odds)
        columns[model] = pa.array(list(scores / scores.sum(axis=1, keepdims=True)))

    result = run_ab_test(ABTest(label="late", task="multiclass", slices=("origin",)), pa.table(columns))

    assert result.decision == "reject"
    assert [(each.value, each.judged, each.harmed) for each in result.slices] == [
        ("north", True, True),
        ("south", True, False),
    ]
