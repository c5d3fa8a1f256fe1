"""The rows that a comparison reads: where they are, and which of their columns it needs."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import TYPE_CHECKING, TypeAlias

from ame.gate.config import ABTest
from ame.spec import AbTestSection
from flows._work import Work
from flows.data_set import produced

if TYPE_CHECKING:
    from ame.scoring import FetchedModel, Holdout, SparkHoldout

__all__ = ["AnyHoldout", "features_of", "open_rows", "open_training", "used_columns"]

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


async def open_rows(work: Work, section: AbTestSection) -> AnyHoldout:
    """The holdout that the file names, with every column that the gate reads.

    Raises:
        Refused: AME-E401, when it cannot be read, AME-E402, when it lacks a column.
    """
    from ame.scoring import open_holdout, open_spark_holdout

    distant = section.data_uri or section.data_table
    if distant is not None:
        holdout: AnyHoldout = await asyncio.to_thread(open_spark_holdout, distant, distant, section.where)
    else:
        path, name = await _place(work, section.data_set, section.data_path)
        holdout = await asyncio.to_thread(open_holdout, path, name, section.where)
    for column, use in used_columns(section.gate).items():
        holdout.require([column], section.where, use)
    return holdout


async def open_training(work: Work, section: AbTestSection) -> AnyHoldout | None:
    """The rows that the models are trained on, where the file names them.

    Raises:
        Refused: AME-E401, when they cannot be read.
    """
    from ame.scoring import open_holdout, open_spark_holdout

    kind = "training rows"
    if section.training_uri:
        uri = section.training_uri
        return await asyncio.to_thread(open_spark_holdout, uri, uri, section.where, kind)
    if not section.training_set and not section.training_path:
        return None
    path, name = await _place(work, section.training_set, section.training_path)
    return await asyncio.to_thread(open_holdout, path, name, section.where, kind)


async def _place(work: Work, data_set: str | None, path: str | None) -> tuple[Path, str]:
    """Where rows are that the file names as a data set or by a path, and what they are called."""
    if data_set is None:
        return work.project.folder / str(path), str(path)
    key = (await produced(work, [data_set])).get(data_set)
    declared = work.project.folder / work.project.data_sets[data_set].path
    return work.store.path(key) if key else declared, data_set
