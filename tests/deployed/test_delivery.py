"""Deliveries that nobody started, that were killed, stopped, or started twice: one decision a version."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import mlflow
import psutil
import pytest

from ame.registry import DECIDED, ModelJournal, Registry
from tests.deployed.conftest import Site
from tests.deployed.test_process import _emit, _runs

Until = Callable[..., None]

AME_YML = """
    name: $project
    models:
      - name: $model
        validation: {task: {taskRef: check}}
        promotion: {strategy: metric, metric: accuracy}
    tasks:
      - {name: check, executor: !custom {command: $python check.py}}
"""

#: Waits for as long as the file `linger` beside the project's folder is there.
CHECK = """
    import os, pathlib, time

    linger = pathlib.Path(os.environ["CHECK_LINGERS"])
    while linger.exists():
        time.sleep(0.1)
"""


@pytest.fixture(scope="module")
def scales(site: Site) -> Site:
    """A second project on the same servers and workers; its watch runs only when a test starts it."""
    made = Site(site.folder, site.api, site.mlflow, site.env, project="scales", model="weight")
    made.write("ame.yml", AME_YML)
    made.write("check.py", CHECK)
    made.run("ame", "compile", made.project, "--target", "process", "-o", "scales.yaml")
    made.run("prefect", "--no-prompt", "deploy", "--all", "--prefect-file", "scales.yaml")
    made.pause("watch-registry/scales.models")
    client = registry(made).client
    client.create_registered_model("weight")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("MLFLOW_TRACKING_URI", made.mlflow)
        client.set_registered_model_alias("weight", "champion", register(made, 0.5))
    return made


def registry(site: Site) -> Registry:
    return Registry(site.mlflow)


def register(site: Site, accuracy: float) -> str:
    """A version that somebody registers, with what its run logged."""
    client = registry(site).client
    with mlflow.start_run() as run:
        mlflow.log_metric("accuracy", accuracy)
    made = client.create_model_version(site.model, f"runs:/{run.info.run_id}/model", run.info.run_id)
    return str(made.version)


@pytest.fixture(autouse=True)
def _mlflow(site: Site, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("MLFLOW_TRACKING_URI", site.mlflow)


@pytest.fixture
def lingering(site: Site) -> Iterator[Any]:
    """The validation lasts until the file that this returns is removed."""
    file = site.folder / "linger"
    file.touch()
    yield file
    file.unlink(missing_ok=True)


def decided(site: Site, version: str) -> bool:
    return registry(site).version(site.model, version).state in DECIDED


def entries_of(site: Site, version: str) -> list[tuple[str, str]]:
    journal = ModelJournal(registry(site), site.model)
    return [(entry.decision, entry.carried_out) for entry in journal.entries() if entry.version == version]


def watch(site: Site) -> dict[str, Any]:
    ended = site.ended(site.start("watch-registry/scales.models"))
    assert ended["state_type"] == "COMPLETED", ended["state"]["message"]
    return ended


def test_the_watch_starts_what_nobody_did_and_nothing_else(scales: Site, until: Until) -> None:
    versions = [register(scales, accuracy) for accuracy in (0.7, 0.8, 0.75)]
    ended = watch(scales)
    assert (ended["state_name"], ended["state"]["message"]) == (
        "Started",
        f"weight: the delivery of version {', '.join(versions)}",
    )
    until(lambda: decided(scales, versions[-1]), 240)
    (run,) = scales.runs("deliver-version/scales.weight")
    assert scales.ended(run["id"])["state_name"] == "Rejected"
    assert [entries_of(scales, version) for version in versions] == [
        [("promote", "yes")],
        [("promote", "yes")],
        [("reject", "yes")],
    ]
    again = watch(scales)
    assert (again["state_name"], again["state"]["message"]) == (
        "Completed",
        "every version has its decision, or its delivery is under way",
    )
    assert len(scales.runs("deliver-version/scales.weight")) == 1


def test_the_watch_notes_an_alias_that_was_moved_by_hand(scales: Site) -> None:
    version = register(scales, 0.1)
    client = registry(scales).client
    client.set_registered_model_alias("weight", "champion", version)
    watch(scales)
    assert entries_of(scales, version) == [("observe", "yes")]
    assert client.get_registered_model("weight").aliases["champion"] == version
    # It is decided on by that: nothing is left to deliver.
    assert registry(scales).version("weight", version).state == "promoted"
    client.set_registered_model_alias("weight", "champion", "1")


def test_many_events_for_one_version_are_one_delivery(scales: Site, until: Until) -> None:
    version = register(scales, 0.1)
    before = len(scales.runs("deliver-version/scales.weight"))
    for _ in range(6):
        _emit(scales, "weight", version)

    def mine() -> list[dict[str, Any]]:
        return scales.runs("deliver-version/scales.weight")[before:]

    until(lambda: len(mine()) == 6, 240)
    ends = sorted(scales.ended(run["id"])["state_name"] for run in mine())
    assert ends == ["AlreadyDecided"] * 5 + ["Rejected"]
    assert entries_of(scales, version) == [("reject", "yes")]


def test_a_killed_delivery_goes_on_by_the_watch_and_its_step_is_not_done_twice(
    scales: Site, until: Until, lingering: Any
) -> None:
    version = register(scales, 0.2)
    checks = len(scales.runs("run-task/scales.check"))
    run = scales.start("deliver-version/scales.weight", version=version)

    def validating() -> list[dict[str, Any]]:
        return [
            each for each in scales.runs("run-task/scales.check")[checks:] if each["state_type"] == "RUNNING"
        ]

    until(validating, 240)
    (process,) = [each for each in psutil.process_iter() if _runs(each, run)]
    os.kill(process.pid, signal.SIGKILL)
    assert scales.ended(run)["state_name"] == "Crashed"
    assert watch(scales)["state_name"] == "Started"
    other = scales.runs("deliver-version/scales.weight")[-1]
    under_way = "the step is under way: waiting for the flow run 'run check'"
    until(lambda: under_way in scales.logs(other["id"]), 240)
    lingering.unlink()
    assert scales.ended(other["id"])["state_name"] == "Rejected"
    assert entries_of(scales, version) == [("reject", "yes")]
    assert len(scales.runs("run-task/scales.check")) == checks + 1


def _claims(site: Site) -> str | None:
    """The flow run that holds the model."""
    link = ModelJournal(registry(site), site.model).chain.end()
    return link.claim.told["flowRun"] if link and link.claim else None


def test_a_delivery_that_was_stopped_for_long_finds_itself_replaced(
    scales: Site, until: Until, lingering: Any
) -> None:
    """Its process stands still; the same version is delivered from another home; then it wakes up."""
    version = register(scales, 0.95)
    run = scales.start("deliver-version/scales.weight", version=version)
    until(lambda: _claims(scales) == run, 240)
    until(lambda: registry(scales).version("weight", version), 240)
    (process,) = [each for each in psutil.process_iter() if _runs(each, run)]
    process.suspend()
    try:
        lingering.unlink()
        ended = elsewhere(scales)
        assert ended.returncode == 0, ended.stdout + ended.stderr
        assert "weight v" in ended.stdout
        assert "Promoted" in ended.stdout
    finally:
        process.resume()
    assert scales.ended(run)["state_name"] == "AlreadyDecided", scales.logs(run)
    assert entries_of(scales, version) == [("promote", "yes")]
    assert registry(scales).champion("weight") == version


def elsewhere(site: Site) -> subprocess.CompletedProcess[str]:
    """`ame run` of the same project on what might be another machine: another home, the same servers."""
    folder = site.folder / "elsewhere"
    shutil.copytree(site.folder / site.project, folder, dirs_exist_ok=True)
    servers = {"MLFLOW_TRACKING_URI": site.mlflow, "AME_HOME": str(site.folder / "another-home")}
    return site.run("ame", "run", "weight", "-p", str(folder), ok=False, **servers)


def test_two_machines_and_an_event_at_once_decide_once(scales: Site, until: Until) -> None:
    version = register(scales, 0.3)
    with ThreadPoolExecutor() as pool:
        other = pool.submit(elsewhere, scales)
        _emit(scales, "weight", version)
        scales.start("deliver-version/scales.weight", version=version)
        assert other.result().returncode == 0, other.result().stderr
    for run in scales.runs("deliver-version/scales.weight")[-2:]:
        assert scales.ended(run["id"])["state_name"] in ("AlreadyDecided", "Rejected")
    assert entries_of(scales, version) == [("reject", "yes")]
