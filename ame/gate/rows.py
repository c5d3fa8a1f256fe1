"""Labelled rows as models see them, the holdout's and the training's: opened, read in batches, sampled."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Literal, TypeAlias

import numpy as np
import pyarrow as pa
import pyarrow.dataset as ds
from pyarrow.fs import FileType

from ame.diagnosis import Diagnosis, Refused, Where
from ame.gate.pieces import csv_form
from ame.places import Place, format_of, place_of

__all__ = ["SAMPLE", "Kind", "LabelledRows", "Rows", "kind_of", "open_rows"]

#: A parquet or CSV file or a folder of one of them, here or in a bucket, or Arrow data.
Rows: TypeAlias = "str | Path | pa.Table | ds.Dataset"

Kind: TypeAlias = Literal["number", "category", "time"]

#: The most rows of a sample.
SAMPLE = 100_000

_BATCH_ROWS = 1 << 17
# Reading whole column chunks ahead costs several times the memory and gains nothing on a disk.
_PARQUET = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=False, use_buffered_stream=True)
)
_CSV = csv_form({})


class LabelledRows:
    """Rows that can be read again and again.

    Attributes:
        name: what they are called in sentences, such as `the holdout`.
        schema: of all columns.
    """

    def __init__(self, name: str, dataset: ds.Dataset, where: Where | None) -> None:
        self.name = name
        self.schema = dataset.schema
        self._dataset = dataset
        self._where = where

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The columns of all rows, at most 131,072 rows at a time.

        Raises:
            Refused: AME-E540, when a value does not have the type of its column or a file is broken.
        """
        with _readable(self.name, self._where):
            for batch in self._dataset.to_batches(
                columns=list(columns),
                batch_size=_BATCH_ROWS,
                batch_readahead=2,
                fragment_readahead=1,
                use_threads=False,
            ):
                for start in range(0, batch.num_rows, _BATCH_ROWS):
                    yield batch.slice(start, _BATCH_ROWS)

    def count(self) -> int:
        """How many rows there are."""
        with _readable(self.name, self._where):
            return int(self._dataset.count_rows())

    def sample(self, columns: Sequence[str], most: int = SAMPLE, seed: int = 0) -> pa.Table:
        """All rows, or `most` of them drawn without replacement, the same ones with every call."""
        rows = self.count()
        schema = pa.schema([self.schema.field(name) for name in columns])
        if rows <= most:
            return pa.Table.from_batches(list(self.batches(columns)), schema)
        drawn = np.sort(np.random.default_rng(seed).choice(rows, most, replace=False, shuffle=False))
        taken, start = [], 0
        for batch in self.batches(columns):
            first, last = np.searchsorted(drawn, [start, start + batch.num_rows])
            taken.append(batch.take(pa.array(drawn[first:last] - start)))
            start += batch.num_rows
        return pa.Table.from_batches(taken, schema)


def open_rows(data: Rows, name: str) -> LabelledRows:
    """Open what holds the rows; `name` is what they are called in sentences.

    Raises:
        Refused: AME-E540 when there is nothing that can be read, or two columns have one name.
        TypeError: when `data` is none of the kinds of `Rows`.
    """
    if not isinstance(data, str | Path | pa.Table | ds.Dataset):
        raise TypeError(f"Rows must be a path, a pyarrow Table or Dataset, not {type(data).__name__}.")
    where = Where(str(data)) if isinstance(data, str | Path) else None
    with _readable(name, where):
        if isinstance(data, str | Path):
            data = _dataset(place_of(data))
        elif isinstance(data, pa.Table):
            data = ds.InMemoryDataset(data)
        names = data.schema.names
        twice = [column for column in dict.fromkeys(names) if names.count(column) > 1]
        if twice:
            raise ValueError(f"Several of its columns are named '{twice[0]}'")
        return LabelledRows(name, data, where)


def kind_of(column: pa.DataType) -> Kind | None:
    """How a column's values are compared; None for types that are not compared, such as lists."""
    if pa.types.is_dictionary(column):
        return kind_of(column.value_type)
    if pa.types.is_integer(column) or pa.types.is_floating(column) or pa.types.is_decimal(column):
        return "number"
    if pa.types.is_date(column) or pa.types.is_timestamp(column):
        return "time"
    text = pa.types.is_string(column) or pa.types.is_large_string(column) or pa.types.is_string_view(column)
    return "category" if text or pa.types.is_boolean(column) else None


def _dataset(place: Place) -> ds.Dataset:
    system = place.system()
    paths = [info.path for info in place.files()]
    if not paths and system.get_file_info(place.path).type == FileType.NotFound:
        raise ValueError("There is no such file or folder")
    in_folder = paths != [place.path]
    files = {path: format_of(path) if in_folder else format_of(path) or "parquet" for path in paths}
    found = [path for path, form in files.items() if form is not None]
    forms = {form for form in files.values() if form is not None}
    if len(forms) != 1:
        raise ValueError("It is not a set of parquet files, nor one of CSV files")
    if forms == {"parquet"}:
        hive = {"partitioning": "hive", "partition_base_dir": place.path} if in_folder else {}
        dataset = ds.dataset(found, format=_PARQUET, filesystem=system, **hive)
        schemas = [*(part.physical_schema for part in dataset.get_fragments()), dataset.schema]
        return dataset.replace_schema(_unified(schemas))
    schema = _unified([_CSV.inspect(file, filesystem=system) for file in found])
    return ds.dataset(found, schema=schema, format=_CSV, filesystem=system)


def _unified(schemas: Sequence[pa.Schema]) -> pa.Schema:
    """The columns of all files; one that is narrower in one file is as wide as in the others."""
    if all(schema.equals(schemas[0]) for schema in schemas):
        return schemas[0]
    return pa.unify_schemas(list(schemas), promote_options="permissive")


@contextmanager
def _readable(name: str, where: Where | None) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, ValueError) as error:
        why = (str(error) or type(error).__name__).partition("\n")[0].rstrip(". ")
        raise Refused(
            Diagnosis(
                code="AME-E540",
                where=where,
                what=f"The rows of {name} cannot be read.",
                why=f"{why}.",
                fix="Name a parquet or CSV file, or a folder of such files of one kind.",
            )
        ) from error
