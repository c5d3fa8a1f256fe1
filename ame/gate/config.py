"""What an A/B test is asked: the `abTest` section's statistical part, as frozen plain data."""

from __future__ import annotations

import math
from collections import Counter
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Literal, TypeAlias, get_args

from ame.diagnosis import Diagnosis, did_you_mean

__all__ = ["LOSSES", "METRICS", "METRICS_OF", "ABTest", "Design", "Margin", "Task", "problems"]

Task: TypeAlias = Literal["binary", "multiclass", "regression"]
Design: TypeAlias = Literal["paired", "split"]

#: The metrics of each task, the default primary one first; named as scikit-learn names them.
METRICS_OF: Mapping[str, tuple[str, ...]] = {
    "binary": (
        "roc_auc",
        "average_precision",
        "log_loss",
        "brier",
        "accuracy",
        "f1",
        "precision",
        "recall",
    ),
    "multiclass": ("log_loss", "roc_auc_ovr", "f1_macro", "accuracy"),
    "regression": ("mae", "mse", "rmse", "r2", "pinball"),
}

#: In the split design: the mean of the outcome, which needs no score.
MEAN = "mean"

#: Every metric that the gate knows. For each, `difference` is signed so that more is better for the
#: challenger (of a loss it is champion minus challenger).
METRICS = tuple(dict.fromkeys((*(name for names in METRICS_OF.values() for name in names), MEAN)))

#: Metrics of which less is better.
LOSSES = frozenset({"log_loss", "brier", "mae", "mse", "rmse", "pinball"})

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
    """An A/B test of two model versions.

    In the paired design both models have scored the same labelled rows; in the split design each row was
    answered by one of them, which `variant` names.

    Attributes:
        label: the column with the truth: 0 or 1 (or false and true), a class, or a number.
        task: what the models predict. Scores are the probability of the positive class, a probability for
            each class, or a predicted number.
        design: paired or split.
        primary: the metric that decides, with its superiority margin; by default the task's first metric.
            A mapping with `metric` and `margin` will do.
        guardrails: metrics that must not get worse by their margin or more.
        metrics: further metrics that are reported and decide nothing.
        slices: columns; in each of their values the primary metric must not be shown to get worse.
        slice_margin: by how much the primary metric may get worse in a slice.
        classes: the labels of a multiclass test in the order of the scores; by default 0, 1, 2, ...
        entity: a column; rows of one entity depend on each other and errors are summed by it.
        row: a column that tells rows apart; finds duplicates, and rows that the training has seen.
        row_is_content: whether `row` is a hash of all that is known of a row instead of a key. Equal rows may
            then be different ones, and repetitions are only warned of.
        time: a column with each row's time; the holdout must be newer than the training rows.
        variant: the column that says which model answered a row, split design only.
        share: the share of the traffic that the challenger was to get, split design only.
        alpha: the one-sided probability of promoting a challenger that is not better by the margin.
        power: with which minimum detectable effect and needed rows are computed.
        looks: how often one holdout may be used, each time with alpha / looks; None for any number of
            times, with alpha / (k (k + 1)) the k-th time. It counts where there is a ledger.
        threshold: the probability from which on a row is predicted positive (accuracy, f1, precision,
            recall).
        quantile: which quantile is predicted (pinball).
        min_positives: with fewer rows in the smaller class than this the test is invalid.
        min_slice_rows: a slice with fewer rows is too small to judge.
        min_slice_positives: a slice with fewer rows in its smaller class is too small to judge.
        max_duplicates: the share of rows that may repeat another row.
        max_overlap: the share of rows that the training may have seen.
        sample_ratio_alpha: below this p-value the split's sizes are not those that `share` promised.
    """

    label: str
    task: Task = "binary"
    design: Design = "paired"
    primary: Margin = Margin("")
    guardrails: tuple[Margin, ...] = ()
    metrics: tuple[str, ...] = ()
    slices: tuple[str, ...] = ()
    slice_margin: float = 0.0
    classes: tuple[str | int | float | bool, ...] = ()
    entity: str | None = None
    row: str | None = None
    row_is_content: bool = False
    time: str | None = None
    variant: str = "variant"
    share: float = 0.5
    alpha: float = 0.05
    power: float = 0.8
    looks: int | None = None
    threshold: float = 0.5
    quantile: float = 0.5
    min_positives: int = 20
    min_slice_rows: int = 200
    min_slice_positives: int = 20
    max_duplicates: float = 0.01
    max_overlap: float = 0.0
    sample_ratio_alpha: float = 0.001

    def __post_init__(self) -> None:
        primary = _margin(self.primary)
        if not primary.metric:
            first = MEAN if self.design == "split" else METRICS_OF.get(self.task, METRICS)[0]
            primary = Margin(first, primary.margin)
        object.__setattr__(self, "primary", primary)
        object.__setattr__(self, "guardrails", tuple(_margin(each) for each in self.guardrails))
        for name in ("metrics", "slices", "classes"):
            object.__setattr__(self, name, tuple(getattr(self, name)))

    @property
    def known_metrics(self) -> tuple[str, ...]:
        """The metrics that this task and design have."""
        known = METRICS_OF.get(self.task, ())
        return (MEAN, *known) if self.design == "split" else known


def _margin(given: Margin | Mapping[str, object]) -> Margin:
    return given if isinstance(given, Margin) else Margin(**given)  # type: ignore[arg-type]


