"""Record batches from parquet and CSV files, in folders and buckets, one after another or in pieces."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from functools import partial
from typing import NamedTuple

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from ame.diagnosis import Diagnosis, Refused, Where, did_you_mean
from ame.gate.found import Found, readable
from ame.gate.pieces import (
    BATCH_ROWS,
    PIECE_ROWS,
    CsvFile,
    FolderRows,
    ParquetRows,
    Piece,
    csv_form,
    cut,
)
from ame.places import AS_IT_COMES, in_threads, read_row_groups

__all__ = ["Readings", "of_dataset", "of_files", "require"]


class Readings(NamedTuple):
    """How rows can be read.

    Attributes:
        again: all of them, in this process.
        rows: how many; None when that is not known before they are read.
        pieces: of at least so many rows each, for other processes; None when only this one can read them.
    """

    again: Callable[[], Iterator[pa.RecordBatch]]
    rows: int | None
    pieces: Callable[[int], Iterable[Piece]] | None


def require(columns: Sequence[str], found: Sequence[str], where: Where | None = None) -> None:
    """Refuse a table that does not have each of the columns exactly once.

    Raises:
        Refused: AME-E505.
    """
    diagnoses = [
        Diagnosis(
            code="AME-E505",
            where=where,
            what=f"The table of scores has {'no column' if not found.count(column) else 'several columns'} "
            f"'{column}'.",
            why=f"It has: {', '.join(found) or 'no column at all'}.",
            fix=(not found.count(column) and did_you_mean(column, found))
            or "Name the right column in the A/B test, or write the table again with the column once.",
        )
        for column in columns
        if found.count(column) != 1
    ]
    if diagnoses:
        raise Refused(*diagnoses)


def of_files(
    found: Found, columns: list[str], csv_types: Mapping[str, pa.DataType], coded: Sequence[str]
) -> Readings:
    if found.form == "parquet":
        return _of_parquet(found, columns, coded)
    form = csv_form(csv_types)
    system = found.place.system()
    with readable(found.given):
        schemas = [form.inspect(file, filesystem=system) for file in found.files]
        whole = pa.unify_schemas(schemas, promote_options="permissive")
        whole = pa.schema([pa.field(each.name, csv_types.get(each.name, each.type)) for each in whole])
        dataset = ds.dataset(list(found.files), schema=whole, format=form, filesystem=system)
    read = of_dataset(dataset, columns, found.given, count=False)
    pieces = [
        CsvFile(found.place, file, found.where(file), tuple(columns), dict(csv_types), whole)
        for file in found.files
    ]
    return Readings(read.again, None, lambda _rows: pieces)


_PARQUET = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(use_buffered_stream=True, **AS_IT_COMES)
)


def _of_parquet(found: Found, columns: list[str], coded: Sequence[str]) -> Readings:
    with readable(found.given):
        heads = _heads(found)
        schemas = [head.schema.to_arrow_schema() for head in heads]
    # A column of lists has no dictionary.
    coded = [column for column in coded if not any(_nested(schema, column) for schema in schemas)]
    if found.in_folder and any(not set(columns) <= set(schema.names) for schema in schemas):
        return _with_folders(found, heads, schemas, columns)
    for schema, file in zip(schemas, found.files, strict=True):
        require(columns, schema.names, Where(found.given if len(found.files) == 1 else found.where(file)))

    def pieces(rows: int) -> Iterator[Piece]:
        for file, groups, size in cut(found, heads, rows):
            where = found.where(file)
            yield ParquetRows(found.place, file, where, groups, size, tuple(columns), tuple(coded))

    def read() -> Iterator[pa.RecordBatch]:
        # A data set's scanner would read ahead in each column, at several times the memory.
        for file in found.files:
            with readable(found.where(file)):
                yield from read_row_groups(found.place, file, columns, BATCH_ROWS, coded=coded)

    def fetch() -> Iterator[pa.RecordBatch]:
        for piece in pieces(PIECE_ROWS):
            yield from piece.read()

    rows = sum(head.num_rows for head in heads)
    return Readings(fetch if found.place.bucket else read, rows, pieces)


def _nested(schema: pa.Schema, column: str) -> bool:
    return column in schema.names and pa.types.is_nested(schema.field(column).type)


def _heads(found: Found) -> list[pq.FileMetaData]:
    """The files' footers, many at a time: each takes a few requests to a bucket."""
    return in_threads(partial(pq.read_metadata, filesystem=found.place.system()), found.files)


def _with_folders(
    found: Found, heads: Sequence[pq.FileMetaData], schemas: Sequence[pa.Schema], columns: list[str]
) -> Readings:
    """With the columns that a folder's names spell, `day=2026-11-01/part-0.parquet`."""
    hive = {
        "format": _PARQUET,
        "filesystem": found.place.system(),
        "partitioning": "hive",
        "partition_base_dir": found.place.path,
    }
    names = list(found.files)
    with readable(found.given):
        first = ds.dataset(names, **hive)
        whole = pa.unify_schemas([*schemas, first.schema], promote_options="permissive")
        dataset = ds.dataset(names, schema=whole, **hive)
        folders = {fragment.path: fragment.partition_expression for fragment in dataset.get_fragments()}
    read = of_dataset(dataset, columns, found.given)
    wanted = pa.schema([whole.field(name) for name in columns])
    spelled = {
        file: dict.fromkeys(set(columns) - set(schema.names)) | ds.get_partition_keys(folders[file])
        for file, schema in zip(names, schemas, strict=True)
    }

    def pieces(rows: int) -> Iterator[Piece]:
        for file, groups, size in cut(found, heads, rows):
            yield FolderRows(found.place, file, found.where(file), groups, size, wanted, spelled[file])

    return Readings(read.again, read.rows, pieces)


def of_dataset(dataset: ds.Dataset, columns: list[str], given: str | None, *, count: bool = True) -> Readings:
    require(columns, dataset.schema.names, None if given is None else Where(given))

    def read() -> Iterator[pa.RecordBatch]:
        with readable(given):
            yield from dataset.to_batches(
                columns=columns, batch_size=BATCH_ROWS, batch_readahead=2, fragment_readahead=1
            )

    # Only parquet writes down how many rows it has; text would have to be read for it.
    with readable(given):
        rows = dataset.count_rows() if count else None
    return Readings(read, rows, None)
