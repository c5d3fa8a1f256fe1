"""Columns of a holdout in the types that Spark has."""

from __future__ import annotations

import pyarrow as pa
import pyarrow.compute as pc

__all__ = ["for_spark", "spark_type"]


def for_spark(column: pa.Array) -> pa.Array:
    """The column in a type that Spark has; a null stays one.

    Raises:
        ArrowInvalid: when a value does not fit.
    """
    kind = spark_type(column.type)
    if pa.types.is_dictionary(column.type):
        column = column.dictionary_decode()
    return column if column.type == kind else pc.cast(column, kind)


def spark_type(kind: pa.DataType) -> pa.DataType:
    """The nearest type that Spark has: signed and wider numbers, plain texts, microseconds."""
    if pa.types.is_dictionary(kind):
        return spark_type(kind.value_type)
    if pa.types.is_large_list(kind) or pa.types.is_list(kind) or pa.types.is_fixed_size_list(kind):
        return pa.list_(spark_type(kind.value_type))
    if pa.types.is_timestamp(kind):
        return pa.timestamp("us", kind.tz)
    for are, nearest in _NEAREST:
        if are(kind):
            return nearest
    return kind


_NEAREST = (
    (pa.types.is_uint8, pa.int16()),
    (pa.types.is_uint16, pa.int32()),
    (pa.types.is_uint32, pa.int64()),
    (pa.types.is_uint64, pa.decimal128(20, 0)),
    (pa.types.is_float16, pa.float32()),
    (pa.types.is_large_string, pa.string()),
    (pa.types.is_string_view, pa.string()),
    (pa.types.is_null, pa.string()),
    (pa.types.is_time, pa.string()),
    (pa.types.is_date64, pa.date32()),
    (pa.types.is_duration, pa.duration("us")),
    (pa.types.is_fixed_size_binary, pa.binary()),
    (pa.types.is_large_binary, pa.binary()),
    (pa.types.is_binary_view, pa.binary()),
)
