"""Where files lie: on a disk, or in a bucket.

Everything goes through pyarrow's file systems, so that nothing else is needed for S3, neither here nor on an
executor of Spark. A place holds no credentials: they are those of the process that opens it, from its
environment, its configuration files or its role.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePath, PurePosixPath
from typing import TypeVar

from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType, LocalFileSystem

__all__ = ["Place", "format_of", "in_threads", "is_data", "place_of"]

_SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".csv.gz": "csv"}
#: The last two are Hadoop's words for the first.
_SCHEMES = {"s3", "s3a", "s3n"}
#: Answers of a bucket take long and need no processor.
_THREADS = 16

_T = TypeVar("_T")
_R = TypeVar("_R")


@dataclass(frozen=True, slots=True)
class Place:
    """A file or a folder; plain data that is sent to other processes.

    Attributes:
        uri: as the user wrote it.
        path: for the file system: of a bucket `bucket/key`, else an absolute path.
        bucket: whether it lies in S3 and not on a disk.
        endpoint: of another S3 than Amazon's, `http://host:port`.
        region: of the bucket.
    """

    uri: str
    path: str
    bucket: bool = False
    endpoint: str | None = None
    region: str | None = None

    def system(self) -> FileSystem:
        """The file system that `path` is of.

        A process that was told an endpoint takes its own: the server may be called otherwise where it runs.
        """
        return _s3(_endpoint() or self.endpoint, self.region) if self.bucket else LocalFileSystem()

    def below(self, name: str) -> str:
        """The path of a file of this folder."""
        return f"{self.path}/{name}"

    def shown(self, path: str) -> str:
        """A file of this folder as the user would write it."""
        return f"{self.uri.rstrip('/')}/{PurePosixPath(path).relative_to(self.path)}"

    def files(self, *, hidden: bool = False) -> list[FileInfo]:
        """The files at or below this place in the order of their paths; `hidden` ones too, if asked for.

        A folder that is not there has no files.
        """
        system = self.system()
        info = system.get_file_info(self.path)
        if info.type == FileType.File:
            return [info]
        found = system.get_file_info(FileSelector(self.path, allow_not_found=True, recursive=True))
        files = [each for each in found if each.type == FileType.File]
        kept = [each for each in files if hidden or is_data(PurePosixPath(each.path).relative_to(self.path))]
        # As pathlib sorts: folder by folder, whatever stands after a folder's name.
        return sorted(kept, key=lambda each: each.path.split("/"))


def place_of(data: str | Path) -> Place:
    """The place of a path, a `file://` or an `s3://` URI.

    The endpoint of a bucket is that of AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, its region that of AWS_REGION
    or AWS_DEFAULT_REGION. Where none is told, Amazon is asked for the bucket's region.

    Raises:
        ValueError: for other schemes, and for a text without a character.
        OSError: when Amazon does not tell the bucket's region.
    """
    text = str(data)
    scheme, separator, rest = text.partition("://")
    if isinstance(data, Path) or not separator:
        if not text:
            raise ValueError("An empty path names no file")
        return Place(text, str(Path(data).absolute()))
    if scheme == "file":
        return Place(text, str(Path(rest).absolute()))
    if scheme not in _SCHEMES:
        raise ValueError(f"Files are read from paths and from s3://, not from {scheme}://")
    path, endpoint = rest.rstrip("/"), _endpoint()
    return Place(text, path, bucket=True, endpoint=endpoint, region=_region(path, endpoint))


def is_data(below: PurePath) -> bool:
    """Whether a file of a folder is read: neither it nor a folder above it begins with '.' or '_'."""
    return not any(part.startswith((".", "_")) for part in below.parts)


def format_of(name: str) -> str | None:
    """`parquet` or `csv`, by the end of a file's name; None for others."""
    return next((form for suffix, form in _SUFFIXES.items() if name.lower().endswith(suffix)), None)


def in_threads(function: Callable[[_T], _R], items: Iterable[_T]) -> list[_R]:
    """What a function that asks for files tells of each, in order."""
    with ThreadPoolExecutor(_THREADS) as threads:
        return list(threads.map(function, items))


def _endpoint() -> str | None:
    return os.environ.get("AWS_ENDPOINT_URL_S3") or os.environ.get("AWS_ENDPOINT_URL") or None


def _region(path: str, endpoint: str | None) -> str:
    told = os.environ.get("AWS_REGION") or os.environ.get("AWS_DEFAULT_REGION")
    if told:
        return told
    if endpoint is not None:
        return "us-east-1"  # others than Amazon's ask for none
    from pyarrow.fs import resolve_s3_region

    region: str = resolve_s3_region(path.partition("/")[0])
    return region


@cache
def _s3(endpoint: str | None, region: str | None) -> FileSystem:
    from pyarrow.fs import S3FileSystem

    if endpoint is None:
        return S3FileSystem(region=region)
    scheme, _, host = endpoint.rpartition("://")
    return S3FileSystem(region=region, endpoint_override=host.rstrip("/"), scheme=scheme or "https")
