"""Reading a model's `abTest`: the holdout, the training rows, and how versions are scored."""

from __future__ import annotations

from typing import Literal, NamedTuple, cast

from ame.spec import words
from ame.spec.gate import read_gate
from ame.spec.problems import shown
from ame.spec.project import AbTestSection
from ame.spec.reading import Reading
from ame.spec.resources import check_gpu, read_resources, resources_of
from ame.spec.rows import Rows, read_rows
from ame.spec.section import Section
from ame.spec.spark import read_spark

__all__ = ["read_ab_test"]

Engine = Literal["auto", "local", "spark"]


def read_ab_test(reading: Reading, model: Section) -> AbTestSection | None:
    """The section, or None when the model has none."""
    section = model.section("abTest", f"abTest of {model.owner}")
    if section is None:
        return None
    section.require()
    data = read_rows(reading, section, "data")
    training = read_rows(reading, section, "training")
    _check_training(section, data, training)
    label = section.text("label") or ""
    features = tuple(text for text, _ in section.texts("features"))
    if label and label in features:
        what = f"'features' of {section.owner} hold the label {shown(label)}."
        why = "A model that is given the truth predicts it."
        section.error("AME-E129", "features", what, why)
    engine = _engine(section)
    scoring = _scoring(section)
    spark, block = read_spark(section)
    _check_engines(section, data, engine, scoring)
    resources = resources_of(read_resources(section))
    check_gpu(section.problems, section.owner, resources)
    return AbTestSection(
        gate=read_gate(section, label),
        where=section.where(),
        data_set=data.data_set,
        data_path=data.path,
        data_uri=data.uri,
        data_table=data.table,
        training_set=training.data_set,
        training_path=training.path,
        training_uri=training.uri,
        features=features,
        scoring=scoring.environment or "model",
        scoring_engine=scoring.engine or "auto",
        engine=engine or "auto",
        resources=resources,
        spark=spark,
        spark_block=block,
    )


class _Scoring(NamedTuple):
    """How versions are scored, and the section that says it; None is what cannot be read."""

    section: Section | None
    environment: Literal["model", "current"] | None
    engine: Engine | None


def _engine(section: Section) -> Engine | None:
    """None when another word stands there: then nothing is known of what goes with it."""
    return cast("Engine | None", section.choice("engine"))


def _scoring(section: Section) -> _Scoring:
    scoring = section.section("scoring")
    if scoring is None:
        return _Scoring(None, words.SCORING.default("environment"), words.SCORING.default("engine"))
    environment = cast('Literal["model", "current"] | None', scoring.choice("environment"))
    return _Scoring(scoring, environment, _engine(scoring))


def _check_training(section: Section, data: Rows, training: Rows) -> None:
    if any(data) and data == training:
        what = f"'training' of {section.owner} names the rows that the versions are compared on."
        why = "They are the holdout, which the training must not have seen."
        section.error("AME-E129", "training", what, why, fix="Name the rows that the models are trained on.")
    elif data.table and any(training):
        what = f"'training' of {section.owner} names rows of files, and 'data' names a table."
        why = "The two are compared column by column, as files."
        fix = "Leave 'training' out, or name the holdout's files with `path` or `uri`."
        section.error("AME-E129", "training", what, why, fix)
    if section.given("maxOverlap") and not section.given("training"):
        what = f"'maxOverlap' of {section.owner} has no effect."
        section.error("AME-W104", "maxOverlap", what, why="It has no 'training' to overlap with.")


def _check_engines(section: Section, data: Rows, engine: Engine | None, scoring: _Scoring) -> None:
    """That what is to be read, scored and judged on Spark fits together."""
    files = "name files with `path` or `uri`"
    if data.table and engine == "local":
        what = f"'data' of {section.owner} names a table, which Spark reads, and 'engine' is local."
        section.error("AME-E129", "engine", what, fix=f"Write `engine: spark`, or {files}.")
    if engine == "local" and section.given("spark") and scoring.engine != "spark":
        what = f"'spark' of {section.owner} has no effect."
        section.error("AME-W104", "spark", what, why="Its 'engine' is local.")
    if scoring.section is None:
        return
    owner = scoring.section.owner
    if data.table and scoring.engine == "local":
        what = (
            f"'data' of {section.owner} names a table, which Spark reads, and 'engine' of {owner} is local."
        )
        scoring.section.error("AME-E129", "engine", what, fix=f"Leave 'engine' out, or {files}.")
    if scoring.engine == "spark" and engine == "local":
        what = f"'engine' of {owner} is spark, and 'engine' of {section.owner} is local."
        why = "What is scored on Spark is judged there too, or where `auto` decides."
        fix = "Write `engine: spark` or `engine: auto` in `abTest`."
        scoring.section.error("AME-E129", "engine", what, why, fix)
    elif scoring.environment == "current" and _on_spark(data, engine, scoring):
        what = f"'environment' of {owner} is {scoring.environment}, and the versions are scored on Spark."
        why = "There the environment of the executors scores, whatever stands here."
        fix = "Leave 'environment' out."
        if not data.table:
            fix = "Leave 'environment' out, or score outside of Spark with `engine: local` beside it."
        scoring.section.error("AME-E129", "environment", what, why, fix)


def _on_spark(data: Rows, engine: Engine | None, scoring: _Scoring) -> bool:
    """Whether it is sure already that versions are scored on Spark."""
    return scoring.engine == "spark" or (scoring.engine == "auto" and (engine == "spark" or bool(data.table)))
