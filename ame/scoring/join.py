"""The table that the gate reads: the holdout's columns, a key for each row, and both models' scores."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ame.diagnosis import Diagnosis, Refused
from ame.scoring.holdout import Holdout
from ame.scoring.row_hashes import row_hashes

__all__ = ["common_classes", "join_scores", "row_column", "score_digests"]


def row_column(columns: Sequence[str]) -> str:
    """What the column of the rows' hashes is called beside these: `row`, unless one of them is."""
    name = "row"
    while name in columns:
        name = "row_hash" if name == "row" else f"{name}_"
    return name


def join_scores(
    holdout: Holdout,
    columns: Sequence[str],
    scores: Mapping[str, Path],
    file: Path,
    *,
    row: str | None = "row",
) -> int:
    """One parquet file with the rows' hashes, the holdout's `columns`, and each model's scores.

    A row's hash is made of all the holdout's columns, whatever their order, so that the same row has the
    same hash in every file: rows that repeat, and a holdout that was used before, are told by it.

    Args:
        scores: by the column's name, for example champion and challenger.
        row: the name of the column of hashes (uint64), which is none of `columns`; None leaves it out.

    Returns:
        The number of rows.

    Raises:
        Refused: AME-E401, when the holdout has other rows than those that were scored.
    """
    rows = 0
    answers = {name: _Answers(path) for name, path in scores.items()}
    own = [] if row is None else [(row, pa.uint64())]
    schema = pa.schema([*own, *holdout.schema(columns), *((n, each.kind) for n, each in answers.items())])
    read = list(columns) if row is None else sorted(holdout.columns)
    with pq.ParquetWriter(file, schema) as writer:
        for batch in holdout.batches(read):
            keys = [] if row is None else [pa.array(row_hashes(batch))]
            taken = [answer.take(batch.num_rows) for answer in answers.values()]
            rows += batch.num_rows
            if any(len(some) != batch.num_rows for some in taken):
                raise Refused(_changed(holdout))
            kept = [batch.column(name) for name in columns]
            writer.write_table(pa.Table.from_arrays([*keys, *kept, *taken], schema=schema))
    if any(len(answer.take(1)) for answer in answers.values()):
        raise Refused(_changed(holdout))
    return rows


def common_classes(scores: Mapping[str, Path]) -> tuple[Any, ...]:
    """The classes whose probabilities the models tell, in their order; none where no model names them.

    Raises:
        Refused: AME-E404, when the models do not answer with the same classes.
    """
    schemas = {name: pq.read_schema(path) for name, path in scores.items()}
    named = {
        name: json.loads((schema.metadata or {}).get(b"classes", b"[]")) for name, schema in schemas.items()
    }
    widths = {name: schema.field("score").type.list_size for name, schema in schemas.items()}
    told = [tuple(classes) for classes in named.values() if classes]
    if len(set(widths.values())) == 1 and all(classes == told[0] for classes in told):
        return told[0] if told else ()
    answers = " and ".join(
        f"the {name} tells {', '.join(map(repr, named[name])) or f'{widths[name]} classes without names'}"
        for name in scores
    )
    raise Refused(
        Diagnosis(
            code="AME-E404",
            what="champion and challenger do not answer with the same classes.",
            why=f"{answers[0].upper()}{answers[1:]}.",
            fix="Train both on the same classes, or name their order in `classes` of the abTest.",
        )
    )


def score_digests(file: Path, names: Sequence[str]) -> dict[str, str]:
    """SHA-256 over each column of scores in a joined file, a missing score as not a number.

    Two versions with the same digest on the same holdout answer every row alike, bit by bit.
    """
    hashes = {name: hashlib.sha256() for name in names}
    for batch in pq.ParquetFile(file).iter_batches(columns=list(names)):
        for name, column in zip(batch.schema.names, batch.columns, strict=True):
            flat = column.flatten() if pa.types.is_nested(column.type) else column
            hashes[name].update(flat.to_numpy(zero_copy_only=False).astype("<f8").tobytes())
    return {name: found.hexdigest() for name, found in hashes.items()}


class _Answers:
    """The scores of one file, in order, as many at a time as are asked for."""

    def __init__(self, file: Path) -> None:
        opened = pq.ParquetFile(file, pre_buffer=False, buffer_size=1 << 20)
        self.kind = opened.schema_arrow.field("score").type
        self._batches = opened.iter_batches(columns=["score"])
        self._rest = pa.chunked_array([], self.kind)

    def take(self, rows: int) -> pa.ChunkedArray:
        """The next scores; fewer than asked for at the end."""
        while len(self._rest) < rows and (batch := next(self._batches, None)) is not None:
            self._rest = pa.chunked_array([*self._rest.chunks, batch.column(0)])
        taken, self._rest = self._rest.slice(0, rows), self._rest.slice(rows)
        return taken


def _changed(holdout: Holdout) -> Diagnosis:
    return Diagnosis(
        code="AME-E401",
        where=holdout.where,
        what=f"the holdout '{holdout.name}' has changed while it was scored.",
        why="It has other rows now than those that the models have answered.",
        fix="Leave the files alone while a command runs; then run it again.",
    )
