"""Parts of files that can be read each by itself, in any process that sees the files.

A piece is plain data: it is sent to a task, which reads it with pyarrow and needs nothing else. The pieces of
a data set in their order are all of its rows in the files' order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from ame.gate.found import Found, readable
from ame.places import Place, read_row_groups, with_spelled

__all__ = [
    "BATCH_ROWS",
    "PIECE_ROWS",
    "CsvFile",
    "FolderRows",
    "ParquetRows",
    "Piece",
    "csv_form",
    "cut",
]

#: The most rows of a batch.
BATCH_ROWS = 1 << 17

#: So many rows a piece has at least, where its file has them; a row group is never cut.
PIECE_ROWS = 1_000_000


class Piece(Protocol):
    """Some rows that follow each other.

    Attributes:
        rows: how many; None where that is not written down.
    """

    @property
    def rows(self) -> int | None: ...

    def read(self) -> Iterator[pa.RecordBatch]:
        """The columns that were asked for, at most `BATCH_ROWS` rows at a time.

        Raises:
            Refused: AME-E504 when the file cannot be read.
        """
        ...


@dataclass(frozen=True, slots=True, eq=False)
class ParquetRows:
    """Row groups of a parquet file that has all of the columns.

    Attributes:
        place, path: the file.
        where: how messages name it.
        groups: numbers of row groups.
        rows: in these row groups.
        columns: to be read.
        coded: columns of texts that come as dictionaries where the file has them so.
    """

    place: Place
    path: str
    where: str
    groups: tuple[int, ...]
    rows: int
    columns: tuple[str, ...]
    coded: tuple[str, ...] = ()

    def read(self) -> Iterator[pa.RecordBatch]:
        with readable(self.where):
            yield from read_row_groups(
                self.place, self.path, self.columns, BATCH_ROWS, groups=self.groups, coded=self.coded
            )


@dataclass(frozen=True, slots=True, eq=False)
class FolderRows:
    """Row groups of a file in a folder whose names spell columns, `day=2026-11-01/part-0.parquet`.

    Attributes:
        schema: of the columns, wide enough for all files of the folder.
        spelled: those that are not the file's, each with its value in all rows: what the names say, or None.
    """

    place: Place
    path: str
    where: str
    groups: tuple[int, ...]
    rows: int
    schema: pa.Schema
    spelled: Mapping[str, Any]

    def read(self) -> Iterator[pa.RecordBatch]:
        own = [name for name in self.schema.names if name not in self.spelled]
        with readable(self.where):
            for batch in read_row_groups(self.place, self.path, own, BATCH_ROWS, groups=self.groups):
                yield with_spelled(batch, self.spelled, self.schema)


@dataclass(frozen=True, slots=True, eq=False)
class CsvFile:
    """A CSV file; it cannot be cut without being read.

    Attributes:
        types: of columns, where they are not to be guessed.
        schema: of all files together.
    """

    place: Place
    path: str
    where: str
    columns: tuple[str, ...]
    types: Mapping[str, pa.DataType]
    schema: pa.Schema

    @property
    def rows(self) -> None:
        return None

    def read(self) -> Iterator[pa.RecordBatch]:
        with readable(self.where):
            fragment = csv_form(self.types).make_fragment(self.path, self.place.system())
            yield from fragment.to_batches(
                schema=self.schema,
                columns=list(self.columns),
                batch_size=BATCH_ROWS,
                batch_readahead=1,
                use_threads=False,
            )


def csv_form(types: Mapping[str, pa.DataType]) -> ds.CsvFileFormat:
    """Empty texts are missing values. Types are guessed from a file's first block."""
    return ds.CsvFileFormat(
        convert_options=pcsv.ConvertOptions(strings_can_be_null=True, column_types=dict(types)),
        read_options=pcsv.ReadOptions(block_size=1 << 22),
    )


def cut(
    found: Found, heads: Sequence[pq.FileMetaData], rows: int
) -> Iterator[tuple[str, tuple[int, ...], int]]:
    """Each file with row groups of at least `rows` rows together, as far as it has them."""
    for file, head in zip(found.files, heads, strict=True):
        groups: list[int] = []
        size = 0
        for group in range(head.num_row_groups):
            groups.append(group)
            size += head.row_group(group).num_rows
            if size >= rows or group == head.num_row_groups - 1:
                yield file, tuple(groups), size
                groups, size = [], 0
