"""The blobs and manifests of a store that is a bucket of S3 or of a service that speaks it.

An object appears whole or not at all, so that a crash leaves nothing visible; the parts of a large file
that a killed writer had sent are for the bucket's lifecycle rule to remove.
"""

from __future__ import annotations

import contextlib
import hashlib
import logging
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from ame.diagnosis import Diagnosis, Refused
from ame.store.refusals import refusing_bucket_errors
from ame.store.settings import StoreSettings

__all__ = ["Bucket"]

_CHUNK = 1 << 20
#: Bytes up to which a file is sent in one request, out of memory.
_SMALL = 4 << 20
#: Bytes of one part of a larger one; S3 takes 10,000 parts.
_PART = 16 << 20
#: How many larger files are sent at once: each holds two parts in memory.
_LARGE_AT_ONCE = 2
#: After which a service that takes connections and says nothing counts as down; by itself the client would
#: wait for each of its attempts.
_ANSWER_SECONDS = 10.0
_TRANSFER_SECONDS = 120.0
#: Bytes that are fetched in one request.
_PIECE = 8 << 20


class Bucket:
    """Named contents below a prefix of a bucket."""

    #: Threads that send and fetch files.
    parallel = 8

    def __init__(self, settings: StoreSettings) -> None:
        self._settings = settings
        self.files = _client(settings)

    def __str__(self) -> str:
        return self._settings.uri

    def read(self, name: str) -> bytes | None:
        """A content, or None when there is none of this name."""
        with self.refusing():
            try:
                content: bytes = self._bounded("_cat_file", self.path(name))
            except FileNotFoundError as error:
                if _code(error) == "NoSuchBucket":
                    raise
                return None
            return content

    def has(self, name: str) -> bool:
        # Unlike a HEAD, a GET that is refused says why.
        return bool(self._piece(name, 0, 1))

    def remove(self, name: str) -> None:
        with self.refusing(), contextlib.suppress(FileNotFoundError):
            self._bounded("_rm_file", self.path(name))

    @contextlib.contextmanager
    def writing(self) -> Iterator[BucketWriter]:
        """A writer of one snapshot."""
        yield BucketWriter(self)

    def fetch(self, name: str, destination: Path, digest: str, size: int) -> str:
        """Copy a blob to a new file; says what is wrong with the blob, or nothing.

        Raises:
            OSError: when the destination cannot be written.
        """
        whole = hashlib.sha256()
        there = 0
        with destination.open("xb") as file:
            while there < size:
                piece = self._piece(name, there, min(there + _PIECE, size))
                if piece is None:
                    return f"{name} is missing."
                if not piece:
                    return f"{name} has {there:,} bytes instead of {size:,}."
                there += len(piece)
                whole.update(piece)
                file.write(piece)
        return "" if whole.hexdigest() == digest else f"{name} was changed."

    def link(self, name: str, destination: Path, size: int) -> bool:  # noqa: ARG002
        """A bucket has nothing that a name could stand for."""
        return False

    def _piece(self, name: str, start: int, end: int) -> bytes | None:
        """Bytes of an object, as many as there are; None when there is no object."""
        with self.refusing():
            try:
                limit = _ANSWER_SECONDS if end - start == 1 else _TRANSFER_SECONDS
                piece: bytes = self._bounded("_cat_file", self.path(name), start=start, end=end, limit=limit)
            except OSError as error:
                if _code(error) == "InvalidRange":
                    return b""
                if isinstance(error, FileNotFoundError) and _code(error) != "NoSuchBucket":
                    return None
                raise
            return piece

    def size_of(self, name: str) -> int | None:
        with self.refusing():
            try:
                found = self._bounded(
                    "_call_s3", "head_object", Bucket=self._settings.bucket, Key=self.key(name)
                )
            except FileNotFoundError:
                return None
            return int(found["ContentLength"])

    def put(self, name: str, content: bytes) -> None:
        self._bounded("_pipe_file", self.path(name), content, limit=_TRANSFER_SECONDS)

    def _bounded(self, name: str, *arguments: Any, limit: float | None = None, **named: Any) -> Any:
        """What one of the client's coroutine functions returns, within so many seconds."""
        from fsspec.asyn import sync

        return sync(
            self.files.loop, getattr(self.files, name), *arguments, timeout=limit or _ANSWER_SECONDS, **named
        )

    def key(self, name: str) -> str:
        return f"{self._settings.prefix}/{name}" if self._settings.prefix else name

    def path(self, name: str) -> str:
        return f"{self._settings.bucket}/{self.key(name)}"

    def refusing(self) -> contextlib.AbstractContextManager[None]:
        settings = self._settings
        return refusing_bucket_errors(settings.uri, settings.endpoint_url, settings.bucket)


