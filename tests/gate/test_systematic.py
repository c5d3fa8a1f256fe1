"""Even slices, their mix, and calibration: against published numbers and by simulation."""

from __future__ import annotations

import math
from collections.abc import Mapping

import numpy as np
import pytest
from scipy.special import expit, kolmogorov, logit
from scipy.stats import binom, chi2

from ame.gate.config import ABTest, Margin
from ame.gate.result import Evenness
from ame.gate.summary import BINS, GroupSummary, MetricSummary, Reliability, Summary
from ame.gate.systematic import calibration, systematic

TEST = ABTest(label="y", primary=Margin("brier"), slices=("dept",))


def group(
    difference: float, error: float, rows: int, groups: np.ndarray | None = None, entities: int = 0
) -> GroupSummary:
    sums = np.zeros(0) if groups is None else groups
    metric = MetricSummary(0.5, 0.5 + difference, difference, error, sums)
    return GroupSummary(
        rows, rows // 2, rows // 2, {"brier": metric}, entities=entities, clustered=groups is not None
    )


def even(total: GroupSummary, slices: Mapping[str, GroupSummary]) -> Evenness:
    return systematic(TEST, Summary("local exact", total, {"dept": slices})).evenness[0]


# Bickel, Hammel & O'Connell 1975 (Science 187:398): men and women, admitted and rejected, by department.
ADMISSIONS = {
    "A": (512, 313, 89, 19),
    "B": (353, 207, 17, 8),
    "C": (120, 205, 202, 391),
    "D": (138, 279, 131, 244),
    "E": (53, 138, 94, 299),
    "F": (22, 351, 24, 317),
}


def admissions(men: int, men_rejected: int, women: int, women_rejected: int) -> GroupSummary:
    """Men's share of admissions less that of women."""
    n, m = men + men_rejected, women + women_rejected
    p, q = men / n, women / m
    return group(p - q, math.sqrt(p * (1 - p) / n + q * (1 - q) / m), n + m)


def test_admissions_at_berkeley_are_reversed_by_the_departments() -> None:
    """All departments together admit 44.5 % of men and 30.4 % of women; in the mix of all applicants the
    departments admit 4.3 points fewer men."""
    total = admissions(*(sum(column) for column in zip(*ADMISSIONS.values(), strict=True)))
    found = even(total, {name: admissions(*counts) for name, counts in ADMISSIONS.items()})

    assert total.metrics["brier"].difference == pytest.approx(0.445188 - 0.303542, abs=1e-6)
    assert found.standardised == pytest.approx(-0.0426368, abs=1e-7)
    assert found.interval == pytest.approx((-0.0785144, -0.0067592), abs=1e-6)
    assert found.slices == 6
    assert found.reversed


def test_a_difference_that_every_slice_shows_is_not_reversed() -> None:
    slices = {"a": group(0.02, 0.004, 6000), "b": group(0.01, 0.005, 4000)}

    found = even(group(0.016, 0.003, 10_000), slices)

    assert found.standardised == pytest.approx(0.016)
    assert not found.reversed


def test_a_lack_of_rows_in_the_slices_is_not_called_a_reversal() -> None:
    """The slices' interval holds both 0 and the difference over all rows."""
    found = even(group(0.016, 0.008, 10_000), {"a": group(0.02, 0.02, 6000), "b": group(0.0, 0.02, 4000)})

    assert found.interval[0] < 0 < found.interval[1]
    assert not found.reversed


def test_slices_of_less_than_half_of_the_rows_reverse_nothing() -> None:
    slices = {"a": group(-0.02, 0.001, 2000), "b": group(-0.02, 0.001, 2000)}

    assert even(group(0.05, 0.001, 4000), slices).reversed
    assert not even(group(0.05, 0.001, 10_000), slices).reversed


def test_q_and_i_squared_are_those_of_the_formula() -> None:
    differences, errors = np.array([0.1, 0.3, 0.35, 0.6]), np.array([0.1, 0.2, 0.1, 0.15])
    slices = {str(i): group(d, e, 500) for i, (d, e) in enumerate(zip(differences, errors, strict=True))}
    weights = errors**-2.0
    q = float((weights * (differences - (weights @ differences) / weights.sum()) ** 2).sum())

    found = even(group(0.3, 0.05, 2000), slices)

    assert found.q == pytest.approx(q)
    assert found.i_squared == pytest.approx(1 - 3 / q)
    assert found.p_value == pytest.approx(chi2.sf(q, 3))


