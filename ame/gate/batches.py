"""Record batches of a table of scores, again and again, whatever it comes from.

Only the columns that a test needs are read, at most `BATCH_ROWS` rows at a time, so that memory stays
bounded. What can be read only once is kept, in a temporary file when it is long.

Rows that lie in files can also be had in pieces (`Batches.pieces`), each of which can be sent to another
process and read there; a Spark DataFrame (`Frame`) is read by Spark alone.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, TypeAlias, TypeGuard

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from ame.diagnosis import Diagnosis, Refused
from ame.gate.columns import plain
from ame.gate.files import of_dataset, of_files, require
from ame.gate.found import find
from ame.gate.pieces import BATCH_ROWS, PIECE_ROWS, Piece

if TYPE_CHECKING:
    from pyspark.sql import DataFrame

__all__ = ["BATCH_ROWS", "Batches", "Frame", "Renamed", "Scores", "is_frame", "open_batches"]

#: A parquet or CSV file or a folder of one of them, here or in a bucket (`s3://bucket/folder`), also with
#: other names of its columns, or Arrow data, or a Spark DataFrame.
Scores: TypeAlias = (
    "str | Path | Renamed | pa.Table | ds.Dataset | pa.RecordBatch | Iterable[pa.RecordBatch] | DataFrame"
)

#: What an iterable may hold of memory before the rest goes to a file.
_KEPT_BYTES = 64 << 20


class Batches:
    """Batches of the wanted columns; each iteration begins anew.

    Attributes:
        rows: of all batches together; None when that is not known before they are read.
    """

    def __init__(
        self,
        again: Callable[[], Iterator[pa.RecordBatch]],
        rows: int | None,
        cut_up: Callable[[int], Iterable[Piece]] | None = None,
    ) -> None:
        self._again = again
        self._cut_up = cut_up
        self.rows = rows

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._again():
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)

    @property
    def can_be_cut(self) -> bool:
        """Whether there are `pieces`."""
        return self._cut_up is not None

    def pieces(self, rows: int = PIECE_ROWS) -> tuple[Piece, ...]:
        """The same rows in pieces that other processes can read, in their order.

        Row groups of parquet files are put together up to `rows` rows and never cut; a CSV file is one piece.

        Raises:
            Refused: AME-E522 when the rows are in this process's memory.
        """
        if self._cut_up is None:
            raise Refused(
                Diagnosis(
                    code="AME-E522",
                    what="The engine 'spark' cannot read a table of scores that is in this process's memory.",
                    why="Its executors read files, each its part.",
                    fix="Write the table as parquet to a folder or bucket that the executors see and give "
                    "its path, or take the engine 'local'.",
                )
            )
        return tuple(self._cut_up(rows))


@dataclass(frozen=True, slots=True)
class Renamed:
    """Files whose columns have other names than the gate's.

    Attributes:
        data: a path or URI.
        names: by the gate's name, the files'; others are called alike.
        variants: by a text in the column `variant` of the files, the gate's word for it.
    """

    data: str | Path
    names: Mapping[str, str] = field(default_factory=dict)
    variant: str | None = None
    variants: Mapping[str, str] = field(default_factory=dict)

    def files_name(self, column: str) -> str:
        return self.names.get(column, column)

    def read(self, batch: pa.RecordBatch, columns: Sequence[str]) -> pa.RecordBatch:
        """Columns of a batch of the files, by the gate's names."""
        found = []
        for column in map(self.files_name, columns):
            values = batch.column(column)
            found.append(_called(values, self.variants) if column == self.variant else values)
        return pa.RecordBatch.from_arrays(found, list(columns))


@dataclass(frozen=True, slots=True, eq=False)
class _RenamedPiece:
    """A piece of files whose columns have other names."""

    piece: Piece
    renamed: Renamed
    columns: tuple[str, ...]

    @property
    def rows(self) -> int | None:
        return self.piece.rows

    def read(self) -> Iterator[pa.RecordBatch]:
        for batch in self.piece.read():
            yield self.renamed.read(batch, self.columns)


class Frame(Batches):
    """Columns of a Spark DataFrame.

    Attributes:
        frame: a DataFrame of these columns alone, called by their places: to Spark a point in a name is the
            way to a field, and `late` and `LATE` are one column.
        names: what they are called, in order.
    """

    def __init__(self, frame: Any, columns: Sequence[str]) -> None:
        super().__init__(self._refuse, None)
        self.names = list(columns)
        found = frame.columns
        self.frame = frame.toDF(*map(str, range(len(found)))).select(
            [f"`{found.index(column)}`" for column in columns]
        )

    @staticmethod
    def _refuse() -> Iterator[pa.RecordBatch]:
        raise Refused(
            Diagnosis(
                code="AME-E522",
                what="Only a paired A/B test on the engine 'spark' reads a Spark DataFrame.",
                why="Outside of Spark there may be no room for its rows.",
                fix="Take the engine 'spark' or 'auto', or write the DataFrame as parquet and give its path.",
            )
        )


def is_frame(data: object) -> TypeGuard[Any]:
    """Whether it is a DataFrame of a classic Spark session, told without importing Spark."""
    kinds = [each for each in type(data).__mro__ if each.__module__.startswith("pyspark.sql.")]
    return any(each.__name__ == "DataFrame" and ".connect." not in each.__module__ for each in kinds)


