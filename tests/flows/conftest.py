"""Real servers, one pair for all tests here, and projects whose models have names of their own."""

from __future__ import annotations

import itertools
import sys
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from prefect.context import refresh_global_settings_context

from ame.cli._session import send_logs
from tests.conftest import Embedded


@pytest.fixture(scope="package")
def servers(embedded: Embedded) -> Iterator[None]:
    """The shared servers, found by these tests' projects in the environment as a user's own ones."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PREFECT_API_URL", embedded.servers.prefect)
        patch.setenv("PREFECT_HOME", str(embedded.home.prefect))
        patch.setenv("MLFLOW_TRACKING_URI", embedded.servers.mlflow)
        patch.setenv("MLFLOW_REGISTRY_URI", embedded.servers.mlflow)
        patch.setenv("MLFLOW_DISABLE_TELEMETRY", "true")
        patch.setenv("MLFLOW_SUPPRESS_PRINTING_URL_TO_STDOUT", "true")
        # Prefect reads its settings when it is imported, which some test has done.
        refresh_global_settings_context()
        yield
        send_logs()
    refresh_global_settings_context()


@dataclass(frozen=True)
class Project:
    """A project on disk with one model, whose training is `python train.py` in our own environment."""

    folder: Path
    model: str

    def write(self, name: str, text: str) -> None:
        text = textwrap.dedent(text).replace("$model", self.model).replace("$python", sys.executable)
        (self.folder / name).write_text(text)

    def stop_training(self) -> None:
        """Take the training out of the file: a run then only delivers what is there."""
        file = self.folder / "ame.yml"
        file.write_text(file.read_text().replace("    training: {task: {taskRef: train}}\n", ""))

    def work(self, **env: str) -> Any:
        from flows._work import open_work

        work = open_work(str(self.folder), env)
        work.home.prepare()
        return work

    def run(self, name: str | None = None, **env: str) -> list[dict[str, Any]]:
        """What `ame run` does, its reports."""
        from ame.cli.run import run_names

        kind = "task" if name else "model"
        return run_names(self.work(**env), [(kind, name or self.model)])

    def tags(self, number: str) -> dict[str, str]:
        tags: dict[str, str] = self.work().registry.version(self.model, number).tags
        return tags


AME_YML = """
    name: project-of-$model
    models:
      - name: $model
        training: {task: {taskRef: train}}
        validation: {thresholds: {accuracy: {min: 0.5}}}
        abTest:
          data: {path: holdout.csv}
          label: y
          primary: {metric: roc_auc, margin: 0.0}
          scoring: {environment: current}
    tasks:
      - {name: train, executor: !custom {command: $python train.py}, env: [{key: FEATURES, val: a b}]}
"""

TRAIN = """
    import os
    import mlflow
    import mlflow.sklearn
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    data = pd.read_csv("holdout.csv")
    features = os.environ.get("FEATURES", "a b").split()
    model = LogisticRegression().fit(data[features], data["y"])
    signature = mlflow.models.infer_signature(data[features].head(), model.predict(data[features].head()))

    def register(name="$model"):
        return mlflow.sklearn.log_model(
            model, name="model", registered_model_name=name, signature=signature, pip_requirements=["mlflow"]
        )
"""

ORDINARY = """
    with mlflow.start_run():
        mlflow.log_metric("accuracy", model.score(data[features], data["y"]))
        register()
"""

_numbers = itertools.count(1)


@pytest.fixture
def project(tmp_path: Path, servers: None) -> Callable[..., Project]:
    """Make a project; `ending` is what train.py does with `model` and `register()`."""

    def make(ending: str = ORDINARY, ame_yml: str = AME_YML) -> Project:
        made = Project(tmp_path, f"model-{next(_numbers)}")
        made.write("ame.yml", ame_yml)
        made.write("train.py", textwrap.dedent(TRAIN) + textwrap.dedent(ending))
        _write_rows(tmp_path / "holdout.csv")
        return made

    return make


def _write_rows(file: Path) -> None:
    """Rows whose label depends on `a` much, on `b` little and on `noise` not at all."""
    import numpy as np

    random = np.random.default_rng(7)
    rows = random.normal(size=(1500, 3))
    label = (rows[:, 0] + 0.8 * rows[:, 1] + random.normal(size=1500) > 0).astype(int)
    lines = [f"{a:.6f},{b:.6f},{n:.6f},{y}" for (a, b, n), y in zip(rows, label, strict=True)]
    file.write_text("\n".join(["a,b,noise,y", *lines]) + "\n")
