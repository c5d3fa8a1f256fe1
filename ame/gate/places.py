"""Where files of rows lie: in folders of this machine, or in a bucket.

A `Place` is plain data that a task on another machine opens again. It holds no credentials: they are those of
the machine that opens it, from the environment, from its configuration files or from its role.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path, PurePosixPath

import pyarrow as pa
from pyarrow.fs import FileInfo, FileSelector, FileSystem, FileType, LocalFileSystem

from ame.diagnosis import Diagnosis, Refused, Where

__all__ = ["Found", "Place", "find", "is_uri", "readable"]

_SUFFIXES = {".parquet": "parquet", ".pq": "parquet", ".csv": "csv", ".csv.gz": "csv"}
_SCHEMES = ("s3://", "s3a://")


@dataclass(frozen=True, slots=True)
class Place:
    """A file system.

    Attributes:
        bucket: whether it is S3 and not this machine's own.
        endpoint: of another S3 than Amazon's, `http://host:port`.
        region: None where the environment of the reader knows it.
    """

    bucket: bool = False
    endpoint: str | None = None
    region: str | None = None

    def system(self) -> FileSystem:
        return _system(self)

    def name(self, path: str) -> str:
        """The path as users write it."""
        return f"s3://{path}" if self.bucket else path


@dataclass(frozen=True, slots=True)
class Found:
    """Data files of one kind.

    Attributes:
        place: where they lie.
        files: their paths there, in order.
        form: `parquet` or `csv`.
        folder: the path that was given, when it is a folder.
        given: what was given, as it was written.
    """

    place: Place
    files: tuple[str, ...]
    form: str
    folder: str | None
    given: str

    def where(self, file: str) -> str:
        """How messages name a file: as it was given, or with its folder."""
        return self.given if self.folder is None else self.place.name(file)


def is_uri(data: object) -> bool:
    """Whether it is the address of a file or folder in a bucket, `s3://bucket/folder`."""
    return isinstance(data, str) and data.startswith(_SCHEMES)


def find(data: str | Path) -> Found:
    """The data files at a path, or at `s3://bucket/prefix`, in the order of their paths.

    The endpoint of a bucket is that of AWS_ENDPOINT_URL_S3 or AWS_ENDPOINT_URL, its region that of AWS_REGION
    or AWS_DEFAULT_REGION. Names that begin with a point or an underscore are passed over.

    Raises:
        Refused: AME-E504 when there is nothing, or files of two kinds.
    """
    given = str(data)
    with readable(given):
        place, path = _located(given)
        info = place.system().get_file_info(path)
        if info.type == FileType.NotFound:
            raise _unreadable(given, "There is no such file or folder.")
        if info.type == FileType.File:
            return Found(place, (path,), _form(path) or "parquet", None, given)
        listed = place.system().get_file_info(FileSelector(path, recursive=True))
    files = sorted((each.path for each in listed if _is_data(each, path)), key=PurePosixPath)
    found = {file: _form(file) for file in files}
    forms = {form for form in found.values() if form is not None}
    if len(forms) == 1:
        kept = tuple(file for file, form in found.items() if form is not None)
        return Found(place, kept, forms.pop(), path, given)
    why = "holds parquet files and CSV files" if forms else "holds no parquet file and no CSV file"
    raise _unreadable(given, f"The folder {why}.")


@contextmanager
def readable(where: str | None) -> Iterator[None]:
    """Turn what goes wrong in reading into a refusal.

    Raises:
        Refused: AME-E504.
    """
    try:
        yield
    except (pa.ArrowException, OSError, UnicodeError) as error:
        why = (str(error) or type(error).__name__).partition("\n")[0].rstrip(". ") + "."
        raise _unreadable(where, why) from error


def _unreadable(where: str | None, why: str) -> Refused:
    return Refused(
        Diagnosis(
            code="AME-E504",
            where=None if where is None else Where(where),
            what="The table of scores cannot be read.",
            why=why,
            fix="Give a parquet or CSV file, or a folder of such files of one kind, with one row for each "
            "scored row.",
        )
    )


def _located(given: str) -> tuple[Place, str]:
    if not is_uri(given):
        return Place(), given
    path = given.partition("://")[2].rstrip("/")
    environment = os.environ
    endpoint = environment.get("AWS_ENDPOINT_URL_S3") or environment.get("AWS_ENDPOINT_URL") or None
    region = environment.get("AWS_REGION") or environment.get("AWS_DEFAULT_REGION") or None
    if region is None and endpoint is not None:
        region = "us-east-1"  # others than Amazon's ask for none, and looking for one takes seconds
    if region is None:
        from pyarrow.fs import resolve_s3_region

        region = resolve_s3_region(path.partition("/")[0])
    return Place(bucket=True, endpoint=endpoint, region=region), path


@cache
def _system(place: Place) -> FileSystem:
    if not place.bucket:
        return LocalFileSystem()
    from pyarrow.fs import S3FileSystem

    more = {}
    if place.endpoint is not None:
        scheme, _, host = place.endpoint.rpartition("://")
        more = {"endpoint_override": host.rstrip("/"), "scheme": scheme or "https"}
    return S3FileSystem(region=place.region, **more)


def _is_data(info: FileInfo, folder: str) -> bool:
    inside = PurePosixPath(info.path).relative_to(folder)
    return info.type == FileType.File and not any(part.startswith((".", "_")) for part in inside.parts)


def _form(path: str) -> str | None:
    name = PurePosixPath(path).name.lower()
    return next((form for suffix, form in _SUFFIXES.items() if name.endswith(suffix)), None)
