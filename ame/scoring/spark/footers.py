"""What files tell of their rows, before one of these is read."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import PurePosixPath

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

__all__ = ["Footer", "etag_of", "read_footer"]

#: What is read from a parquet file's end at first; most footers are shorter.
_TAIL = 1 << 16
_MAGIC = b"PAR1"


@dataclass(frozen=True, slots=True)
class Footer:
    """What a parquet file's end tells.

    Attributes:
        content: its bytes, which hold each column's sizes and, mostly, its least and greatest values.
    """

    content: bytes
    metadata: pq.FileMetaData
    schema: pa.Schema


def read_footer(system: pafs.FileSystem, path: str) -> Footer:
    """Read a parquet file's end and nothing else of it.

    Raises:
        ValueError, ArrowInvalid, OSError: when it is no whole parquet file.
    """
    with system.open_input_file(path) as file:
        size = file.size()
        tail = file.read_at(min(size, _TAIL), max(0, size - _TAIL))
        length = int.from_bytes(tail[-8:-4], "little") + 8
        if tail[-4:] != _MAGIC or length > size:
            raise ValueError(f"{PurePosixPath(path).name} is not a whole parquet file")
        if length > len(tail):
            tail = file.read_at(length, size - length)
    content = tail[-length:]
    # pyarrow reads a footer where a whole file begins and ends.
    opened = pq.ParquetFile(pa.BufferReader(_MAGIC + content))
    return Footer(content, opened.metadata, opened.schema_arrow)


def etag_of(system: pafs.FileSystem, path: str) -> str:
    """What a bucket tells of a file's content without sending it; empty where none is told."""
    with system.open_input_stream(path) as file:
        etag: bytes = (file.metadata() or {}).get(b"ETag", b"")
    return etag.decode()
