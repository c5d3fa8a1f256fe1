"""How the files of a holdout are read: their formats, their types, and the columns that folders spell.

Executors of Spark read by this module too, so it needs pyarrow and nothing else.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from pathlib import PurePath

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.dataset as ds
from pyarrow.fs import FileSystem

from ame.places import AS_IT_COMES, format_of

__all__ = ["FORMATS", "common_format", "dataset_of", "whole_schema"]

FORMATS: dict[str, ds.FileFormat] = {
    # Buffering ahead, the default, keeps what was read until the file's end; and buffers of 8 KiB, the other
    # default, are that many requests to a bucket.
    "parquet": ds.ParquetFileFormat(
        default_fragment_scan_options=ds.ParquetFragmentScanOptions(use_buffered_stream=True, **AS_IT_COMES)
    ),
    # As pandas.read_csv, which the training most likely used, would tell: empty texts are missing values.
    # Types are guessed from a file's first 16 MiB.
    "csv": ds.CsvFileFormat(
        convert_options=pcsv.ConvertOptions(strings_can_be_null=True),
        read_options=pcsv.ReadOptions(block_size=1 << 24),
    ),
}


def common_format(names: Iterable[str]) -> str:
    """The one format of all these files.

    Raises:
        ValueError: when there is none.
    """
    formats = {format_of(name) for name in names}
    form = formats.pop() if len(formats) == 1 else None
    if form is None:
        raise ValueError("It is not a set of parquet files, nor one of CSV files")
    return form


def whole_schema(schemas: Mapping[str, pa.Schema], form: str) -> pa.Schema:
    """Columns that are wide enough for each of the files, whose schemas are told by their paths.

    Raises:
        ValueError: when the files do not have the same columns, each once.
    """
    first, columns = next((PurePath(path).name, schema.names) for path, schema in schemas.items())
    for path, schema in schemas.items():
        file = PurePath(path).name
        twice = [column for column, times in Counter(schema.names).items() if times > 1]
        if twice:
            raise ValueError(f"File {file} has the column {twice[0]!r} twice")
        if form == "csv" and (binary := [field.name for field in schema if pa.types.is_binary(field.type)]):
            raise ValueError(f"The column {binary[0]!r} of {file} is not UTF-8 text")
        odd = sorted(set(schema.names) ^ set(columns))
        if odd:
            raise ValueError(f"Files {first} and {file} differ in the column {odd[0]!r}")
    whole = pa.unify_schemas(list(schemas.values()), promote_options="permissive")
    return pa.schema([_as_pandas_reads(field) for field in whole]) if form == "csv" else whole


def dataset_of(
    files: Sequence[str], whole: pa.Schema, form: str, system: FileSystem, base: str | None
) -> ds.Dataset:
    """The files as one table, with the columns that the names of folders below `base` spell (`day=7`)."""
    below = [PurePath(file).relative_to(base).parent for file in files] if base else []
    if not any("=" in part for folder in below for part in folder.parts):
        return ds.dataset(list(files), schema=whole, format=FORMATS[form], filesystem=system)
    named = {
        "format": FORMATS[form],
        "filesystem": system,
        "partitioning": "hive",
        "partition_base_dir": base,
    }
    # The first file's own columns stand first; those of the folders follow.
    spelled = [field for field in ds.dataset(list(files), **named).schema if field.name not in whole.names]
    return ds.dataset(list(files), schema=pa.schema([*whole, *spelled]), **named)


def _as_pandas_reads(field: pa.Field) -> pa.Field:
    """Dates and times stay texts, as pandas.read_csv leaves them."""
    return field.with_type(pa.string()) if pa.types.is_temporal(field.type) else field
