"""Does the gate keep its promises? Simulated champions and challengers whose truth is known.

Seeds are fixed, and the bounds are such that a sound gate is out of one of them once in 20,000 times. `make
calibrate` does the same with more trials, and test_mutations asks whether a wrong gate would be noticed.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from scipy import stats

from tests.gate.promises import DEAR, PROMISES
from tests.gate.scenarios import (
    BETTER,
    IGNORED,
    SCENARIOS,
    TAIL,
    TRIALS,
    Bounds,
    Cell,
    Scenario,
    failing,
    power_cells,
    simulate,
    size_cells,
)


@pytest.mark.parametrize("name", SCENARIOS)
def test_equal_models_are_called_different_at_the_nominal_rate(name: str) -> None:
    """Rejections and promotions of every metric, the 95 % interval's coverage, and the size of the error."""
    assert failing(size_cells(SCENARIOS[name], simulate(SCENARIOS[name], TRIALS))) == []


@pytest.mark.parametrize("name", BETTER)
def test_better_challengers_are_found_as_often_as_their_effect_says(name: str) -> None:
    assert failing(power_cells(simulate(BETTER[name], TRIALS))) == []


def test_p_values_of_equal_models_are_uniform() -> None:
    names = ("roc_auc", "average_precision", "log_loss", "brier")
    found = simulate(Scenario(metrics=names), TRIALS, seed=2)

    assert {
        name: p for name in names if (p := stats.kstest(found[name].p_value, "uniform").pvalue) < TAIL
    } == {}


def test_entities_that_are_not_named_make_false_promotions() -> None:
    """What naming the entity protects from: a nominal 5 % is 40 % where 20 rows depend on each other."""
    found = simulate(IGNORED, TRIALS)

    assert np.mean(found["roc_auc"].p_value < 0.05) > 0.3
    assert np.mean(found["log_loss"].lower_bound > 0) > 0.2


@pytest.mark.parametrize("promise", PROMISES, ids=lambda promise: promise.__name__)
def test_the_gate_keeps_its_promise(promise: Callable[[int], Cell]) -> None:
    cell = promise(150)

    assert cell.holds, str(cell)


@pytest.mark.parametrize("promise", DEAR, ids=lambda promise: promise.__name__)
def test_the_gate_keeps_its_dearer_promise(promise: Callable[[int], Cell]) -> None:
    cell = promise(60)

    assert cell.holds, str(cell)


@pytest.mark.parametrize(("trials", "probability"), [(60, 0.05), (400, 0.05), (5000, 0.2), (100, 1.0)])
def test_bounds_leave_out_the_tails_and_no_more(trials: int, probability: float) -> None:
    least, most = (round(bound * trials) for bound in Bounds(trials).of(probability))
    law = stats.binom(trials, probability)

    assert law.cdf(least - 1) <= TAIL < law.cdf(least)
    assert law.sf(most) <= TAIL
    assert most == 0 or law.sf(most - 1) > TAIL
