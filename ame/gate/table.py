"""Reading a table of scores: only the columns that the test needs, batch by batch, into numpy.

Nothing is dropped and nothing is repaired. What is wrong with the rows is counted in a `Tally`, from
which `ame.gate.checks` makes sentences; only a table that cannot be read at all is refused here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import TypeAlias, TypeVar

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds
from numpy.typing import NDArray

from ame.diagnosis import Diagnosis, Refused, Where, did_you_mean
from ame.gate.config import ABTest

__all__ = ["MODELS", "Progress", "ScoredRows", "Scores", "Tally", "read_scores"]

#: The columns with the probabilities that the two models gave to the positive class.
MODELS = ("champion", "challenger")

#: A parquet file or a folder of them, or Arrow data.
Scores: TypeAlias = "str | Path | pa.Table | ds.Dataset | pa.RecordBatch | Iterable[pa.RecordBatch]"

#: Called with what is being done and the share of the whole test that is done, from 0 to 1.
Progress: TypeAlias = Callable[[str, float], None]

T = TypeVar("T", bound=np.generic)

_BATCH_ROWS = 1 << 17


@dataclass(frozen=True, slots=True, eq=False)
class ScoredRows:
    """The rows of a test.

    Attributes:
        label: bool, shape (n,).
        champion: float64, shape (n,), the champion's probabilities of the positive class.
        challenger: float64, shape (n,), the challenger's.
        entity: int64 codes from 0 to `entities` - 1, shape (n,), or None; -1 where it is missing.
        entities: how many different entities there are; 0 without an entity column.
    """

    label: NDArray[np.bool_]
    champion: NDArray[np.float64]
    challenger: NDArray[np.float64]
    entity: NDArray[np.int64] | None = None
    entities: int = 0


@dataclass(slots=True)
class Tally:
    """What was counted while the rows were read.

    Attributes:
        rows: all rows.
        wrong_types: column -> Arrow type, for columns that hold no numbers.
        labels_missing: labels that are null or NaN.
        labels_other: labels that are neither 0 nor 1.
        label_examples: up to three of the latter.
        unanswered: model -> rows without a score of that model, null or NaN.
        answered_by_one: rows that have a score of one model only.
        not_a_number: of the scores that are missing, how many are NaN.
        out_of_range: model -> scores below 0 or above 1.
        entities_missing: entities that are null or NaN.
    """

    rows: int = 0
    wrong_types: dict[str, str] = field(default_factory=dict)
    labels_missing: int = 0
    labels_other: int = 0
    label_examples: tuple[float, ...] = ()
    unanswered: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MODELS, 0))
    answered_by_one: int = 0
    not_a_number: int = 0
    out_of_range: dict[str, int] = field(default_factory=lambda: dict.fromkeys(MODELS, 0))
    entities_missing: int = 0


def read_scores(config: ABTest, data: Scores, progress: Progress | None = None) -> tuple[ScoredRows, Tally]:
    """Read the label, both scores and the entity, about 17 bytes a row and 8 more with an entity.

    Raises:
        Refused: AME-E504 when a file cannot be read, AME-E505 when a column is missing.
        TypeError: when `data` is none of the kinds of `Scores`.
    """
    columns = [config.label, *MODELS]
    if config.entity is not None:
        columns.append(config.entity)
    total, batches = _batches(data, columns)
    tally = Tally()
    labels: list[NDArray[np.bool_]] = []
    scores: dict[str, list[NDArray[np.float64]]] = {model: [] for model in MODELS}
    entities: list[pa.DictionaryArray] = []
    for batch in batches:
        if batch.num_rows == 0:
            continue
        tally.rows += batch.num_rows
        labels.append(_label(config.label, batch.column(config.label), tally))
        for model, read in zip(MODELS, _scores(batch, tally), strict=True):
            scores[model].append(read)
        if config.entity is not None:
            entities.append(_entity(config.entity, batch.column(config.entity), tally))
        if progress is not None and total:
            progress("reading the scores", 0.3 * min(1.0, tally.rows / total))
    entity, count = _codes(entities) if config.entity is not None else (None, 0)
    return (
        ScoredRows(
            label=_joined(labels, np.bool_),
            champion=_joined(scores["champion"], np.float64),
            challenger=_joined(scores["challenger"], np.float64),
            entity=entity,
            entities=count,
        ),
        tally,
    )


def _batches(data: Scores, columns: list[str]) -> tuple[int, Iterator[pa.RecordBatch]]:
    """How many rows there are (0 when that is not known) and the batches of the wanted columns."""
    if isinstance(data, str | Path):
        return _from_files(Path(data), columns)
    if isinstance(data, pa.RecordBatch):
        data = pa.Table.from_batches([data])
    if isinstance(data, pa.Table):
        _require(columns, data.column_names)
        return data.num_rows, iter(data.select(columns).to_batches(_BATCH_ROWS))
    if isinstance(data, ds.Dataset):
        _require(columns, data.schema.names)
        return data.count_rows(), data.to_batches(columns=columns, batch_size=_BATCH_ROWS)
    if isinstance(data, Iterable):
        return 0, _selected(data, columns)
    kinds = "a path, a pyarrow Table, RecordBatch or Dataset, or an iterable of record batches"
    raise TypeError(f"The scores must be {kinds}, not {type(data).__name__}.")


def _selected(data: Iterable[pa.RecordBatch], columns: list[str]) -> Iterator[pa.RecordBatch]:
    for batch in data:
        _require(columns, batch.schema.names)
        yield batch.select(columns)


def _from_files(path: Path, columns: list[str]) -> tuple[int, Iterator[pa.RecordBatch]]:
    # Reading whole column chunks ahead costs several times the memory and gains nothing on a disk.
    parquet = ds.ParquetFileFormat(
        default_fragment_scan_options=ds.ParquetFragmentScanOptions(pre_buffer=False)
    )
    if not path.exists():
        raise _unreadable(path, "There is no such file or folder.")
    try:
        dataset = ds.dataset(path, format=parquet, partitioning="hive")
        total = dataset.count_rows()
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, _first_line(error)) from error
    if not dataset.files:
        raise _unreadable(path, "The folder holds no parquet file.")
    _require(columns, dataset.schema.names, Where(str(path)))
    return total, _read(dataset, columns, path)


def _read(dataset: ds.Dataset, columns: list[str], path: Path) -> Iterator[pa.RecordBatch]:
    try:
        yield from dataset.to_batches(columns=columns, batch_size=_BATCH_ROWS, batch_readahead=2)
    except (pa.ArrowException, OSError) as error:
        raise _unreadable(path, _first_line(error)) from error


def _first_line(error: BaseException) -> str:
    return str(error).partition("\n")[0].rstrip(". ") + "."


def _unreadable(path: Path, why: str) -> Refused:
    return Refused(
        Diagnosis(
            code="AME-E504",
            where=Where(str(path)),
            what="The table of scores cannot be read.",
            why=why,
            fix="Give a parquet file, or a folder of parquet files, with one row for each scored row.",
        )
    )


def _require(columns: list[str], found: list[str], where: Where | None = None) -> None:
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


def _label(name: str, column: pa.Array, tally: Tally) -> NDArray[np.bool_]:
    values = _numbers(name, column, tally)
    missing = np.isnan(values)
    positive: NDArray[np.bool_] = values == 1.0
    other = ~(positive | (values == 0.0) | missing)
    tally.labels_missing += int(np.count_nonzero(missing))
    if other.any():
        tally.labels_other += int(np.count_nonzero(other))
        seen = dict.fromkeys((*tally.label_examples, *np.unique(values[other]).tolist()))
        tally.label_examples = tuple(seen)[:3]
    return positive


def _scores(batch: pa.RecordBatch, tally: Tally) -> list[NDArray[np.float64]]:
    """Both models' scores of one batch, NaN where a score is missing."""
    both = []
    for model in MODELS:
        column = batch.column(model)
        values = _numbers(model, column, tally)
        missing = np.isnan(values)
        absent = int(np.count_nonzero(missing))
        if model not in tally.wrong_types:
            tally.unanswered[model] += absent
            tally.not_a_number += absent - column.null_count
        tally.out_of_range[model] += int(np.count_nonzero((values < 0.0) | (values > 1.0)))
        both.append(values)
    if not tally.wrong_types:
        tally.answered_by_one += int(np.count_nonzero(np.isnan(both[0]) != np.isnan(both[1])))
    return both


