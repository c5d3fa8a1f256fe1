"""What the pictures show, in words: for those who cannot see them, and where there is none to see."""

from __future__ import annotations

from collections.abc import Collection, Mapping

from ame.gate.report.metrics import metric_scale
from ame.gate.report.numbers import metric_name
from ame.gate.result import ABTestResult

__all__ = ["caption", "missing"]


def caption(result: ABTestResult, picture: str, names: Mapping[str, str]) -> str:
    """One sentence for the picture's title, with the numbers that it shows."""
    both = f"{names['champion']} and {names['challenger']}"
    if picture == "roc":
        return f"ROC curves of {both}{_both_values(result, 'roc_auc', 'areas')}."
    if picture == "precision_recall":
        values = _both_values(result, "average_precision", "average precision")
        return f"Precision and recall of {both}{values}."
    if picture == "calibration":
        return f"Share of positives against the predicted probability, for {both}."
    if picture == "residuals":
        return f"Histogram of the residuals of {both}."
    primary = result.metrics[result.config.primary.metric]
    written = metric_scale(primary)
    return (
        f"Histogram of the difference in {metric_name(primary.metric)}: {written.plus(primary.difference)}, "
        f"95 % interval {written.interval(primary.interval)}, one-sided bounds "
        f"{written.plus(primary.lower_bound)} and {written.plus(primary.upper_bound)}."
    )


def _both_values(result: ABTestResult, metric: str, word: str) -> str:
    found = result.metrics.get(metric)
    if found is None or found.undefined is not None:
        return ""
    return f": {word} {found.champion:.4f} and {found.challenger:.4f}"


def missing(result: ABTestResult, pictures: Collection[str]) -> dict[str, str]:
    """Why a picture that a reader may look for is not there."""
    if not result.metrics:
        return {}
    said = {}
    if "difference" not in pictures:
        said["difference"] = _no_difference(result)
    if result.config.task == "regression":
        if "residuals" not in pictures:
            said["residuals"] = "There is no histogram of the residuals: the engine kept none."
    elif result.config.task == "multiclass":
        said["curves"] = (
            "ROC, precision-recall and calibration curves are drawn of two classes only; with more of them "
            "the metrics above sum up all classes."
        )
    elif result.config.design == "split":
        said["curves"] = (
            "ROC, precision-recall and calibration curves are drawn where both models have scored the same "
            "rows; in a split design each row was answered by one of them."
        )
    elif not {"roc", "calibration"} & set(pictures):
        said["curves"] = "There are no ROC, precision-recall and calibration curves: the engine kept none."
    return said


def _no_difference(result: ABTestResult) -> str:
    primary = result.metrics[result.config.primary.metric]
    name = metric_name(primary.metric, start=True)
    if primary.undefined is not None:
        return f"{name} has no value on these rows, so it has no distribution."
    if primary.std_error == 0.0 or primary.std_error <= 1e-9 * abs(primary.difference):
        return f"{name} differs by the same amount however the rows are drawn, so there is nothing to draw."
    return f"{name} was not drawn again, so there is no histogram; the interval above tells its spread."
