"""Leases: a file that its owner holds locked for as long as it lives.

The kernel drops the lock when the owner ends, however it ends, so that a lease whose lock can be taken
belongs to nobody any more. A lease also names the process groups that its owner has started; whoever
finds it dead ends them. That is how a `kill -9` leaves no process behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import json
import os
import signal
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil

__all__ = ["Lease", "current_lease", "end_process_group", "file_lock", "living_leases", "sweep_leases"]


class Lease:
    """Hold a lease in `folder` until `close` or the end of this process."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.json"
        self._groups: dict[int, float] = {}
        self._guard = threading.Lock()
        # Locked before it gets its name: nobody ever sees the lease of a living owner unlocked.
        unnamed = self.path.with_suffix(".new")
        self._file = os.open(unnamed, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        self._write()
        unnamed.rename(self.path)

    def add_process_group(self, leader: int) -> None:
        """Name the process group of `leader`, a living child of this process."""
        with self._guard:
            self._groups[leader] = psutil.Process(leader).create_time()
            self._write()

    def remove_process_group(self, leader: int) -> None:
        with self._guard:
            self._groups.pop(leader, None)
            self._write()

    def close(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self._file)

    def _write(self) -> None:
        text = json.dumps({"processGroups": [[leader, born] for leader, born in self._groups.items()]})
        os.ftruncate(self._file, 0)
        os.pwrite(self._file, text.encode(), 0)


_current: Lease | None = None


def current_lease() -> Lease | None:
    """The lease that this process holds, if any; what it starts is named there."""
    return _current


@contextlib.contextmanager
def holding(folder: Path) -> Iterator[Lease]:
    """Hold a lease and make it the current one."""
    global _current  # noqa: PLW0603 - a process holds one lease, as it has one process id
    lease, before = Lease(folder), _current
    _current = lease
    try:
        yield lease
    finally:
        _current = before
        lease.close()


def sweep_leases(folder: Path) -> int:
    """End what dead owners left, remove their leases, and return how many owners live."""
    living = 0
    for path in folder.glob("*.json"):
        groups = _take_if_dead(path)
        if groups is None:
            living += 1
            continue
        for leader, born in groups:
            end_process_group(leader, born)
        path.unlink(missing_ok=True)
    return living


def living_leases(folder: Path) -> int:
    """How many owners live, this process included."""
    return sum(_take_if_dead(path) is None for path in folder.glob("*.json"))


def _take_if_dead(path: Path) -> list[tuple[int, float]] | None:
    """The process groups of a dead owner's lease, or None while the owner lives."""
    try:
        file = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except FileNotFoundError:
        return []
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        with contextlib.suppress(ValueError):
            content = json.loads(os.read(file, 1 << 20))
            return [(int(leader), float(born)) for leader, born in content["processGroups"]]
        return []
    except BlockingIOError:
        return None
    finally:
        os.close(file)


def end_process_group(leader: int, born: float) -> None:
    """Kill the process group of `leader`, unless that process id now names a younger process.

    Args:
        leader: the process id that is also the group's id.
        born: when the leader was started, in seconds since the epoch, as psutil tells it.
    """
    with contextlib.suppress(psutil.NoSuchProcess):
        # A group outlives its leader, and while it lives the kernel gives its id to no other process.
        if abs(psutil.Process(leader).create_time() - born) > 1:
            return
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(leader, signal.SIGKILL)


@contextlib.contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a file; yields False, holding nothing, if `wait` is false and another holds it."""
    path.parent.mkdir(parents=True, exist_ok=True)
    file = os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o600)
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            yield False
        else:
            yield True
    finally:
        os.close(file)
