"""Does the gate keep its promises? Simulated champions and challengers whose truth is known.

1,000 trials a scenario with fixed seeds. A rate that is truly .05 lies in [.027, .073] with probability
.999; discrete and conservative tests are held to the upper bound only.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable
from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from scipy.special import ndtri

from ame.gate import METRICS, ABTest, Margin, run_ab_test
from ame.gate.engines.local import measure
from ame.gate.result import MetricResult
from ame.gate.table import ScoredRows

TRIALS = 1000
LOW, HIGH = 0.027, 0.073
TEST = ABTest(label="late", primary=Margin("roc_auc"), metrics=METRICS)

Simulate = Callable[..., ScoredRows]
Table = Callable[[ScoredRows], pa.Table]


def trials(simulate: Simulate, count: int = TRIALS, **scenario: float) -> list[dict[str, MetricResult]]:
    draw = np.random.default_rng(20261121)
    return [dict(measure(TEST, simulate(draw, **scenario))[0]) for _ in range(count)]


def rejection_rates(results: list[dict[str, MetricResult]]) -> dict[str, float]:
    return {
        metric: float(np.mean([result[metric].p_value < 0.05 for result in results])) for metric in METRICS
    }


def promotion_rates(results: list[dict[str, MetricResult]]) -> dict[str, float]:
    return {
        metric: float(np.mean([result[metric].lower_bound > 0 for result in results])) for metric in METRICS
    }


SCENARIOS = {
    "usual": {"n": 2000},
    "ties": {"n": 2000, "grid": 0.5},
    "one entity in twenty rows": {"n": 2000, "entities": 100},
}


@pytest.mark.parametrize("name", SCENARIOS)
def test_equal_models_are_called_different_at_the_nominal_rate(name: str, simulate: Simulate) -> None:
    results = trials(simulate, **SCENARIOS[name])

    for rates in (rejection_rates(results), promotion_rates(results)):
        assert {metric: rate for metric, rate in rates.items() if not LOW <= rate <= HIGH} == {}


@pytest.mark.parametrize(
    "scenario",
    [
        pytest.param({"n": 2000, "rho": 0.99}, id="nearly the same model"),
        pytest.param({"n": 1500, "share": 0.015}, id="22 positives"),
        pytest.param({"n": 2000, "share": 0.02}, id="40 positives"),
        pytest.param({"n": 400, "share": 0.1, "rho": 0.95}, id="few discordant rows"),
        pytest.param({"n": 600, "entities": 24}, id="24 entities"),
    ],
)
def test_equal_models_are_never_called_different_too_often(
    scenario: dict[str, float], simulate: Simulate
) -> None:
    results = trials(simulate, **scenario)

    for rates in (rejection_rates(results), promotion_rates(results)):
        assert {metric: rate for metric, rate in rates.items() if rate > HIGH} == {}


def test_intervals_and_errors_describe_the_spread_of_the_estimates(simulate: Simulate) -> None:
    results = trials(simulate, n=2000, gain=0.1)

    for metric in METRICS:
        differences = np.array([result[metric].difference for result in results])
        errors = np.array([result[metric].std_error for result in results])
        inside = [
            low <= differences.mean() <= high for low, high in (result[metric].interval for result in results)
        ]
        # The standard deviation of 1,000 numbers is itself known to 2.2 %, so 3.29 times that.
        assert errors.mean() / differences.std(ddof=1) == pytest.approx(1, abs=0.074), metric
        assert np.mean(inside) == pytest.approx(0.95, abs=0.023), metric


def test_the_detectable_effect_is_detected_with_the_configured_power(simulate: Simulate) -> None:
    """The true AUC gain is set to the mean MDE, so 80 % of the tests must clear the margin."""
    margin = 0.01
    config = replace(TEST, primary=Margin("roc_auc", margin), metrics=())
    draw = np.random.default_rng(8)
    mde = np.mean([measure(config, simulate(draw, 2000))[0]["roc_auc"].mde for _ in range(50)])
    results = [measure(config, simulate(draw, 2000, gain=gain_for(mde)))[0]["roc_auc"] for _ in range(TRIALS)]

    power = np.mean([result.lower_bound > margin for result in results])

    # .042 is 3.29 binomial errors; another .02 for the error of the MDE, which shrinks as models part.
    assert power == pytest.approx(0.8, abs=0.062)


def gain_for(auc_difference: float, mu: float = 1.0) -> float:
    """The gain in mu that raises the area by so much: the area is Phi(mu / sqrt 2)."""
    from scipy.special import ndtr

    return float(np.sqrt(2) * ndtri(ndtr(mu / np.sqrt(2)) + auc_difference)) - mu


def decisions(
    simulate: Simulate, table: Table, config: ABTest, count: int, **scenario: float
) -> Counter[str]:
    draw = np.random.default_rng(4)
    return Counter(run_ab_test(config, table(simulate(draw, **scenario))).decision for _ in range(count))


GATE = ABTest(label="late", primary=Margin("roc_auc", 0.005), guardrails=(Margin("log_loss", 0.01),))


def test_gate_promotes_equal_models_at_most_at_alpha(simulate: Simulate, table: Table) -> None:
    assert decisions(simulate, table, GATE, 500, n=2000)["promote"] <= 0.05 * 500


def test_gate_promotes_what_is_twice_the_detectable_effect(simulate: Simulate, table: Table) -> None:
    draw = np.random.default_rng(9)
    mde = np.mean([measure(GATE, simulate(draw, 2000))[0]["roc_auc"].mde for _ in range(50)])

    found = decisions(simulate, table, GATE, 300, n=2000, gain=gain_for(2 * mde))

    assert found["promote"] >= 0.95 * 300


def test_gate_never_promotes_a_worse_challenger(simulate: Simulate, table: Table) -> None:
    found = decisions(simulate, table, GATE, 500, n=2000, gain=-0.15)

    assert found["promote"] == 0
    assert found["reject"] >= 0.95 * 500


def test_gate_promotes_equal_models_at_most_at_alpha_where_rows_depend_on_each_other(
    simulate: Simulate, table: Table
) -> None:
    by_entity = replace(GATE, primary=Margin("roc_auc"), guardrails=(), entity="tail")
    ignored = replace(by_entity, entity=None)
    scenario = {"n": 2000, "entities": 100}

    assert decisions(simulate, table, by_entity, 300, **scenario)["promote"] <= 0.092 * 300
    # The same data without the entity column: this is what naming it protects from.
    assert decisions(simulate, table, ignored, 300, **scenario)["promote"] >= 0.12 * 300
