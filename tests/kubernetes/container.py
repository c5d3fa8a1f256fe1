"""The first process of a pretend container: as in a PID namespace, all that it started ends when it ends.

Run by the stand-in as `python -I container.py PARENT COMMAND...`, in the container's environment. TERM goes to
the command alone, as a kubelet sends it to PID 1; KILL_ALL is what a container runtime does after the grace
period, and what the kernel sends here when the stand-in dies.
"""

from __future__ import annotations

import contextlib
import ctypes
import os
import signal
import sys
from pathlib import Path

KILL_ALL = signal.SIGUSR1
_PR_SET_PDEATHSIG = 1
_PR_SET_CHILD_SUBREAPER = 36


def main(parent: int, command: list[str]) -> None:
    """Run the command to its end, and whatever it left behind with it."""
    prctl = ctypes.CDLL(None, use_errno=True).prctl
    held = {signal.SIGTERM, KILL_ALL}
    signal.pthread_sigmask(signal.SIG_BLOCK, held)
    # What loses its parent becomes our child, however often it forked and whatever session it opened.
    prctl(_PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0)
    signal.signal(KILL_ALL, lambda *_: _end(128 + signal.SIGKILL))
    prctl(_PR_SET_PDEATHSIG, KILL_ALL, 0, 0, 0)
    if os.getppid() != parent:
        return
    defaults = [signal.SIGINT, signal.SIGTERM, signal.SIGHUP, signal.SIGQUIT, signal.SIGPIPE, KILL_ALL]
    try:
        first = os.posix_spawnp(
            command[0], command, os.environ, setsid=True, setsigmask=(), setsigdef=defaults
        )
    except OSError as error:
        sys.stderr.write(f'exec: "{command[0]}": {error.strerror}\n')
        sys.exit(128)
    signal.signal(signal.SIGTERM, lambda *_: _send(first, signal.SIGTERM))
    signal.pthread_sigmask(signal.SIG_UNBLOCK, held)
    while True:
        process, status = os.wait()
        if process == first:
            code = os.waitstatus_to_exitcode(status)
            _end(code if code >= 0 else 128 - code)


def _end(code: int) -> None:
    while left := _descendants():
        for process in left:
            _send(process, signal.SIGKILL)
        with contextlib.suppress(ChildProcessError):
            while os.waitpid(-1, os.WNOHANG)[0]:
                pass
    os._exit(code)


def _send(process: int, number: signal.Signals) -> None:
    with contextlib.suppress(ProcessLookupError):
        os.kill(process, number)


def _descendants() -> list[int]:
    children: dict[int, list[int]] = {}
    for stat in Path("/proc").glob("[0-9]*/stat"):
        with contextlib.suppress(OSError):
            # The name, in parentheses, may hold anything; after it stand the state and the parent.
            process, rest = int(stat.parent.name), stat.read_text().rpartition(")")[2].split()
            children.setdefault(int(rest[1]), []).append(process)
    found, look = [], [os.getpid()]
    while look:
        below = children.get(look.pop(), [])
        found += below
        look += below
    return found


if __name__ == "__main__":
    main(int(sys.argv[1]), sys.argv[2:])
