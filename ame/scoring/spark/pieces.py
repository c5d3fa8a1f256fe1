"""Pieces of a holdout: rows that one task reads by itself, in the files' order.

A piece is a file, some row groups of a large one, or some small files that follow each other. The same
files are always cut alike, so that the scores of a piece can be found again.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.dataset as ds

from ame.places import Place, read_row_groups, with_spelled
from ame.scoring.formats import FORMATS

__all__ = ["PIECE_ROWS", "Part", "Piece", "Rows", "cut"]

#: About how many rows a piece has, where the files tell: their scores are some tens of megabytes.
PIECE_ROWS = 1_000_000

#: About how many bytes of text a piece has, since text does not tell its rows.
_PIECE_BYTES = 64 << 20


@dataclass(frozen=True, slots=True)
class Part:
    """A file, or some of its row groups, and what its folder's name tells."""

    path: str
    expression: pc.Expression
    groups: tuple[int, ...] | None = None


@dataclass(frozen=True, slots=True)
class Piece:
    """What one task reads.

    Attributes:
        number: counted from 0, in the order of the rows.
        rows: None where only reading tells.
    """

    number: int
    parts: tuple[Part, ...]
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Rows:
    """How pieces are read; plain data that travels to executors."""

    place: Place
    form: str
    schema: pa.Schema = field(repr=False)

    def dataset(self, parts: Sequence[Part]) -> ds.Dataset:
        """The whole files of these parts as one table."""
        system, form = self.place.system(), FORMATS[self.form]
        folders = {part.path: part.expression for part in parts}
        fragments = [form.make_fragment(path, system, expression) for path, expression in folders.items()]
        return ds.FileSystemDataset(fragments, self.schema, form, system)

    def read(self, piece: Piece, columns: Sequence[str], most: int) -> Iterator[pa.RecordBatch]:
        """The rows of columns, in order, at most `most` at a time.

        Raises:
            OSError, ArrowInvalid: when a file cannot be read, or a value has not the type of its column.
        """
        schema = pa.schema([self.schema.field(name) for name in columns])
        batches = self._parquet if self.form == "parquet" else self._text
        for batch in batches(piece, schema, most):
            if batch.num_rows:
                # What pandas once wrote beside a file's columns would make indexes of some.
                plain = batch.replace_schema_metadata(None)
                yield plain if plain.schema == schema else plain.cast(schema)

    def _text(self, piece: Piece, schema: pa.Schema, most: int) -> Iterator[pa.RecordBatch]:
        reading = {"use_threads": False, "batch_readahead": 2, "fragment_readahead": 1}
        yield from self.dataset(piece.parts).to_batches(columns=schema.names, batch_size=most, **reading)

    def _parquet(self, piece: Piece, schema: pa.Schema, most: int) -> Iterator[pa.RecordBatch]:
        for part in piece.parts:
            spelled = ds.get_partition_keys(part.expression)
            own = [name for name in schema.names if name not in spelled]
            for batch in read_row_groups(self.place, part.path, own, most, groups=part.groups):
                yield with_spelled(batch, spelled, schema)


def cut(
    files: Sequence[tuple[str, pc.Expression, int, Sequence[int] | None]], most: int = PIECE_ROWS
) -> tuple[Piece, ...]:
    """Cut files into pieces, in order.

    Args:
        files: of each the path, what its folder tells, its bytes, and the rows of its row groups, or None
            for text.
        most: rows of a piece; one row group is never cut.
    """
    pieces: list[Piece] = []
    parts: list[Part] = []
    held = 0

    def close() -> None:
        nonlocal held
        if parts:
            text = files[0][3] is None
            pieces.append(Piece(len(pieces), tuple(parts), None if text else held))
            parts.clear()
            held = 0

    for path, expression, size, groups in files:
        if groups is None:
            if held and held + size > _PIECE_BYTES:
                close()
            parts.append(Part(path, expression))
            held += size
            continue
        for run in _runs(groups, most):
            rows = sum(groups[number] for number in run)
            if held and held + rows > most:
                close()
            if rows:
                parts.append(Part(path, expression, None if len(run) == len(groups) else run))
                held += rows
    close()
    return tuple(pieces)


def _runs(groups: Sequence[int], most: int) -> Iterator[tuple[int, ...]]:
    """Numbers of row groups that follow each other and have `most` rows or fewer together."""
    run: list[int] = []
    for number, rows in enumerate(groups):
        if run and sum(groups[each] for each in run) + rows > most:
            yield tuple(run)
            run = []
        run.append(number)
    if run:
        yield tuple(run)
