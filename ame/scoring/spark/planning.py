"""From two model versions to a plan for tasks: the models on the executors, and the classes they tell."""

from __future__ import annotations

import json
import shutil
import tempfile
import threading
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, suppress
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa

from ame.diagnosis import Refused
from ame.scoring.spark.frame import packed
from ame.scoring.spark.holdout import SparkHoldout
from ame.scoring.spark.loading import TaskFailed
from ame.scoring.spark.native import NativeModel, label_of, load_native, spark_flavor
from ame.scoring.spark.refusals import cannot_score, no_rows, other_classes
from ame.scoring.spark.tasks import Plan
from ame.scoring.versions import FetchedModel
from ame.store import digest_of_folder

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["digest_of_model", "natives_of", "with_models"]


def digest_of_model(model: FetchedModel) -> str:
    """SHA-256 of a model's files."""
    return digest_of_folder(model.folder, [path for path in model.folder.rglob("*") if path.is_file()])


def natives_of(
    spark: SparkSession, models: Mapping[str, FetchedModel], task: str, stack: ExitStack
) -> dict[str, NativeModel]:
    """The models of Spark ML, loaded, by the names that they have in `models`.

    Their files stand on the executors until the stack is closed: some models read them while they answer.

    Raises:
        Refused: AME-E542 when Spark cannot read one; AME-E543 or AME-E404 when it does not answer the task.
    """
    found = {}
    for name, model in models.items():
        if spark_flavor(model) is not None:
            try:
                found[name] = load_native(model, _seen_by_all(spark, model, stack), task)
            except TaskFailed as failed:
                raise cannot_score(model.title, failed.lines, first=name == next(iter(models))) from None
    return found


def with_models(
    spark: SparkSession,
    holdout: SparkHoldout,
    plan: Plan,
    models: Mapping[str, FetchedModel],
    natives: Mapping[str, NativeModel],
) -> Plan:
    """The plan with models that stand on the executors and have told their classes.

    Raises:
        Refused: AME-E404, when they tell different classes, AME-E401, when the holdout has no rows.
    """
    answering = tuple(
        replace(model, told=natives[model.name].told)
        if model.name in natives
        else replace(model, archive=_shipped(spark, models[model.name]))
        for model in plan.models
    )
    plan = replace(plan, models=answering)
    told = {} if len(natives) == len(models) else _ask(spark, holdout, plan)
    if not told and len(natives) < len(models):  # a table without a row has no task that could tell
        raise no_rows(holdout.name, holdout.where)
    if plan.task != "multiclass":
        return plan
    return _with_classes(plan, told, {name: model.title for name, model in models.items()})


def _ask(spark: SparkSession, holdout: SparkHoldout, plan: Plan) -> dict[str, tuple[list[Any] | None, int]]:
    """Load each model once, on one executor: its classes, and how many numbers it answers for a row."""
    if holdout.table is not None:
        frame = holdout.frame(spark).limit(1000).select(packed(plan)).coalesce(1)
    else:
        frame = spark.range(0, 1, 1, 1)
    told = frame.mapInArrow(plan.tell, "name string, classes string, width long").collect()
    return {each["name"]: (json.loads(each["classes"]), each["width"]) for each in told}


def _with_classes(
    plan: Plan, told: Mapping[str, tuple[list[Any] | None, int]], titles: Mapping[str, str]
) -> Plan:
    """The classes whose probabilities are written, the same and in the same order for each model."""
    asked = {name: None if classes is None else tuple(classes) for name, (classes, _) in told.items()}
    named = {model.name: asked.get(model.name, model.told) for model in plan.models}
    # Models that tell labels as they are in the rows come before those that tell texts made of them.
    wanted = plan.classes or next(filter(None, (*asked.values(), *named.values())), ())
    own = {name: classes and label_of(classes, wanted) for name, classes in named.items()}
    widths = {name: len(classes) if classes else told[name][1] for name, classes in own.items()}
    strange = any(classes and set(classes) != set(wanted) for classes in own.values())
    if strange or len({*widths.values(), *([len(wanted)] if wanted else [])}) > 1:
        raise other_classes({titles[name]: (own[name], widths[name]) for name in titles})
    kind = pa.list_(pa.float64(), max(widths.values()))
    models = tuple(replace(model, told=own[model.name], kind=kind) for model in plan.models)
    return replace(plan, classes=wanted, models=models)


_lock = threading.Lock()
_sent: set[tuple[str, str]] = set()


def _shipped(spark: SparkSession, model: FetchedModel) -> str:
    """Have Spark unpack the model once on each executor; returns the folder's name there."""
    from pyspark import SparkFiles

    context = spark.sparkContext
    name = f"ame-model-{digest_of_model(model)[:16]}"
    with _lock:
        if (context.applicationId, name) not in _sent:
            # Executors that come later fetch it, too: it lasts as long as the session.
            folder = Path(SparkFiles.getRootDirectory(), "ame-models")
            folder.mkdir(mode=0o700, exist_ok=True)
            file = folder / f"{name}.zip"
            with zipfile.ZipFile(file, "w", zipfile.ZIP_DEFLATED, compresslevel=1) as archive:
                for path in sorted(model.folder.rglob("*")):
                    archive.write(path, path.relative_to(model.folder))
            context.addArchive(f"{file}#{name}")
            _sent.add((context.applicationId, name))
    return name


def _seen_by_all(spark: SparkSession, model: FetchedModel, stack: ExitStack) -> Path:
    """A folder with the model that the driver and all executors have under one path.

    Spark reads its own models in tasks, and executors on other machines do not see the driver's disk.
    """
    if spark.sparkContext.master.startswith("local"):
        return model.folder
    from py4j.protocol import Py4JError

    from ame.spark.executors import ask_executors

    name = _shipped(spark, model)
    folder = Path(tempfile.gettempdir(), f"{name}-{uuid.uuid4().hex}")

    def unpack(_: Any) -> Iterator[str]:
        import shutil
        import uuid
        from pathlib import Path

        from pyspark import SparkFiles

        if not folder.exists():
            half = Path(f"{folder}.{uuid.uuid4().hex}")
            shutil.copytree(SparkFiles.get(name), half)
            try:
                half.rename(folder)
            except OSError:  # another task of this machine was quicker
                shutil.rmtree(half)
        yield str(folder)

    def remove(_: Any) -> Iterator[str]:
        import shutil

        shutil.rmtree(folder, ignore_errors=True)
        yield str(folder)

    def clear() -> None:
        # When the session is at its end so are the executors.
        with suppress(Refused, Py4JError, OSError, AttributeError):
            ask_executors(spark, remove)
        shutil.rmtree(folder, ignore_errors=True)

    stack.callback(clear)
    ask_executors(spark, unpack)
    if not folder.exists():
        shutil.copytree(model.folder, folder)
    return folder