def open_batches(
    data: Scores,
    columns: Sequence[str],
    *,
    csv_types: Mapping[str, pa.DataType] | None = None,
    coded: Sequence[str] = (),
) -> Batches:
    """Open what holds the rows.

    `csv_types` are the types of columns in CSV files, where none is written; columns of few different texts
    that `coded` names come as dictionaries where the file has them so.

    Raises:
        Refused: AME-E504 when a file cannot be read (the batches raise it too), AME-E505 when a column is
            missing or there more than once.
        TypeError: when `data` is none of the kinds of `Scores`.
    """
    columns = list(dict.fromkeys(columns))
    if isinstance(data, str | Path):
        return Batches(*of_files(find(data), columns, csv_types or {}, coded))
    if isinstance(data, Renamed):
        return _of_renamed(data, columns, csv_types or {}, coded)
    if is_frame(data):
        require(columns, data.columns)
        return Frame(data, columns)
    return _of_arrow(data, columns)


def _of_arrow(data: object, columns: list[str]) -> Batches:
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, pa.Table):
        require(columns, data.column_names)
        table = data.select(columns)
        return Batches(lambda: iter(table.to_batches(BATCH_ROWS)), table.num_rows)
    if isinstance(data, ds.Dataset):
        return Batches(*of_dataset(data, columns, None))
    if isinstance(data, Iterable):
        if iter(data) is not data and isinstance(data, Sequence):
            return _of_sequence(data, columns)
        return _of_iterator(iter(data), columns)
    kinds = (
        "a path, a pyarrow Table, RecordBatch or Dataset, an iterable of record batches, or a Spark DataFrame"
    )
    raise TypeError(f"The scores must be {kinds}, not {type(data).__name__}.")


def _of_renamed(
    data: Renamed, columns: Sequence[str], csv_types: Mapping[str, pa.DataType], coded: Sequence[str]
) -> Batches:
    files = open_batches(
        data.data,
        [data.files_name(column) for column in columns],
        csv_types={data.files_name(column): kind for column, kind in csv_types.items()},
        coded=[data.files_name(column) for column in coded],
    )

    def again() -> Iterator[pa.RecordBatch]:
        for batch in files:
            yield data.read(batch, columns)

    def pieces(rows: int) -> Iterator[Piece]:
        for piece in files.pieces(rows):
            yield _RenamedPiece(piece, data, tuple(columns))

    return Batches(again, files.rows, pieces)


def _called(values: pa.Array, variants: Mapping[str, str]) -> pa.Array:
    """Texts replaced as the variants say; a value that none of them names stays what it is."""
    decoded = plain(values)
    if isinstance(decoded, pa.DictionaryArray):
        decoded = decoded.dictionary_decode()
    try:
        texts = decoded.cast(pa.string())
    except pa.ArrowException:
        return values  # the gate says of what type it is
    places = pc.index_in(texts, value_set=pa.array(list(variants), pa.string()))
    return pc.if_else(pc.is_null(places), texts, pa.array(variants.values(), pa.string()).take(places))


def _of_sequence(batches: Sequence[pa.RecordBatch], columns: list[str]) -> Batches:
    chosen = list(_selected(batches, columns))
    return Batches(lambda: iter(chosen), sum(batch.num_rows for batch in chosen))


def _of_iterator(batches: Iterator[pa.RecordBatch], columns: list[str]) -> Batches:
    """Keep what can be read only once: in memory, and from `_KEPT_BYTES` on in a file without a name."""
    kept: list[pa.RecordBatch] = []
    spool: _Spool | None = None
    rows = size = 0
    for batch in _selected(batches, columns):
        rows += batch.num_rows
        if spool is not None:
            spool.write(batch)
            continue
        kept.append(batch)
        size += batch.get_total_buffer_size()
        if size > _KEPT_BYTES:
            spool = _Spool()
            for each in kept:
                spool.write(each)
            kept.clear()
    return Batches(spool.read if spool is not None else lambda: iter(kept), rows)


def _selected(batches: Iterable[object], columns: list[str]) -> Iterator[pa.RecordBatch]:
    for batch in batches:
        if not isinstance(batch, pa.RecordBatch):
            raise TypeError(f"The scores must be record batches, not {type(batch).__name__}.")
        require(columns, batch.schema.names)
        yield batch.select(columns)


class _Spool:
    """Batches in a temporary file that the system removes with the last reference to it."""

    def __init__(self) -> None:
        # A folder such as /tmp may itself be memory; the system's own setting (TMPDIR) decides.
        self._file: IO[bytes] = tempfile.TemporaryFile(prefix="ame-scores-")  # noqa: SIM115
        self._places: list[tuple[int, int]] = []

    def write(self, batch: pa.RecordBatch) -> None:
        # Each batch is a stream of its own, because batches may differ in their types.
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, batch.schema) as stream:
            stream.write_batch(batch)
        content = sink.getvalue()
        start = self._places[-1][0] + self._places[-1][1] if self._places else 0
        self._file.seek(start)
        self._file.write(content)
        self._places.append((start, content.size))

    def read(self) -> Iterator[pa.RecordBatch]:
        for start, size in self._places:
            self._file.seek(start)
            with pa.ipc.open_stream(self._file.read(size)) as stream:
                yield from stream
