"""The holdout: parquet or CSV files, read as one table and identified by their content."""

from __future__ import annotations

import contextlib
import hashlib
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from ame.diagnosis import Diagnosis, Refused, Where
from ame.store import digest_of_folder

__all__ = ["Holdout", "open_holdout"]

_FORMATS: dict[str, ds.FileFormat] = {
    # Buffering ahead, the default, keeps what was read until the file's end.
    "parquet": ds.ParquetFileFormat(
        default_fragment_scan_options=ds.ParquetFragmentScanOptions(
            pre_buffer=False, use_buffered_stream=True
        )
    ),
    # As pandas.read_csv, which the training most likely used, would tell: empty texts are missing values.
    # Types are guessed from a file's first 16 MiB.
    "csv": ds.CsvFileFormat(
        convert_options=pcsv.ConvertOptions(strings_can_be_null=True),
        read_options=pcsv.ReadOptions(block_size=1 << 24),
    ),
}
_SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".csv.gz": "csv"}


@dataclass(frozen=True, slots=True)
class Holdout:
    """Labelled rows that both models are scored on.

    Attributes:
        name: the data set's name or path.
        digest: SHA-256 of the files' names and contents.
        columns: in the files' order.
        where: of the section that names it.
        kind: what a diagnosis calls it: the holdout, or the training rows.
    """

    name: str
    digest: str
    columns: tuple[str, ...]
    where: Where
    _source: str
    _data: ds.Dataset
    kind: str = "holdout"

    @property
    def dataset(self) -> ds.Dataset:
        """All rows and columns, for whoever reads them in their own way."""
        return self._data

    def schema(self, columns: Sequence[str]) -> pa.Schema:
        """The Arrow types of columns."""
        return pa.schema([self._data.schema.field(name) for name in columns])

    def batches(self, columns: Sequence[str]) -> Iterator[pa.RecordBatch]:
        """The rows of columns, in the files' order of rows, some at a time.

        Raises:
            Refused: AME-E401, when a value does not have the type of its column.
        """
        schema = self.schema(columns)
        with _readable(f"{self.kind} '{self.name}'", self.where, self._source):
            for batch in self._data.to_batches(
                columns=list(columns), use_threads=False, batch_readahead=2, fragment_readahead=1
            ):
                yield batch if batch.schema == schema else batch.cast(schema)

    def write(self, file: Path, columns: Sequence[str]) -> int:
        """Write columns as one parquet file, in the files' order of rows; returns the number of rows.

        Raises:
            Refused: AME-E401, when a value does not have the type of its column.
        """
        rows = 0
        with pq.ParquetWriter(file, self.schema(columns)) as writer:
            for batch in self.batches(columns):
                writer.write_batch(batch)
                rows += batch.num_rows
        return rows

    def require(self, columns: Sequence[str], where: Where, what_for: str) -> None:
        """Refuse to go on without these columns.

        Raises:
            Refused: AME-E402.
        """
        missing = [name for name in columns if name not in self.columns]
        if missing:
            raise Refused(
                Diagnosis(
                    code="AME-E402",
                    where=where,
                    what=f"the {self.kind} '{self.name}' has no column "
                    f"{', '.join(map(repr, missing))}, {what_for}.",
                    why=f"Its columns: {', '.join(self.columns)}.",
                )
            )


def open_holdout(path: Path, name: str, where: Where, kind: str = "holdout") -> Holdout:
    """Open a file or a folder of files of one format.

    A folder's files are taken in the order of their paths, without those that, or whose folders, begin
    with '.' or '_'. Files may differ in the order and in the width of their columns.

    Raises:
        Refused: AME-E401, when there is nothing that can be read as parquet or CSV.
    """
    with _readable(f"{kind} '{name}'", where, path.name):
        if not path.exists():
            raise ValueError("It does not exist")
        files = [path] if not path.is_dir() else [p for p in sorted(path.rglob("*")) if _is_data(p, path)]
        formats = {_format(file) for file in files}
        form = formats.pop() if len(formats) == 1 else None
        if form is None:
            raise ValueError("It is not a set of parquet files, nor one of CSV files")
        data = _dataset(files, form)
        digest = digest_of_folder(path if path.is_dir() else path.parent, files)
    digest = hashlib.sha256(digest.encode()).hexdigest()
    return Holdout(name, digest, tuple(data.schema.names), where, path.name, data, kind)


@contextlib.contextmanager
def _readable(what: str, where: Where, source: str) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, pa.ArrowException) as error:
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise Refused(
            Diagnosis(
                code="AME-E401",
                where=where,
                what=f"the {what} cannot be read from {source}.",
                why=f"{reason.rstrip('.')}.",
                fix="Name a parquet or CSV file, or a folder of such files.",
            )
        ) from error


def _is_data(path: Path, folder: Path) -> bool:
    return path.is_file() and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)


def _format(file: Path) -> str | None:
    name = file.name.lower()
    return next((form for suffix, form in _SUFFIXES.items() if name.endswith(suffix)), None)


def _dataset(files: list[Path], form: str) -> ds.Dataset:
    """All files as one table whose columns are wide enough for each of them."""
    schemas = {file: _FORMATS[form].inspect(str(file), filesystem=LocalFileSystem()) for file in files}
    columns = schemas[files[0]].names
    for file, schema in schemas.items():
        twice = [column for column, times in Counter(schema.names).items() if times > 1]
        if twice:
            raise ValueError(f"File {file.name} has the column {twice[0]!r} twice")
        if form == "csv" and (binary := [field.name for field in schema if pa.types.is_binary(field.type)]):
            raise ValueError(f"The column {binary[0]!r} of {file.name} is not UTF-8 text")
        odd = sorted(set(schema.names) ^ set(columns))
        if odd:
            raise ValueError(f"Files {files[0].name} and {file.name} differ in the column {odd[0]!r}")
    whole = pa.unify_schemas(list(schemas.values()), promote_options="permissive")
    if form == "csv":
        whole = pa.schema([_as_pandas_reads(field) for field in whole])
    return ds.dataset([str(file) for file in files], schema=whole, format=_FORMATS[form])


def _as_pandas_reads(field: pa.Field) -> pa.Field:
    """Dates and times stay texts, as pandas.read_csv leaves them."""
    return field.with_type(pa.string()) if pa.types.is_temporal(field.type) else field
