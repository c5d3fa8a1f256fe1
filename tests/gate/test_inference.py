"""Published numbers, and the definitions written out."""

from __future__ import annotations

import math

import numpy as np
import pytest

from ame.gate.inference import (
    Estimate,
    clustered_std_error,
    discordant_estimate,
    effective_entities,
    entities_in_smaller_class,
    mcnemar_mid_p,
    minimum_detectable_effect,
    paired_std_error,
    rows_needed,
)

SLEEP = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0]) - np.array(
    [1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4]
)


def test_students_sleep_data() -> None:
    """R: t.test(extra ~ group, paired = TRUE)."""
    mean = SLEEP.mean()
    estimate = Estimate(mean, paired_std_error(SLEEP - mean), df=9)

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

    error = clustered_std_error(influence, entity, 7)

    assert error == pytest.approx(math.sqrt(7 / 6 * sum(s * s for s in sums)) / 90, rel=1e-12)


def test_entities_of_one_row_are_independent_rows() -> None:
    influence = SLEEP - SLEEP.mean()
    assert clustered_std_error(influence, np.arange(10), 10) == pytest.approx(paired_std_error(influence))


def test_one_large_entity_counts_for_little_more_than_one() -> None:
    sizes = np.repeat(np.arange(101), [900, *[1] * 100])
    assert effective_entities(sizes, 101) == pytest.approx(1000**2 / (900**2 + 100))
    assert effective_entities(np.arange(50), 50) == pytest.approx(50)


def test_entities_that_hold_the_rarer_class() -> None:
    label = np.array([True, True, False, False, False])
    assert entities_in_smaller_class(label, np.array([0, 0, 0, 1, 2]), 3) == 1


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
