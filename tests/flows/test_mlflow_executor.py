"""The !mlflow executor in a training: `mlflow run` of the folder, whose run is found by its tags."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import pytest

from ame.spec import Executor
from flows import _work
from tests.flows.conftest import ORDINARY, Project

AME_YML = """
    name: project-of-$model
    models:
      - name: $model
        training: {task: {taskRef: train}}
        promotion: {strategy: never}
    tasks:
      - {name: train, executor: !custom {command: "true"}}
"""
MLPROJECT = """
    name: churn
    entry_points:
      main:
        parameters: {ending: {type: string, default: ordinary}}
        command: "test {ending} = ordinary && $python train.py"
"""


@pytest.mark.parametrize("command", ["", "mlflow run . -e main -P ending=ordinary"])
def test_the_version_of_an_mlproject_is_found(
    project: Callable[..., Project], monkeypatch: pytest.MonkeyPatch, command: str
) -> None:
    made = project(ORDINARY, AME_YML)
    made.write("MLproject", MLPROJECT)
    load = _work.load_project

    def with_mlflow(folder: object) -> object:
        loaded = load(folder)  # type: ignore[arg-type]
        train = replace(loaded.tasks["train"], executor=Executor(kind="mlflow", command=command))
        return replace(loaded, tasks={"train": train})

    monkeypatch.setattr(_work, "load_project", with_mlflow)

    (report,) = made.run()

    assert report["model"]["version"] == "1", report["message"]
    version = made.work().registry.version(made.model, "1")
    run = made.work().registry.client.get_run(version.run_id)
    assert run.data.params["ending"] == "ordinary"
    assert "ame.task_run" in run.data.tags
