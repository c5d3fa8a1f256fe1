"""What is refused when both models are scored on Spark, and how its long errors are told in a few lines."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any

from ame.diagnosis import Diagnosis, Refused, Where
from ame.scoring.spark.loading import found_in

__all__ = [
    "cannot_load",
    "cannot_score",
    "last_words",
    "no_rows",
    "not_kept",
    "not_there",
    "not_whole",
    "not_written",
    "of_holdout",
    "unfinished",
]

_LINES = 8
_OUTSIDE = "or set `scoring: {engine: local}`, which scores outside Spark, in each model's own environment."


def cannot_score(title: str, lines: Sequence[str], *, first: bool) -> Refused:
    """A model that fails on the rows; the first of the models, the champion, leaves no decision."""
    last = "\n".join(f"    {line}" for line in lines[-_LINES:])
    return Refused(
        Diagnosis(
            code="AME-E543" if first else "AME-E404",
            what=f"{title} cannot score the holdout: its model failed on Spark.",
            why=f"Its last lines:\n{last}",
            fix="Try mlflow.pyfunc.load_model and its predict on the holdout, where the training runs.",
        )
    )


def cannot_load(title: str, lines: Sequence[str]) -> Refused:
    """A model of Spark ML that the session cannot read."""
    last = "\n".join(f"    {line}" for line in lines[-_LINES:])
    return Refused(
        Diagnosis(
            code="AME-E542",
            what=f"{title} is a model of Spark ML that this Spark session cannot load.",
            why=f"Spark says:\n{last}",
            fix="A class that is missing comes with its package: name it in `conf: {spark.jars: ...}` of "
            "`spark`.",
        )
    )


def of_holdout(name: str, where: Where, lines: Sequence[str]) -> Refused:
    """Rows that an executor cannot read."""
    return Refused(
        Diagnosis(
            code="AME-E401",
            where=where,
            what=f"the holdout '{name}' cannot be read on an executor of Spark.",
            why=f"{lines[-1].rstrip('.') if lines else 'It says nothing'}.",
            fix="Executors read the files themselves: give an s3:// URI and the bucket's settings in their "
            "environment, or a folder that they all share. Leave the files alone while a command runs.",
        )
    )


def no_rows(name: str, where: Where) -> Refused:
    """A holdout without a row."""
    return Refused(
        Diagnosis(
            code="AME-E401",
            where=where,
            what=f"the holdout '{name}' has no rows.",
            fix="Name a holdout with rows that both models can answer.",
        )
    )


def not_kept(folder: str, why: str) -> Refused:
    """A folder for the scores in which the driver cannot write."""
    return Refused(
        Diagnosis(
            code="AME-E544",
            what=f"the scores cannot be kept in {folder}.",
            why=f"{why.partition(chr(10))[0].rstrip('. ')}.",
            fix="Give the driver the right to write there, or room, or another store.",
        )
    )


def not_written(folder: str, lines: Sequence[str]) -> Refused:
    """Scores that an executor cannot write."""
    return Refused(
        Diagnosis(
            code="AME-E544",
            what=f"the executors of Spark cannot write the scores to {folder}.",
            why=f"{lines[-1].rstrip('.') if lines else 'They say nothing'}.",
            fix="They write by themselves: use an s3:// store and put the bucket's settings into their "
            f"environment, or a folder that they all share; {_OUTSIDE}",
        )
    )


def other_classes(told: Mapping[str, tuple[Sequence[Any] | None, int]]) -> Refused:
    """Models that tell other classes; by title, what each tells and how many numbers it answers for a row."""
    answers = " and ".join(
        f"{title} tells {', '.join(map(repr, classes)) if classes else f'{width} classes without names'}"
        for title, (classes, width) in told.items()
    )
    return Refused(
        Diagnosis(
            code="AME-E404",
            what="champion and challenger do not answer with the same classes.",
            why=f"{answers[0].upper()}{answers[1:]}.",
            fix="Train both on the same classes, or name them in `classes` of the abTest.",
        )
    )


def not_there(folder: str, missing: int) -> Refused:
    """Scores that an executor wrote elsewhere."""
    return Refused(
        Diagnosis(
            code="AME-E544",
            what=f"the executors of Spark have written scores, and {missing} files are not in {folder}.",
            why="Each executor has written to its own disk.",
            fix=f"Use an s3:// store, or a folder that they all share; {_OUTSIDE}",
        )
    )


def not_whole(folder: str, damaged: int) -> Refused:
    """Scores that came into the store otherwise than they were sent."""
    return Refused(
        Diagnosis(
            code="AME-E544",
            what=f"{damaged} files of scores in {folder} are not what the executors of Spark have written.",
            why="The store has kept something else than it was sent.",
            fix="Give the executors credentials of the store. One that does not know the checksums of newer "
            "clients needs AWS_REQUEST_CHECKSUM_CALCULATION=when_required on the driver and the executors.",
        )
    )


def unfinished(error: BaseException, kept: str) -> Refused:
    """A job that ended for other reasons than the models and the files."""
    last = "\n".join(f"    {line}" for line in last_words(str(error)))
    return Refused(
        Diagnosis(
            code="AME-E545",
            what="Spark has not finished the scores of the holdout.",
            why=f"It says:\n{last}",
            fix=f"Whole files of scores stay in {kept}; run it again, and only the others are made. "
            "Executors that were killed mostly need more memory: `spark: {resources: {memory: ...}}`.",
        )
    )


def last_words(text: str) -> list[str]:
    """What Spark's error says, without stacks: its first line and what it was caused by.

    Of an error of Python in a task that is the end of its traceback.
    """
    told = found_in(text)
    if told is not None:
        return told.lines
    text = re.sub(r"^ *Traceback \(most recent call last\):\n(?:[ \t]+.*\n)*", "", text, flags=re.MULTILINE)
    lines = [line.strip() for line in text.splitlines()]
    causes = [line for line in lines if line.startswith("Caused by:")]
    head = [
        line
        for line in lines
        if line and not re.match(r"(at |\.\.\. \d+ more|Caused by:|Driver stack)", line)
    ]
    kept = [*head[:2], *causes[-2:]]
    return [line if len(line) <= 300 else f"{line[:297]}..." for line in dict.fromkeys(kept)]
