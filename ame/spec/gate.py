"""Reading the statistical part of a model's `abTest`: what the gate is asked."""

from __future__ import annotations

from typing import cast

import yaml

from ame.gate.config import METRICS, METRICS_OF, ABTest, Margin, Task, problems
from ame.spec import words
from ame.spec.entries import text_of
from ame.spec.nodes import is_null
from ame.spec.problems import Unreadable, shown
from ame.spec.scalars import read_boolean, read_integer, read_number
from ame.spec.section import Section

__all__ = ["read_gate"]

# What people call the gate's metrics elsewhere.
_OTHER_NAMES = {
    "auc": "roc_auc",
    "rocauc": "roc_auc",
    "auroc": "roc_auc",
    "roc_auc_score": "roc_auc",
    "ap": "average_precision",
    "pr_auc": "average_precision",
    "prauc": "average_precision",
    "auprc": "average_precision",
    "average_precision_score": "average_precision",
    "logloss": "log_loss",
    "cross_entropy": "log_loss",
    "brier_score": "brier",
    "brier_score_loss": "brier",
    "acc": "accuracy",
    "accuracy_score": "accuracy",
    "f1_score": "f1",
    "macro_f1": "f1_macro",
    "precision_score": "precision",
    "recall_score": "recall",
    "sensitivity": "recall",
    "mean_absolute_error": "mae",
    "mean_squared_error": "mse",
    "root_mean_squared_error": "rmse",
    "r2_score": "r2",
    "r_squared": "r2",
    "mean_pinball_loss": "pinball",
    "pinball_loss": "pinball",
    "quantile_loss": "pinball",
}
# What a metric of two classes is called for many.
_OF_MANY_CLASSES = {"roc_auc": "roc_auc_ovr", "f1": "f1_macro"}
# Columns of the table of scores, which holds the label and the other columns too.
_SCORES = ("champion", "challenger")
_FOR_SLICES = ("sliceMargin", "minSliceRows", "minSlicePositives")


def read_gate(section: Section, label: str) -> ABTest:
    """The gate's configuration; what `ame.gate.config.problems` finds is found here already."""
    met = section.problems.met
    section.choice("design")
    # None where another word stands there: then nothing is known of what fits.
    task = cast("Task | None", section.choice("task"))
    default = ABTest(label=label, task=task or "binary")
    roles = _Roles(section, task)
    met_before_metrics = section.problems.met
    primary = default.primary
    if section.given("primary"):
        primary = roles.margin(section.entries["primary"].value, "primary")
    else:
        roles.taken[primary.metric] = "primary"
    guardrails = tuple(roles.margin(node, "guardrails") for node in section.items("guardrails"))
    metrics = tuple(t for t, node in section.texts("metrics") if roles.take(t, node, "metrics"))
    metrics_read = section.problems.met == met_before_metrics
    slices, classes = _slices(section), _classes(section)
    columns = {key: section.text(key) for key in ("entity", "row", "time")}
    _check_columns(section, label, columns, slices)
    gate = ABTest(
        label=label,
        task=task or "binary",
        primary=primary,
        guardrails=guardrails,
        metrics=metrics,
        slices=slices,
        slice_margin=section.number("sliceMargin"),
        classes=classes,
        entity=columns["entity"],
        row=columns["row"],
        time=columns["time"],
        alpha=section.number("alpha"),
        power=section.number("power"),
        looks=section.read("looks"),
        threshold=section.number("threshold"),
        quantile=section.number("quantile"),
        min_positives=section.integer("minPositives"),
        min_slice_rows=section.integer("minSliceRows"),
        min_slice_positives=section.integer("minSlicePositives"),
        max_duplicates=section.number("maxDuplicates"),
        max_overlap=section.number("maxOverlap"),
    )
    _check_uses(section, task, gate, metrics_read=metrics_read)
    if section.problems.met == met:
        for problem in problems(gate):
            section.error(problem.code, None, problem.what, problem.why, problem.fix)
    return gate


