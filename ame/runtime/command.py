"""Run one command line: its output handed on line by line, and nothing of it left behind.

The command gets a process group of its own, which is ended with it, with its timeout, with the caller's
cancellation, and, through the lease of this process, even when this process is killed.
"""

from __future__ import annotations

import contextlib
import os
import selectors
import signal
import subprocess
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO

from ame.local.lease import current_lease
from ame.runtime.output import split_lines

__all__ = ["Ended", "run_command"]

_LAST_LINES = 20
_GRACE_SECONDS = 5.0
_PULSE_SECONDS = 0.2

#: Waits for one line on its input, which comes when the process group is named in the lease; without it,
#: because we were killed in between, the command never starts. The input stays open as long as we live:
#: at its end a watcher, which is nobody's child, takes the process group with it.
_AT_THE_GATE = (
    "read -r go || exit 1; exec {watch}<&0; "
    "( {{ read -r _ <&{watch} || kill -KILL 0; }} >/dev/null 2>&1 & ); "
    'exec "$@" </dev/null {watch}<&-'
)


@dataclass(frozen=True, slots=True)
class Ended:
    """How a command ended.

    Attributes:
        code: the exit code; negative is the signal that ended it.
        last_lines: the end of its output.
        timed_out: whether it was ended for its timeout.
    """

    code: int
    last_lines: tuple[str, ...]
    timed_out: bool = False


def run_command(
    command: str | Sequence[str],
    *,
    folder: Path,
    env: Mapping[str, str],
    on_line: Callable[[str], None],
    timeout: float | None = None,
    stop: threading.Event | None = None,
    holds: Sequence[int] = (),
    masked: Callable[[str], str] = str,
) -> Ended:
    """Run `command` (a string goes through `sh`) in `folder` until it ends.

    Args:
        env: the command's whole environment.
        on_line: called with each line of output and error output, in order, without its newline; what it
            raises ends the command and comes out here.
        timeout: seconds, after which the process group is ended.
        stop: ends the process group when it is set.
        holds: descriptors of locks that the command holds as long as it lives, even when we do not.
        masked: takes secrets out of the output, before a long line is cut.
    """
    # A shell knows descriptors of one digit only.
    gate_keeper = _AT_THE_GATE.format(watch=next(digit for digit in range(3, 10) if digit not in holds))
    asked = ["/bin/sh", "-c", command] if isinstance(command, str) else command
    process = subprocess.Popen(
        ["/bin/sh", "-c", gate_keeper, "sh", *asked],
        cwd=folder,
        env=dict(env),
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
        pass_fds=holds,
    )
    gate, pipe = process.stdin, process.stdout
    assert gate is not None  # noqa: S101 - both are asked for above
    assert pipe is not None  # noqa: S101
    reader = _Reader(pipe, on_line, masked)
    lease = current_lease()
    timed_out = False
    try:
        if lease:
            lease.add_process_group(process.pid)
        gate.write(b"go\n")
        gate.flush()
        # A thread reads, so that a child that keeps the pipe open cannot hold us once the command has ended.
        reader.start()
        timed_out = not _wait(process, timeout, stop, reader)
    finally:
        _end_group(process)
        with contextlib.suppress(BrokenPipeError):
            gate.close()
        reader.finish()
        if lease:
            lease.remove_process_group(process.pid)
    if reader.error:
        raise reader.error
    return Ended(process.returncode, tuple(reader.last), timed_out)


class _Reader(threading.Thread):
    """Hands lines on until the pipe is closed, or until the command has ended and nothing more is in it.

    Attributes:
        last: the newest lines.
        error: what `on_line` raised, if it did.
    """

    def __init__(self, pipe: IO[bytes], on_line: Callable[[str], None], masked: Callable[[str], str]) -> None:
        super().__init__(name="output of a command", daemon=True)
        self.last: deque[str] = deque(maxlen=_LAST_LINES)
        self.error: Exception | None = None
        self._pipe, self._on_line, self._masked = pipe, on_line, masked
        self._ended, self._guard = threading.Event(), threading.Lock()
        self._left = False

    def run(self) -> None:
        try:
            for line in split_lines(self._chunks(), masked=self._masked):
                with self._guard:
                    if self._left:
                        return
                    self.last.append(line)
                    self._on_line(line)
        except Exception as error:  # noqa: BLE001 - carried to the thread that runs the command
            self.error = error
        finally:
            self._pipe.close()

    def finish(self) -> None:
        """Read what the ended command left in the pipe; call no more after that."""
        self._ended.set()
        if self.ident is None:
            self._pipe.close()
        else:
            self.join(_GRACE_SECONDS)
            # Only a child that left the process group, and prints on and on, is still read here.
            with self._guard:
                self._left = True

    def _chunks(self) -> Iterator[bytes]:
        with selectors.DefaultSelector() as readable:
            readable.register(self._pipe, selectors.EVENT_READ)
            while True:
                if readable.select(_PULSE_SECONDS):
                    chunk = os.read(self._pipe.fileno(), 65_536)
                    if not chunk:
                        return
                    yield chunk
                elif self._ended.is_set():
                    return


def _wait(
    process: subprocess.Popen[bytes], timeout: float | None, stop: threading.Event | None, reader: _Reader
) -> bool:
    """Wait for the end; False when the timeout came first."""
    deadline = None if timeout is None else time.monotonic() + timeout
    while True:
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_PULSE_SECONDS)
            return True
        if deadline is not None and time.monotonic() >= deadline:
            return False
        if reader.error or (stop is not None and stop.is_set()):
            return True


def _end_group(process: subprocess.Popen[bytes]) -> None:
    """End what is left of the command: politely while the command itself runs, then at once."""
    if process.poll() is None:
        with contextlib.suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGTERM)
        with contextlib.suppress(subprocess.TimeoutExpired):
            process.wait(_GRACE_SECONDS)
    with contextlib.suppress(ProcessLookupError, PermissionError):
        os.killpg(process.pid, signal.SIGKILL)
    process.wait()
