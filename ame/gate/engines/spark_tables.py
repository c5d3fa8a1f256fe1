"""Rows that Spark's tasks read, in parts, and what the driver hears of them.

Files are read by the tasks themselves, with pyarrow. A Spark DataFrame is kept on the executors' disks while
it is read, since it may not come twice in one order.
"""

from __future__ import annotations

import base64
import json
import re
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict, replace
from functools import partial
from itertools import accumulate, chain, groupby
from typing import TYPE_CHECKING, Any, Protocol, TypeAlias

import pyarrow as pa

from ame.diagnosis import Diagnosis, Refused, Where
from ame.gate.engines.packed import pack, unpack
from ame.gate.engines.parts import as_they_are, from_streams, merged
from ame.gate.pieces import PIECE_ROWS, CsvFile, Piece

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

    from ame.gate.batches import Frame

__all__ = ["STATES", "Files", "Persisted", "Table", "Work", "explained", "merging"]

#: What a task does: from the number of its part and the part's batches to one state.
Work: TypeAlias = Callable[[int, Iterable[pa.RecordBatch]], "bytes | None"]

#: A task reads so many rows at most, unless a single piece has more: its state is as large as for fewer.
_TASK_ROWS = 8_000_000

#: Columns of a frame of states.
STATES = "part long, state binary"

_TOLD = "AME-REFUSED:"


class Table(Protocol):
    """Rows in parts, which tasks read.

    Attributes:
        sizes: rows by part; empty where they have to be counted.
        parts: how many.
    """

    sizes: list[int]
    parts: int

    def each(self, work: Work, *, narrow: bool = False) -> DataFrame:
        """A frame of part and state; with `narrow` the rows are counted and not looked at."""
        ...

    def first(self, rows: int) -> Iterator[pa.RecordBatch]:
        """At least the first `rows` rows, here in the driver."""
        ...


class Files:
    """Pieces of files, several to a task."""

    def __init__(self, spark: SparkSession, pieces: Sequence[Piece], stack: ExitStack) -> None:
        self._spark = spark
        self._pieces = pieces
        tasks = _grouped(pieces, spark.sparkContext.defaultParallelism)
        self.parts = len(tasks)
        known = [[piece.rows for piece in task] for task in tasks]
        self.sizes = (
            [] if any(None in task for task in known) else [sum(size or 0 for size in task) for task in known]
        )
        self._all = spark.sparkContext.broadcast(pack(tasks))
        stack.callback(self._all.destroy)

    def each(self, work: Work, *, narrow: bool = False) -> DataFrame:
        numbers = self._spark.range(0, self.parts, 1, self.parts)
        return numbers.mapInArrow(partial(_of_files, self._all, work, narrow), STATES)

    def first(self, rows: int) -> Iterator[pa.RecordBatch]:
        for piece in self._pieces:
            for batch in piece.read():
                yield batch
                rows -= batch.num_rows
                if rows <= 0:
                    return


class Persisted:
    """A DataFrame, its partitions being the parts."""

    def __init__(self, data: Frame, stack: ExitStack) -> None:
        from pyspark import StorageLevel

        frame = data.frame
        self._names = data.names
        alone = frame.sparkSession.sparkContext.master.startswith("local")
        # With one copy only, a lost executor's part would be made again, maybe in another order.
        self._frame = frame.persist(StorageLevel.DISK_ONLY if alone else StorageLevel.DISK_ONLY_2)
        stack.callback(self._frame.unpersist)
        self.sizes: list[int] = []
        self.parts = int(self._frame.rdd.getNumPartitions())

    def each(self, work: Work, *, narrow: bool = False) -> DataFrame:  # noqa: ARG002
        return self._frame.mapInArrow(partial(_of_partition, self._names, work), STATES)

    def first(self, rows: int) -> Iterator[pa.RecordBatch]:
        before = list(accumulate(self.sizes, initial=0))
        wanted = {part: rows - start for part, start in enumerate(before[:-1]) if start < rows}
        states = self.each(partial(_first_rows, wanted)).collect()
        for _, state in sorted((row[0], row[1]) for row in states):
            yield from from_streams(unpack(state))


