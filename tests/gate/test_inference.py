"""Published numbers, and the definitions written out."""

from __future__ import annotations

import math

import numpy as np
import pytest
from threadpoolctl import threadpool_limits

from ame.gate import ABTest, Margin
from ame.gate.estimates import metric_results
from ame.gate.inference import (
    Estimate,
    clustered_std_error,
    discordant_estimate,
    even_groups,
    mcnemar_mid_p,
    minimum_detectable_effect,
    rows_needed,
)
from ame.gate.summary import GroupSummary, MetricSummary

SLEEP = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]) - np.array(
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
)


def test_students_sleep_data() -> None:
    """R: t.test(extra ~ group, paired = TRUE)."""
    mean = SLEEP.mean()
    estimate = Estimate(mean, SLEEP.std(ddof=1) / math.sqrt(10), df=9)

    assert estimate.statistic == pytest.approx(-4.0621, abs=5e-5)
    assert estimate.p_value == pytest.approx(0.002833, abs=5e-7)
    assert estimate.bounds(0.025) == pytest.approx((-2.4598858, -0.7001142), abs=5e-7)


def test_agrestis_approval_ratings() -> None:
    """794 approved twice, 570 disapproved twice, 150 and 86 changed (Agresti 1990, R's mcnemar.test)."""
    assert mcnemar_mid_p(150, 86) == pytest.approx(2.89339e-5, rel=1e-5)
    estimate = discordant_estimate(150, 86, 1600)
    assert estimate.difference == -0.04
    assert estimate.bounds(0.025) == pytest.approx((-0.05872, -0.02128), abs=5e-6)


def test_airway_hyper_responsiveness() -> None:
    """1 against 7 (Fagerland, Lydersen & Laake 2013): exact .0703, mid-p .0391."""
    assert mcnemar_mid_p(1, 7) == pytest.approx(0.0391, abs=5e-5)
    assert mcnemar_mid_p(7, 1) == mcnemar_mid_p(1, 7)


@pytest.mark.parametrize(
    ("only_champion", "only_challenger", "p"),
    [(0, 0, 1.0), (1, 1, 0.75), (0, 3, 0.125), (3, 0, 0.125), (11, 1, 0.0063476562 - 12 / 4096)],
)
def test_mid_p_of_few_discordant_rows(only_champion: int, only_challenger: int, p: float) -> None:
    """The exact two-sided p less the probability of what was seen; equal counts: 1 - P/2; none: 1."""
    assert mcnemar_mid_p(only_champion, only_challenger) == pytest.approx(p, abs=1e-9)


def test_mid_p_of_half_a_million_discordant_rows_agrees_with_the_normal_distribution() -> None:
    z = (251_000 - 250_000) / math.sqrt(501_000)
    assert mcnemar_mid_p(250_000, 251_000) == pytest.approx(math.erfc(z / math.sqrt(2)), rel=1e-3)


def test_few_discordant_rows_do_not_exclude_no_difference() -> None:
    """3 against 0 has probability 1/8 between equal models, yet the Wald bound would be above 0."""
    lower, upper = discordant_estimate(0, 3, 1000).bounds(0.05)
    assert lower < 0 < upper

    lower, upper = discordant_estimate(0, 0, 1000).bounds(0.05)
    assert (lower, upper) == pytest.approx((-0.00232, 0.00232), abs=1e-5)


def test_errors_by_entity_are_those_of_the_sums() -> None:
    """G/(G-1) times the sum of the squared sums, over n squared, written out."""
    draw = np.random.default_rng(5)
    entity = draw.integers(0, 7, 90)
    influence = draw.normal(size=90) + entity - 3
    influence -= influence.mean()
    sums = [influence[entity == code].sum() for code in range(7)]

    error = clustered_std_error(np.array(sums), 7, 90)

    assert error == pytest.approx(math.sqrt(7 / 6 * sum(s * s for s in sums)) / 90, rel=1e-12)


def test_entities_of_one_row_are_independent_rows() -> None:
    influence = SLEEP - SLEEP.mean()
    assert clustered_std_error(influence, 10, 10) == pytest.approx(SLEEP.std(ddof=1) / math.sqrt(10))


def test_uneven_groups_count_for_fewer() -> None:
    assert even_groups(np.random.default_rng(1).normal(size=100_000)) == pytest.approx(100_000, rel=0.03)
    assert even_groups(np.array([1000.0, *np.ones(99)])) == pytest.approx(3.0, rel=0.01)
    assert even_groups(np.array([3e200, 4e200])) == pytest.approx(3 * 25**2 / (9**2 + 16**2))
    assert even_groups(np.zeros(5)) == math.inf


def test_one_entity_has_no_error() -> None:
    assert math.isnan(clustered_std_error(np.zeros(1), 1, 10))


def test_neither_difference_nor_variation_is_a_tie_and_difference_without_variation_is_degenerate() -> None:
    tie = Estimate(0.0, 0.0)
    assert (tie.is_exact_tie, tie.is_degenerate, tie.statistic, tie.p_value) == (True, False, 0.0, 1.0)

    constant = Estimate(0.1, 1e-17)
    assert (constant.is_exact_tie, constant.is_degenerate) == (False, True)

    assert math.isnan(Estimate(0.1, 0.0).p_value)
    assert not Estimate(0.1, 0.01).is_degenerate


