"""What an A/B test is asked: the `abTest` section's statistical part, as frozen plain data."""

from __future__ import annotations

from dataclasses import dataclass

__all__ = ["METRICS", "ABTest", "Margin"]

#: The metrics of a binary classifier that the gate knows. For each, `difference` is signed so that
#: more is better for the challenger (log loss and Brier score are champion minus challenger).
METRICS = ("roc_auc", "log_loss", "brier", "accuracy")


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
