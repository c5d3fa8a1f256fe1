"""The !mlflow executor in a training: `mlflow run` of the folder, whose run is found by its tags."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from tests.flows.conftest import ORDINARY, Project

AME_YML = """
    name: project-of-$model
    models:
      - name: $model
        training: {task: {taskRef: train}}
        promotion: {strategy: never}
    tasks:
      - name: train
        executor: !mlflow $command
"""
MLPROJECT = """
    name: churn
    entry_points:
      main:
        parameters: {ending: {type: string, default: ordinary}}
        command: "test {ending} = ordinary && $python train.py"
"""


@pytest.mark.parametrize("command", ["", "mlflow run . -e main -P ending=ordinary"])
def test_the_version_of_an_mlproject_is_found(project: Callable[..., Project], command: str) -> None:
    made = project(ORDINARY, AME_YML.replace("$command", f"{{command: {command}}}" if command else ""))
    made.write("MLproject", MLPROJECT)

    (report,) = made.run()

    assert report["model"]["version"] == "1", report["message"]
    version = made.work().registry.version(made.model, "1")
    run = made.work().registry.client.get_run(version.run_id)
    assert run.data.params["ending"] == "ordinary"
    assert "ame.task_run" in run.data.tags
