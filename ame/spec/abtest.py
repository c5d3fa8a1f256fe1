"""Reading a model's `abTest`: the holdout, how it is scored, and the gate's configuration."""

from __future__ import annotations

from typing import Literal, cast

import yaml

from ame.gate.config import METRICS, ABTest, Margin
from ame.spec import words
from ame.spec.problems import shown
from ame.spec.project import AbTestSection
from ame.spec.reading import Reading, Reference, resolve
from ame.spec.resources import check_gpu_product, read_resources, resources_of
from ame.spec.scalars import read_path, read_text
from ame.spec.section import Section

__all__ = ["read_ab_test"]

# What people call the gate's metrics elsewhere.
_OTHER_NAMES = {
    "auc": "roc_auc",
    "rocauc": "roc_auc",
    "auroc": "roc_auc",
    "logloss": "log_loss",
    "cross_entropy": "log_loss",
    "brier_score": "brier",
    "brier_score_loss": "brier",
    "acc": "accuracy",
    "accuracy_score": "accuracy",
    "roc_auc_score": "roc_auc",
}
# Columns of the table of scores, which holds the label and the entity too.
_SCORES = ("champion", "challenger")
_MOST_POSITIVES = 10**9


def read_ab_test(reading: Reading, model: Section) -> AbTestSection | None:
    """The section, or None when the model has none."""
    section = model.section("abTest", words.AB_TEST, f"abTest of {model.owner}")
    if section is None:
        return None
    section.require("data", "label")
    data_set, path = _data(reading, section)
    label = section.read("label", read_text) or ""
    features = tuple(text for text, _ in section.texts("features"))
    if label and label in features:
        what = f"'features' of {section.owner} hold the label {shown(label)}."
        why = "A model that is given the truth predicts it."
        section.error("AME-E129", "features", what, why)
    section.choice("engine", ("auto", "local"), withheld=words.WITHHELD_ENGINES)
    resources = resources_of(read_resources(section))
    check_gpu_product(section.problems, section.owner, resources)
    return AbTestSection(
        gate=_gate(section, label),
        where=section.where(),
        data_set=data_set,
        data_path=path,
        features=features,
        scoring=_scoring(section),
        resources=resources,
    )


def _data(reading: Reading, section: Section) -> tuple[str | None, str | None]:
    data = section.section("data", words.AB_TEST_DATA)
    if data is None or not section.given("data"):
        return None, None
    given = [key for key in ("dataSet", "path") if data.given(key)]
    if len(given) != 1 and data.sound and not data.withheld:
        what = f"{data.owner} must have one of 'dataSet' and 'path', and has {'both' if given else 'none'}."
        data.error("AME-E129", None, what)
    path = data.read("path", read_path)
    name = data.text("dataSet")
    if name is None:
        return None, path
    reference = Reference(name, None, data.entries["dataSet"].value)
    return resolve(reading, reference, "data set", section.owner, reading.data_sets), path


def _scoring(section: Section) -> Literal["model", "current"]:
    scoring = section.section("scoring", words.SCORING)
    if scoring is None:
        return "model"
    chosen = scoring.choice("environment", ("model", "current"), withheld=words.WITHHELD_SCORING)
    return cast(Literal["model", "current"], chosen or "model")


def _gate(section: Section, label: str) -> ABTest:
    default = ABTest(label=label)
    roles: dict[str, str] = {}
    primary = default.primary
    if section.given("primary"):
        primary = _margin(section, section.entries["primary"].value, "primary", roles)
    else:
        roles[primary.metric] = "primary"
    guardrails = tuple(_margin(section, node, "guardrails", roles) for node in section.items("guardrails"))
    metrics = []
    for text, node in section.texts("metrics"):
        if _is_metric(section, text, node, "metrics", roles):
            metrics.append(text)
    entity = section.read("entity", read_text)
    if entity is not None and entity == label:
        section.error("AME-E129", "entity", f"'entity' of {section.owner} is the label.")
    for key, column in (("label", label), ("entity", entity)):
        if column in _SCORES:
            what = f"'{key}' of {section.owner} is '{column}', which is the column of that version's scores."
            section.error("AME-E129", key, what, fix="Rename the column in the data.")
    return ABTest(
        label=label,
        primary=primary,
        guardrails=guardrails,
        metrics=tuple(metrics),
        entity=entity,
        alpha=section.number("alpha", above=0, below=0.5, default=default.alpha),
        power=section.number("power", least=0.5, below=1, default=default.power),
        threshold=section.number("threshold", above=0, most=1, default=default.threshold),
        min_positives=section.integer(
            "minPositives", low=1, high=_MOST_POSITIVES, default=default.min_positives
        ),
    )


def _margin(section: Section, node: yaml.Node, role: str, roles: dict[str, str]) -> Margin:
    margin = Section(section.problems, node, words.MARGIN, f"'{role}' of {section.owner}")
    if isinstance(node, yaml.MappingNode):
        margin.require("metric")
    metric = margin.text("metric")
    if metric is not None:
        _is_metric(section, metric, margin.entries["metric"].value, role, roles)
    return Margin(metric or METRICS[0], margin.number("margin", least=0))


def _is_metric(section: Section, text: str, node: yaml.Node, role: str, roles: dict[str, str]) -> bool:
    """Whether the gate knows a metric that has no role yet; each metric decides or is shown once."""
    problems = section.problems
    if text not in METRICS:
        other = _OTHER_NAMES.get(text.lower().replace("-", "_").replace(" ", "_"))
        problems.add(
            "AME-E128",
            node,
            f"'{role}' of {section.owner} names the metric {shown(text)}, which the gate does not know.",
            why=f"Known metrics: {', '.join(METRICS)}.",
            fix=f"Did you mean '{other}'?" if other else problems.near(text, METRICS),
        )
        return False
    if text in roles:
        what = f"{section.owner} names the metric '{text}' in '{roles[text]}' and again in '{role}'."
        problems.add("AME-E115", node, what, fix="Keep one of them.")
        return False
    roles[text] = role
    return True
