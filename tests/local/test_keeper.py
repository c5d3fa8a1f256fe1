"""The keeper by itself: with the user's own servers it runs none, and still ends what a kill leaves."""

from __future__ import annotations

import contextlib
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import psutil
import pytest

from ame.diagnosis import Refused
from ame.local import Home, Servers, file_lock, keeper, running_servers, serving
from ame.local.lease import is_locked

pytestmark = pytest.mark.usefixtures("leaves_no_process", "own_servers")

#: A command of ame-flows that runs a command of the user, which has a child.
COMMAND = """
import os, sys
from pathlib import Path
from ame.local import Home, serving
from ame.runtime import run_command
folder = Path(sys.argv[1])
with serving(Home(folder / ".ame")):
    run_command("sleep 100 & echo $! > child; sleep 100", folder=folder, env=os.environ, on_line=print)
"""


@pytest.fixture
def own_servers(no_servers_of_others: None, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PREFECT_API_URL", "https://prefect.example.org/api/")
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "https://mlflow.example.org/")


def start(folder: Path) -> subprocess.Popen[bytes]:
    return subprocess.Popen([sys.executable, "-c", COMMAND, str(folder)])


def keeper_of(home: Home) -> psutil.Process:
    (found,) = (
        process
        for process in psutil.process_iter(["cmdline"])
        if "ame.local" in (process.info["cmdline"] or []) and process.info["cmdline"][-1] == str(home.root)
    )
    return found


def test_the_users_own_servers_win(folder: Path) -> None:
    home = Home(folder / ".ame")
    with serving(home) as servers:
        assert servers == Servers(
            "https://prefect.example.org/api", "https://mlflow.example.org", frozenset()
        )
        assert running_servers(home) == {}


def test_a_registry_that_is_no_server_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", "sqlite:///mlflow.db")
    with pytest.raises(Refused) as refused, serving(Home(tmp_path / ".ame")):
        pass
    assert str(refused.value) == (
        "AME-E602 MLFLOW_TRACKING_URI does not name an HTTP server. Training code brings its own MLflow, of "
        "any version, and cannot share a database or a folder with ours; over HTTP every version can. "
        "Unset it to use the embedded server, or name an http:// or https:// address."
    )


def test_after_a_kill_the_users_command_is_ended(
    tmp_path: Path, until: Callable[..., None], lives: Callable[[int], bool]
) -> None:
    command, child = start(tmp_path), tmp_path / "child"
    until(lambda: child.exists() and child.read_text())
    os.kill(command.pid, signal.SIGKILL)
    command.wait()

    until(lambda: not lives(int(child.read_text())), 3)


def test_a_second_command_keeps_the_keeper_after_the_first_is_killed(
    tmp_path: Path, until: Callable[..., None], lives: Callable[[int], bool]
) -> None:
    home, child = Home(tmp_path / ".ame"), tmp_path / "child"
    command = start(tmp_path)
    until(lambda: child.exists() and child.read_text())
    with serving(home):
        os.kill(command.pid, signal.SIGKILL)
        command.wait()
        until(lambda: not lives(int(child.read_text())), 3)
        time.sleep(0.7)
        assert is_locked(home.keeper_lock)
    until(lambda: not is_locked(home.keeper_lock), 5)


def test_a_task_ends_with_its_command_though_the_keeper_was_killed_too(
    tmp_path: Path, until: Callable[..., None], lives: Callable[[int], bool]
) -> None:
    home, child = Home(tmp_path / ".ame"), tmp_path / "child"
    command = start(tmp_path)
    until(lambda: child.exists() and child.read_text())
    for process in (keeper_of(home).pid, command.pid):
        os.kill(process, signal.SIGKILL)
    command.wait()
    until(lambda: not lives(int(child.read_text())), 5)


def test_a_leaving_keeper_is_gone_before_it_opens_the_door(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Else the command that waits at the door takes it for a living one, and waits for its servers."""
    home, released = Home(tmp_path / ".ame"), []

    @contextlib.contextmanager
    def watched(path: Path, *, wait: bool = True) -> Iterator[bool]:
        with file_lock(path, wait=wait) as mine:
            yield mine
        released.append(path)

    home.prepare()
    monkeypatch.setattr(keeper, "file_lock", watched)
    monkeypatch.setattr("signal.signal", lambda *_: None)
    keeper.main([str(home.root)])

    assert released == [home.keeper_lock, home.start_lock]


def test_many_commands_at_once_share_one_keeper(tmp_path: Path, until: Callable[..., None]) -> None:
    home = Home(tmp_path / ".ame")
    script = (
        "import sys, time; from pathlib import Path; from ame.local import Home, serving\n"
        "with serving(Home(Path(sys.argv[1]))): print('in', flush=True); time.sleep(1)"
    )
    commands = [
        subprocess.Popen([sys.executable, "-c", script, str(home.root)], stdout=subprocess.PIPE)
        for _ in range(5)
    ]
    for command in commands:
        assert command.stdout is not None
        assert command.stdout.readline() == b"in\n"
    keeper_of(home)
    assert [command.wait() for command in commands] == [0] * 5
    for command in commands:
        assert command.stdout is not None
        command.stdout.close()
    until(lambda: not is_locked(home.keeper_lock), 5)


def test_a_command_without_servers_of_its_own_is_told_that_the_keeper_has_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    home = Home(tmp_path / ".ame")
    with serving(home):
        monkeypatch.delenv("PREFECT_API_URL")
        with pytest.raises(Refused) as refused, serving(home):
            pass
    assert str(refused.value) == (
        f"AME-E604 the servers that run for {home.root} lack prefect. They were started by a command that "
        "had its own address for it in the environment. "
        "End the other ame commands of this project, or give this one the same environment."
    )


def test_ctrl_c_does_not_end_the_keeper(tmp_path: Path) -> None:
    home = Home(tmp_path / ".ame")
    with serving(home):
        keeper_of(home).send_signal(signal.SIGINT)
        time.sleep(0.5)
        assert is_locked(home.keeper_lock)


def test_a_state_folder_that_cannot_be_written_is_refused(tmp_path: Path) -> None:
    home = Home(tmp_path / ".ame")
    home.prepare()
    home.start_lock.mkdir()
    with pytest.raises(Refused) as refused, serving(home):
        pass
    assert str(refused.value) == (
        f"AME-E601 the state folder {home.root} cannot be written. Is a directory. "
        "Make it writable, or name another one in AME_HOME."
    )


def test_proxies_are_not_asked_for_this_machine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("NO_PROXY", "example.org")
    monkeypatch.delenv("no_proxy", raising=False)
    with serving(Home(tmp_path / ".ame")):
        assert os.environ["NO_PROXY"] == "example.org,127.0.0.1"
        assert os.environ["no_proxy"] == "127.0.0.1"


def test_what_a_keeper_tells_is_never_half_written(tmp_path: Path, until: Callable[..., None]) -> None:
    home = Home(tmp_path / ".ame")
    with serving(home):
        until(home.addresses.exists)
        assert json.loads(home.addresses.read_text()) == {"ready": True, "error": None, "urls": {}}
        assert not home.addresses.with_suffix(".new").exists()
