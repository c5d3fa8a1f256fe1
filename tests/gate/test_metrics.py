"""Estimates and influence values of every metric against scikit-learn, which shares no code with ours."""

from __future__ import annotations

from collections.abc import Callable

import numpy as np
import pytest
from sklearn import metrics as sk

from ame.gate.config import ABTest
from ame.gate.engines.local import measure
from ame.gate.summary import MetricSummary
from tests.gate.sources import ArraySource

Value = Callable[[np.ndarray, np.ndarray, np.ndarray], float]


def macro_auc(y: np.ndarray, p: np.ndarray, w: np.ndarray) -> float:
    """scikit-learn takes no weights for the mean over classes."""
    return float(np.mean([sk.roc_auc_score(y == k, p[:, k], sample_weight=w) for k in range(p.shape[1])]))


#: task -> metric -> (value from label, score and weights; +1 when more is better)
BINARY: dict[str, tuple[Value, int]] = {
    "roc_auc": (lambda y, p, w: sk.roc_auc_score(y, p, sample_weight=w), 1),
    "average_precision": (lambda y, p, w: sk.average_precision_score(y, p, sample_weight=w), 1),
    "log_loss": (lambda y, p, w: sk.log_loss(y, p, sample_weight=w), -1),
    "brier": (lambda y, p, w: sk.brier_score_loss(y, p, sample_weight=w), -1),
    "accuracy": (lambda y, p, w: sk.accuracy_score(y, p >= 0.4, sample_weight=w), 1),
    "f1": (lambda y, p, w: sk.f1_score(y, p >= 0.4, sample_weight=w), 1),
    "precision": (lambda y, p, w: sk.precision_score(y, p >= 0.4, sample_weight=w), 1),
    "recall": (lambda y, p, w: sk.recall_score(y, p >= 0.4, sample_weight=w), 1),
}
MULTICLASS: dict[str, tuple[Value, int]] = {
    "log_loss": (lambda y, p, w: sk.log_loss(y, p, sample_weight=w, labels=[0, 1, 2]), -1),
    "roc_auc_ovr": (macro_auc, 1),
    "f1_macro": (lambda y, p, w: sk.f1_score(y, p.argmax(axis=1), sample_weight=w, average="macro"), 1),
    "accuracy": (lambda y, p, w: sk.accuracy_score(y, p.argmax(axis=1), sample_weight=w), 1),
}
REGRESSION: dict[str, tuple[Value, int]] = {
    "mae": (lambda y, p, w: sk.mean_absolute_error(y, p, sample_weight=w), -1),
    "mse": (lambda y, p, w: sk.mean_squared_error(y, p, sample_weight=w), -1),
    "rmse": (lambda y, p, w: sk.root_mean_squared_error(y, p, sample_weight=w), -1),
    "r2": (lambda y, p, w: sk.r2_score(y, p, sample_weight=w), 1),
    "pinball": (lambda y, p, w: sk.mean_pinball_loss(y, p, sample_weight=w, alpha=0.8), -1),
}
TASKS = {"binary": BINARY, "multiclass": MULTICLASS, "regression": REGRESSION}
CASES = [(task, name) for task, named in TASKS.items() for name in named]


def rows(task: str, n: int) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """Label and both models' scores, with many ties; of the binary ones some are 0 and 1."""
    draw = np.random.default_rng(11)
    if task == "binary":
        label = draw.random(n) < 0.35
        first, second = (
            np.round(np.clip(0.35 + gain * label + draw.normal(0, 0.2, n), 0, 1), 1) for gain in (0.1, 0.2)
        )
        return label, first, second
    if task == "multiclass":
        label = np.concatenate([[0, 1, 2], draw.integers(0, 3, n - 3)]).astype(np.int32)
        scores = []
        for gain in (0.5, 0.8):
            score = draw.gamma(1.0, size=(n, 3))
            score[np.arange(n), label] += gain
            scores.append(score / score.sum(axis=1, keepdims=True))
        return label, *scores
    label = draw.normal(100.0, 3.0, n)
    return label, label + draw.normal(0.4, 1.0, n), label + draw.normal(0.0, 0.8, n)


def compared(
    task: str, metric: str, label: np.ndarray, champion: np.ndarray, challenger: np.ndarray
) -> MetricSummary:
    config = ABTest(
        label="y", task=task, primary={"metric": metric}, threshold=0.4, quantile=0.8, entity="each"
    )
    entity = np.arange(1, label.size + 1, dtype=np.uint64)  # groups are then the rows, in their order
    return measure(config, ArraySource(label, champion, challenger, entity=entity)).total.metrics[metric]


@pytest.mark.parametrize(("task", "metric"), CASES)
def test_estimates_equal_scikit_learn(task: str, metric: str) -> None:
    label, champion, challenger = rows(task, 400)
    value, sign = TASKS[task][metric]
    ones = np.ones(400)

    found = compared(task, metric, label, champion, challenger)

    first, second = (value(label, score, ones) for score in (champion, challenger))
    assert found.champion == pytest.approx(first, rel=1e-12, abs=1e-12)
    assert found.challenger == pytest.approx(second, rel=1e-12, abs=1e-12)
    assert found.difference == pytest.approx(sign * (second - first), rel=1e-9, abs=1e-12)
    assert found.undefined is None
    assert found.error_bound == 0.0


