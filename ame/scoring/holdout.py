"""The holdout: parquet or CSV files, read as one table and identified by their content."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import pyarrow as pa
import pyarrow.dataset as ds
import pyarrow.parquet as pq

from ame.diagnosis import Diagnosis, Refused, Where
from ame.store import digest_of_folder

__all__ = ["Holdout", "open_holdout"]

_FORMATS = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".gz": "csv"}


@dataclass(frozen=True, slots=True)
class Holdout:
    """Labelled rows that both models are scored on.

    Attributes:
        name: the data set's name or path.
        digest: SHA-256 of the files' names and contents.
        columns: in the files' order.
    """

    name: str
    digest: str
    columns: tuple[str, ...]
    _data: ds.Dataset

    def write(self, file: Path, columns: Sequence[str]) -> int:
        """Write columns as one parquet file, in the files' order of rows; returns the number of rows."""
        rows = 0
        schema = pa.schema([self._data.schema.field(name) for name in columns])
        with pq.ParquetWriter(file, schema) as writer:
            for batch in self._data.to_batches(columns=list(columns), use_threads=False):
                writer.write_batch(batch.cast(schema) if batch.schema != schema else batch)
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
                    what=f"the holdout '{self.name}' has no column "
                    f"{', '.join(map(repr, missing))}, {what_for}.",
                    why=f"Its columns: {', '.join(self.columns)}.",
                )
            )


def open_holdout(path: Path, name: str, where: Where) -> Holdout:
    """Open a file or a folder of files of one format.

    Raises:
        Refused: AME-E401, when there is nothing that can be read as parquet or CSV.
    """
    files = sorted(p for p in path.rglob("*") if p.is_file()) if path.is_dir() else [path]
    files = [file for file in files if not file.name.startswith((".", "_"))]
    formats = {_format(file) for file in files}
    try:
        if len(formats) != 1 or None in formats:
            raise ValueError("parquet or CSV files of one kind are wanted")
        data = ds.dataset([str(file) for file in files], format=formats.pop())
        digest = digest_of_folder(path if path.is_dir() else path.parent, files)
    except (OSError, ValueError, pa.ArrowException) as error:
        raise Refused(
            Diagnosis(
                code="AME-E401",
                where=where,
                what=f"the holdout '{name}' cannot be read from {path.name}.",
                why=f"{str(error).splitlines()[0]}.".replace("..", "."),
                fix="Name a parquet or CSV file, or a folder of such files.",
            )
        ) from error
    return Holdout(name, hashlib.sha256(digest.encode()).hexdigest(), tuple(data.schema.names), data)


def _format(file: Path) -> str | None:
    if file.suffix == ".gz" and not file.name.endswith(".csv.gz"):
        return None
    return _FORMATS.get(file.suffix)