def test_power_of_the_normal_distribution() -> None:
    """z(.95) + z(.8) = 2.4865 standard errors."""
    estimate = Estimate(0.01, 0.004)
    assert minimum_detectable_effect(estimate, 0.05, 0.8, 0.002) == pytest.approx(
        0.002 + 2.48647 * 0.004, rel=1e-5
    )
    assert rows_needed(estimate, 1000, 0.05, 0.8, 0.008) == math.ceil(1000 * (2.4864748605 * 0.5) ** 2)
    assert rows_needed(estimate, 1000, 0.05, 0.8, 0.0) is None
    assert rows_needed(estimate, 1000, 0.05, 0.8, -0.001) is None


def test_rows_that_nobody_can_collect_are_not_named() -> None:
    assert rows_needed(Estimate(1e-12, 0.1), 1000, 0.05, 0.8, 1e-12) is None
    assert rows_needed(Estimate(1e-300, 1e300), 1000, 0.05, 0.8, 1e-300) is None


def found(difference: float = 0.02, error: float = 0.01, **more: object) -> MetricSummary:
    return MetricSummary(0.7, 0.7 + difference, difference, error, np.zeros(1), **more)


def group(metric: str, summary: MetricSummary, **more: object) -> GroupSummary:
    sizes = {"rows": 2000, "positives": 400, "fewest": 400, **more}
    return GroupSummary(metrics={metric: summary}, **sizes)


def test_what_binning_may_have_moved_widens_every_bound() -> None:
    config = ABTest(label="late", primary=Margin("roc_auc", 0.002))
    exact = metric_results(config, group("roc_auc", found()))["roc_auc"]
    binned = metric_results(config, group("roc_auc", found(error_bound=0.003)))["roc_auc"]

    assert binned.lower_bound == pytest.approx(exact.lower_bound - 0.003)
    assert binned.upper_bound == pytest.approx(exact.upper_bound + 0.003)
    assert binned.interval == pytest.approx((exact.interval[0] - 0.003, exact.interval[1] + 0.003))
    assert binned.mde == pytest.approx(exact.mde + 0.003)
    assert (binned.rows_needed, exact.rows_needed) == (
        math.ceil(2000 * (2.4864748605 * 0.01 / 0.015) ** 2),
        math.ceil(2000 * (2.4864748605 * 0.01 / 0.018) ** 2),
    )
    assert (binned.difference, binned.std_error, binned.error_bound) == (0.02, 0.01, 0.003)


def test_errors_by_entity_have_a_degree_of_freedom_for_each_entity_that_tells_something() -> None:
    config = ABTest(label="late", entity="tail", primary=Margin("log_loss"))
    sums = np.array([3.0, -3.0] * 50)
    summed = MetricSummary(0.7, 0.72, 0.02, 0.01, sums)
    entities = {"entities": 100, "effective_entities": 90.0, "clustered": True}
    many = metric_results(config, group("log_loss", summed, fewest_entities=50, **entities))["log_loss"]
    few = metric_results(config, group("log_loss", summed, fewest_entities=49, **entities))["log_loss"]

    assert many.std_error == pytest.approx(math.sqrt(100 / 99 * 900) / 2000)
    assert many.design_effect == pytest.approx((many.std_error / 0.01) ** 2)
    assert many.method == "paired t, by entity (cluster-robust), t with 99 df"
    assert few.method == "paired t, by entity (cluster-robust), t with 48 df"
    assert few.lower_bound < many.lower_bound


@pytest.mark.parametrize(
    ("metric", "method"),
    [
        ("log_loss", "paired t"),
        ("accuracy", "paired t"),
        ("f1_macro", "delta method, t with 29 df (30 rows in the smallest class)"),
        ("roc_auc_ovr", "paired DeLong, mean over the classes, t with 29 df (30 rows in the smallest class)"),
    ],
)
def test_a_rare_class_costs_degrees_of_freedom_only_where_classes_count_alike(
    metric: str, method: str
) -> None:
    config = ABTest(label="kind", task="multiclass", primary=Margin(metric))

    result = metric_results(config, group(metric, found(), positives=0, fewest=30))[metric]

    assert result.method == method


@pytest.mark.parametrize(
    ("summary", "why"),
    [
        (
            MetricSummary(0.5, math.nan, math.nan, math.nan, np.empty(0), undefined="No row is predicted."),
            "No row is predicted.",
        ),
        (found(math.inf, 0.1), "Its numbers are too large to be computed with."),
        (found(0.1, math.nan), "Its numbers are too large to be computed with."),
    ],
)
def test_a_metric_without_a_value_has_no_numbers(summary: MetricSummary, why: str) -> None:
    config = ABTest(label="late", primary=Margin("f1", 0.1), metrics=("precision",))

    results = metric_results(config, group("f1", summary))

    assert results["f1"].undefined == why
    assert results["f1"].rows_needed is None
    numbers = (results["f1"].difference, results["f1"].lower_bound, results["f1"].p_value, results["f1"].mde)
    assert all(math.isnan(number) for number in numbers)
    assert (results["f1"].role, results["f1"].margin) == ("primary", 0.1)
    assert results["precision"].undefined == "It was not measured on these rows."


def test_the_error_by_entity_has_the_same_bits_with_any_number_of_threads() -> None:
    sums = np.random.default_rng(0).normal(size=300_001)

    def error(threads: int) -> float:
        with threadpool_limits(threads):
            return clustered_std_error(sums, sums.size, sums.size)

    assert error(1) == error(2)
