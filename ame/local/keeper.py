"""The keeper of a home: starts its servers and ends them when the last lease on the home has ended.

One keeper runs for a home at a time, in the background, as `python -m ame.local HOME SERVER...`.
It is nobody's parent that could be killed by mistake: commands come and go beside each other (`ame ui`
in one terminal, `ame run` in another), and each holds a lease. Within a second of the last one's end,
even by `kill -9`, the servers and the commands that it had started are ended too.
"""

from __future__ import annotations

import contextlib
import http.client
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.request
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import psutil

from ame.local.home import Home
from ame.local.lease import end_process_group, file_lock, sweep_leases

__all__ = ["main"]

_HEALTH = {"prefect": "/api/health", "mlflow": "/health"}
_START_SECONDS = 180.0
_LOCK_SECONDS = 2.0
_GRACE_SECONDS = 4.0
_PULSE_SECONDS = 0.3

#: A proxy of the environment is not asked for this machine.
_DIRECT = urllib.request.build_opener(urllib.request.ProxyHandler({}))


@dataclass(frozen=True, slots=True)
class _Server:
    name: str
    url: str
    process: subprocess.Popen[bytes]

    def is_healthy(self) -> bool:
        try:
            with _DIRECT.open(self.url + _HEALTH[self.name], timeout=0.5) as answer:
                return bool(answer.status == 200)
        except (OSError, http.client.HTTPException):
            return False


def main(arguments: list[str]) -> None:
    home, names = Home(Path(arguments[0])), arguments[1:]
    # A Ctrl-C belongs to the command in the foreground; the keeper goes when its leases have ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    # The door is opened last: the command that waits at it must not take this keeper for a living one.
    with contextlib.ExitStack() as door, _alone(home) as alone:
        if alone:
            _keep(home, names, door)


@contextlib.contextmanager
def _alone(home: Home) -> Iterator[bool]:
    """Hold the keeper's lock; yields False when another keeper was faster, or the start was given up."""
    deadline = time.monotonic() + _LOCK_SECONDS
    while True:
        # A command that looks whether a keeper lives holds the lock for an instant.
        with file_lock(home.keeper_lock, wait=False) as mine:
            if mine or time.monotonic() > deadline:
                yield mine
                return
        time.sleep(0.02)


def _keep(home: Home, names: list[str], door: contextlib.ExitStack) -> None:
    servers: list[_Server] = []
    error, ready, deadline = None, False, time.monotonic() + _START_SECONDS
    _end_what_a_killed_keeper_left(home)
    try:
        for name in names:
            servers.append(_start(home, name))
            _remember(home, servers)
        while error is None:
            if not ready and all(server.is_healthy() for server in servers):
                ready = True
                _tell(home, servers, ready=True)
            error = _failure(home, servers, ready=ready, late=time.monotonic() > deadline)
            if sweep_leases(home.leases) == 0 and _closes(home, door):
                return
            time.sleep(_PULSE_SECONDS)
        _tell(home, servers, ready=False, error=error)
    finally:
        _end(home, servers, keep_error=error is not None)


def _closes(home: Home, door: contextlib.ExitStack) -> bool:
    """Close the door, unless a command is coming in: none can while the servers are being ended."""
    with contextlib.ExitStack() as held:
        alone = held.enter_context(file_lock(home.start_lock, wait=False))
        if alone and sweep_leases(home.leases) == 0:
            door.enter_context(held.pop_all())
            return True
    return False


def _start(home: Home, name: str) -> _Server:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    command = [sys.executable, "-P", "-m", "ame.local.serve"]
    with listener, (home.logs / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, name, str(home.root), str(listener.fileno()), str(port), str(os.getpid())],
            pass_fds=[listener.fileno()],
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=subprocess.STDOUT,
            start_new_session=True,
            cwd=home.root,
        )
    return _Server(name, f"http://127.0.0.1:{port}", process)


def _failure(home: Home, servers: list[_Server], *, ready: bool, late: bool) -> str | None:
    for server in servers:
        code = server.process.poll()
        if code is not None:
            return f"the {server.name} server ended with code {code}; see {home.logs / server.name}.log"
    if late and not ready:
        return f"the servers did not answer within {_START_SECONDS:.0f} s; see {home.logs}"
    return None


def _tell(home: Home, servers: list[_Server], *, ready: bool, error: str | None = None) -> None:
    content = {"ready": ready, "error": error, "urls": {server.name: server.url for server in servers}}
    unnamed = home.addresses.with_suffix(".new")
    unnamed.write_text(json.dumps(content))
    unnamed.rename(home.addresses)


def _remember(home: Home, servers: list[_Server]) -> None:
    groups = [[s.process.pid, psutil.Process(s.process.pid).create_time()] for s in servers]
    (home.run / "servers.pids").write_text(json.dumps(groups))


def _end_what_a_killed_keeper_left(home: Home) -> None:
    with contextlib.suppress(FileNotFoundError, ValueError):
        for leader, born in json.loads((home.run / "servers.pids").read_text()):
            end_process_group(leader, born)


def _end(home: Home, servers: list[_Server], *, keep_error: bool = False) -> None:
    if not keep_error:
        (home.addresses).unlink(missing_ok=True)
    for server in servers:
        server.process.terminate()
    deadline = time.monotonic() + _GRACE_SECONDS
    for server in servers:
        try:
            server.process.wait(max(0.0, deadline - time.monotonic()))
        except subprocess.TimeoutExpired:
            with contextlib.suppress(ProcessLookupError):
                os.killpg(server.process.pid, signal.SIGKILL)
            server.process.wait()
    (home.run / "servers.pids").unlink(missing_ok=True)