def problems(config: ABTest) -> tuple[Diagnosis, ...]:
    """Everything that is wrong with a configuration by itself, before any data is read.

    AME-E501 for a metric that does not exist and E507 for one of another task, E502 for a metric with two
    margins, E503 for a number out of its range, E506 for a column that is two things, E508 for a task or a
    design that does not exist, E509 for classes that are no classes.
    """
    words = tuple(_word_problems(config))
    if words:  # without them nothing else can be judged
        return words
    return (
        *_metric_problems(config),
        *_number_problems(config),
        *_column_problems(config),
        *_class_problems(config),
    )


def _word_problems(config: ABTest) -> Iterator[Diagnosis]:
    for name, value, known in (
        ("task", config.task, get_args(Task)),
        ("design", config.design, get_args(Design)),
    ):
        if value not in known:
            yield Diagnosis(
                code="AME-E508",
                what=f"The A/B test's {name} is '{value}', which does not exist.",
                why=f"Known: {', '.join(known)}.",
                fix=did_you_mean(str(value), known),
            )


def _metric_problems(config: ABTest) -> Iterator[Diagnosis]:
    known = config.known_metrics
    deciding = [config.primary.metric, *(guardrail.metric for guardrail in config.guardrails)]
    for metric in dict.fromkeys((*deciding, *config.metrics)):
        if metric not in METRICS:
            yield Diagnosis(
                code="AME-E501",
                what=f"The A/B test names the metric '{metric}', which does not exist.",
                why=f"Known metrics: {', '.join(known)}.",
                fix=did_you_mean(metric, known),
            )
        elif metric not in known:
            kind = f"{config.task} test of the {config.design} design"
            yield Diagnosis(
                code="AME-E507",
                what=f"The A/B test names the metric '{metric}', which a {kind} does not have.",
                why=f"It has: {', '.join(known)}.",
                fix="Name another metric, or set the task.",
            )
        if deciding.count(metric) > 1:
            yield Diagnosis(
                code="AME-E502",
                what=f"The A/B test gives the metric '{metric}' more than one margin.",
                fix="Name it once, as the primary metric or as a guardrail.",
            )


def _number_problems(config: ABTest) -> Iterator[Diagnosis]:
    for name, value, valid, wanted in _ranges(config):
        if not valid:
            yield Diagnosis(
                code="AME-E503",
                what=f"The A/B test's {name} is {value}, which must be {wanted}.",
                fix="Change the number.",
            )


def _ranges(config: ABTest) -> Iterator[tuple[str, float | None, bool, str]]:
    """Each number's name and value, whether it is in its range, and the range in words."""
    yield "alpha", config.alpha, 0 < config.alpha < 0.5, "above 0 and below 0.5"
    yield "power", config.power, 0.5 <= config.power < 1, "at least 0.5 and below 1"
    yield "threshold", config.threshold, 0 < config.threshold <= 1, "above 0 and at most 1"
    for name in ("quantile", "share", "sample_ratio_alpha"):
        value = getattr(config, name)
        yield name, value, 0 < value < 1, "above 0 and below 1"
    for name in ("max_duplicates", "max_overlap"):
        value = getattr(config, name)
        yield name, value, 0 <= value <= 1, "at least 0 and at most 1"
    for name in ("min_positives", "min_slice_rows", "min_slice_positives"):
        value = getattr(config, name)
        yield name, value, value >= 2, "at least 2"
    whole = config.looks is None or (isinstance(config.looks, int) and config.looks >= 1)
    yield "looks", config.looks, whole, "a whole number, at least 1"
    margins = [(f"margin of {named.metric}", named.margin) for named in (config.primary, *config.guardrails)]
    for name, margin in (*margins, ("slice_margin", config.slice_margin)):
        yield name, margin, 0 <= margin < math.inf, "at least 0 and finite"


def _column_problems(config: ABTest) -> Iterator[Diagnosis]:
    scores = [config.variant, "score"] if config.design == "split" else [*_SCORES]
    own = [config.label, *scores]
    keys = [each for each in (config.entity, config.row) if each is not None]
    # The rows of one day may be an entity, and a slice; but nothing is what is to be predicted, or a score.
    free = {*config.slices, *([config.time] if config.time is not None else [])}
    for column in dict.fromkeys((*own, *keys)):
        uses = (own + keys).count(column) + (column in own and column in free)
        if uses > 1:
            yield Diagnosis(
                code="AME-E506",
                what=f"The A/B test uses the column '{column}' for two things.",
                why=f"The label, the entity, the row and {' and '.join(map(repr, scores))} are columns of "
                "their own, and neither the label nor a score is a time or makes slices.",
                fix="Name another column, or rename the one in the data.",
            )


def _class_problems(config: ABTest) -> Iterator[Diagnosis]:
    classes = config.classes
    if not classes:
        return
    twice = sorted(str(each) for each, times in Counter(classes).items() if times > 1)
    if config.task != "multiclass":
        why = "Only a multiclass test has them."
    elif len(classes) < 2:
        why = "There must be two at least."
    elif twice:
        why = f"'{twice[0]}' is there more than once."
    else:
        return
    yield Diagnosis(
        code="AME-E509",
        what=f"The A/B test's classes are {', '.join(map(str, classes))}, which cannot be.",
        why=why,
        fix="Name each class once, in the order of the scores.",
    )
