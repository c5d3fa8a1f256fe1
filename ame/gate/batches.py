"""Record batches of a table of scores, again and again, whatever it comes from.

Only the columns that a test needs are read, at most `BATCH_ROWS` rows at a time, so that memory stays
bounded. What can be read only once is kept, in a temporary file when it is long.
"""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import IO, TypeAlias

import pyarrow as pa
import pyarrow.csv as pcsv
import pyarrow.dataset as ds
import pyarrow.parquet as pq
from pyarrow.fs import LocalFileSystem

from ame.diagnosis import Diagnosis, Refused, Where, did_you_mean

__all__ = ["BATCH_ROWS", "Batches", "Scores", "open_batches"]

#: A parquet or CSV file or a folder of one of them, or Arrow data.
Scores: TypeAlias = "str | Path | pa.Table | ds.Dataset | pa.RecordBatch | Iterable[pa.RecordBatch]"

#: The most rows of a batch.
BATCH_ROWS = 1 << 17

#: What an iterable may hold of memory before the rest goes to a file.
_KEPT_BYTES = 64 << 20

_SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".csv.gz": "csv"}


class Batches:
    """Batches of the wanted columns; each iteration begins anew.

    Attributes:
        rows: of all batches together; None when that is not known before they are read.
    """

    def __init__(self, again: Callable[[], Iterator[pa.RecordBatch]], rows: int | None) -> None:
        self._again = again
        self.rows = rows

    def __iter__(self) -> Iterator[pa.RecordBatch]:
        for batch in self._again():
            for start in range(0, batch.num_rows, BATCH_ROWS):
                yield batch.slice(start, BATCH_ROWS)


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
        return _of_files(Path(data), columns, csv_types or {}, coded)
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, pa.Table):
        require(columns, data.column_names)
        table = data.select(columns)
        return Batches(lambda: iter(table.to_batches(BATCH_ROWS)), table.num_rows)
    if isinstance(data, ds.Dataset):
        return _of_dataset(data, columns, None)
    if isinstance(data, Iterable):
        if iter(data) is not data and isinstance(data, Sequence):
            return _of_sequence(data, columns)
        return _of_iterator(iter(data), columns)
    kinds = "a path, a pyarrow Table, RecordBatch or Dataset, or an iterable of record batches"
    raise TypeError(f"The scores must be {kinds}, not {type(data).__name__}.")


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


def _of_files(
    path: Path, columns: list[str], csv_types: Mapping[str, pa.DataType], coded: Sequence[str]
) -> Batches:
    if not path.exists():
        raise _unreadable(path, "There is no such file or folder.")
    files, form = _files(path)
    if form == "parquet":
        return _of_parquet(files, columns, path, coded)
    with _readable(path):
        dataset = _csv(files, csv_types)
    return _of_dataset(dataset, columns, path, count=False)


# Reading whole column chunks ahead costs several times the memory and gains nothing on a disk.
_AS_IT_COMES = {"pre_buffer": False, "buffer_size": 1 << 20}
_PARQUET = ds.ParquetFileFormat(
    default_fragment_scan_options=ds.ParquetFragmentScanOptions(use_buffered_stream=True, **_AS_IT_COMES)
)


def _of_parquet(files: Sequence[Path], columns: list[str], path: Path, coded: Sequence[str]) -> Batches:
    with _readable(path):
        heads = [pq.read_metadata(file) for file in files]
        schemas = [head.schema.to_arrow_schema() for head in heads]
    if path.is_dir() and any(not set(columns) <= set(schema.names) for schema in schemas):
        return _of_dataset(_with_folders(files, path, schemas), columns, path)
    for schema, file in zip(schemas, files, strict=True):
        require(columns, schema.names, Where(str(path if len(files) == 1 else file)))

    def read() -> Iterator[pa.RecordBatch]:
        # A data set's scanner would read ahead in each column, at several times the memory.
        for file, schema in zip(files, schemas, strict=True):
            # Only texts can be read as dictionaries; what else a column holds is for the checks to say.
            texts = [name for name in coded if pa.types.is_string(schema.field(name).type)]
            with _readable(file), pq.ParquetFile(file, read_dictionary=texts, **_AS_IT_COMES) as opened:
                yield from opened.iter_batches(BATCH_ROWS, columns=columns, use_threads=False)

    return Batches(read, sum(head.num_rows for head in heads))


