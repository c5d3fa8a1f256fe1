"""The holdout: parquet or CSV files, read as one table and identified by their content."""

from __future__ import annotations

import contextlib
import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from ame.diagnosis import Diagnosis, Refused, Where
from ame.places import is_data
from ame.scoring.formats import FORMATS, common_format, dataset_of, whole_schema
from ame.store import digest_of_folder

__all__ = ["Holdout", "open_holdout", "readable", "require_columns"]


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
        with readable(f"{self.kind} '{self.name}'", self.where, self._source):
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
        require_columns(self.name, self.kind, self.columns, columns, where, what_for)


def open_holdout(path: Path | str, name: str, where: Where, kind: str = "holdout") -> Holdout:
    """Open a file or a folder of files of one format, at a path or at an `s3://` URI.

    A folder's files are taken in the order of their paths, without those that, or whose folders, begin
    with '.' or '_'. Files may differ in the order and in the width of their columns. Folders that are called
    `NAME=VALUE` give a column.

    Raises:
        Refused: AME-E401, when there is nothing that can be read as parquet or CSV.
    """
    if isinstance(path, str):
        from ame.scoring.spark.holdout import open_spark_holdout

        spread = open_spark_holdout(path, name, where, kind)
        return Holdout(name, spread.digest, spread.columns, where, path, spread.dataset, kind)
    with readable(f"{kind} '{name}'", where, path.name):
        if not path.exists():
            raise ValueError("It does not exist")
        files = [path] if not path.is_dir() else [p for p in sorted(path.rglob("*")) if _is_file(p, path)]
        data = _dataset(files, path if path.is_dir() else None)
        digest = digest_of_folder(path if path.is_dir() else path.parent, files)
    digest = hashlib.sha256(digest.encode()).hexdigest()
    return Holdout(name, digest, tuple(data.schema.names), where, path.name, data, kind)


def require_columns(
    name: str, kind: str, found: Sequence[str], columns: Sequence[str], where: Where, what_for: str
) -> None:
    """Refuse to go on without these columns.

    Raises:
        Refused: AME-E402.
    """
    missing = [column for column in columns if column not in found]
    if missing:
        raise Refused(
            Diagnosis(
                code="AME-E402",
                where=where,
                what=f"the {kind} '{name}' has no column {', '.join(map(repr, missing))}, {what_for}.",
                why=f"Its columns: {', '.join(found)}.",
            )
        )


@contextlib.contextmanager
def readable(what: str, where: Where, source: str) -> Iterator[None]:
    """Say what could not be read, and why, when the body fails.

    Raises:
        Refused: AME-E401.
    """
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


def _is_file(path: Path, folder: Path) -> bool:
    return path.is_file() and is_data(path.relative_to(folder))


def _dataset(files: list[Path], base: Path | None) -> ds.Dataset:
    """All files as one table whose columns are wide enough for each of them."""
    form = common_format(file.name for file in files)
    system = LocalFileSystem()
    schemas = {str(file): FORMATS[form].inspect(str(file), filesystem=system) for file in files}
    whole = whole_schema(schemas, form)
    return dataset_of(list(schemas), whole, form, system, None if base is None else str(base))
