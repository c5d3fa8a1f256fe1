"""What a store of snapshots needs of the place that holds its contents: a directory or a bucket."""

from __future__ import annotations

import contextlib
from pathlib import Path
from typing import Protocol

__all__ = ["Contents", "Writer"]


class Writer(Protocol):
    """Puts contents in their places, each whole or not at all."""

    def add(self, source: Path, blobs: str) -> tuple[str, int, bool]: ...

    def write(self, name: str, content: bytes) -> None: ...


class Contents(Protocol):
    """Named contents: what a snapshot is made of."""

    parallel: int

    def read(self, name: str) -> bytes | None: ...

    def has(self, name: str) -> bool: ...

    def remove(self, name: str) -> None: ...

    def writing(self) -> contextlib.AbstractContextManager[Writer]: ...

    def fetch(self, name: str, destination: Path, digest: str, size: int) -> str: ...

    def link(self, name: str, destination: Path, size: int) -> bool: ...
