"""Rows that come from the JVM, in the order in which they went there."""

from __future__ import annotations

from collections.abc import Iterator

import pyarrow as pa

from ame.scoring.spark.loading import TaskFailed

__all__ = ["POSITION", "ROW", "Answers", "in_batches", "opened", "position_of", "rows_of_table"]

#: Columns of ours that travel through the JVM; no model has features of these names.
POSITION, ROW = "__ame_position", "__ame_row"


def in_batches(batches: Iterator[pa.RecordBatch], rows: int) -> Iterator[pa.RecordBatch]:
    """The same rows, so many at a time: as score.py has them, whose models answer like batches alike.

    (The last bit of a model's answer may depend on the rows beside it: libraries take several at once.)
    """
    held: list[pa.RecordBatch] = []
    count = 0
    for batch in batches:
        held.append(batch)
        count += batch.num_rows
        while count >= rows:
            whole = _joined(held)
            yield whole.slice(0, rows)
            held, count = [whole.slice(rows)], count - rows
    if count:
        yield _joined(held)


def _joined(batches: list[pa.RecordBatch]) -> pa.RecordBatch:
    if len(batches) == 1:
        return batches[0]
    joined: pa.RecordBatch = (
        pa.Table.from_batches(batches).unify_dictionaries().combine_chunks().to_batches()[0]
    )
    return joined


class Answers:
    """Rows that come back from the JVM, as many at a time as are asked for."""

    def __init__(self, batches: Iterator[pa.RecordBatch], start: int) -> None:
        self._batches = batches
        self._rest: pa.Table | None = None
        self._next = start

    def take(self, rows: int) -> pa.RecordBatch:
        """The answers of the next rows.

        Raises:
            TaskFailed: when these are other rows.
        """
        while self._rest is None or self._rest.num_rows < rows:
            batch = next(self._batches, None)
            if batch is None:
                break
            fresh = pa.Table.from_batches([batch])
            self._rest = fresh if self._rest is None else pa.concat_tables([self._rest, fresh])
        taken = self._rest.slice(0, rows) if self._rest is not None else None
        if taken is None or taken.num_rows < rows:
            raise _other_rows()
        self._rest = self._rest.slice(rows) if self._rest is not None else None
        batch = taken.combine_chunks().to_batches()[0]
        self._next = _in_order(batch, self._next)
        return batch

    def end(self) -> None:
        """Check that no row is left.

        Raises:
            TaskFailed: when there is one.
        """
        left = self._rest is not None and self._rest.num_rows
        if left or any(batch.num_rows for batch in self._batches):
            raise _other_rows()


def rows_of_table(
    batches: Iterator[pa.RecordBatch], schema: pa.Schema
) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch]]:
    """The rows of a partition, and beside them what Spark sends; where it counts from is its own affair.

    (It numbers a table that it holds itself before it cuts that into partitions.)
    """
    start: int | None = None
    for batch in batches:
        if not batch.num_rows:
            continue
        if POSITION in batch.schema.names:
            start = _in_order(batch, start)
        rows = opened(batch)
        yield rows.cast(pa.schema([schema.field(name) for name in rows.schema.names])), batch


def opened(batch: pa.RecordBatch) -> pa.RecordBatch:
    """The holdout's columns of rows that Spark sends."""
    return pa.RecordBatch.from_struct_array(batch.column(ROW))


def _in_order(batch: pa.RecordBatch, start: int | None) -> int:
    """The place after these rows, which have to stand from `start` on (None: anywhere), without a gap.

    Raises:
        TaskFailed.
    """
    places = batch.column(POSITION).to_numpy()
    if (start is not None and places[0] != start) or (places[1:] - places[:-1] != 1).any():
        raise _other_rows()
    return int(places[-1]) + 1


def _other_rows() -> TaskFailed:
    return TaskFailed(
        "native",
        [
            "It leaves rows out, or changes their order, and both models have to answer the same rows.",
            'Its stages may have handleInvalid="keep" or "error", but not "skip".',
        ],
    )


def position_of(number: int) -> int:
    """The place of a piece's first row, as Spark's monotonically_increasing_id counts: 2^33 a partition."""
    return number << 33