class _Roles:
    """Which metric has been given which role so far; each metric decides or is shown once."""

    def __init__(self, section: Section, task: Task | None) -> None:
        self.section = section
        self.task = task
        self.known = METRICS if task is None else METRICS_OF[task]
        self.taken: dict[str, str] = {}

    def margin(self, node: yaml.Node, role: str) -> Margin:
        """A metric with its margin, in a role."""
        margin = Section(self.section.problems, node, words.MARGIN, f"'{role}' of {self.section.owner}")
        if isinstance(node, yaml.MappingNode):
            margin.require()
        metric = margin.raw("metric")
        if metric is not None:
            self.take(metric, margin.entries["metric"].value, role)
        return Margin(metric or self.known[0], margin.number("margin"))

    def take(self, text: str, node: yaml.Node, role: str) -> bool:
        """Whether the gate knows a metric that has no role yet; says what is wrong when it does not."""
        owner, problems = self.section.owner, self.section.problems
        if text not in self.known:
            if text in METRICS:
                what = f"which is not for the task {self.task}"
                why = f"{_tasks_of(text)} Known for {self.task}: {', '.join(self.known)}."
            else:
                what, why = "which the gate does not know", f"Known metrics: {', '.join(self.known)}."
            problems.add(
                "AME-E128",
                node,
                f"'{role}' of {owner} names the metric {shown(text)}, {what}.",
                why=why,
                fix=self._meant(text),
            )
            return False
        if text in self.taken:
            what = f"{owner} names the metric '{text}' in '{self.taken[text]}' and again in '{role}'."
            problems.add("AME-E115", node, what, fix="Keep one of them.")
            return False
        self.taken[text] = role
        return True

    def _meant(self, text: str) -> str:
        plain = text.lower().replace("-", "_").replace(" ", "_")
        other = _OTHER_NAMES.get(plain, plain)
        for name in (other, _OF_MANY_CLASSES.get(other)):
            if name in self.known:
                return f"Did you mean '{name}'?"
        if text in METRICS:
            return "" if self.section.given("task") else "Is `task` missing?"
        return self.section.problems.near(text, self.known)


def _tasks_of(metric: str) -> str:
    tasks = [task for task, metrics in METRICS_OF.items() if metric in metrics]
    if not tasks:
        return "It is for logged traffic, of which each row was answered by one model."
    return f"It is for {' and '.join(tasks)}."


def _slices(section: Section) -> tuple[str, ...]:
    """A list of columns, or one column."""
    entry = section.entries.get("slices")
    if entry is not None and isinstance(entry.value, yaml.ScalarNode) and not is_null(entry.value):
        one = section.text("slices")
        return (one,) if one is not None else ()
    return tuple(text for text, _ in section.texts("slices"))


def _classes(section: Section) -> tuple[str | int | float | bool, ...]:
    """Labels as YAML tells them: 1 is a number, "1" a text, true a truth value."""
    found: dict[object, None] = {}
    all_read = True
    for node in section.items("classes"):
        text = text_of(section.problems, node, f"an entry of 'classes' of {section.owner}")
        if text is None:
            all_read = False
            continue
        value = _plain(text) if isinstance(node, yaml.ScalarNode) and not node.style else text
        if value in found:
            what = f"'classes' of {section.owner} names {shown(text)} twice."
            section.problems.add("AME-E115", node, what)
        found[value] = None
    if all_read and len(found) == 1:
        what = f"'classes' of {section.owner} has one class, and at least two can be told apart."
        section.error("AME-E116", "classes", what)
    return cast("tuple[str | int | float | bool, ...]", tuple(found))


def _plain(text: str) -> str | int | float | bool:
    """What a text without quotes says; `yes` and `no` stay texts."""
    if text.lower() in ("true", "false"):
        return read_boolean(text)
    for reader in (read_integer, read_number):
        try:
            return reader(text)
        except Unreadable:
            continue
    return text


def _check_columns(
    section: Section, label: str, columns: dict[str, str | None], slices: tuple[str, ...]
) -> None:
    for key, column in columns.items():
        if column is not None and column == label:
            section.error("AME-E129", key, f"'{key}' of {section.owner} is the label.")
    if label and label in slices:
        what = f"'slices' of {section.owner} hold the label."
        section.error("AME-E129", "slices", what, why="In such a slice all rows have one outcome.")
    if columns["row"] is not None and columns["row"] == columns["entity"]:
        what = f"'row' and 'entity' of {section.owner} are the same column."
        why = "`row` tells rows apart, and `entity` says which rows belong together."
        section.error("AME-E129", "row", what, why, fix="Leave one of them out.")
    for key, column in (("label", label), *columns.items(), *(("slices", each) for each in slices)):
        if column in _SCORES:
            what = f"'{key}' of {section.owner} is '{column}', which is the column of that version's scores."
            section.error("AME-E129", key, what, fix="Rename the column in the data.")


def _check_uses(section: Section, task: Task | None, gate: ABTest, *, metrics_read: bool) -> None:
    """That nothing is said which the rest of the section gives no meaning to."""
    metrics = {gate.primary.metric, *gate.metrics, *(each.metric for each in gate.guardrails)}
    for key, fits, wanted in (
        ("classes", gate.task == "multiclass", "`task: multiclass`"),
        ("threshold", gate.task == "binary", "`task: binary`"),
        ("quantile", "pinball" in metrics or not metrics_read, "the metric pinball"),
    ):
        if task is not None and section.given(key) and not fits:
            what = f"'{key}' of {section.owner} goes with {wanted} only."
            section.error("AME-E129", key, what, fix=f"Leave '{key}' out.")
    if not section.given("slices"):
        for key in _FOR_SLICES:
            if section.given(key):
                what = f"'{key}' of {section.owner} has no effect."
                section.error("AME-W104", key, what, why="It has no 'slices'.")
