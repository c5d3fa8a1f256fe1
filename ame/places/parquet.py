"""Row groups of parquet files, read in order and as the file system likes it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq

from ame.places.place import Place

__all__ = ["AS_IT_COMES", "read_row_groups", "with_spelled"]

#: Reading whole column chunks ahead costs several times the memory and gains nothing on a disk.
AS_IT_COMES = {"pre_buffer": False, "buffer_size": 1 << 20}


def read_row_groups(
    place: Place,
    path: str,
    columns: Sequence[str],
    most: int,
    *,
    groups: Sequence[int] | None = None,
    coded: Sequence[str] = (),
) -> Iterator[pa.RecordBatch]:
    """Columns of a file, in the types that it has, at most `most` rows at a time.

    Not by fragments of a data set: pyarrow keeps the row groups of these as a set, which is in no order.

    Args:
        place: the file, or a folder that it is in.
        groups: numbers of row groups; None for all.
        coded: columns of texts that come as dictionaries where the file has them so.

    Raises:
        OSError, ArrowInvalid: when the file cannot be read, or lacks a column.
    """
    # A request to a bucket takes long, whatever its size: whole column chunks are read there, side by side.
    manner = {"pre_buffer": True} if place.bucket else AS_IT_COMES
    with place.system().open_input_file(path) as file:
        head = pq.read_metadata(file)
        schema = head.schema.to_arrow_schema()
        there = set(schema.names)
        if lacking := [name for name in columns if name not in there]:  # they would be passed over
            raise pa.ArrowInvalid(f"The file {path} has no column {lacking[0]!r}")
        # Only texts can be read as dictionaries; what else a column holds is for others to say.
        texts = [name for name in coded if pa.types.is_string(schema.field(name).type)]
        opened = pq.ParquetFile(file, metadata=head, read_dictionary=texts, **manner)
        numbers = range(head.num_row_groups) if groups is None else groups
        yield from opened.iter_batches(
            most, row_groups=list(numbers), columns=list(columns), use_threads=False
        )


def with_spelled(batch: pa.RecordBatch, spelled: Mapping[str, Any], schema: pa.Schema) -> pa.RecordBatch:
    """The columns of a schema, in its types; those that are spelled have one value in all rows.

    Raises:
        ArrowInvalid: when a value has not the type of its column.
    """
    found = [
        pa.repeat(pa.scalar(spelled[field.name], field.type), batch.num_rows)
        if field.name in spelled
        else batch.column(field.name)
        for field in schema
    ]
    return pa.RecordBatch.from_arrays(found, schema.names).cast(schema)
