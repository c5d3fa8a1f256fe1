"""The command line with everything real: servers, environments, processes, kills."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil
import pytest

AME = Path(sys.executable).with_name("ame")

Until = Callable[..., None]

pytestmark = pytest.mark.usefixtures("no_servers_of_others", "leaves_no_process")


def run(folder: Path, *arguments: str) -> tuple[int, dict[str, Any]]:
    ended = subprocess.run(
        [AME, "run", "--json", "-p", folder, *arguments],
        capture_output=True,
        text=True,
        timeout=400,
        check=False,
    )
    assert "Traceback" not in ended.stderr, ended.stderr
    return ended.returncode, json.loads(ended.stdout)


def alive(folder: Path) -> list[int]:
    """Processes that have to do with the project: servers, keepers, commands in its workspaces."""
    found = []
    for process in psutil.process_iter(["cmdline", "cwd"]):
        words = [*(process.info["cmdline"] or []), process.info["cwd"] or ""]
        if any(str(folder) in word for word in words):
            found.append(process.pid)
    return found


@pytest.fixture
def project(tmp_path: Path) -> Path:
    folder = tmp_path / "a project"
    subprocess.run([AME, "init", folder], check=True, capture_output=True, timeout=60)
    return folder


def test_a_killed_run_leaves_nothing_behind_and_the_next_one_goes_on(project: Path, until: Until) -> None:
    """Killed while the second version is compared: it is decided once, and no champion is lost."""
    code, first = run(project)
    assert (code, first["runs"][0]["model"]["decision"]) == (0, "promote")
    until(lambda: not alive(project), 15)

    log = project.parent / "log"
    with log.open("wb") as output:
        command = [AME, "run", "-p", project, "--env", "TREES=200"]
        killed = subprocess.Popen(command, stdout=output, stderr=output)
        until(lambda: b"compare tumor v2 with v1" in log.read_bytes(), 200)
        time.sleep(2)
        os.kill(killed.pid, signal.SIGKILL)
        killed.wait()
    until(lambda: not alive(project), 15)
    status = json.loads(subprocess.check_output([AME, "status", "--json", "-p", project], timeout=100))
    assert status["models"][0]["champion"] == "1"
    assert status["models"][0]["undecided"] == [{"version": "2", "state": "validated"}]

    code, again = run(project, "--env", "TREES=200")
    two, three = (report["model"] for report in again["runs"])
    assert (code, two["version"], two["decision"], two["champion"]) == (0, "2", "promote", "1")
    assert (three["version"], three["decision"], three["why"].split(":")[0]) == (
        "3",
        "inconclusive",
        "Same model",
    )
    until(lambda: not alive(project), 15)

    why = json.loads(
        subprocess.check_output([AME, "why", "tumor", "2", "--json", "-p", project], timeout=100)
    )
    assert why["metrics"] == two["metrics"]
    assert Path(why["report"]).read_text().startswith("<!doctype html>")
    # All of its state is in its home.
    assert {file.name for file in project.iterdir()} == {
        ".ame", "ame.yml", "data.py", "requirements.txt", "train.py",
    }  # fmt: skip


def test_a_failing_task_is_a_diagnosis_with_its_last_lines_and_a_signal_ends_everything(
    tmp_path: Path, until: Until
) -> None:
    (tmp_path / "ame.yml").write_text(
        "name: tasks-only\ntasks:\n"
        "  - {name: fails, executor: !custom {command: 'echo almost; exit 5'}}\n"
        "  - {name: sleeps, executor: !custom {command: 'sleep 321 & sleep 322; echo never'}}\n"
    )
    code, told = run(tmp_path, "fails")
    (report,) = told["runs"]
    assert (code, report["kind"], report["state"], report["model"]) == (1, "task", "Failed", None)
    assert report["message"] == (
        f"AME-E201 {tmp_path}/ame.yml:3:5 task 'fails' failed: `echo almost; exit 5` ended with code 5. "
        "Its last lines:\n    almost"
    )

    for number, code in ((signal.SIGINT, 130), (signal.SIGTERM, -signal.SIGTERM)):
        _stop_in_the_middle(tmp_path, number, code, until)


def _stop_in_the_middle(tmp_path: Path, number: signal.Signals, code: int, until: Until) -> None:
    log = tmp_path / "log"
    with log.open("wb") as output:
        stopped = subprocess.Popen(
            [AME, "run", "sleeps", "-p", tmp_path],
            stdout=output,
            stderr=output,
            start_new_session=True,
            # A suite that was started in the background hands on an ignored SIGINT.
            preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),  # noqa: PLW1509 - one call
        )
        until(lambda: b"$ sleep 321" in log.read_bytes(), 100)
        stopped.send_signal(number)
        assert stopped.wait(30) == code
    until(lambda: not alive(tmp_path), 15)
    assert b"Traceback" not in log.read_bytes()
