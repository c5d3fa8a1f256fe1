"""The placebo comparison: uniform for a sound error, far from it for an unsound one."""

from __future__ import annotations

import numpy as np
import pytest
from scipy import stats

from ame.gate.config import ABTest
from ame.gate.placebo import placebo, placebo_difference, placebo_p_value
from ame.gate.summary import GroupSummary, MetricSummary, Summary

CONFIG = ABTest(label="late")


def sums_by_entity(seed: int, *, entities: int = 300, each: int = 20, icc: float = 0.4):
    """Influence of rows that share a part within their entity: sums by entity, and both standard errors."""
    draw = np.random.default_rng(seed)
    shared = np.sqrt(icc) * draw.normal(size=entities)[:, None]
    influence = shared + np.sqrt(1 - icc) * draw.normal(size=(entities, each))
    influence -= influence.mean()
    sums = influence.sum(axis=1)
    rows = influence.size
    by_entity = np.sqrt(sums @ sums * entities / (entities - 1)) / rows
    by_row = influence.std(ddof=1) / np.sqrt(rows)
    return sums, rows, by_entity, by_row


def summary_of(groups, std_error, *, rows=6000, clustered=False, undefined=None):
    metric = MetricSummary(0.7, 0.71, 0.01, std_error, groups, undefined=undefined)
    return Summary("local exact", GroupSummary(rows, 600, 600, {"roc_auc": metric}, clustered=clustered))


def test_p_values_are_uniform_when_the_error_is_that_of_the_units() -> None:
    found = []
    for seed in range(400):
        sums, rows, by_entity, _ = sums_by_entity(seed)
        found.append(placebo_p_value(sums, rows, by_entity, seed))

    assert stats.kstest(found, "uniform").pvalue > 5e-5


def test_an_error_that_takes_dependent_rows_for_independent_is_found() -> None:
    found = []
    for seed in range(100):
        sums, rows, _, by_row = sums_by_entity(seed)
        found.append(placebo_p_value(sums, rows, by_row, seed))

    assert stats.kstest(found, "uniform").pvalue < 1e-6
    assert np.mean(np.array(found) < 0.05) > 0.3


def test_placebo_of_a_clustered_summary_uses_the_error_by_entity() -> None:
    found = []
    for seed in range(300):
        sums, rows, _, by_row = sums_by_entity(seed)
        # A change in the fourth digit of the rows is enough for other signs.
        summary = summary_of(sums, by_row, rows=rows + seed, clustered=True)
        found.append(placebo(CONFIG, summary))

    assert stats.kstest(found, "uniform").pvalue > 5e-5


def test_a_model_against_itself_differs_by_exactly_nothing() -> None:
    assert placebo_difference(np.zeros(1024), 5000, seed=3) == 0.0
    assert placebo_p_value(np.zeros(1024), 5000, 0.0, seed=3) == 1.0
    assert placebo(CONFIG, summary_of(np.zeros(1024), 0.0)) == 1.0


def test_variation_that_the_error_does_not_know_of_is_found() -> None:
    assert placebo_p_value(np.array([1.0, 2.0, -3.5]), 10, 0.0, seed=0) == 0.0


def test_same_numbers_give_the_same_p_value() -> None:
    sums, rows, by_entity, _ = sums_by_entity(1)

    assert placebo(CONFIG, summary_of(sums, by_entity, rows=rows)) == placebo(
        CONFIG, summary_of(sums, by_entity, rows=rows)
    )


@pytest.mark.parametrize(
    "summary",
    [
        summary_of(np.ones(5), 0.1, undefined="One class."),
        summary_of(np.empty(0), 0.1),
        Summary("local exact", GroupSummary(10, 5, 5, {})),
    ],
    ids=["undefined", "no groups", "not measured"],
)
def test_it_is_not_run_without_numbers(summary: Summary) -> None:
    assert placebo(CONFIG, summary) is None
