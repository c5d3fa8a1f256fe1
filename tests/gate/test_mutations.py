"""A check that cannot fail is worth nothing: each of these wrong gates must be noticed by the calibration.

Every mutation is one that a careless change could make. What notices it are the same functions, with the same
numbers of trials, as in test_calibration.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ame.gate import ab_test, estimates, slices
from ame.gate.config import METRICS_OF, ABTest
from ame.gate.engines import strata
from ame.gate.inference import Estimate
from ame.gate.metrics import ranks
from ame.gate.result import ABTestResult, LedgerUse
from ame.gate.summary import GroupSummary
from tests.gate import promises
from tests.gate.scenarios import BETTER, SCENARIOS, TRIALS, Cell, Scenario, power_cells, simulate, size_cells

TASKS = {
    "binary": SCENARIOS["30 % positive, rho .8"],
    "multiclass": SCENARIOS["three classes"],
    "regression": SCENARIOS["a number, t noise"],
}


def noticed(scenario: Scenario) -> dict[str, list[str]]:
    """By what each metric is noticed to be wrong."""
    return _by_metric(list(size_cells(scenario, simulate(scenario, TRIALS))))


def _by_metric(cells: Sequence[Cell]) -> dict[str, list[str]]:
    wrong = [cell for cell in cells if not cell.holds]
    return {
        metric: [cell.what for cell in wrong if cell.metric == metric]
        for metric in dict.fromkeys(cell.metric for cell in wrong)
    }


@pytest.mark.parametrize("task", TASKS)
def test_variances_that_are_added_as_if_the_models_had_scored_different_rows(
    task: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    paired = estimates.estimate

    def unpaired(config: ABTest, metric: str, group: GroupSummary) -> tuple[Estimate, str]:
        known, method = paired(config, metric, group)
        found = group.metrics[metric]
        champion = found.champion_groups
        challenger = champion + (found.groups if metric not in strata.LOSSES else -found.groups)
        error = math.sqrt(float(champion @ champion + challenger @ challenger)) / group.rows
        return replace(known, std_error=error), method

    monkeypatch.setattr(estimates, "estimate", unpaired)

    found = noticed(TASKS[task])

    assert {name for name, what in found.items() if "error ratio" in what} == set(METRICS_OF[task])
    assert {"rejected", "promoted"} <= {what for each in found.values() for what in each}


def test_ties_that_count_nothing(monkeypatch: pytest.MonkeyPatch) -> None:
    by_half = ranks.roc_auc

    def lost(counts: np.ndarray, mixed: np.ndarray | None = None) -> ranks.Ranked | str:
        apart = np.zeros((2, 2 * counts.shape[1]), dtype=np.int64)
        apart[1, 0::2], apart[0, 1::2] = counts[1], counts[0]  # of a tie the negative row comes first
        ranked = by_half(apart)
        if isinstance(ranked, str):
            return ranked
        influence = np.stack([ranked.influence[0, 1::2], ranked.influence[1, 0::2]])
        return ranked._replace(influence=influence)

    monkeypatch.setitem(ranks._METRICS, "roc_auc", lost)  # type: ignore[index]

    assert "rejected" in noticed(SCENARIOS["one model's ties broken at random"])["roc_auc"]


@pytest.mark.parametrize("name", ["100 entities of 20 rows", "a number, 100 entities"])
def test_rows_of_an_entity_that_are_taken_for_independent(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    by_entity = estimates.estimate

    def by_row(config: ABTest, metric: str, group: GroupSummary) -> tuple[Estimate, str]:
        return by_entity(config, metric, replace(group, clustered=False))

    monkeypatch.setattr(estimates, "estimate", by_row)

    found = noticed(SCENARIOS[name])

    assert {metric for metric, what in found.items() if "rejected" in what} == set(SCENARIOS[name].names)


def test_all_of_alpha_for_every_look(monkeypatch: pytest.MonkeyPatch) -> None:
    decided = ab_test._decided

    def generous(test: ab_test._Test, _alpha: float, use: LedgerUse | None) -> ABTestResult:
        return decided(test, test.config.alpha, use)

    monkeypatch.setattr(ab_test, "_decided", generous)

    assert not promises.thirty_nights(60).holds


def test_a_two_sided_bound_for_a_one_sided_one(monkeypatch: pytest.MonkeyPatch) -> None:
    one_sided = Estimate.bounds
    monkeypatch.setattr(Estimate, "bounds", lambda self, level: one_sided(self, level / 2))

    assert "promoted" in noticed(SCENARIOS["alpha .2"])["roc_auc"]


def test_more_loss_that_is_taken_for_better(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(strata, "LOSSES", frozenset())

    binary, number = (
        _by_metric(list(power_cells(simulate(BETTER[name], 50))))
        for name in ("better by a tenth of mu", "a number, 5 % less noise")
    )

    assert {metric for metric, what in binary.items() if "better in standard errors" in what} == {
        "log_loss",
        "brier",
    }
    assert {metric for metric, what in number.items() if "better in standard errors" in what} == {
        "mae",
        "mse",
        "rmse",
        "pinball",
    }
    assert not promises.worse_losses(60).holds
    assert not promises.better_losses(60).holds


def test_slices_without_a_correction(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(slices, "holm", list)

    assert not promises.equal_slices(60).holds
