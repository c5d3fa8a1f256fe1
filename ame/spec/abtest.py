"""Reading a model's `abTest`: the holdout, the training rows, and how versions are scored."""

from __future__ import annotations

from typing import Literal, cast

from ame.spec import words
from ame.spec.gate import read_gate
from ame.spec.problems import shown
from ame.spec.project import AbTestSection
from ame.spec.reading import Reading, Reference, resolve
from ame.spec.resources import check_gpu_product, read_resources, resources_of
from ame.spec.scalars import read_path, read_text
from ame.spec.section import Section

__all__ = ["read_ab_test"]


def read_ab_test(reading: Reading, model: Section) -> AbTestSection | None:
    """The section, or None when the model has none."""
    section = model.section("abTest", words.AB_TEST, f"abTest of {model.owner}")
    if section is None:
        return None
    section.require("data", "label")
    data_set, path = _rows(reading, section, "data")
    training_set, training_path = _rows(reading, section, "training")
    _check_training(section, (data_set, path), (training_set, training_path))
    label = section.read("label", read_text) or ""
    features = tuple(text for text, _ in section.texts("features"))
    if label and label in features:
        what = f"'features' of {section.owner} hold the label {shown(label)}."
        why = "A model that is given the truth predicts it."
        section.error("AME-E129", "features", what, why)
    engine = section.choice("engine", ("auto", "local"), withheld=words.WITHHELD_ENGINES)
    resources = resources_of(read_resources(section))
    check_gpu_product(section.problems, section.owner, resources)
    return AbTestSection(
        gate=read_gate(section, label),
        where=section.where(),
        data_set=data_set,
        data_path=path,
        training_set=training_set,
        training_path=training_path,
        features=features,
        scoring=_scoring(section),
        engine=cast(Literal["auto", "local"], engine or "auto"),
        resources=resources,
    )


def _rows(reading: Reading, section: Section, key: str) -> tuple[str | None, str | None]:
    """The data set or the path that `data` or `training` names."""
    data = section.section(key, words.AB_TEST_DATA)
    if data is None or not section.given(key):
        return None, None
    given = [each for each in ("dataSet", "path") if data.given(each)]
    if len(given) != 1 and data.sound and not data.withheld:
        what = f"{data.owner} must have one of 'dataSet' and 'path', and has {'both' if given else 'none'}."
        data.error("AME-E129", None, what)
    path = data.read("path", read_path)
    name = data.text("dataSet")
    if name is None:
        return None, path
    reference = Reference(name, None, data.entries["dataSet"].value)
    return resolve(reading, reference, "data set", section.owner, reading.data_sets), path


def _check_training(
    section: Section, data: tuple[str | None, str | None], training: tuple[str | None, str | None]
) -> None:
    if any(data) and data == training:
        what = f"'training' of {section.owner} names the rows that the versions are compared on."
        why = "They are the holdout, which the training must not have seen."
        section.error("AME-E129", "training", what, why, fix="Name the rows that the models are trained on.")
    if section.given("maxOverlap") and not section.given("training"):
        what = f"'maxOverlap' of {section.owner} has no effect."
        section.error("AME-W104", "maxOverlap", what, why="It has no 'training' to overlap with.")


def _scoring(section: Section) -> Literal["model", "current"]:
    scoring = section.section("scoring", words.SCORING)
    if scoring is None:
        return "model"
    chosen = scoring.choice("environment", ("model", "current"), withheld=words.WITHHELD_SCORING)
    return cast(Literal["model", "current"], chosen or "model")