def test_one_slice_or_none_has_no_q() -> None:
    found = even(group(0.1, 0.05, 2000), {"a": group(0.1, 0.05, 2000)})

    assert (found.slices, found.reversed) == (1, False)
    assert math.isnan(found.q)
    assert math.isnan(found.standardised)
    assert even(group(0.1, 0.05, 2000), {}).slices == 0


def test_slices_where_the_models_never_differ_count_for_the_mix_only() -> None:
    slices = {"same": group(0.0, 0.0, 1000), "a": group(0.1, 0.01, 500), "b": group(0.1, 0.01, 500)}

    found = even(group(0.05, 0.005, 2000), slices)

    assert (found.slices, found.q, found.p_value, found.i_squared) == (2, pytest.approx(0), 1, 0)
    assert found.standardised == pytest.approx(0.05)


def test_q_keeps_its_level_where_rows_are_independent() -> None:
    draw, trials, size = np.random.default_rng(3), 1000, 400
    alarms = 0
    for _ in range(trials):
        values = draw.normal(0.2, 1, (20, size))
        slices = {
            str(i): group(float(each.mean()), float(each.std(ddof=1)) / math.sqrt(size), size)
            for i, each in enumerate(values)
        }
        alarms += even(group(0.2, 0.01, 20 * size), slices).p_value < 0.05
    # The slices' own errors are estimates from 400 rows, which is worth a half percent.
    assert binom.ppf(2.5e-5, trials, 0.05) <= alarms <= binom.ppf(1 - 2.5e-5, trials, 0.055)


def test_q_keeps_its_level_where_entities_have_rows_in_every_slice() -> None:
    """Each entity's effect is in all of its slices; taken as independent, they would be too even."""
    draw, trials, entities, slices_of = np.random.default_rng(4), 1000, 60, 5
    alarms, standardised, errors = 0, [], []
    for _ in range(trials):
        psi = draw.normal(size=(entities, 1)) + draw.normal(size=(entities, slices_of)) * 0.5
        means = psi.mean(axis=0)
        slices = {
            str(i): group(means[i], 0.01, 10 * entities, 10 * (psi[:, i] - means[i]), entities)
            for i in range(slices_of)
        }
        overall = 10 * (psi - means).sum(axis=1)
        found = even(group(means.mean(), 0.01, 10 * entities * slices_of, overall, entities), slices)
        alarms += found.p_value < 0.05
        standardised.append(found.standardised)
        errors.append((found.interval[1] - found.interval[0]) / 2 / 1.959964)
    assert binom.ppf(2.5e-5, trials, 0.05) <= alarms <= binom.ppf(1 - 2.5e-5, trials, 0.05)
    assert np.mean(errors) == pytest.approx(np.std(standardised), rel=0.09)


def test_the_interval_holds_however_entities_are_spread_over_slices() -> None:
    sums = [np.array([1.0, -2, 1]), np.array([2.0, -1, -1]), np.array([1.0, 1, -2, 0])]
    slices = {"a": group(0.2, 0.1, 60, sums[0], 3), "b": group(0.1, 0.1, 40, sums[1], 3)}
    errors = [math.sqrt(1.5 * 6) / rows for rows in (60, 40)]

    apart = even(group(0.15, 0.1, 100, np.zeros(6), 6), slices)
    spread = even(group(0.15, 0.1, 100, sums[2], 4), slices)

    half = 1.959964 * math.hypot(0.6 * errors[0], 0.4 * errors[1])
    assert apart.interval == pytest.approx((0.16 - half, 0.16 + half))
    half = 1.959964 * (0.6 * errors[0] + 0.4 * errors[1])
    assert spread.interval == pytest.approx((0.16 - half, 0.16 + half))


