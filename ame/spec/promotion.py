"""Reading a model's `promotion`: who decides, and by what."""

from __future__ import annotations

import re
from typing import Literal, cast

from ame.spec.problems import shown
from ame.spec.project import AbTestSection, Promotion, Validation
from ame.spec.section import Section

__all__ = ["read_promotion"]

_OF_A_METRIC = ("metric", "greaterIsBetter")

# How names of metrics end of which less is better; XGBoost's mlogloss and merror are single words.
_LESS_IS_BETTER = frozenset(
    ("err", "rmse", "mse", "mae", "mape", "rmsle", "mlse", "brier", "deviance", "perplexity", "fpr", "fnr")
)
_LESS_IS_BETTER_ENDINGS = ("loss", "error")
# Words between any other characters and in camelCase: valRMSE is val and RMSE, logLoss2 is log and Loss.
_WORD = re.compile(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+")


def read_promotion(
    model: Section, validation: Validation | None, ab_test: AbTestSection | None, deployment: Section | None
) -> Promotion:
    """The section, and where it says no strategy the one that follows from the model's other sections."""
    section = model.section("promotion", f"promotion of {model.owner}")
    held = deployment if deployment is not None and not deployment.boolean("autoDeploy") else None
    if section is None or not section.given("strategy"):
        strategy: str | None = (
            "never" if held else "abTest" if ab_test else "always" if validation else "never"
        )
        if held:
            _held_back(model, held)
        elif strategy == "never":
            _nothing_decides(model)
    else:
        strategy = section.choice("strategy")
        _check_sections(model, section, strategy)
        if held and strategy not in ("never", None):
            _not_held_back(held, strategy)
    if section is None:
        return Promotion(strategy=_strategy(strategy))
    return Promotion(
        strategy=_strategy(strategy),
        first_version=cast(Literal["validated", "never"], section.choice("firstVersion")),
        metric=_metric(section, strategy),
        greater_is_better=section.boolean("greaterIsBetter"),
        explicit=section.given("strategy"),
    )


def _strategy(word: str | None) -> Literal["abTest", "metric", "always", "never"]:
    return cast(Literal["abTest", "metric", "always", "never"], word or "never")


def _nothing_decides(model: Section) -> None:
    model.error(
        "AME-W103",
        None,
        f"no version of {model.owner} will be promoted.",
        why="Nothing decides: it has neither 'abTest' nor 'validation'.",
        fix="Add one of them, or write `promotion: {strategy: never}` if that is meant.",
    )


def _held_back(model: Section, deployment: Section) -> None:
    deployment.error(
        "AME-W103",
        "autoDeploy",
        f"no version of {model.owner} will be promoted.",
        why="Its deployment has `autoDeploy: false`, and its promotion has no `strategy`.",
        fix="Promote by hand with `ame promote MODEL VERSION --reason TEXT`, or say what decides.",
    )


def _not_held_back(deployment: Section, strategy: str | None) -> None:
    deployment.error(
        "AME-W104",
        "autoDeploy",
        f"'autoDeploy: false' of {deployment.owner} keeps no version from becoming the champion.",
        why=f"Its promotion has `strategy: {strategy}`, and this release serves nothing that could wait.",
        fix="Write `strategy: never`, or leave 'autoDeploy' out.",
    )


def _check_sections(model: Section, section: Section, strategy: str | None) -> None:
    """That a test is there when it is to decide, and a warning when it is there and is not asked."""
    if strategy == "abTest" and "abTest" not in model:
        what = f"{model.owner} is promoted by an A/B test and has no 'abTest'."
        fix = "Add `abTest` with at least `data` and `label`, or choose another strategy."
        section.error("AME-E129", "strategy", what, fix=fix)
    elif strategy not in ("abTest", None) and "abTest" in model:
        what = f"'abTest' of {model.owner} decides nothing."
        why = f"Its promotion has `strategy: {strategy}`."
        model.error("AME-W104", "abTest", what, why, fix="Write `strategy: abTest`, or leave 'abTest' out.")


def _metric(section: Section, strategy: str | None) -> str | None:
    """The metric of the strategy that reads one.

    Nothing is said where the strategy could not be read: that has been reported, and what goes with it
    is not known.
    """
    if strategy != "metric":
        for key in _OF_A_METRIC:
            if strategy is not None and section.given(key):
                what = f"{shown(key)} of {section.owner} goes with `strategy: metric` only."
                why = "An A/B test decides by its `primary` metric." if strategy == "abTest" else ""
                fix = f"Write `strategy: metric`, or leave {shown(key)} out."
                section.error("AME-E129", key, what, why, fix)
        return None
    if not section.given("metric"):
        what = f"{section.owner} is by a metric and lacks 'metric'."
        section.error(
            "AME-E113", "strategy", what, fix="Add `metric`, the name of one that the training logs."
        )
        return None
    metric = section.text("metric")
    if metric is not None and not section.given("greaterIsBetter") and _reads_like_a_loss(metric):
        section.error(
            "AME-E113",
            "metric",
            f"{section.owner} is by the metric {shown(metric)} and lacks 'greaterIsBetter'.",
            why="The name reads like that of an error, of which less is better; a wrong guess would promote "
            "the worse model.",
            fix="Write `greaterIsBetter: false`, or `greaterIsBetter: true` if more of it is better.",
        )
    return metric


def _reads_like_a_loss(metric: str) -> bool:
    found = _WORD.findall(metric)
    last = found[-1].lower() if found else ""
    return last in _LESS_IS_BETTER or last.endswith(_LESS_IS_BETTER_ENDINGS)