def _numbers(name: str, column: pa.Array, tally: Tally) -> NDArray[np.float64]:
    """The column as float64 with NaN for null; all NaN, and the type noted, when it holds no numbers."""
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    kind = column.type
    numeric = (
        pa.types.is_floating(kind)
        or pa.types.is_integer(kind)
        or pa.types.is_boolean(kind)
        or pa.types.is_decimal(kind)
    )
    if not numeric:
        if column.null_count < len(column):
            tally.wrong_types[name] = str(kind)
        return np.full(len(column), np.nan)
    values: NDArray[np.float64] = column.cast(pa.float64(), safe=False).to_numpy(zero_copy_only=False)
    return values


def _entity(name: str, column: pa.Array, tally: Tally) -> pa.DictionaryArray:
    if isinstance(column, pa.DictionaryArray):
        column = column.dictionary_decode()
    missing = pc.is_null(column, nan_is_null=pa.types.is_floating(column.type))
    absent = missing.true_count
    if absent:
        tally.entities_missing += absent
        column = pc.if_else(missing, pa.scalar(None, column.type), column)
    try:
        return column.dictionary_encode()
    except pa.ArrowNotImplementedError:
        tally.wrong_types[name] = str(column.type)
        return pa.nulls(len(column), pa.int8()).dictionary_encode()


def _codes(chunks: list[pa.DictionaryArray]) -> tuple[NDArray[np.int64], int]:
    """One code an entity, the same in all batches."""
    if not chunks:
        return np.empty(0, dtype=np.int64), 0
    unified = pa.chunked_array(chunks).unify_dictionaries()
    indices = [chunk.indices.fill_null(-1).to_numpy(zero_copy_only=False) for chunk in unified.chunks]
    return np.concatenate(indices).astype(np.int64), len(unified.chunk(0).dictionary)


def _joined(chunks: list[NDArray[T]], kind: type[T]) -> NDArray[T]:
    joined: NDArray[T] = np.concatenate(chunks) if chunks else np.empty(0, dtype=kind)
    chunks.clear()  # so that only one column is in memory twice at any moment
    return joined