def reliability(score: np.ndarray, label: np.ndarray) -> Reliability:
    bins = np.array_split(np.argsort(score, kind="stable"), BINS)
    return Reliability(
        rows=np.array([each.size for each in bins]),
        predicted=np.array([score[each].sum() for each in bins]),
        positives=np.array([label[each].sum() for each in bins], dtype=float),
        spiegelhalter=(
            float(((label - score) * (1 - 2 * score)).sum()),
            float(((1 - 2 * score) ** 2 * score * (1 - score)).sum()),
        ),
        variance=float((score * (1 - score)).sum()),
    )


def test_calibrated_scores_give_standard_normal_statistics() -> None:
    draw, trials = np.random.default_rng(5), 600
    found = []
    for _ in range(trials):
        score = expit(draw.normal(-1, 1, 1500))
        found.append(calibration(reliability(score, draw.random(1500) < score)))
    z = np.sort([each.spiegelhalter for each in found])
    uniform = np.sort([each.p_value for each in found])
    distance = np.abs(uniform - (np.arange(trials) + 0.5) / trials).max()
    assert kolmogorov(math.sqrt(trials) * distance) > 5e-5
    assert (z.mean(), z.std()) == (pytest.approx(0, abs=0.17), pytest.approx(1, abs=0.12))
    large = np.array([each.in_the_large / each.in_the_large_error for each in found])
    assert (large.mean(), large.std()) == (pytest.approx(0, abs=0.17), pytest.approx(1, abs=0.12))
    slopes = np.array([(each.intercept, each.slope) for each in found])
    # 1,500 rows know the slope to .07, so that 600 trials know its mean to .003.
    assert slopes.mean(axis=0) == pytest.approx([0, 1], abs=0.012)


def test_the_slope_and_intercept_of_a_miscalibrated_model_are_recovered() -> None:
    draw = np.random.default_rng(6)
    log_odds = draw.normal(0, 1.5, 400_000)
    label = draw.random(log_odds.size) < expit(0.4 + 0.6 * log_odds)

    found = calibration(reliability(expit(log_odds), label))

    assert (found.intercept, found.slope) == (pytest.approx(0.4, abs=0.015), pytest.approx(0.6, abs=0.015))
    assert abs(found.spiegelhalter) > 20
    assert found.in_the_large < -10 * found.in_the_large_error


def test_the_recalibration_is_the_maximum_of_the_likelihood() -> None:
    from sklearn.linear_model import LogisticRegression

    draw = np.random.default_rng(7)
    score = np.round(expit(draw.normal(0, 1, 2000)), 2)
    label = draw.random(score.size) < score
    values, place, rows = np.unique(score, return_inverse=True, return_counts=True)
    positives = np.bincount(place, weights=label)
    bins = Reliability(rows, values * rows, positives, (0.0, 1.0), 1.0)
    oracle = LogisticRegression(C=np.inf, tol=1e-10).fit(logit(score)[:, None], label)

    found = calibration(bins)

    assert (found.intercept, found.slope) == pytest.approx(
        (oracle.intercept_[0], oracle.coef_[0, 0]), abs=1e-5
    )


@pytest.mark.parametrize(
    ("score", "label", "z", "p_value"),
    [
        ([0.0, 1.0, 1.0], [0, 1, 1], 0, 1),
        ([0.0, 1.0, 1.0], [0, 1, 0], math.inf, 0),
        ([0.5, 0.5, 0.5], [0, 1, 1], 0, 1),
    ],
)
def test_scores_without_variance_are_right_or_refuted(
    score: list[float], label: list[int], z: float, p_value: float
) -> None:
    found = calibration(reliability(np.array(score), np.array(label)))

    assert (found.spiegelhalter, found.p_value) == (z, p_value)


def test_scores_that_separate_the_classes_or_are_one_have_no_slope() -> None:
    for score in ([0.1, 0.2, 0.8, 0.9], [0.3, 0.3, 0.3, 0.3]):
        found = calibration(reliability(np.array(score), np.array([0, 0, 1, 1])))
        assert math.isnan(found.slope)


def test_models_are_named() -> None:
    draw = np.random.default_rng(8)
    score = draw.random(5000)
    bins = reliability(score, draw.random(5000) < score)
    summary = Summary(
        "local exact", group(0.0, 0.1, 5000), reliability={"champion": bins, "challenger": bins}
    )

    assert list(systematic(TEST, summary).calibration) == ["champion", "challenger"]