@pytest.mark.parametrize(("task", "metric"), CASES)
def test_influence_is_the_derivative_by_a_rows_weight(task: str, metric: str) -> None:
    n = 24
    label, champion, challenger = rows(task, n)
    value, sign = TASKS[task][metric]
    step = 1e-4
    derivative = np.empty((2, n))
    for row in range(n):
        more, less = np.ones(n), np.ones(n)
        more[row] += step
        less[row] -= step
        for model, score in enumerate((champion, challenger)):
            slope = (value(label, score, more) - value(label, score, less)) / (2 * step)
            derivative[model, row] = n * slope

    found = compared(task, metric, label, champion, challenger)

    assert found.groups == pytest.approx(sign * (derivative[1] - derivative[0]), abs=2e-6)
    assert found.champion_groups == pytest.approx(derivative[0], abs=2e-6)
    assert found.groups.sum() == pytest.approx(0, abs=1e-9)
    if metric != "roc_auc":  # whose variance is that of each class
        expected = np.sqrt(found.groups @ found.groups / (n * (n - 1)))
        assert found.std_error == pytest.approx(expected, rel=1e-9)


def test_a_row_is_predicted_positive_from_the_threshold_on() -> None:
    label = np.array([True, False])

    found = compared("binary", "accuracy", label, np.array([0.4, 0.4]), np.array([0.4, np.nextafter(0.4, 0)]))

    assert (found.champion, found.challenger) == (0.5, 1.0)


@pytest.mark.parametrize("metric", BINARY)
def test_the_same_scores_differ_in_nothing(metric: str) -> None:
    label, champion, _ = rows("binary", 400)

    found = compared("binary", metric, label, champion, champion)

    assert found.difference == 0.0
    assert found.std_error == 0.0
    assert not found.groups.any()


def test_losses_that_differ_by_a_constant_have_no_error() -> None:
    label = np.arange(1000.0)

    found = compared("regression", "mae", label, label + 3.0, label + 1.0)

    assert found.difference == pytest.approx(2.0, rel=1e-12)
    assert found.std_error <= 1e-9 * found.difference


def test_models_that_hardly_differ_keep_their_digits() -> None:
    """In the matrix of both models' second moments the variance of a difference of 1e-9 would be lost."""
    draw = np.random.default_rng(3)
    label = draw.normal(1e3, 1.0, 5000)
    champion = label + draw.normal(0.0, 1.0, 5000)
    challenger = champion + 1e-9 * draw.normal(0.0, 1.0, 5000)

    found = compared("regression", "mse", label, champion, challenger)

    gained = np.square(champion - label) - np.square(challenger - label)
    assert found.std_error == pytest.approx(gained.std(ddof=1) / np.sqrt(5000), rel=1e-3)


@pytest.mark.parametrize(
    ("metric", "champion", "challenger", "why"),
    [
        ("precision", [0.1, 0.2, 0.3, 0.1], [0.1, 0.9, 0.3, 0.1], "The champion predicts no row positive."),
        ("precision", [0.1, 0.9, 0.3, 0.1], [0.1, 0.2, 0.3, 0.1], "The challenger predicts no row positive."),
        ("precision", [0.1, 0.2, 0.3, 0.1], [0.1, 0.2, 0.3, 0.2], "Neither model predicts a row positive."),
    ],
)
def test_precision_without_a_predicted_positive_has_no_value(
    metric: str, champion: list[float], challenger: list[float], why: str
) -> None:
    label = np.array([True, False, True, False])

    found = compared("binary", metric, label, np.array(champion), np.array(challenger))

    assert found.undefined == why
    assert np.isnan([found.champion, found.challenger, found.difference, found.std_error]).all()


@pytest.mark.parametrize(
    ("metric", "positives", "why"),
    [
        ("roc_auc", 1, "There are 1 positive and 3 negative rows; two of each are needed."),
        ("average_precision", 0, "There are 0 positive rows; two are needed."),
        ("recall", 0, "No row is positive."),
        ("f1", 0, "No row is positive."),
    ],
)
def test_metrics_of_the_positives_need_some(metric: str, positives: int, why: str) -> None:
    label = np.arange(4) < positives

    found = compared("binary", metric, label, np.array([0.1, 0.9, 0.3, 0.5]), np.array([0.5, 0.9, 0.3, 0.1]))

    assert found.undefined == why


def test_a_class_without_rows_leaves_macro_metrics_without_a_value() -> None:
    label = np.array([0, 1, 1, 0], dtype=np.int32)
    score = np.full((4, 3), 1 / 3)

    assert compared("multiclass", "f1_macro", label, score, score).undefined == "A class has no rows."
    assert "Class 3" in str(compared("multiclass", "roc_auc_ovr", label, score, score).undefined)
    assert compared("multiclass", "accuracy", label, score, score).champion == 0.5


def test_r2_needs_outcomes_that_differ() -> None:
    label = np.full(50, 7.1)

    assert compared("regression", "r2", label, label + 1, label + 2).undefined == (
        "Every row has the same outcome."
    )


def test_a_model_without_errors_has_an_rmse_of_zero() -> None:
    draw = np.random.default_rng(2)
    label = draw.normal(size=200)
    errors = draw.normal(size=200)

    found = compared("regression", "rmse", label, label + errors, label)

    assert found.challenger == pytest.approx(0.0, abs=1e-8)
    expected = np.square(errors).std(ddof=1) / (2 * found.champion * np.sqrt(200))
    assert found.std_error == pytest.approx(expected, rel=1e-6)
