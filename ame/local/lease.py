"""Leases: a file that its owner holds locked for as long as it lives.

The kernel drops the lock when the owner ends, however it ends, so that a lease whose lock can be taken
belongs to nobody any more. A lease also names the process groups that its owner has started; whoever
finds it dead ends them. That is how a `kill -9` leaves no process behind.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
import signal
import threading
import uuid
from collections.abc import Iterator
from pathlib import Path

import psutil

__all__ = [
    "Lease",
    "current_lease",
    "end_process_group",
    "file_lock",
    "is_locked",
    "living_leases",
    "locked_file",
    "sweep_leases",
]

_PATTERN = "*.lease"


class Lease:
    """Hold a lease in `folder` until `close` or the end of this process.

    Its file is a list that only grows, one `+ LEADER BORN` or `- LEADER` a line: a kill in the middle of
    a change costs at most the line that was being written.
    """

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / f"{os.getpid()}-{uuid.uuid4().hex[:8]}.lease"
        self._guard = threading.Lock()
        # Locked before it gets its name: nobody ever sees the lease of a living owner unlocked.
        unnamed = self.path.with_suffix(".new")
        self._file = os.open(unnamed, os.O_CREAT | os.O_RDWR | os.O_APPEND | os.O_CLOEXEC, 0o644)
        fcntl.flock(self._file, fcntl.LOCK_EX)
        unnamed.rename(self.path)

    def add_process_group(self, leader: int) -> None:
        """Name the process group of `leader`, a living child of this process."""
        self._append(f"+ {leader} {psutil.Process(leader).create_time()}")

    def remove_process_group(self, leader: int) -> None:
        # On a full disk the group, which has ended, stays named: what is born later is not mistaken for it.
        with contextlib.suppress(OSError):
            self._append(f"- {leader}")

    def close(self) -> None:
        self.path.unlink(missing_ok=True)
        os.close(self._file)

    def _append(self, line: str) -> None:
        with self._guard:
            os.write(self._file, f"{line}\n".encode())


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
    for path in folder.glob(_PATTERN):
        groups = _groups_of_dead(path)
        if groups is None:
            living += 1
            continue
        for leader, born in groups.items():
            end_process_group(leader, born)
        path.unlink(missing_ok=True)
    return living


def living_leases(folder: Path) -> int:
    """How many owners live, this process included."""
    return sum(is_locked(path) for path in folder.glob(_PATTERN))


def _groups_of_dead(path: Path) -> dict[int, float] | None:
    """When each process group's leader was born, in a dead owner's lease; None while the owner lives."""
    if is_locked(path):
        return None
    groups: dict[int, float] = {}
    with contextlib.suppress(FileNotFoundError):
        # What follows the last newline is a line that a kill or a full disk cut short.
        for line in path.read_text().split("\n")[:-1]:
            match line.split():
                case ["+", leader, born]:
                    groups[int(leader)] = float(born)
                case ["-", leader]:
                    groups.pop(int(leader), None)
    return groups


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


def is_locked(path: Path) -> bool:
    """Whether somebody holds the lock of a file; asking takes no lock that another asker would see."""
    try:
        file = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except FileNotFoundError:
        return False
    try:
        fcntl.flock(file, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except BlockingIOError:
        return True
    finally:
        os.close(file)
    return False


@contextlib.contextmanager
def locked_file(path: Path) -> Iterator[int]:
    """Wait for a file's lock and hold it; yields the descriptor.

    A child that inherits the descriptor holds the lock too, until it has ended as well.
    """
    file = _open(path)
    try:
        fcntl.flock(file, fcntl.LOCK_EX)
        yield file
    finally:
        os.close(file)


@contextlib.contextmanager
def file_lock(path: Path, *, wait: bool = True) -> Iterator[bool]:
    """Hold the lock of a file; yields False, holding nothing, if `wait` is false and another holds it."""
    file = _open(path)
    mine = True
    try:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | (0 if wait else fcntl.LOCK_NB))
        except BlockingIOError:
            mine = False
        yield mine
    finally:
        os.close(file)


def _open(path: Path) -> int:
    path.parent.mkdir(parents=True, exist_ok=True)
    return os.open(path, os.O_CREAT | os.O_RDWR | os.O_CLOEXEC, 0o644)
