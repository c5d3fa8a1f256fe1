"""Reading `models`: training, validation, comparison, promotion, deployment."""

from __future__ import annotations

from typing import Any, Literal, cast

from ame.spec import words
from ame.spec.abtest import read_ab_test
from ame.spec.entries import mapping_entries, text_of
from ame.spec.problems import shown
from ame.spec.project import (
    Deployment,
    Model,
    Schedule,
    Threshold,
    Validation,
)
from ame.spec.promotion import read_promotion
from ame.spec.reading import Reading, owner_of, take_name
from ame.spec.resources import check_gpu, read_resources, resources_of
from ame.spec.section import Section
from ame.spec.tasks import read_task_use

__all__ = ["read_models"]


def read_models(reading: Reading, project: Section) -> dict[str, Model]:
    """Reads `models`, once `tasks` and `dataSets` are known; the tasks inline in it join the reading's."""
    models: dict[str, Model] = {}
    for node in project.items("models"):
        section = Section(reading.problems, node, words.MODEL, owner_of(node, "model"))
        name = take_name(section, models, "model")
        model = _model(reading, section, name or "")
        if name is not None:
            models[name] = model
    return models


def _model(reading: Reading, section: Section, name: str) -> Model:
    if section.choice("type") is not None:
        what = f"'type' of {section.owner} has no effect."
        section.error("AME-W104", "type", what, why="Every model is a registered model of MLflow.")
    deployment = section.section("deployment", f"deployment of {section.owner}")
    training = _training(reading, section, name, deployment)
    validation = _validation(reading, section, name)
    ab_test = read_ab_test(reading, section)
    return Model(
        name=name,
        where=section.where(),
        promotion=read_promotion(section, validation, ab_test, deployment),
        validation=validation,
        ab_test=ab_test,
        delivery=cast(Literal["every", "latest"], section.choice("delivery")),
        deployment=_deployment(section, deployment) if deployment is not None else None,
        **training,
    )


def _training(reading: Reading, model: Section, name: str, deployment: Section | None) -> dict[str, Any]:
    """The fields of a `Model` that `training` gives."""
    training = model.section("training", f"training of {model.owner}")
    on_change = _on_change(model, training, deployment)
    if training is None:
        return {}
    training.require()
    task = read_task_use(reading, training, "task", f"{name}.training")
    cron = training.text("schedule")
    timezone = training.text("timezone")
    if timezone and not training.given("schedule"):
        what = f"{training.owner} has a time zone and no schedule."
        training.error("AME-E129", "timezone", what, fix="Add `schedule`, or leave `timezone` out.")
    schedule = Schedule(cron=cron, timezone=timezone or training.default("timezone")) if cron else None
    return {"training": task, "schedule": schedule, "on_change": on_change}


def _on_change(model: Section, training: Section | None, deployment: Section | None) -> bool:
    """Whether changed files start a training; older files say that by `auto_train` of the deployment."""
    if deployment is None or not deployment.given("auto_train"):
        return training is not None and training.boolean("onChange")
    older = deployment.boolean("auto_train")
    if training is None:
        what = f"'auto_train' of {deployment.owner} has no effect."
        deployment.error("AME-W104", "auto_train", what, why="The model has no 'training'.")
    elif training.given("onChange"):
        what = f"{model.owner} has both 'onChange' and 'auto_train', which mean the same."
        deployment.error("AME-E110", "auto_train", what, fix="Keep 'onChange'.")
    else:
        what = f"'auto_train' of {deployment.owner} is an older form."
        fix = f"Write `training: {{onChange: {str(older).lower()}}}`."
        deployment.error("AME-W102", "auto_train", what, fix=fix)
    return older


def _validation(reading: Reading, model: Section, name: str) -> Validation | None:
    inline_name = f"{name}.validation"
    if "validationTask" in model:
        if "validation" in model:
            what = f"{model.owner} has both 'validation' and 'validationTask', which mean the same."
            model.error("AME-E110", "validationTask", what, fix="Keep 'validation'.")
        what = f"'validationTask' of {model.owner} is an older form."
        model.error("AME-W102", "validationTask", what, fix="Write `validation: {task: ...}`.")
        if model.require("validationTask"):
            return Validation(task=read_task_use(reading, model, "validationTask", inline_name))
    section = model.section("validation", f"validation of {model.owner}")
    if section is None:
        return None
    if not section.given("task") and not section.given("thresholds"):
        what = f"{section.owner} checks nothing: it has neither 'task' nor 'thresholds'."
        section.error("AME-E113", None, what, fix="Add one of them, or leave 'validation' out.")
    task = read_task_use(reading, section, "task", inline_name)
    return Validation(task=task, thresholds=_thresholds(section))


def _thresholds(section: Section) -> tuple[Threshold, ...]:
    found = []
    entry = section.entries.get("thresholds")
    if entry is None:
        return ()
    owner = f"'thresholds' of {section.owner}"
    for metric, bounds in mapping_entries(section.problems, entry.value, owner):
        threshold = Section(
            section.problems,
            bounds.value,
            words.THRESHOLD,
            f"the threshold {shown(metric)} of {section.owner}",
        )
        low, high = threshold.read("min"), threshold.read("max")
        if threshold.sound and not threshold.given("min") and not threshold.given("max"):
            section.problems.add("AME-E113", bounds.key, f"{threshold.owner} has neither 'min' nor 'max'.")
        if low is not None and high is not None and low > high:
            threshold.error("AME-E129", "min", f"'min' of {threshold.owner} is above its 'max'.")
        where = section.problems.where(bounds.key)
        found.append(Threshold(metric=metric, where=where, minimum=low, maximum=high))
    return tuple(found)


def _deployment(model: Section, section: Section) -> Deployment:
    what = f"'deployment' of {model.owner} is read and checked, and serves nothing yet."
    model.error("AME-W104", "deployment", what, why="This release deploys no models.")
    resources = resources_of(read_resources(section))
    check_gpu(section.problems, section.owner, resources)
    return Deployment(
        replicas=section.integer("replicas"),
        resources=resources,
        image=section.text("image"),
        enable_tls=section.boolean("enableTls"),
        ingress_annotations=_annotations(section),
        auto_deploy=section.boolean("autoDeploy"),
    )


def _annotations(section: Section) -> dict[str, str]:
    entry = section.entries.get("ingressAnnotations")
    if entry is None:
        return {}
    owner = f"'ingressAnnotations' of {section.owner}"
    found = {}
    for word, annotation in mapping_entries(section.problems, entry.value, owner):
        value = text_of(section.problems, annotation.value, f"{shown(word)} of {owner}")
        if value is not None:
            found[word] = value
    return found
