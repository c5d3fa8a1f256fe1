"""Score a holdout with both versions on Spark: one narrow pass, one file of scores a piece.

A task reads its piece with pyarrow, lets the models answer, and writes the piece's file by itself; no row
is shuffled or joined, and the driver hears of a file's name, rows and digests only. Where a model of Spark
ML takes part, its columns make a round through the JVM inside the same task.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import PurePosixPath
from typing import TYPE_CHECKING, Any

from ame.diagnosis import Diagnosis, Refused
from ame.gate.config import Task
from ame.places import Place, place_of
from ame.scoring.spark.frame import blaming, frame_of, spark_errors
from ame.scoring.spark.holdout import SparkHoldout
from ame.scoring.spark.loading import TaskFailed, found_in
from ame.scoring.spark.parts import PLACE, Part, Scores, begin, file_of, finish, finished, parts_in, tidy
from ame.scoring.spark.planning import digest_of_model, natives_of, with_models
from ame.scoring.spark.refusals import (
    cannot_score,
    no_rows,
    not_kept,
    not_there,
    not_whole,
    not_written,
    of_holdout,
    unfinished,
)
from ame.scoring.spark.tasks import Answering, Plan
from ame.scoring.versions import FetchedModel

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

__all__ = ["ScoredOnSpark", "score_on_spark", "scores_in"]

_WORDS = "scoring on Spark"

#: Changes when the files of scores get another form, so that old ones are not taken for new ones.
_FORM = 1


@dataclass(frozen=True, slots=True)
class ScoredOnSpark:
    """Where the scores are.

    Attributes:
        folder: a path or an `s3://` URI; its `part-*.parquet` files in order are the rows in order, with the
            columns that `join_scores` writes.
        rows: how many.
        files: their names, in order.
        digests: of each model's scores, by its name: SHA-256 over those of the files in order, each like
            `score_digests`. The same scores have the same digest as long as the holdout is cut alike, which
            the same files always are.
        digest: of all that was scored: the key of the scores, and the digests.
        classes: of many classes those whose probabilities are told, in their order; empty without names.
    """

    folder: str
    rows: int
    files: tuple[str, ...]
    digests: Mapping[str, str]
    digest: str
    classes: tuple[Any, ...] = ()


def score_on_spark(  # noqa: PLR0913 - what is asked, each by its name
    spark: SparkSession,
    holdout: SparkHoldout,
    models: Mapping[str, FetchedModel],
    *,
    features: Mapping[str, tuple[str, ...]],
    columns: Sequence[str],
    row: str | None,
    task: Task = "binary",
    classes: Sequence[Any] = (),
    output: str,
    progress: Callable[[str, float], None] = lambda _words, _share: None,
    on_line: Callable[[str], None] = lambda _line: None,
) -> ScoredOnSpark:
    """Write the table that the gate reads, as `join_scores` does, in parts.

    The scores lie in a folder of their own below `output`, named by what they are made of: the holdout's
    and the models' digests, the columns, the task. A folder that is complete is returned as it is; of one
    that a killed driver left, only the missing files are made. (A table's rows have no lasting order, so
    its folder is made anew.)

    Args:
        models: by the column of their scores; the first is the champion.
        features: the columns that each model gets, by the same names.
        columns: those of the holdout that the gate reads.
        row: the name of the column of the rows' hashes, over all the holdout's columns; None leaves it out.
        classes: of which classes the probabilities are wanted, in this order; empty for the models' own, in
            the first model's order.
        output: a folder that all executors see: a path or an `s3://` URI.

    Raises:
        Refused: AME-E543 when the champion fails on the rows and AME-E404 when another model does, or tells
            other classes; AME-E401 when the holdout cannot be read, AME-E542 for a model of Spark ML that
            does not load, AME-E544 when scores cannot be written, AME-E545 when Spark gives up.
    """
    from ame.spark import ship_code, tracked

    asked = {
        "form": _FORM,
        "holdout": holdout.digest,
        "models": {name: digest_of_model(model) for name, model in models.items()},
        "features": {name: list(features[name]) for name in models},
        "columns": list(columns),
        "row": row,
        "task": task,
        "classes": list(classes),
    }
    key = hashlib.sha256(json.dumps(asked, default=str).encode()).hexdigest()
    folder = place_of(f"{output.rstrip('/')}/{key[:16]}")
    if holdout.table is None and not holdout.pieces:
        raise no_rows(holdout.name, holdout.where)
    with _keeping(folder):
        scores = finished(folder, key)
    if scores is not None:
        on_line(f"the scores of {scores.rows:,} rows are in {folder.uri} already")
        return _told(folder, scores, models)
    titles = {name: model.title for name, model in models.items()}
    with _refusing(holdout, titles, folder), ExitStack() as stack:
        ship_code(spark)
        natives = natives_of(spark, models, task, stack)
        with _keeping(folder):
            there = _there(holdout, folder, key)
        plan = Plan(
            models=tuple(Answering(name, None, tuple(features[name])) for name in models),
            pieces=holdout.pieces,
            reading=holdout.reading,
            schema=holdout.schema(holdout.columns),
            columns=tuple(columns),
            row=row,
            task=task,
            classes=tuple(classes),
            folder=folder,
            key=key,
        )
        plan = with_models(spark, holdout, plan, models, natives)
        plan = replace(plan, pieces=tuple(each for each in holdout.pieces if each.number not in there))
        with _keeping(folder):
            begin(folder, key, asked)
        if there:
            on_line(f"{len(there):,} of {len(holdout.pieces):,} files of scores are there already")
        written = []
        if plan.pieces or holdout.table is not None:
            frame = frame_of(spark, holdout, plan, natives)
            with tracked(spark, _WORDS, progress, 0.0, 1.0), blaming(spark, holdout, plan, natives):
                written = frame.mapInArrow(plan.write, PLACE).collect()
        with _keeping(folder):
            parts = parts_in(folder, key)
    expected = {piece.number for piece in holdout.pieces} | {each["number"] for each in written}
    _check_files(folder, expected - {part.number for part in parts})
    _check_rows(holdout, parts, spark if natives else None)
    with _keeping(folder):
        tidy(folder, everything=False)
        scores = finish(folder, key, parts, plan.classes)
    return _told(folder, scores, models)


def scores_in(folder: str) -> ScoredOnSpark | None:
    """What `score_on_spark` has left in a folder; None where the scores are not there, or not all of them.

    Raises:
        OSError: when the folder cannot be read.
        ValueError: for an address that is none.
    """
    place = place_of(folder)
    scores = finished(place)
    return _told(place, scores, scores.parts[0].digests) if scores is not None and scores.parts else None


def _check_files(folder: Place, missing: Collection[int]) -> None:
    """Refuse scores of which files are missing after all have been written.

    Raises:
        Refused: AME-E544.
    """
    if not missing:
        return
    found = {PurePosixPath(info.path).name for info in folder.files()}
    damaged = sum(file_of(number) in found for number in missing)
    raise not_there(folder.uri, len(missing)) if damaged < len(missing) else not_whole(folder.uri, damaged)


def _told(folder: Place, scores: Scores, models: Iterable[str]) -> ScoredOnSpark:
    digests = {name: scores.digest_of(name) for name in models}
    whole = hashlib.sha256(json.dumps([scores.key, scores.rows, digests]).encode()).hexdigest()
    files = tuple(part.file for part in scores.parts)
    return ScoredOnSpark(folder.uri, scores.rows, files, digests, whole, scores.classes)


def _there(holdout: SparkHoldout, folder: Place, key: str) -> set[int]:
    """The numbers of the pieces whose scores are there."""
    if holdout.table is not None:
        tidy(folder, everything=True)
        return set()
    numbers = {piece.number for piece in holdout.pieces}
    return {part.number for part in parts_in(folder, key)} & numbers


@contextmanager
def _refusing(holdout: SparkHoldout, titles: Mapping[str, str], folder: Place) -> Iterator[None]:
    """Turn what Spark raises into a diagnosis of a few lines."""
    try:
        yield
    except TaskFailed as failed:
        raise _refusal(failed, holdout, titles, folder) from None
    except spark_errors() as error:
        told = found_in(str(error))
        if told is None:
            raise unfinished(error, folder.uri) from None
        raise _refusal(told, holdout, titles, folder) from None


@contextmanager
def _keeping(folder: Place) -> Iterator[None]:
    """Refuse a folder in which the driver itself cannot read or write."""
    try:
        yield
    except OSError as error:
        raise not_kept(folder.uri, str(error)) from error


def _refusal(failed: TaskFailed, holdout: SparkHoldout, titles: Mapping[str, str], folder: Place) -> Refused:
    if failed.who in titles:
        return cannot_score(titles[failed.who], failed.lines, first=failed.who == next(iter(titles)))
    if failed.who == "holdout":
        return of_holdout(holdout.name, holdout.where, failed.lines)
    return not_written(folder.uri, failed.lines)


def _check_rows(holdout: SparkHoldout, parts: Sequence[Part], spark: SparkSession | None) -> None:
    """Refuse scores of other rows than the holdout has, as far as that can be told."""
    rows = sum(part.rows for part in parts)
    if holdout.table is not None:
        # Only what stands at a partition's ends could be left out unseen.
        known = holdout.frame(spark).count() if spark is not None else rows
    else:
        known = holdout.rows if holdout.rows is not None else rows
    if known != rows:
        raise Refused(
            Diagnosis(
                code="AME-E401",
                where=holdout.where,
                what=f"the holdout '{holdout.name}' has changed while it was scored.",
                why=f"It has {known:,} rows, and {rows:,} were scored.",
                fix="Leave the rows alone while a command runs; then run it again.",
            )
        )
    if not rows:
        raise no_rows(holdout.name, holdout.where)