class BucketWriter:
    """Sends the files of one snapshot, each content once."""

    def __init__(self, bucket: Bucket) -> None:
        self._bucket = bucket
        self._large = threading.BoundedSemaphore(_LARGE_AT_ONCE)
        self._claimed: set[str] = set()
        self._guard = threading.Lock()

    def add(self, source: Path, blobs: str) -> tuple[str, int, bool]:
        """Keep a file's content as a blob.

        Returns:
            Its SHA-256, its size in bytes, and whether it had to be sent.

        Raises:
            OSError: when the source cannot be read, or changes while it is.
        """
        with source.open("rb") as file:
            content = file.read(_SMALL + 1)
            if len(content) <= _SMALL:
                digest = hashlib.sha256(content).hexdigest()
                name = blobs.format(digest[:2], digest)
                new = self._is_new(name, len(content))
                if new:
                    self.write(name, content)
                return digest, len(content), new
            del content
            file.seek(0)
            digest = hashlib.file_digest(file, "sha256").hexdigest()
            size = file.tell()
            name = blobs.format(digest[:2], digest)
            new = self._is_new(name, size)
            if new:
                file.seek(0)
                with self._large:
                    self._send(file, name, digest)
            return digest, size, new

    def write(self, name: str, content: bytes) -> None:
        """Put a small content in its place at once."""
        with self._bucket.refusing():
            self._bucket.put(name, content)

    def _is_new(self, name: str, size: int) -> bool:
        # Another thread may be sending the same content: if it fails, so does the whole snapshot.
        with self._guard:
            if name in self._claimed:
                return False
            self._claimed.add(name)
        # One that a broken copy from elsewhere cut short is sent again.
        return self._bucket.size_of(name) != size

    def _send(self, file: Any, name: str, digest: str) -> None:
        whole = hashlib.sha256()
        with self._bucket.refusing():
            sent = self._bucket.files.open(self._bucket.path(name), "wb", block_size=_PART, autocommit=False)
        try:
            while chunk := file.read(_CHUNK):
                whole.update(chunk)
                with self._bucket.refusing():
                    sent.write(chunk)
            if whole.hexdigest() != digest:
                raise OSError(f"{file.name} was changed while it was read")
            with self._bucket.refusing():
                sent.close()
                sent.commit()
        except BaseException:
            with contextlib.suppress(Exception):
                sent.discard()
            raise


def _code(error: BaseException) -> str:
    response = getattr(error.__cause__, "response", None) or {}
    return str(response.get("Error", {}).get("Code", ""))


def _client(settings: StoreSettings) -> Any:
    """An s3fs file system that gives up within seconds and remembers nothing of what it has seen."""
    try:
        import s3fs
    except ImportError:
        raise Refused(
            Diagnosis(
                code="AME-E848",
                what=f"the artifact store {settings.uri} needs the package s3fs, which is not installed.",
                fix="Install ame-flows with its extra `aws`: `pip install 'ame-flows[aws]'`.",
            )
        ) from None

    # At the level DEBUG botocore logs the headers of its requests, signatures and tokens among them.
    for name in ("botocore", "aiobotocore", "s3fs"):
        logger = logging.getLogger(name)
        logger.setLevel(max(logger.level, logging.INFO))
    client: dict[str, Any] = {"region_name": settings.region}
    if not settings.verify:
        client["verify"] = False
    elif settings.ca_bundle:
        client["verify"] = settings.ca_bundle
    files = s3fs.S3FileSystem(
        key=settings.access_key_id,
        secret=settings.secret_access_key,
        token=settings.session_token,
        endpoint_url=settings.endpoint_url,
        client_kwargs=client,
        config_kwargs={
            "connect_timeout": 1.5,
            "read_timeout": 10,
            "retries": {"total_max_attempts": 2, "mode": "standard"},
            "s3": {"addressing_style": "path" if settings.uses_path_style else settings.addressing_style},
            # Other services than Amazon's do not know the checksums that botocore would add by default.
            "request_checksum_calculation": "when_required",
            "response_checksum_validation": "when_required",
        },
        use_listings_cache=False,
        skip_instance_cache=True,
    )
    files.retries = 2
    return files
