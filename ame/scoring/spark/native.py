"""Models of Spark ML: they answer inside the JVM, from `probability` or `prediction`."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from ame.scoring.spark.loading import TaskFailed
from ame.scoring.spark.refusals import cannot_load, last_words
from ame.scoring.versions import FetchedModel

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

__all__ = ["NativeModel", "label_of", "load_native", "quoted", "spark_flavor"]


def spark_flavor(model: FetchedModel) -> dict[str, Any] | None:
    """What the MLmodel file tells of a model of Spark ML; None for all other models.

    Models of Spark Connect answer frames of pandas, as those of other libraries do.
    """
    described = yaml.safe_load((model.folder / "MLmodel").read_text())
    flavor = (described.get("flavors") or {}).get("spark")
    if not isinstance(flavor, dict) or str(flavor.get("model_class", "")).startswith("pyspark.ml.connect"):
        return None
    return flavor


@dataclass(frozen=True, slots=True)
class NativeModel:
    """A model of Spark ML, loaded in a session.

    Attributes:
        title: for messages.
        told: its classes, in the order of its probabilities; None where it has none.
        skips: whether a stage of it leaves out rows that it cannot read.
    """

    title: str
    told: tuple[Any, ...] | None
    skips: bool
    _pipeline: Any
    _output: str
    _task: str

    def answers(self, frame: DataFrame, column: str, keep: Sequence[str]) -> DataFrame:
        """The columns `keep` of a frame, and the model's answers in `column`: of many classes an array."""
        from pyspark.sql import functions as of

        answered = self._pipeline.transform(frame)
        return answered.select(*(of.col(quoted(name)) for name in keep), self._answer().alias(column))

    def _answer(self) -> Column:
        from pyspark.ml.functions import vector_to_array
        from pyspark.sql import functions as of

        output = of.col(quoted(self._output))
        if self.told is None:
            return output.cast("double")
        probabilities = vector_to_array(output)
        if self._task == "multiclass":
            return probabilities
        return of.get(probabilities, self.told.index(_greatest(self.told)))


def load_native(model: FetchedModel, folder: Path, task: str) -> NativeModel:
    """Load a model of Spark ML into the active session, from a folder that its executors see.

    Raises:
        Refused: AME-E542, when Spark cannot read it.
        TaskFailed: when it does not answer what the task asks for.
    """
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException
    from pyspark.ml import PipelineModel

    flavor = spark_flavor(model) or {}
    if flavor.get("code"):
        sys.path.insert(0, str(model.folder / flavor["code"]))
    data = folder / str(flavor.get("model_data", "sparkml"))
    try:
        pipeline = PipelineModel.load(f"file://{data.absolute()}")
        stages = list(_stages(pipeline))
        ends = [stage for stage in stages if stage.hasParam("predictionCol")]
        skips = any(
            stage.hasParam("handleInvalid") and stage.getOrDefault("handleInvalid") == "skip"
            for stage in stages
        )
    except (PySparkException, Py4JError, OSError, ValueError, ImportError, AttributeError) as error:
        raise cannot_load(model.title, last_words(str(error))) from None
    if not ends:
        raise TaskFailed("native", ["It has no stage that predicts."])
    last = ends[-1]
    probability = _named(last, "probabilityCol") if task != "regression" else ""
    if not probability:
        if task == "multiclass":
            raise TaskFailed("native", ["It tells no probabilities, and those of each class are needed."])
        return NativeModel(model.title, None, skips, pipeline, _named(last, "predictionCol"), task)
    told = _classes(stages, last)
    if len(told) < 2:
        raise TaskFailed("native", [f"the model knows one class only, {told[0]}, and cannot be compared"])
    if task == "binary" and len(told) > 2:
        words = f"It tells {len(told)} classes; two classes, or one number a row, can be compared."
        raise TaskFailed("native", [words])
    return NativeModel(model.title, told, skips, pipeline, probability, task)


def label_of(told: Sequence[Any], wanted: Sequence[Any]) -> tuple[Any, ...]:
    """The classes that a model tells, spelled as the wanted ones: an indexer turns numbers into texts."""
    spelled = {_text(label): label for label in wanted}
    return tuple(spelled.get(_text(label), label) for label in told)


def _text(label: Any) -> str:
    try:
        return repr(float(label))
    except (TypeError, ValueError):
        return str(label)


def _greatest(told: Sequence[Any]) -> Any:
    """The positive class: the greater one, as libraries that sort their classes have it."""
    try:
        return max(told, key=float)
    except (TypeError, ValueError):
        return max(told, key=str)


def _classes(stages: Sequence[Any], last: Any) -> tuple[Any, ...]:
    """The labels of the pipeline's own indexer of labels, else numbers from 0 on, as Spark ML has them."""
    label = _named(last, "labelCol")
    for stage in stages:
        if type(stage).__name__ != "StringIndexerModel":
            continue
        outputs = [_named(stage, "outputCol"), *(_named(stage, "outputCols") or [])]
        if label in outputs:
            return tuple(stage.labelsArray[max(0, outputs.index(label) - 1)])
    return tuple(range(int(last.numClasses)))


def _stages(model: Any) -> Iterator[Any]:
    """The stages of pipelines in pipelines, and of what a search has found best."""
    best = getattr(model, "bestModel", None)
    for stage in [best] if best is not None else getattr(model, "stages", []):
        if hasattr(stage, "stages") or hasattr(stage, "bestModel"):
            yield from _stages(stage)
        else:
            yield stage


def _named(stage: Any, param: str) -> Any:
    return stage.getOrDefault(param) if stage.hasParam(param) and stage.isDefined(param) else ""


def quoted(name: str) -> str:
    """A column's name as Spark reads it literally."""
    return "`{}`".format(name.replace("`", "``"))
