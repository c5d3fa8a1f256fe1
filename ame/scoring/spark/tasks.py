"""What a task of Spark does: read a piece of the holdout, let both models answer, write a file of scores."""

from __future__ import annotations

import hashlib
import itertools
import json
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from ame.places import Place
from ame.scoring import score
from ame.scoring.row_hashes import row_hashes
from ame.scoring.spark.loading import failing, loaded
from ame.scoring.spark.parts import file_of, new_file
from ame.scoring.spark.pieces import Piece, Rows
from ame.scoring.spark.rows import POSITION, Answers, in_batches, opened, position_of, rows_of_table
from ame.scoring.spark.types import for_spark

__all__ = ["Answering", "Plan"]

_READ = (OSError, pa.ArrowException, ValueError)


@dataclass(frozen=True, slots=True)
class Answering:
    """A model that answers.

    Attributes:
        name: of its column, for example `champion`.
        archive: what Spark has unpacked on each executor; None of a model of Spark ML, whose answers come
            with the rows, in the column `__ame_NAME`.
        features: the columns that it gets.
        told: the classes that it tells, in its own order; None when it tells none.
        kind: of its scores.
    """

    name: str
    archive: str | None
    features: tuple[str, ...]
    told: tuple[Any, ...] | None = None
    kind: pa.DataType = field(default_factory=pa.float64)

    @property
    def column(self) -> str:
        return f"__ame_{self.name}"


