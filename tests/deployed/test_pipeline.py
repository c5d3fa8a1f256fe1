"""A pipeline deployed to process pools: its steps are runs of their own, and its parent may die or be cancelled."""

from __future__ import annotations

import os
import signal
from collections.abc import Callable
from dataclasses import replace
from typing import Any

import psutil
import pytest

from tests.conftest import post
from tests.deployed.conftest import Site

AME_YML = """
    name: $project
    tasks:
      - {name: first, executor: !custom {command: 'mkdir out; echo 1 > out/first; rm gone; cp big bigger'}}
      - name: relay
        env: [{key: WORD, val: given}]
        pipeline:
          - taskRef: first
          - - {name: left, executor: !custom {command: 'while test ! -e $gate; do sleep .2; done; cp out/first out/left'}}
            - {name: right, executor: !custom {command: 'echo $WORD > out/right; touch new', }, env: [{key: WORD, val: own}]}
          - {name: last, executor: !custom {command: 'test ! -e gone && cat out/* > all && ls > out/ls'}}
        artifacts: {paths: [all, out/ls]}
      - name: waits
        pipeline:
          - {name: sleeps, executor: !custom {command: 'echo $$ > $gate.pid; sleep 600'}}
    """


@pytest.fixture(scope="module")
def relay(site: Site) -> Site:
    """Another project on the same servers and workers."""
    made = replace(site, folder=site.folder / "relays", project="relays")
    made.write("ame.yml", AME_YML.replace("$gate", str(made.folder / "gate")))
    made.write("gone", "")
    made.write("big", "x" * 100_000)
    made.run("ame", "compile", made.project, "--target", "process")
    made.run("prefect", "--no-prompt", "deploy", "--all")
    return made


def _flow_process(run: str) -> psutil.Process:
    def runs(process: psutil.Process) -> bool:
        try:
            line = " ".join(process.cmdline())
            return process.environ().get("PREFECT__FLOW_RUN_ID") == run and "prefect" in line
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            return False

    (found,) = filter(runs, psutil.process_iter())
    return found


def _states(site: Site) -> dict[str, list[str]]:
    found: dict[str, list[str]] = {}
    for run in site.runs():
        found.setdefault(run["name"], []).append(run["state_name"])
    return found


def test_a_parent_that_died_goes_on_with_the_steps_that_were_done(
    relay: Site, until: Callable[..., None]
) -> None:
    run = relay.start("run-task/relays.relay")
    until(lambda: _states(relay).get("run relay.right") == ["Completed"], 400)
    until(lambda: _states(relay).get("run relay.left") == ["Running"], 400)
    os.kill(_flow_process(run).pid, signal.SIGKILL)
    assert relay.ended(run)["state_name"] == "Crashed"
    # As "Retry" in Prefect's UI does it.
    scheduled = {"state": {"type": "SCHEDULED", "name": "AwaitingRetry"}, "force": True}
    post(f"{relay.api}/flow_runs/{run}/set_state", scheduled).raise_for_status()
    until(lambda: _states(relay)["run relay"] == ["Running"], 400)
    (relay.folder / "gate").touch()

    ended = relay.ended(run)

    assert ended["state_name"] == "Completed", ended["state"]["message"]
    assert _states(relay) == {
        "run relay": ["Completed"],
        "run relay.first": ["Completed"],
        "run relay.left": ["Completed"],
        "run relay.right": ["Completed"],
        "run relay.last": ["Completed"],
    }
    kept = _artifacts(relay, run)
    assert kept["all"] == "1\n1\nown\n"
    assert kept["out/ls"].split() == ["all", "ame.yml", "big", "bigger", "new", "out"]
    manifests = (relay.folder.parent / "store/pipelines/relay" / run).rglob("manifest.json")
    assert [found.parent.name for found in manifests] == ["end"]


def _artifacts(site: Site, run: str) -> dict[str, str]:
    from ame.store import SnapshotStore

    store = SnapshotStore(site.folder.parent / "store")
    key = f"artifacts/relay/relay-{run}"
    return {name: store.path(f"{key}/{name}").read_text() for name in ("all", "out/ls")}


def test_steps_are_cancelled_with_their_pipeline(relay: Site, until: Callable[..., None]) -> None:
    run = relay.start("run-task/relays.waits")
    file = relay.folder / "gate.pid"
    until(lambda: file.exists() and file.read_text().strip(), 400)
    command = int(file.read_text())

    cancelling: dict[str, Any] = {"state": {"type": "CANCELLING"}}
    post(f"{relay.api}/flow_runs/{run}/set_state", cancelling).raise_for_status()

    assert relay.ended(run)["state_name"] == "Cancelled"
    (step,) = relay.runs("run-task/relays.waits.sleeps")
    assert relay.ended(step["id"])["state_name"] == "Cancelled"
    until(lambda: not psutil.pid_exists(command), 60)
