"""Files on a disk or in a bucket, listed on the driver and opened again in the tasks.

Everything goes through pyarrow's file systems, so that Spark needs no package for S3. Endpoint, region and
credentials of a bucket are those of the environment, on the driver and on each executor; endpoint and
region travel with a task to an executor that was told none.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import Any, TypeVar

import pyarrow as pa
import pyarrow.fs as pafs
import pyarrow.parquet as pq

from ame.scoring.formats import is_data

__all__ = ["Footer", "Place", "etag_of", "in_threads", "place_of", "read_footer"]

#: Answers of a bucket take long and need no processor.
_THREADS = 16
#: What is read from a parquet file's end at first; most footers are shorter.
_TAIL = 1 << 16
_MAGIC = b"PAR1"

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Place:
    """A folder or a file; plain data that travels to executors.

    Attributes:
        uri: as the user would type it.
        path: for the file system: of a bucket `bucket/key`, else an absolute path.
        scheme: `s3` or `file`.
        endpoint, region: of a bucket, where the driver's environment tells them.
    """

    uri: str
    path: str
    scheme: str
    endpoint: str | None = None
    region: str | None = None

    def system(self) -> pafs.FileSystem:
        """The file system that `path` is of."""
        if self.scheme == "file":
            return pafs.LocalFileSystem()
        endpoint, region = _endpoint() or self.endpoint, _region() or self.region
        options: dict[str, Any] = {}
        if endpoint:
            scheme, _, host = endpoint.rpartition("://")
            options = {"endpoint_override": host.rstrip("/"), "scheme": scheme or "https"}
        elif region is None:
            region = pafs.resolve_s3_bucket_region(self.path.split("/", 1)[0])
        return pafs.S3FileSystem(region=region or "us-east-1", **options)

    def below(self, name: str) -> str:
        """The path of a file of this folder."""
        return f"{self.path}/{name}"

    def files(self, *, hidden: bool = False) -> list[pafs.FileInfo]:
        """The files at or below this place in the order of their paths; `hidden` ones too, if asked for.

        A folder that is not there has no files.
        """
        system = self.system()
        info = system.get_file_info(self.path)
        if info.type == pafs.FileType.File:
            return [info]
        found = system.get_file_info(pafs.FileSelector(self.path, allow_not_found=True, recursive=True))
        files = [each for each in found if each.type == pafs.FileType.File]
        kept = [each for each in files if hidden or is_data(PurePosixPath(each.path).relative_to(self.path))]
        # As pathlib sorts: folder by folder, whatever stands after a folder's name.
        return sorted(kept, key=lambda each: each.path.split("/"))


def place_of(data: str | Path) -> Place:
    """The place of a path or an `s3://` URI.

    Raises:
        ValueError: for other schemes.
    """
    text = str(data)
    scheme, separator, rest = text.partition("://")
    if isinstance(data, Path) or not separator:
        return Place(text, str(Path(data).absolute()), "file")
    if scheme == "file":
        return Place(text, str(Path(rest).absolute()), "file")
    if scheme not in {"s3", "s3a", "s3n"}:
        raise ValueError(f"Files are read from paths and from s3://, not from {scheme}://")
    return Place(text, rest.rstrip("/"), "s3", _endpoint(), _region())


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


def in_threads(function: Callable[[_T], _R], items: Iterable[_T]) -> Sequence[_R]:
    """The function of each, in order."""
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(function, items))


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def _region() -> str | None:
    return os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION") or None
