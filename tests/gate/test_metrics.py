"""Estimates and influence values against scikit-learn, which shares no code with ours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, brier_score_loss, log_loss, roc_auc_score

from ame.gate.metrics import compare
from ame.gate.table import ScoredRows

Metric = Callable[[np.ndarray, np.ndarray, np.ndarray], float]

#: metric -> (value from label, score and weights; +1 when more is better)
SKLEARN: dict[str, tuple[Metric, int]] = {
    "roc_auc": (lambda y, p, w: roc_auc_score(y, p, sample_weight=w), 1),
    "log_loss": (lambda y, p, w: log_loss(y, p, sample_weight=w), -1),
    "brier": (lambda y, p, w: brier_score_loss(y, p, sample_weight=w), -1),
    "accuracy": (lambda y, p, w: accuracy_score(y, p >= 0.4, sample_weight=w), 1),
}


def tied_rows(n: int) -> ScoredRows:
    draw = np.random.default_rng(11)
    label = draw.random(n) < 0.35
    champion, challenger = (
        np.round(np.clip(0.35 + gain * label + draw.normal(0, 0.2, n), 0, 1), 1) for gain in (0.1, 0.2)
    )
    return ScoredRows(label, champion, challenger)


@pytest.mark.parametrize("metric", SKLEARN)
def test_estimates_equal_scikit_learn(metric: str) -> None:
    rows = tied_rows(400)
    assert {0.0, 1.0} <= {*rows.champion, *rows.challenger}, "certain scores must be clipped"
    value, sign = SKLEARN[metric]
    ones = np.ones(400)

    paired = compare(metric, rows, 0.4)

    champion, challenger = (value(rows.label, score, ones) for score in (rows.champion, rows.challenger))
    assert paired.champion == pytest.approx(champion, rel=1e-12)
    assert paired.challenger == pytest.approx(challenger, rel=1e-12)
    assert paired.difference == pytest.approx(sign * (challenger - champion), rel=1e-9)


@pytest.mark.parametrize("metric", SKLEARN)
def test_influence_is_the_derivative_by_a_rows_weight(metric: str) -> None:
    rows = tied_rows(60)
    value, sign = SKLEARN[metric]

    def difference(weights: np.ndarray) -> float:
        return sign * (
            value(rows.label, rows.challenger, weights) - value(rows.label, rows.champion, weights)
        )

    step = 1e-4
    derivative = []
    for row in range(60):
        more, less = np.ones(60), np.ones(60)
        more[row] += step
        less[row] -= step
        derivative.append(60 * (difference(more) - difference(less)) / (2 * step))

    paired = compare(metric, rows, 0.4)

    assert paired.influence == pytest.approx(np.array(derivative), abs=1e-6)
    assert paired.influence.sum() == pytest.approx(0, abs=1e-10)


def test_a_row_is_predicted_positive_from_the_threshold_on() -> None:
    rows = ScoredRows(np.array([True, False]), np.array([0.4, 0.4]), np.array([0.4, np.nextafter(0.4, 0)]))

    paired = compare("accuracy", rows, 0.4)

    assert (paired.champion, paired.challenger) == (0.5, 1.0)
