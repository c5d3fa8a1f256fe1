"""A hash for each row of a holdout, by which rows that repeat and holdouts that overlap are told."""

from __future__ import annotations

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray

from ame.gate.keys import combine64, hash64, is_plain

__all__ = ["row_hashes"]


def row_hashes(batch: pa.RecordBatch) -> NDArray[np.uint64]:
    """One hash for each row of all columns in this order; of n rows, shape (n,)."""
    return combine64([hash64(_plain(column)) for column in batch.columns])


def _plain(column: pa.Array) -> pa.Array:
    """Lists, structs and the like as their text."""
    if is_plain(column.type):
        return column
    return pa.array(
        [None if value is None else repr(value) for value in column.to_pylist()], pa.large_string()
    )