def _with_folders(files: Sequence[Path], path: Path, schemas: Sequence[pa.Schema]) -> ds.Dataset:
    """With the columns that a folder's names spell, `day=2026-11-01/part-0.parquet`."""
    names = [str(file) for file in files]
    hive = {"format": _PARQUET, "partitioning": "hive", "partition_base_dir": str(path)}
    with _readable(path):
        first = ds.dataset(names, **hive)
        whole = pa.unify_schemas([*schemas, first.schema], promote_options="permissive")
        return ds.dataset(names, schema=whole, **hive)


def _csv(files: Sequence[Path], types: Mapping[str, pa.DataType]) -> ds.Dataset:
    # Empty texts are missing values. Types are guessed from a file's first block.
    form = ds.CsvFileFormat(
        convert_options=pcsv.ConvertOptions(strings_can_be_null=True, column_types=dict(types)),
        read_options=pcsv.ReadOptions(block_size=1 << 22),
    )
    schemas = [form.inspect(str(file), filesystem=LocalFileSystem()) for file in files]
    whole = pa.unify_schemas(schemas, promote_options="permissive")
    whole = pa.schema([pa.field(each.name, types.get(each.name, each.type)) for each in whole])
    return ds.dataset([str(file) for file in files], schema=whole, format=form)


def _files(path: Path) -> tuple[list[Path], str]:
    """The data files of a folder in the order of their paths, and whether they are `parquet` or `csv`."""
    if not path.is_dir():
        return [path], _form(path) or "parquet"
    found = {file: _form(file) for file in sorted(path.rglob("*")) if _is_data(file, path)}
    files = [file for file, form in found.items() if form is not None]
    forms = {form for form in found.values() if form is not None}
    if len(forms) == 1:
        return files, forms.pop()
    raise _unreadable(
        path,
        "The folder holds parquet files and CSV files."
        if forms
        else "The folder holds no parquet file and no CSV file.",
    )


def _is_data(path: Path, folder: Path) -> bool:
    return path.is_file() and not any(part.startswith((".", "_")) for part in path.relative_to(folder).parts)


def _form(path: Path) -> str | None:
    name = path.name.lower()
    return next((form for suffix, form in _SUFFIXES.items() if name.endswith(suffix)), None)


def _of_dataset(dataset: ds.Dataset, columns: list[str], path: Path | None, *, count: bool = True) -> Batches:
    require(columns, dataset.schema.names, None if path is None else Where(str(path)))

    def read() -> Iterator[pa.RecordBatch]:
        with _readable(path):
            yield from dataset.to_batches(
                columns=columns, batch_size=BATCH_ROWS, batch_readahead=2, fragment_readahead=1
            )

    # Only parquet writes down how many rows it has; text would have to be read for it.
    with _readable(path):
        rows = dataset.count_rows() if count else None
    return Batches(read, rows)


@contextmanager
def _readable(path: Path | None) -> Iterator[None]:
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        why = (str(error) or type(error).__name__).partition("\n")[0].rstrip(". ") + "."
        raise _unreadable(path, why) from error


def _unreadable(path: Path | None, why: str) -> Refused:
    return Refused(
        Diagnosis(
            code="AME-E504",
            where=None if path is None else Where(str(path)),
            what="The table of scores cannot be read.",
            why=why,
            fix="Give a parquet or CSV file, or a folder of such files of one kind, with one row for each "
            "scored row.",
        )
    )
