"""What an A/B test is asked: the `abTest` section's statistical part, as frozen plain data."""

from __future__ import annotations

import math
from collections.abc import Iterator
from dataclasses import dataclass

from ame.diagnosis import Diagnosis, did_you_mean

__all__ = ["METRICS", "ABTest", "Margin", "problems"]

#: The metrics of a binary classifier that the gate knows. For each, `difference` is signed so that
#: more is better for the challenger (log loss and Brier score are champion minus challenger).
METRICS = ("roc_auc", "log_loss", "brier", "accuracy")

_SCORES = ("champion", "challenger")


@dataclass(frozen=True, slots=True)
class Margin:
    """A metric and the difference that matters on it.

    Attributes:
        metric: one of `METRICS`.
        margin: in the metric's own unit, at least 0. For the primary metric the challenger must be
            better by more than this; for a guardrail it must not be worse by as much as this.
    """

    metric: str
    margin: float = 0.0


@dataclass(frozen=True, slots=True, kw_only=True)
class ABTest:
    """A paired offline A/B test: both models have scored the same labelled rows.

    Attributes:
        label: the column with the truth, 0 or 1 (or false and true).
        primary: the metric that decides, with its superiority margin.
        guardrails: metrics that must not get worse by their margin or more.
        metrics: further metrics that are reported and decide nothing.
        entity: a column; rows of one entity depend on each other and errors are summed by it.
        alpha: the one-sided probability of promoting a challenger that is not better by the margin.
        power: with which minimum detectable effect and needed rows are computed.
        threshold: the probability from which on a row is predicted positive (accuracy).
        min_positives: with fewer rows in the smaller class than this the test is invalid.
    """

    label: str
    primary: Margin = Margin("roc_auc")
    guardrails: tuple[Margin, ...] = ()
    metrics: tuple[str, ...] = ()
    entity: str | None = None
    alpha: float = 0.05
    power: float = 0.8
    threshold: float = 0.5
    min_positives: int = 20


def problems(config: ABTest) -> tuple[Diagnosis, ...]:
    """Everything that is wrong with a configuration by itself, before any data is read."""
    return (*_metric_problems(config), *_number_problems(config), *_column_problems(config))


def _metric_problems(config: ABTest) -> Iterator[Diagnosis]:
    deciding = [config.primary.metric, *(guardrail.metric for guardrail in config.guardrails)]
    for metric in dict.fromkeys((*deciding, *config.metrics)):
        if metric not in METRICS:
            yield Diagnosis(
                code="AME-E501",
                what=f"The A/B test names the metric '{metric}', which does not exist.",
                why=f"Known metrics: {', '.join(METRICS)}.",
                fix=did_you_mean(metric, METRICS),
            )
        if deciding.count(metric) > 1:
            yield Diagnosis(
                code="AME-E502",
                what=f"The A/B test gives the metric '{metric}' more than one margin.",
                fix="Name it once, as the primary metric or as a guardrail.",
            )


def _number_problems(config: ABTest) -> Iterator[Diagnosis]:
    ranges = (
        ("alpha", config.alpha, 0 < config.alpha < 0.5, "above 0 and below 0.5"),
        ("power", config.power, 0.5 <= config.power < 1, "at least 0.5 and below 1"),
        ("threshold", config.threshold, 0 < config.threshold <= 1, "above 0 and at most 1"),
        ("min_positives", config.min_positives, config.min_positives >= 2, "at least 2"),
        *(
            (f"margin of {named.metric}", named.margin, 0 <= named.margin < math.inf, "at least 0 and finite")
            for named in (config.primary, *config.guardrails)
        ),
    )
    for name, value, valid, wanted in ranges:
        if not valid:
            yield Diagnosis(
                code="AME-E503",
                what=f"The A/B test's {name} is {value}, which must be {wanted}.",
                fix="Change the number.",
            )


def _column_problems(config: ABTest) -> Iterator[Diagnosis]:
    columns = [config.label, *_SCORES] + ([config.entity] if config.entity is not None else [])
    for column in dict.fromkeys(columns):
        if columns.count(column) > 1:
            yield Diagnosis(
                code="AME-E506",
                what=f"The A/B test uses the column '{column}' for two things.",
                why="The label, the entity and the scores 'champion' and 'challenger' are four columns.",
                fix="Name another column, or rename the one in the data.",
            )
