"""Pipelines in this process: their steps are flow runs, files go from one to the next, failures are told."""

from __future__ import annotations

import json
from collections.abc import Callable
from typing import Any

import pytest

from tests.conftest import Embedded, post
from tests.flows.conftest import Project

Make = Callable[..., Project]

TRAINING = """
    name: project-of-$model
    models:
      - name: $model
        training: {task: {taskRef: learn}}
        validation:
          task:
            pipeline:
              - {name: ask, executor: !custom {command: 'echo $AME_MODEL_VERSION > asked'}}
              - {name: judge, executor: !custom {command: 'test "$(cat asked)" = 1'}}
        promotion: {strategy: always}
    tasks:
      - {name: fetch, executor: !custom {command: 'cat rows/all.csv > holdout.csv; rm stale'}}
      - name: learn
        env: [{key: MODE, val: common}, {key: FEATURES, val: a}]
        dataSets: [rows]
        pipeline:
          - taskRef: fetch
          - - {name: left, executor: !custom {command: 'cp holdout.csv left.csv; echo $MODE > mode'}}
            - {name: right, executor: !custom {command: 'test ! -e left.csv; touch right.csv'}, retries: 1}
          - name: fit
            executor: !custom {command: 'test ! -e stale && ls *.csv mode > out.txt && $python train.py'}
            env: [{key: FEATURES, val: a b}]
        artifacts: {paths: [out.txt]}
        timeout: 10m
      - name: make
        pipeline:
          - {name: one, executor: !custom {command: 'head -800 $folder/holdout.csv > part'}}
          - {name: two, executor: !custom {command: 'mkdir -p rows && mv part rows/all.csv'}}
    dataSets:
      - {name: rows, path: rows, task: {taskRef: make}}
"""

FAILING = """
    name: project-of-$model
    models: [{name: $model, promotion: {strategy: never}}]
    tasks:
      - name: broken
        pipeline:
          - - {name: fails, executor: !custom {command: 'echo no; exit 3'}}
            - {name: goes-on, executor: !custom {command: 'sleep 1; touch $folder/went-on'}}
          - {name: never, executor: !custom {command: 'touch $folder/never'}}
      - name: clashing
        pipeline:
          - - {name: left, executor: !custom {command: 'echo 1 > out'}}
            - {name: right, executor: !custom {command: 'echo 2 > out'}}
      - name: slow
        timeout: 3s
        pipeline:
          - {name: sleeps, executor: !custom {command: 'sleep 600'}}
"""


@pytest.fixture
def made(project: Make) -> Callable[[str], Project]:
    """A project whose commands know its folder as $folder."""

    def make(ame_yml: str) -> Project:
        found = project()
        found.write("ame.yml", ame_yml.replace("$folder", str(found.folder)))
        return found

    return make


def steps_below(embedded: Embedded, parent: str) -> dict[str, str]:
    """The flow runs that a flow run has started, with their states, in the order in which they were made."""
    found: list[dict[str, Any]] = post(
        f"{embedded.servers.prefect}/flow_runs/filter",
        {"flow_runs": {"parent_flow_run_id": {"any_": [parent]}}, "sort": "START_TIME_ASC"},
    ).json()
    return {run["name"]: run["state_name"] for run in found}


def test_training_validation_and_data_set_as_pipelines(
    made: Callable[[str], Project], embedded: Embedded
) -> None:
    project = made(TRAINING)
    (project.folder / "stale").touch()

    (report,) = project.run()

    assert (report["state"], report["model"]["version"]) == ("Promoted", "1"), report["message"]
    (run,) = post(
        f"{embedded.servers.prefect}/flow_runs/filter",
        {"flow_runs": {"name": {"any_": [f"train {project.model}"]}}},
    ).json()
    assert steps_below(embedded, run["id"]) == {
        "produce rows": "Completed",
        "run learn.fetch": "Completed",
        "run learn.left": "Completed",
        "run learn.right": "Completed",
        "run learn.fit": "Completed",
        f"deliver {project.model} v1": "Promoted",
    }
    home = project.work().home
    (kept,) = (home.store / "artifacts" / "learn").glob("*/out.txt/manifest.json")
    (entry,) = json.loads(kept.read_text())["entries"]
    blob = home.store / "blobs/sha256" / entry["digest"][:2] / entry["digest"]
    assert blob.read_text().split() == ["holdout.csv", "left.csv", "mode", "right.csv"]
    assert list(home.work.iterdir()) == []


def test_what_goes_wrong_is_told(made: Callable[[str], Project], embedded: Embedded) -> None:
    project = made(FAILING)
    file = f"{project.folder}/ame.yml"

    (report,) = project.run("broken")

    assert report["message"] == (
        f"AME-E211 {file}:5:5 step 'broken.fails' of 'broken' failed. AME-E201 {file}:7:11 task 'broken.fails' "
        "failed: `echo no; exit 3` ended with code 3. Its last lines:\n    no"
    )
    assert steps_below(embedded, report["flowRunId"]) == {
        "run broken.fails": "Failed",
        "run broken.goes-on": "Completed",
    }
    assert (project.folder / "went-on").exists()
    assert not (project.folder / "never").exists()

    (report,) = project.run("clashing")

    assert report["message"] == (
        f"AME-E212 {file}:10:5 the steps 'clashing.left' and 'clashing.right' of 'clashing' ran at once and left "
        "different files at out. Each started from the same files. Let each write to a path of its own, or "
        "run one after the other."
    )

    (report,) = project.run("slow")

    assert report["message"] == (
        f"AME-E213 {file}:14:5 pipeline 'slow' was ended: it took more than its timeout, 3 s. It was at "
        "'slow.sleeps'. Give it more time, which includes that in which steps wait for a machine."
    )
    assert list(project.work().home.work.iterdir()) == []


def test_a_step_is_known_by_its_files_and_other_runs_by_all_that_they_are_given() -> None:
    from flows._dispatch import _distinct, _is_the_same

    step = {"task_name": "a", "files": {"from": "x", "to": "y"}, "extra": {"MLFLOW_RUN_CONTEXT": "pod 1"}}
    again = step | {"extra": {"MLFLOW_RUN_CONTEXT": "pod 2"}}
    other = step | {"files": {"from": "x", "to": "z"}}
    assert _distinct(step) == _distinct(again) != _distinct(other)
    assert _is_the_same(step, again)
    assert not _is_the_same(step, other)
    first, second = ({"task_name": "check", "extra": {"AME_MODEL_VERSION": each}} for each in "12")
    assert _distinct(first) != _distinct(second)
    assert not _is_the_same(first, second)
