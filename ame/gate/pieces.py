"""Parts of files that can be read each by itself, in any process that sees the files.

A piece is plain data: it is sent to a task, which reads it with pyarrow and needs nothing else. The pieces of
a data set in their order are all of its rows in the files' order.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from ame.gate.found import Found, readable
from ame.places import Place

__all__ = [
    "AS_IT_COMES",
    "BATCH_ROWS",
    "PIECE_ROWS",
    "CsvFile",
    "FolderRows",
    "ParquetRows",
    "Piece",
    "csv_form",
    "cut",
    "texts_of",
]

#: The most rows of a batch.
BATCH_ROWS = 1 << 17

#: So many rows a piece has at least, where its file has them; a row group is never cut.
PIECE_ROWS = 1_000_000

#: Reading whole column chunks ahead costs several times the memory and gains nothing on a disk.
AS_IT_COMES = {"pre_buffer": False, "buffer_size": 1 << 20}


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
        # A request to a bucket takes long, whatever its size: whole column chunks are read there.
        manner = {} if self.place.bucket else AS_IT_COMES
        with readable(self.where), self.place.system().open_input_file(self.path) as file:
            head = pq.read_metadata(file)
            texts = texts_of(head.schema.to_arrow_schema(), self.coded)
            opened = pq.ParquetFile(file, metadata=head, read_dictionary=texts, **manner)
            yield from opened.iter_batches(
                BATCH_ROWS, row_groups=list(self.groups), columns=list(self.columns), use_threads=False
            )


@dataclass(frozen=True, slots=True, eq=False)
class FolderRows:
    """Row groups of a file in a folder whose names spell columns, `day=2026-11-01/part-0.parquet`.

    Attributes:
        schema: of the whole folder.
        folders: what the names say, as an expression.
    """

    place: Place
    path: str
    where: str
    groups: tuple[int, ...]
    rows: int
    columns: tuple[str, ...]
    schema: pa.Schema
    folders: ds.Expression

    def read(self) -> Iterator[pa.RecordBatch]:
        with readable(self.where):
            whole = ds.ParquetFileFormat().make_fragment(self.path, self.place.system(), self.folders)
            # Given to `make_fragment`, row groups would come in the order of a set.
            fragment = whole.subset(row_group_ids=list(self.groups))
            yield from fragment.to_batches(
                schema=self.schema,
                columns=list(self.columns),
                batch_size=BATCH_ROWS,
                batch_readahead=1,
                use_threads=False,
            )


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


def texts_of(schema: pa.Schema, names: Sequence[str]) -> list[str]:
    """Only texts can be read as dictionaries; what else a column holds is for the checks to say."""
    return [name for name in names if pa.types.is_string(schema.field(name).type)]


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
