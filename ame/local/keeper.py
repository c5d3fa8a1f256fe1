"""The keeper of a home: starts its servers and ends them when the last lease on the home has ended.

One keeper runs for a home at a time, in the background, as `python -m ame.local HOME SERVER...`.
It is nobody's parent that could be killed by mistake: commands come and go beside each other (`ame ui`
in one terminal, `ame run` in another), and each holds a lease. Within a second of the last one's end,
even by `kill -9`, the servers and the commands that it had started are ended too.
"""

from __future__ import annotations

import contextlib
import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from dataclasses import dataclass
from pathlib import Path

import psutil

from ame.local.home import Home
from ame.local.lease import end_process_group, file_lock, sweep_leases

__all__ = ["main"]

_HEALTH = {"prefect": "/api/health", "mlflow": "/health"}
_START_SECONDS = 180.0
_GRACE_SECONDS = 4.0
_PULSE_SECONDS = 0.3


@dataclass(frozen=True, slots=True)
class _Server:
    name: str
    url: str
    process: subprocess.Popen[bytes]

    def is_healthy(self) -> bool:
        try:
            with urllib.request.urlopen(self.url + _HEALTH[self.name], timeout=2) as answer:  # noqa: S310 - ours
                return bool(answer.status == 200)
        except (urllib.error.URLError, OSError):
            return False


def main(arguments: list[str]) -> None:
    home, names = Home(Path(arguments[0])), arguments[1:]
    # A Ctrl-C belongs to the command in the foreground; the keeper goes when its leases have ended.
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    # A command starts a keeper only when there is none, but may just be looking whether this one lives.
    with file_lock(home.keeper_lock):
        _keep(home, names)


def _keep(home: Home, names: list[str]) -> None:
    _end_what_a_killed_keeper_left(home)
    servers = [_start(home, name) for name in names]
    _remember(home, servers)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(0))
    error, ready, deadline = None, False, time.monotonic() + _START_SECONDS
    try:
        while error is None:
            if not ready and all(server.is_healthy() for server in servers):
                ready = True
                _tell(home, servers, ready=True)
            error = _failure(home, servers, ready=ready, late=time.monotonic() > deadline)
            if sweep_leases(home.leases) == 0:
                with file_lock(home.start_lock, wait=False) as alone:
                    if alone and sweep_leases(home.leases) == 0:
                        # No command can come in before the servers are gone: their databases have one owner.
                        _end(home, servers)
                        return
            time.sleep(_PULSE_SECONDS)
        _tell(home, servers, ready=False, error=error)
    finally:
        _end(home, servers, keep_error=error is not None)


def _start(home: Home, name: str) -> _Server:
    listener = socket.create_server(("127.0.0.1", 0))
    port = listener.getsockname()[1]
    command = [sys.executable, "-P", "-m", "ame.local.serve"]
    with listener, (home.logs / f"{name}.log").open("wb") as log:
        process = subprocess.Popen(
            [*command, name, str(home.root), str(listener.fileno()), str(port)],
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
