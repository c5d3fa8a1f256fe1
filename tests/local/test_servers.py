"""The embedded servers themselves: shared, killed, damaged."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil
import pytest

from ame.local import Home, living_leases, running_servers, serving
from ame.local.lease import is_locked

pytestmark = pytest.mark.usefixtures("no_servers_of_others", "leaves_no_process")

SERVE = """
import sys, time
from pathlib import Path
from ame.local import Home, serving
with serving(Home(Path(sys.argv[1])), progress=print):
    time.sleep(100)
"""


@pytest.fixture
def home(folder: Path) -> Home:
    return Home(folder / ".ame")


@pytest.fixture
def only_mlflow(monkeypatch: pytest.MonkeyPatch) -> None:
    """The user has a Prefect server: half of the time to start."""
    monkeypatch.setenv("PREFECT_API_URL", "http://127.0.0.1:1/api")


def get(url: str) -> Any:
    with urllib.request.urlopen(url, timeout=20) as answer:  # noqa: S310 - ours
        return json.load(answer)


def keeper_of(home: Home) -> int:
    (found,) = (
        process.pid
        for process in psutil.process_iter(["cmdline"])
        if "ame.local" in (process.info["cmdline"] or []) and str(home.root) in process.info["cmdline"]
    )
    return found


def servers_of(home: Home) -> list[int]:
    file = home.run / "servers.pids"
    return [leader for leader, _ in json.loads(file.read_text())] if file.exists() else []


@pytest.fixture
def serve(home: Home) -> Iterator[Callable[[], subprocess.Popen[str]]]:
    """Start a command that needs servers, and wait until they are being started."""
    started = []

    def start() -> subprocess.Popen[str]:
        command = [sys.executable, "-u", "-c", SERVE, str(home.root)]
        process = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True)
        started.append(process)
        assert process.stdout is not None
        assert process.stdout.readline() == f"starting the servers of {home.root} (about 10 s) ...\n"
        return process

    yield start
    for process in started:
        process.kill()
        process.communicate()


def last_line(process: subprocess.Popen[str]) -> str:
    _, errors = process.communicate(timeout=60)
    return errors.splitlines()[-1]


def test_a_second_command_uses_the_servers_that_run(embedded: Any) -> None:
    said: list[str] = []
    with serving(embedded.home, progress=said.append) as servers:
        assert servers == embedded.servers
        assert get(f"{servers.prefect}/health") is True
        assert get(f"{servers.mlflow}/api/2.0/mlflow/experiments/get?experiment_id=0")
    assert said == []
    assert running_servers(embedded.home) == {"prefect": servers.prefect, "mlflow": servers.mlflow}


def test_after_a_kill_the_servers_end(
    home: Home, serve: Callable[..., Any], until: Callable[..., None], lives: Callable[[int], bool]
) -> None:
    command = serve()
    until(lambda: len(servers_of(home)) == 2)
    processes = [keeper_of(home), *servers_of(home)]
    os.kill(command.pid, signal.SIGKILL)

    until(lambda: not any(lives(process) for process in processes), 8)
    assert not is_locked(home.keeper_lock)
    assert not home.addresses.exists()


def test_servers_die_with_their_keeper_however_young_they_are(
    home: Home, serve: Callable[..., Any], until: Callable[..., None], lives: Callable[[int], bool]
) -> None:
    command = serve()
    until(lambda: len(servers_of(home)) == 2)
    processes = servers_of(home)
    os.kill(keeper_of(home), signal.SIGKILL)

    until(lambda: not any(lives(process) for process in processes), 5)
    assert last_line(command) == (
        "ame.diagnosis.Refused: AME-E603 the embedded servers could not be started. The keeper was ended. "
        f"Read the logs in {home.logs}; if a database there is damaged, move {home.root} away."
    )


@pytest.mark.usefixtures("only_mlflow")
def test_a_killed_server_is_told(home: Home, serve: Callable[..., Any], until: Callable[..., None]) -> None:
    command = serve()
    until(lambda: servers_of(home))
    os.kill(servers_of(home)[0], signal.SIGKILL)

    assert last_line(command) == (
        "ame.diagnosis.Refused: AME-E603 the embedded servers could not be started. "
        f"The mlflow server ended with code -9; see {home.logs}/mlflow.log. "
        f"Read the logs in {home.logs}; if a database there is damaged, move {home.root} away."
    )
    assert living_leases(home.leases) == 0
    assert running_servers(home) == {}


@pytest.mark.usefixtures("only_mlflow")
def test_the_next_command_starts_servers_that_the_users_shell_does_not_reach(
    home: Home, serve: Callable[..., Any], until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    command = serve()
    until(lambda: servers_of(home))
    os.kill(servers_of(home)[0], signal.SIGKILL)
    command.wait()
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        address = f"http://127.0.0.1:{proxy.getsockname()[1]}"
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
            monkeypatch.setenv(name, address)
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        monkeypatch.setenv("MLFLOW_BACKEND_STORE_URI", "sqlite:////nowhere/mlflow.db")
        with serving(home) as servers:
            assert get(f"{servers.mlflow}/api/2.0/mlflow/experiments/get?experiment_id=0")
    assert home.registry_database.exists()