@dataclass(frozen=True, slots=True)
class Plan:
    """All that tasks have to know; plain data.

    Attributes:
        pieces: those to be scored; the task of a number has the piece at this place. None of a table.
        reading: how pieces are read; None of a table, whose rows come from Spark.
        schema: of the holdout.
        columns: those that the gate reads.
        row: what the column of hashes is called; None leaves it out.
        classes: whose probabilities are wanted, in this order; empty for the model's own.
        folder: where the files go.
        key: of the scores; stands in each file.
    """

    models: tuple[Answering, ...]
    pieces: tuple[Piece, ...]
    reading: Rows | None
    schema: pa.Schema
    columns: tuple[str, ...]
    row: str | None
    task: str
    classes: tuple[Any, ...]
    folder: Place
    key: str

    @property
    def read(self) -> list[str]:
        """The columns that a task needs, each once."""
        hashed = self.schema.names if self.row is not None else ()
        own = (name for model in self.models if model.archive for name in model.features)
        return list(dict.fromkeys((*self.columns, *hashed, *own)))

    @property
    def written(self) -> pa.Schema:
        """The columns of a file of scores."""
        row = [] if self.row is None else [pa.field(self.row, pa.uint64())]
        kept = [self.schema.field(name) for name in self.columns]
        return pa.schema([*row, *kept, *(pa.field(model.name, model.kind) for model in self.models)])

    def tell(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Load each model that a worker loads; tells its classes and, for many classes, how many.

        The champion comes first, also in scoring, so that a challenger which fails fails alone. A few of
        the first rows are answered, too, which shows early what would fail later.
        """
        rows = list(batches)
        frame = next(iter(self._first(rows)), None)
        names, told, widths = [], [], []
        for model in self.models:
            if model.archive is None:
                continue
            width = 0
            with failing(model.name):
                found = loaded(model.archive, self.task)
                score.order_of(found.classes, list(self.classes))
                if frame is not None:
                    column = _answers(self, model, frame, found.classes)
                    width = column.type.list_size if self.task == "multiclass" else 0
            names.append(model.name)
            told.append(json.dumps(found.classes, default=str))
            widths.append(width)
        yield pa.record_batch({"name": names, "classes": told, "width": pa.array(widths, pa.int64())})

    def _first(self, rows: list[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        if self.reading is None:
            yield from (opened(batch) for batch in rows if batch.num_rows)
        else:
            with failing("holdout", _READ):
                yield from self._read(self.pieces[0], self.read, 1000)

    def feed(self, batches: Iterator[pa.RecordBatch], columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of a task's piece for the JVM: their places and the columns of models of Spark ML."""
        for number in _numbers(batches):
            start = position_of(self.pieces[number].number)
            with failing("holdout", _READ):
                for batch in self._read(self.pieces[number], columns, 1 << 14):
                    places = pa.array(np.arange(start, start + batch.num_rows))
                    start += batch.num_rows
                    cast = [for_spark(batch.column(name)) for name in columns]
                    yield pa.RecordBatch.from_arrays([places, *cast], [POSITION, *columns])

    def write(self, batches: Iterator[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
        """Score a task's rows and write them; yields where they are (`PLACE`), one row a file."""
        if self.reading is None:
            number = _partition()
            rows = rows_of_table(batches, self.schema)
            first = next(rows, None)
            if first is not None:
                yield self._write(number, itertools.chain([first], rows))
        elif any(model.archive is None for model in self.models):
            piece = self.pieces[_partition()]
            answers = Answers(batches, position_of(piece.number))
            yield self._write(piece.number, self._of_piece(piece, answers))
        else:
            for place in _numbers(batches):
                piece = self.pieces[place]
                yield self._write(piece.number, self._of_piece(piece, None))

    def _read(self, piece: Piece, columns: Sequence[str], most: int) -> Iterator[pa.RecordBatch]:
        return iter(()) if self.reading is None else self.reading.read(piece, columns, most)

    def _of_piece(
        self, piece: Piece, answers: Answers | None
    ) -> Iterator[tuple[pa.RecordBatch, pa.RecordBatch | None]]:
        rows = in_batches(self._read(piece, self.read, score.ROWS), score.ROWS)
        while True:
            with failing("holdout", _READ):
                batch = next(rows, None)
            if batch is None:
                break
            yield batch, None if answers is None else answers.take(batch.num_rows)
        if answers is not None:
            answers.end()

    def _write(
        self, number: int, rows: Iterator[tuple[pa.RecordBatch, pa.RecordBatch | None]]
    ) -> pa.RecordBatch:
        schema, name, count = self.written, file_of(number), 0
        digests = {model.name: hashlib.sha256() for model in self.models}
        with new_file(self.folder, name) as file:
            with failing("output", (OSError,)):
                writer = pq.ParquetWriter(file, schema)
            for batch, answers in rows:
                scores = [self._scores(model, batch, answers) for model in self.models]
                for model, column in zip(self.models, scores, strict=True):
                    flat = column.flatten() if pa.types.is_nested(column.type) else column
                    digests[model.name].update(flat.to_numpy(zero_copy_only=False).astype("<f8").tobytes())
                keys = [] if self.row is None else [self._hashes(batch)]
                kept = [batch.column(column) for column in self.columns]
                with failing("output", (OSError,)):
                    writer.write_table(pa.Table.from_arrays([*keys, *kept, *scores], schema=schema))
                count += batch.num_rows
            told = json.dumps({model: digest.hexdigest() for model, digest in digests.items()})
            with failing("output", (OSError,)):
                about = {"key": self.key, "number": number, "rows": count, "digests": told}
                writer.add_key_value_metadata({"ame": json.dumps(about)})
                writer.close()
        return pa.record_batch({"number": [number], "file": [name], "rows": [count], "digests": [told]})

    def _hashes(self, batch: pa.RecordBatch) -> pa.Array:
        # Sorted, so that the order of columns in a file makes no other row of it.
        return pa.array(row_hashes(batch.select(sorted(self.schema.names))))

    def _scores(self, model: Answering, batch: pa.RecordBatch, answers: pa.RecordBatch | None) -> pa.Array:
        with failing(model.name):
            if model.archive is not None:
                told = loaded(model.archive, self.task).classes
                return _answers(self, model, batch, told).cast(model.kind)
            came = answers.column(model.column) if answers is not None else pa.nulls(0, model.kind)
            return _native(self, model, came).cast(model.kind)


def _answers(plan: Plan, model: Answering, batch: pa.RecordBatch, told: list[Any] | None) -> pa.Array:
    """What a model that a worker has loaded answers, in the order of the wanted classes."""
    frame = batch.select(list(model.features)).to_pandas()
    predicted = loaded(str(model.archive), plan.task).predict(frame)
    wanted = list(plan.classes)
    return score.column_of(predicted, len(frame), plan.task, wanted or told, score.order_of(told, wanted))


def _native(plan: Plan, model: Answering, column: pa.Array) -> pa.Array:
    """What a model of Spark ML has answered: a number a row or, for many classes, a list of numbers."""
    if plan.task != "multiclass":
        return column
    told, wanted = list(model.told or ()), list(plan.classes)
    flat = column.flatten().to_numpy(zero_copy_only=False)
    shaped = flat.reshape(len(column), -1) if len(column) else flat.reshape(0, len(told))
    return score.column_of(shaped, len(column), plan.task, wanted or told, score.order_of(told, wanted))


def _partition() -> int:
    from pyspark import TaskContext

    return int(TaskContext.get().partitionId())


def _numbers(batches: Iterator[pa.RecordBatch]) -> Iterator[int]:
    for batch in batches:
        yield from batch.column("id").to_pylist()
