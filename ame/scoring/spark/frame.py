"""The one narrow pass: a partition a piece, through the JVM where a model of Spark ML takes part."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from typing import TYPE_CHECKING

import pyarrow as pa

from ame.scoring.spark.holdout import SparkHoldout
from ame.scoring.spark.loading import TaskFailed, found_in
from ame.scoring.spark.native import NativeModel, quoted
from ame.scoring.spark.refusals import last_words
from ame.scoring.spark.rows import POSITION, ROW
from ame.scoring.spark.tasks import Plan
from ame.scoring.spark.types import spark_type

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

__all__ = ["blaming", "frame_of", "packed", "spark_errors"]

#: What an error of the JVM says when a stage of a model has failed, and not Spark itself.
_OF_A_MODEL = ("org.apache.spark.ml", "USER_DEFINED_FUN", "UDF")


def packed(plan: Plan) -> Column:
    """All columns of a table that tasks need as one, whose names no model's columns can meet."""
    from pyspark.sql import functions as of

    return of.struct(*map(quoted, plan.read)).alias(ROW)


def frame_of(
    spark: SparkSession, holdout: SparkHoldout, plan: Plan, natives: Mapping[str, NativeModel]
) -> DataFrame:
    """One partition a piece: its number or, where a model of Spark ML takes part, its rows with answers.

    Raises:
        TaskFailed: when a model of Spark ML does not take these columns.
    """
    from pyspark.sql import functions as of
    from pyspark.sql.pandas.types import from_arrow_schema

    needed = list(
        dict.fromkeys(name for model in plan.models if model.name in natives for name in model.features)
    )
    if holdout.table is not None:
        rows = holdout.frame(spark)
        carried = [packed(plan)]
        if not natives:
            return rows.select(*carried)
        carried.append(of.monotonically_increasing_id().alias(POSITION))
        frame, kept = rows.select(*carried, *map(quoted, needed)), [ROW, POSITION]
    else:
        count = len(plan.pieces)
        frame, kept = spark.range(0, count, 1, count), [POSITION]
        if not natives:
            return frame
        types = [(name, spark_type(plan.schema.field(name).type)) for name in needed]
        schema = from_arrow_schema(pa.schema([(POSITION, pa.int64()), *types]), prefer_timestamp_ntz=True)

        def feed(batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
            return plan.feed(batches, needed)

        frame = frame.mapInArrow(feed, schema)
    for position, (name, model) in enumerate(natives.items()):
        last = position == len(natives) - 1
        column = next(each.column for each in plan.models if each.name == name)
        try:
            frame = model.answers(frame, column, kept if last else [*kept, *needed])
        except spark_errors() as error:  # for example columns of a type that a stage does not take
            raise TaskFailed(name, last_words(str(error))) from None
        kept = [*kept, column]
    return frame


@contextmanager
def blaming(
    spark: SparkSession, holdout: SparkHoldout, plan: Plan, natives: Mapping[str, NativeModel]
) -> Iterator[None]:
    """Find out which model of Spark ML it was that failed inside the JVM.

    Raises:
        TaskFailed: with that model's name.
    """
    try:
        yield
    except spark_errors() as error:
        text = str(error)
        failed = found_in(text)
        if failed is None and not any(word in text for word in _OF_A_MODEL):
            raise
        if not natives or (failed is not None and failed.who != "native"):
            raise
        names = list(natives)
        lines = failed.lines if failed is not None else last_words(text)
        if len(names) > 1 and not _alone_fails(spark, holdout, plan, natives, names[0], failed is not None):
            raise TaskFailed(names[1], lines) from None
        raise TaskFailed(names[0], lines) from None


def _alone_fails(
    spark: SparkSession,
    holdout: SparkHoldout,
    plan: Plan,
    natives: Mapping[str, NativeModel],
    name: str,
    skipped: bool,
) -> bool:
    """Whether the rows fail with this model alone, too: one pass that writes nothing."""
    if skipped:
        return natives[name].skips
    alone = replace(plan, models=tuple(model for model in plan.models if model.name == name))
    try:
        frame = frame_of(spark, holdout, alone, {name: natives[name]})
        frame.write.format("noop").mode("overwrite").save()
    except spark_errors():
        return True
    return False


def spark_errors() -> tuple[type[Exception], ...]:
    """What PySpark raises for what happens in the JVM and in the tasks."""
    from py4j.protocol import Py4JError
    from pyspark.errors import PySparkException

    return PySparkException, Py4JError
