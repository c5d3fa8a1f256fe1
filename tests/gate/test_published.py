"""Published numbers from end to end: what a paper or another program has printed for the same rows.

The cases of single functions stand beside these: McNemar's tests in test_inference and, from end to end,
in test_ab_test, Holm's correction in test_slices, Welch's test and the sample ratio in test_split, admissions
at Berkeley in test_systematic.
"""

from __future__ import annotations

import math

import numpy as np
import pyarrow as pa
import pytest

from ame.gate import ABTest, run_ab_test
from ame.gate.inference import Estimate, rows_needed

# Hanley & McNeil 1982 (Radiology 143:29), table 1: a radiologist's ratings of 109 CT images from 1, definitely
# normal, to 5, definitely abnormal.
NORMAL = [33, 6, 6, 11, 2]
ABNORMAL = [3, 2, 2, 11, 33]


def ratings() -> tuple[np.ndarray, np.ndarray]:
    rating = np.concatenate([np.repeat(np.arange(1, 6), counts) for counts in (NORMAL, ABNORMAL)])
    return np.repeat([0, 1], [58, 51]), rating


def test_ct_ratings_have_the_area_and_the_error_that_stata_prints() -> None:
    """`roctab disease rating`: area .8932, DeLong's error .0307, 95 % interval .83295 to .95339.

    Against the same ratings turned round, of area 1 - A, the difference is 2 A - 1 and its error twice that of A.
    """
    abnormal, rating = ratings()

    result = run_ab_test(
        ABTest(label="abnormal"),
        pa.table({"abnormal": abnormal, "champion": 0.6 - rating / 10, "challenger": rating / 10}),
    )

    area = result.metrics["roc_auc"]
    assert area.challenger == pytest.approx(0.8932, abs=5e-5)
    assert area.champion == pytest.approx(1 - area.challenger, abs=1e-15)
    assert area.difference == pytest.approx(2 * area.challenger - 1, abs=1e-15)
    assert area.std_error / 2 == pytest.approx(0.0307, abs=5e-5)
    assert [(1 + bound) / 2 for bound in area.interval] == pytest.approx([0.83295, 0.95339], abs=5e-6)
    assert area.method == "paired DeLong"
    assert result.decision == "promote"


def test_students_sleep_data_give_the_published_paired_test() -> None:
    """R: t.test(extra ~ group, paired = TRUE). Ten hours more are losses of predicting 0."""
    first = np.array([0.7, -1.6, -0.2, -1.2, -0.1, 3.4, 3.7, 0.8, 0.0, 2.0])
    second = np.array([1.9, 0.8, 1.1, 0.1, -0.1, 4.4, 5.5, 1.6, 4.6, 3.4])

    result = run_ab_test(
        ABTest(label="truth", task="regression"),
        pa.table({"truth": np.zeros(10), "champion": 10 + first, "challenger": 10 + second}),
    )

    loss = result.metrics["mae"]
    assert loss.difference == pytest.approx(-1.58, abs=1e-12)
    assert loss.statistic == pytest.approx(-4.0621, abs=5e-5)
    assert loss.p_value == pytest.approx(0.002833, abs=5e-7)
    assert loss.interval == pytest.approx((-2.4598858, -0.7001142), abs=5e-8)
    assert result.decision == "reject"


def test_rows_needed_are_those_of_the_power_of_a_paired_t_test() -> None:
    """R: power.t.test(delta = .5, power = .8, type = "paired") gives n = 33.367, so 34 pairs.

    Ours has the quantiles of t where that has a noncentral t; with those of the normal it would be 32.
    """
    pilot = Estimate(0.5, 1 / math.sqrt(34), df=33)

    assert rows_needed(pilot, 34, 0.025, 0.8, 0.5) == 34
    assert rows_needed(Estimate(0.5, 1 / math.sqrt(34)), 34, 0.025, 0.8, 0.5) == 32
