"""Stored scores of a test as a population, from which tests with a known truth are drawn.

Swapping the two models' answers with probability 1/2 makes them exactly exchangeable, on any metric and with
all the ties, outliers and dependence of real rows: then neither is better, and a promotion is a mistake. A
difference is put in by giving, in a share of the rows, the challenger whichever of the two answers is the
better one for the row's label. Rows of one entity are drawn, swapped and helped together.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
from numpy.typing import NDArray

from ame.diagnosis import Diagnosis, Refused
from ame.gate.config import ABTest

__all__ = ["Drawn", "Population", "population"]

MODELS = ("champion", "challenger")


@dataclass(frozen=True, slots=True, eq=False)
class Drawn:
    """Rows of one drawn test.

    Attributes:
        table: with the columns that the test needs; an entity drawn twice is two entities.
        positive: bool, shape (rows,), the label of a binary test; None in others.
        scores: float64, shape (2, rows) or (2, rows, classes): the champion's and the challenger's.
    """

    table: pa.Table
    positive: NDArray[np.bool_] | None
    scores: NDArray[np.float64]


@dataclass(frozen=True, slots=True, eq=False)
class Population:
    """What is drawn from.

    Attributes:
        table: the label, slice and entity columns, without the scores.
        entity: the name of the entity column, or None.
        scores: float64, shape (2, n) or (2, n, classes).
        positive: bool, shape (n,), or None outside of binary tests.
        better: bool, shape (n,), whether the challenger's answer is the better one for the row's label.
        order: int64, shape (n,), the rows in the order of their entities; of themselves without one.
        starts, sizes: int64, shape (units,), where each entity's rows begin in `order` and how many.
    """

    table: pa.Table
    entity: str | None
    scores: NDArray[np.float64]
    positive: NDArray[np.bool_] | None
    better: NDArray[np.bool_]
    order: NDArray[np.int64]
    starts: NDArray[np.int64]
    sizes: NDArray[np.int64]

    def draw(self, random: np.random.Generator, rows: int, share: float = 0.0) -> Drawn:
        """About `rows` rows drawn with replacement, in whole entities, with the answers swapped at random.

        In a `share` of the units (-1 to 1) the challenger gets the better answer, or the worse one when it
        is negative; in the others a coin decides. With `share=0` the models are equal.
        """
        units = max(1, round(rows * self.sizes.size / self.order.size))
        chosen = random.integers(0, self.sizes.size, units)
        sizes = self.sizes[chosen]
        unit = np.repeat(np.arange(units), sizes)
        within = np.arange(unit.size) - np.repeat(np.cumsum(sizes) - sizes, sizes)
        picked = self.order[self.starts[chosen][unit] + within]
        swapped = (random.random(units) < 0.5)[unit]
        helped = (random.random(units) < abs(share))[unit]
        swapped = np.where(helped, self.better[picked] == (share < 0), swapped)
        return self._taken(picked, swapped, unit)

    def arranged(self, better: int, of: int) -> Drawn:
        """Each row `of` times, the challenger with the better answer in `better` of them: no chance in it."""
        n = self.order.size
        picked = np.tile(np.arange(n), of)
        swapped = np.concatenate([self.better == (turn >= better) for turn in range(of)])
        return self._taken(picked, swapped, None)

    def _taken(
        self, picked: NDArray[np.int64], swapped: NDArray[np.bool_], unit: NDArray[np.int64] | None
    ) -> Drawn:
        scores = np.stack([self.scores[swapped.astype(np.intp), picked], self.scores[1 - swapped, picked]])
        table = self.table.take(pa.array(picked))
        for model, values in zip(MODELS, scores, strict=True):
            table = table.append_column(model, _column(values))
        if self.entity is not None and unit is not None:
            at = table.schema.get_field_index(self.entity)
            table = table.set_column(at, self.entity, pa.array(unit))
        return Drawn(table, None if self.positive is None else self.positive[picked], scores)


def population(config: ABTest, table: pa.Table) -> Population:
    """The stored rows of a paired test that passed its checks.

    Raises:
        Refused: AME-E531 when labels or scores cannot be read as the task's.
    """
    table = table.combine_chunks()
    try:
        scores = np.stack([_values(table.column(model)) for model in MODELS])
        positive, better = _better(config, table.column(config.label), scores)
    except (ValueError, pa.ArrowInvalid, pa.ArrowNotImplementedError) as error:
        raise Refused(
            Diagnosis(
                code="AME-E531",
                what=f"The stored scores are not those of a {config.task} test.",
                why=str(error).splitlines()[0],
                fix="Give the scores that the test has read, and its configuration.",
            )
        ) from error
    n = table.num_rows
    order = np.arange(n)
    starts, sizes = order, np.ones(n, dtype=np.int64)
    if config.entity is not None:
        codes = pc.dictionary_encode(table.column(config.entity).cast(pa.string())).combine_chunks().indices
        code = codes.to_numpy(zero_copy_only=False)
        order = np.argsort(code, kind="stable")
        sizes = np.bincount(code)
        starts = np.cumsum(sizes) - sizes
    kept = [config.label, *config.slices, *([config.entity] if config.entity is not None else [])]
    return Population(
        table.select(list(dict.fromkeys(kept))),
        config.entity,
        scores,
        positive,
        better,
        order,
        starts,
        sizes,
    )


def _better(
    config: ABTest, label: pa.ChunkedArray, scores: NDArray[np.float64]
) -> tuple[NDArray[np.bool_] | None, NDArray[np.bool_]]:
    """The binary labels, and whether the challenger's answer is the better one."""
    if (config.task == "multiclass") != (scores.ndim == 3):
        raise ValueError("A multiclass test has a list of scores in each row, other tests have a number.")
    if config.task == "multiclass":
        known = [str(value) for value in config.classes or range(scores.shape[2])]
        found = pc.index_in(label.cast(pa.string()), value_set=pa.array(known)).combine_chunks()
        if found.null_count:
            raise ValueError(f"{found.null_count:,} labels are none of the classes {', '.join(known[:10])}.")
        given = scores[:, np.arange(len(label)), found.to_numpy(zero_copy_only=False)]
        return None, given[1] >= given[0]
    truth = _values(label)
    if config.task == "regression":
        error = np.abs(scores - truth)
        return None, error[1] <= error[0]
    positive = truth == 1.0
    return positive, np.where(positive, scores[1] >= scores[0], scores[1] <= scores[0])


def _values(column: pa.ChunkedArray) -> NDArray[np.float64]:
    """Numbers, shape (n,), or lists of one length, shape (n, length)."""
    array = column.combine_chunks()
    if isinstance(array, pa.ChunkedArray):
        array = pa.concat_arrays(array.chunks)
    kind = array.type
    if not (pa.types.is_list(kind) or pa.types.is_large_list(kind) or pa.types.is_fixed_size_list(kind)):
        return np.asarray(array.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False))
    flat = array.flatten().cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return np.asarray(flat.reshape(len(array), -1))


def _column(values: NDArray[np.float64]) -> pa.Array:
    if values.ndim == 1:
        return pa.array(values)
    return pa.FixedSizeListArray.from_arrays(pa.array(values.ravel()), values.shape[1])
