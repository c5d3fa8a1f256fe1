"""Run one command line: its output handed on line by line, and nothing of it left behind.

The command gets a process group of its own, which is ended with it, with its timeout, with the caller's
cancellation, and, through the lease of this process, even when this process is killed.
"""

from __future__ import annotations

import codecs
import contextlib
import os
import signal
import subprocess
import threading
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from ame.local.lease import current_lease

__all__ = ["Ended", "run_command"]

_LAST_LINES = 20
_LINE_LIMIT = 16_384  #: characters; a progress bar that never ends its line must not fill the memory
_GRACE_SECONDS = 5.0


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
) -> Ended:
    """Run `command` (a string goes through `sh`) in `folder` until it ends.

    Args:
        env: the command's whole environment.
        on_line: called with each line of output and error output, in order, without its newline.
        timeout: seconds, after which the process group is ended.
        stop: ends the process group when it is set.
    """
    process = subprocess.Popen(
        command,
        shell=isinstance(command, str),
        cwd=folder,
        env=dict(env),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        start_new_session=True,
    )
    lease = current_lease()
    if lease:
        lease.add_process_group(process.pid)
    last: deque[str] = deque(maxlen=_LAST_LINES)

    def read() -> None:
        for line in _lines(process):
            last.append(line)
            on_line(line)

    # A thread reads, so that a child that keeps the pipe open cannot hold us once the command has ended.
    reader = threading.Thread(target=read, name=f"output of {process.pid}", daemon=True)
    reader.start()
    timed_out = False
    try:
        timed_out = not _wait(process, timeout, stop)
    finally:
        _end_group(process)
        reader.join(_GRACE_SECONDS)
        if lease:
            lease.remove_process_group(process.pid)
    return Ended(process.returncode, tuple(last), timed_out)


def _wait(process: subprocess.Popen[bytes], timeout: float | None, stop: threading.Event | None) -> bool:
    """Wait for the end; False when the timeout came first."""
    waited = 0.0
    while True:
        try:
            process.wait(0.2)
        except subprocess.TimeoutExpired:
            waited += 0.2
        else:
            return True
        if timeout is not None and waited >= timeout:
            return False
        if stop is not None and stop.is_set():
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


def _lines(process: subprocess.Popen[bytes]) -> Iterator[str]:
    assert process.stdout is not None  # noqa: S101 - asked for above
    decode = codecs.getincrementaldecoder("utf-8")(errors="replace")
    rest = ""
    with process.stdout as pipe:
        while chunk := os.read(pipe.fileno(), 65_536):
            *lines, rest = (rest + decode.decode(chunk)).replace("\r\n", "\n").replace("\r", "\n").split("\n")
            yield from lines
            if len(rest) > _LINE_LIMIT:
                yield rest
                rest = ""
    if rest:
        yield rest
