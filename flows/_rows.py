"""What a comparison reads: the rows, those of their columns that it needs, and the models' files."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, TypeAlias

from ame.gate.config import ABTest
from ame.registry import Version
from ame.spec import AbTestSection
from flows._output import to_run_log
from flows._session import ComparisonSession
from flows._work import Work
from flows.data_set import produced

if TYPE_CHECKING:
    from ame.scoring import FetchedModel, Holdout, SparkHoldout

__all__ = [
    "AnyHoldout",
    "asked_of_table",
    "features_of",
    "fetched",
    "open_rows",
    "open_training",
    "used_columns",
]

AnyHoldout: TypeAlias = "Holdout | SparkHoldout"


def used_columns(gate: ABTest) -> dict[str, str]:
    """The holdout's columns that the gate itself reads, each with what it is for."""
    named = [(gate.label, "the label"), (gate.entity, "the entity"), (gate.row, "what tells rows apart")]
    named += [(gate.time, "the time"), *((column, "a slice") for column in gate.slices)]
    found: dict[str, str] = {}
    for column, use in named:
        if column is not None:
            found.setdefault(column, use)
    return found


def asked_of_table(gate: ABTest, row: str | None, classes: Sequence[Any]) -> ABTest:
    """The gate as it is asked of a table of scores.

    Args:
        row: the table's column of the rows' hashes; None where the file names a column of the holdout.
        classes: what the models tell, where the file names none.
    """
    return replace(
        gate, row=gate.row or row, row_is_content=gate.row is None, classes=gate.classes or tuple(classes)
    )


async def fetched(work: Work, version: Version, folder: Path) -> FetchedModel:
    """A version's files, on this machine.

    Raises:
        Refused: AME-E403, when it is no MLflow model.
    """
    from ame.scoring import fetch_model

    title = f"version {version.number} of '{version.model}'"
    return await asyncio.to_thread(fetch_model, version.uri, work.registry.uri, folder, title)


def features_of(section: AbTestSection, model: FetchedModel, holdout: AnyHoldout) -> tuple[str, ...]:
    """The columns that a model gets: those that the file names, else its signature's, else all others.

    Raises:
        Refused: AME-E402, when the holdout lacks one.
    """
    if section.features or model.inputs:
        features = section.features or model.inputs
        holdout.require(features, section.where, f"an input of {model.title}")
        return features
    gate = section.gate
    not_features = {gate.label, gate.entity, gate.row, gate.time}
    return tuple(name for name in holdout.columns if name not in not_features)


async def open_rows(work: Work, section: AbTestSection, session: ComparisonSession) -> AnyHoldout:
    """The holdout that the file names, with every column that the gate reads.

    It is opened for Spark where the scoring is to be done there: `engine: spark` says so, a table can be read
    by nothing else, and `engine: auto` does it for more than `SPARK_ROWS` rows if the file has a `spark`
    section.

    Raises:
        Refused: AME-E401, when it cannot be read, AME-E402, when it lacks a column.
    """
    if section.data_table is not None:
        from ame.scoring import open_spark_holdout

        spark, table = await session.opened(), section.data_table
        holdout: AnyHoldout = await asyncio.to_thread(
            open_spark_holdout, table, table, section.where, spark=spark
        )
    else:
        data, name = await _place(work, section.data_set, section.data_path, section.data_uri)
        holdout = await asyncio.to_thread(_open, data, name, section, to_run_log())
    for column, use in used_columns(section.gate).items():
        holdout.require([column], section.where, use)
    return holdout


def _open(data: Path | str, name: str, section: AbTestSection, say: Callable[[str], None]) -> AnyHoldout:
    from ame.gate.ab_test import SPARK_ROWS
    from ame.scoring import open_holdout, open_spark_holdout

    engine = section.engine if section.scoring_engine == "auto" else section.scoring_engine
    if engine == "local" or (engine == "auto" and section.spark is None):
        return open_holdout(data, name, section.where)
    spread = open_spark_holdout(data, name, section.where)
    if engine == "spark":
        return spread
    many = spread.rows is not None and spread.rows > SPARK_ROWS
    counted = "an unknown number of" if spread.rows is None else f"{spread.rows:,}"
    say(f"engine auto: {'spark' if many else 'local'}, for {counted} rows")
    return spread if many else open_holdout(data, name, section.where)


async def open_training(work: Work, section: AbTestSection) -> Holdout | None:
    """The rows that the models are trained on, where the file names them.

    Raises:
        Refused: AME-E401, when they cannot be read.
    """
    from ame.scoring import open_holdout

    if section.trained_on is None:
        return None
    data, name = await _place(work, section.training_set, section.training_path, section.training_uri)
    return await asyncio.to_thread(open_holdout, data, name, section.where, "training rows")


async def _place(
    work: Work, data_set: str | None, path: str | None, uri: str | None
) -> tuple[Path | str, str]:
    """Where rows are that the file names as a data set, by a path or by a URI, and what they are called."""
    if uri is not None:
        return uri, uri
    if data_set is None:
        return work.project.folder / str(path), str(path)
    key = (await produced(work, [data_set])).get(data_set)
    if key:
        return work.store.path(key), data_set
    return work.project.folder / work.project.data_sets[data_set].path, data_set