def _first_rows(wanted: dict[int, int], part: int, batches: Iterable[pa.RecordBatch]) -> bytes | None:
    return as_they_are(wanted[part], part, batches) if part in wanted else None


def _grouped(pieces: Sequence[Piece], slots: int) -> list[list[Piece]]:
    """Pieces that follow each other, by task: few tasks, but some for each slot."""
    rows = sum(piece.rows or 0 for piece in pieces)
    size = max(PIECE_ROWS, min(_TASK_ROWS, rows // (3 * max(1, slots))))
    tasks: list[list[Piece]] = []
    room = 0
    for piece in pieces:
        if room <= 0:
            tasks.append([])
            room = size
        tasks[-1].append(piece)
        room -= size if piece.rows is None else piece.rows
    return tasks


# What tasks do; these functions are sent by their names.
def _of_files(
    tasks: Any, work: Work, narrow: bool, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        for part in batch.column(0).to_pylist():
            pieces: list[Piece] = unpack(tasks.value)[part]
            if narrow:
                pieces = [
                    replace(piece, columns=piece.columns[:1]) if isinstance(piece, CsvFile) else piece
                    for piece in pieces
                ]
            yield from _state(part, work, chain.from_iterable(piece.read() for piece in pieces))


def _of_partition(
    names: list[str], work: Work, batches: Iterable[pa.RecordBatch]
) -> Iterator[pa.RecordBatch]:
    from pyspark import TaskContext

    context = TaskContext.get()
    assert context is not None  # noqa: S101
    yield from _state(context.partitionId(), work, (batch.rename_columns(names) for batch in batches))


def merging(batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    rows = (
        row for batch in batches for row in zip(batch.column(2).to_pylist(), batch.column(1), strict=True)
    )
    for whole, states in groupby(rows, key=lambda row: row[0]):
        together = merged(state.as_py() for _, state in states)
        yield from _state(whole, lambda _part, _batches, found=together: pack(found), ())  # type: ignore[misc]


def _state(part: int, work: Work, batches: Iterable[pa.RecordBatch]) -> Iterator[pa.RecordBatch]:
    try:
        state = work(part, batches)
    except Refused as refused:
        told = json.dumps([asdict(each) for each in refused.diagnoses])
        raise RuntimeError(_TOLD + base64.b64encode(told.encode()).decode()) from refused
    if state is not None:
        columns = [pa.array([part], pa.int64()), pa.array([state], pa.binary())]
        yield pa.RecordBatch.from_arrays(columns, names=["part", "state"])


@contextmanager
def explained() -> Iterator[None]:
    """What a task refused is refused here; another failure of a job is told in a few words."""
    from py4j.protocol import Py4JJavaError
    from pyspark.errors import PySparkException

    try:
        yield
    except (PySparkException, Py4JJavaError) as problem:
        text = str(problem)
        told = re.search(re.escape(_TOLD) + r"([A-Za-z0-9+/=]+)", text)
        if told is not None:
            raise Refused(*_diagnoses(told[1])) from None
        raise Refused(
            Diagnosis(
                code="AME-E523",
                what="The Spark job that reads the scores failed.",
                why=_reason(text),
                fix="Look into the executors' logs; the local engine (`engine: local`) reads the same data.",
            )
        ) from problem


def _diagnoses(told: str) -> Iterator[Diagnosis]:
    for each in json.loads(base64.b64decode(told)):
        where = each.pop("where")
        yield Diagnosis(where=Where(**where) if where else None, **each)


def _reason(text: str) -> str:
    """The last line of a task's Python traceback, or else the first line of what Spark says."""
    raised = re.findall(r"^(?:\w+\.)*\w*(?:Error|Exception|Interrupt|Exit)\b: .+$", text, re.MULTILINE)
    # Before what the JVM has thrown py4j says which call it was.
    thrown = re.sub(r"\AAn error occurred while calling .*\n: (?:\w+\.)*SparkException: ", "", text)
    said = [line for line in thrown.splitlines() if line.strip()]
    lines: list[str] = raised or said or ["Nothing is known."]
    return lines[-1 if raised else 0].strip()[:500].rstrip(". ") + "."
