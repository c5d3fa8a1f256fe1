"""Deployed to process pools: trained, delivered by runs of their own, started by events, pruned."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx
import psutil
import pytest

from tests.deployed.conftest import AME_YML, Site

Registry = Callable[[], Any]


def _train(site: Site, **env: str) -> dict[str, Any]:
    return site.ended(site.start("train-model/shop.basket", env=env))


def _champion(registry: Registry) -> str:
    return str(registry().get_registered_model("basket").aliases["champion"])


@pytest.fixture(scope="module")
def first(site: Site) -> dict[str, Any]:
    """The first training, and its delivery."""
    trained = _train(site)
    assert trained["state_name"] == "Trained", trained["state"]["message"]
    site.delivered("1")
    return trained


def test_a_training_ends_with_its_version_and_the_delivery_follows(
    site: Site, first: dict[str, Any], registry: Registry
) -> None:
    assert (first["state_name"], first["state"]["message"]) == (
        "Trained",
        "version 1 of 'basket'; its delivery is the flow run 'deliver basket v1'",
    ), site.logs(first["id"])
    delivery = site.delivered("1")
    assert delivery["state_name"] == "Promoted", delivery["state"]["message"]
    assert _champion(registry) == "1"
    names = {run["name"] for run in site.runs()}
    assert {"train basket", "produce rows", "deliver basket v1", "run check"} <= names


def test_the_runs_of_a_version_carry_its_tag_and_know_their_parents(
    site: Site, first: dict[str, Any]
) -> None:
    tagged = {run["name"] for run in site.runs() if "ame:shop.basket:1" in run["tags"]}
    assert {"train basket", "deliver basket v1", "run check"} <= tagged
    assert all(run["parent_task_run_id"] for run in site.runs() if run["name"] != "train basket")


def test_a_challenger_is_compared_by_a_run_of_its_own(
    site: Site, first: dict[str, Any], registry: Registry
) -> None:
    assert _train(site, FEATURES="a b")["state_name"] == "Trained"
    delivery = site.delivered("2")
    assert delivery["state_name"] == "Promoted", delivery["state"]["message"]
    assert _champion(registry) == "2"
    (comparison,) = site.runs("compare-versions/shop.basket")
    assert (comparison["state_name"], comparison["name"]) == ("Promote", "compare basket v2 with v1")
    tags = registry().get_model_version("basket", "2").tags
    assert tags["ame.state"] == "promoted"
    assert registry().get_run(tags["ame.ab_test_run"]).data.tags["ame.decision"] == "promote"


def test_declared_artifacts_are_kept_and_shown(site: Site, first: dict[str, Any]) -> None:
    kept = list((site.folder / "store").rglob("artifacts/train/**"))
    assert kept
    shown = site.ask("/artifacts/filter", artifacts={"flow_run_id": {"any_": [first["id"]]}})
    (table,) = [each for each in shown if each["key"] == "artifacts-of-train"]
    assert "notes" in table["data"]


def test_an_event_delivers_exactly_that_version(
    site: Site, first: dict[str, Any], registry: Registry
) -> None:
    version = _by_hand(site, registry)
    before = {run["id"] for run in site.runs()}
    _emit(site, "basket", version)
    delivery = site.delivered(version)
    assert delivery["state_name"] == "Inconclusive", delivery["state"]["message"]
    assert delivery["created_by"]["display_value"]
    new = [run for run in site.runs() if run["id"] not in before]
    assert {run["name"].split()[0] for run in new} == {"deliver", "run", "compare"}
    assert {run["parameters"].get("version", version) for run in new} == {version}


def _by_hand(site: Site, registry: Registry) -> str:
    """A version that somebody registers from a shell of their own; its number."""
    folder = site.folder / f"by-hand-{uuid.uuid4().hex}"
    folder.mkdir()
    for script in ("make.py", "train.py"):
        env = {"MLFLOW_TRACKING_URI": site.mlflow, "FEATURES": "a b"}
        subprocess.run(
            [sys.executable, site.folder / "shop" / script],
            cwd=folder,
            env=site.env | env,
            check=True,
            timeout=120,
        )
    return str(max(int(each.version) for each in registry().search_model_versions("name='basket'")))


def _emit(site: Site, model: str, version: object) -> None:
    event = {
        "occurred": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "event": "mlflow.model-version.created",
        "resource": {
            "prefect.resource.id": f"mlflow.registered-model.{model}",
            "prefect.resource.name": model,
        },
        "payload": {"model": model, "version": version},
        "id": str(uuid.uuid4()),
    }
    httpx.post(f"{site.api}/events", json=[event], timeout=120).raise_for_status()


def test_the_next_training_refuses_what_a_killed_one_left_and_delivers_what_nobody_did(
    site: Site, first: dict[str, Any], registry: Registry, until: Callable[..., None]
) -> None:
    versions = {each.version for each in registry().search_model_versions("name='basket'")}
    run = site.start("train-model/shop.basket", env={"LINGER": "600"})

    def made() -> list[str]:
        now = {each.version for each in registry().search_model_versions("name='basket'")}
        return sorted(now - versions)

    until(made, 240)
    (flow_process,) = [p for p in psutil.process_iter() if _runs(p, run)]
    os.kill(flow_process.pid, signal.SIGKILL)
    assert site.ended(run)["state_name"] == "Crashed"
    (version,) = made()
    until(lambda: not [p for p in psutil.process_iter() if _is_training_in(p, site.folder)], 60)

    lost = _by_hand(site, registry)
    assert _train(site)["state_name"] == "Trained"
    until(lambda: "ame.entry" in registry().get_model_version("basket", lost).tags, 240)
    assert registry().get_model_version("basket", lost).tags["ame.state"] == "inconclusive"
    tags = registry().get_model_version("basket", version).tags
    assert (tags["ame.state"], tags["ame.why"]) == ("refused", "its training was killed before it ended")


def _runs(process: psutil.Process, run: str) -> bool:
    try:
        return process.environ().get("PREFECT__FLOW_RUN_ID") == run and "prefect" in " ".join(
            process.cmdline()
        )
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def _is_training_in(process: psutil.Process, folder: Path) -> bool:
    try:
        return "train.py" in process.cmdline() and process.cwd().startswith(str(folder))
    except (psutil.NoSuchProcess, psutil.AccessDenied):
        return False


def test_the_schedule_plans_runs(site: Site, until: Callable[..., None]) -> None:
    wanted = [site.deployments()["train-model/shop.basket"]["id"]]

    def planned() -> list[str]:
        found = site.ask("/flow_runs/filter", flow_runs={"deployment_id": {"any_": wanted}})
        return [run["expected_start_time"] for run in found if run["auto_scheduled"]]

    until(planned, 60)
    # Three in the morning in Berlin.
    assert {moment[11:19] for moment in planned()} <= {"01:00:00", "02:00:00"}


def test_a_second_deploy_changes_nothing_and_a_shorter_file_is_pruned(site: Site) -> None:
    def seen() -> dict[str, Any]:
        found = site.deployments()
        for each in found.values():
            # How many of its runs are under way, and when it was touched.
            del each["updated"], each["last_polled"], each["status"], each["global_concurrency_limit"]
            for schedule in each["schedules"]:
                del schedule["updated"]
        return found

    before = seen()
    assert before["train-model/shop.basket"]["schedules"][0]["schedule"] == {
        "cron": "0 3 * * *",
        "timezone": "Europe/Berlin",
        "day_or": True,
    }
    automations = _automations(site)
    training = before["train-model/shop.basket"]
    site.pause("train-model/shop.basket")
    training["schedules"][0]["active"] = False
    site.run("prefect", "--no-prompt", "deploy", "--all")
    assert seen() == before
    assert _automations(site) == automations

    site.write("ame.yml", SHORTER)
    site.run("ame", "compile", site.project, "--target", "process")
    gone = ["run-task/shop.nightly", "the schedule 'training' of train-model/shop.basket"]
    assert _pruned(site, "--dry-run") == [f"would delete {each}" for each in gone]
    assert seen() == before
    assert _pruned(site) == [f"deleted {each}" for each in gone]
    after = site.deployments()
    assert after.keys() == before.keys() - {"run-task/shop.nightly"}
    assert after["train-model/shop.basket"]["schedules"] == []
    assert _pruned(site) == ["nothing to delete: the server has no more of 'shop' than the file"]


def _pruned(site: Site, *options: str) -> list[str]:
    """What was said, apart from the projects of other tests, which are left alone."""
    lines = site.run("ame", "prune", *options).stdout.splitlines()
    return [line for line in lines if not line.startswith("left alone")]


def _automations(site: Site) -> list[Any]:
    found = site.ask("/automations/filter")
    for each in found:
        del each["trigger"]["id"]
    return [(each["name"], each["trigger"], each["actions"]) for each in found]


SHORTER = "\n".join(line for line in AME_YML.splitlines() if "nightly" not in line).replace(
    ', schedule: "0 3 * * *", timezone: Europe/Berlin', ""
)
