"""A project that was deployed as the README says, with a real server and one worker a pool."""

from __future__ import annotations

import contextlib
import os
import shutil
import signal
import subprocess
import sys
import textwrap
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.conftest import Embedded, post

_BIN = Path(sys.executable).parent
POOLS = ("ame-control", "ame-cpu")  # no task here asks for a GPU

AME_YML = """
    name: $project
    models:
      - name: $model
        training: {task: {taskRef: train}, schedule: "0 3 * * *", timezone: Europe/Berlin}
        validation:
          task: {taskRef: check}
          thresholds: {accuracy: {min: 0.5}}
        abTest:
          data: {dataSet: rows}
          label: y
          primary: {metric: roc_auc, margin: 0.0}
          scoring: {environment: current}
    tasks:
      - {name: make, executor: !custom {command: $python make.py}}
      - name: train
        executor: !custom {command: $python train.py}
        env: [{key: FEATURES, val: a}, {key: LINGER, val: "0"}]
        dataSets: [rows]
        resources: {cpu: 1, memory: 1G}
        artifacts: {paths: [notes]}
      - {name: check, executor: !custom {command: 'test -n "$AME_MODEL_URI"'}}
      - {name: nightly, executor: !custom {command: "true"}, triggers: {schedule: "30 4 * * 1"}}
    dataSets:
      - {name: rows, path: data/rows.csv, task: {taskRef: make}}
"""

MAKE = """
    import random
    from pathlib import Path

    random.seed(7)
    rows = ["a,b,y"]
    for _ in range(600):
        a, b = random.gauss(0, 1), random.gauss(0, 1)
        rows.append(f"{a:.4f},{b:.4f},{int(0.6 * a + 1.6 * b + random.gauss(0, 1) > 0)}")
    Path("data").mkdir(exist_ok=True)
    Path("data/rows.csv").write_text("\\n".join(rows))
"""

TRAIN = """
    import os
    import time
    from pathlib import Path

    import mlflow
    import mlflow.sklearn
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    data = pd.read_csv("data/rows.csv")
    features = os.environ["FEATURES"].split()
    model = LogisticRegression().fit(data[features], data["y"])
    signature = mlflow.models.infer_signature(data[features].head(), model.predict(data[features].head()))
    print("the password is", os.environ.get("MLFLOW_TRACKING_PASSWORD"))
    with mlflow.start_run():
        mlflow.log_metric("accuracy", model.score(data[features], data["y"]))
        mlflow.sklearn.log_model(
            model, name="model", registered_model_name="$model", signature=signature, pip_requirements=["mlflow"]
        )
    Path("notes").mkdir()
    Path("notes/coefficients.txt").write_text(str(model.coef_))
    time.sleep(float(os.environ.get("LINGER", "0")))
"""


@dataclass(frozen=True)
class Site:
    """Where everything is, and the environment of a user's shell there.

    Attributes:
        folder: holds the project, and the prefect.yaml beside it.
        mlflow: the address of the MLflow server.
    """

    folder: Path
    api: str
    mlflow: str
    env: dict[str, str]
    project: str = "shop"
    model: str = "basket"

    def run(self, *command: str, ok: bool = True, **env: str) -> subprocess.CompletedProcess[str]:
        """A command line as a user types it."""
        program, *rest = command
        done = subprocess.run(  # noqa: PLW1510 - a refusal is looked at
            [_BIN / program, *rest],
            cwd=self.folder,
            env=self.env | env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=300,
        )
        assert "Traceback" not in done.stderr, done.stderr
        assert not ok or done.returncode == 0, done.stdout + done.stderr
        return done

    def write(self, name: str, text: str) -> None:
        text = textwrap.dedent(text)
        for word, value in {"project": self.project, "model": self.model, "python": sys.executable}.items():
            text = text.replace(f"${word}", value)
        file = self.folder / self.project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)

    def ask(self, path: str, **body: Any) -> Any:
        """The answer of Prefect's API to a POST."""
        answer = post(f"{self.api}{path}", body)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def deployments(self) -> dict[str, dict[str, Any]]:
        """All of this project, by name."""
        tags = {"tags": {"all_": [f"ame-project:{self.project}"]}}
        found = {each["id"]: each for each in self.ask("/deployments/filter", deployments=tags)}
        flows = {each["id"]: each["name"] for each in self.ask("/flows/filter")}
        return {f"{flows[each['flow_id']]}/{each['name']}": each for each in found.values()}

    def start(self, name: str, **parameters: Any) -> str:
        """Start a run as Prefect's UI does; returns its id."""
        found = self.deployments()[name]["id"]
        return str(self.ask(f"/deployments/{found}/create_flow_run", parameters=parameters)["id"])

    def pause(self, name: str) -> None:
        """Let a deployment run only when it is started."""
        found = self.deployments()[name]
        for schedule in found["schedules"]:
            url = f"{self.api}/deployments/{found['id']}/schedules/{schedule['id']}"
            post(url, {"active": False}, "PATCH").raise_for_status()

    def runs(self, name: str | None = None) -> list[dict[str, Any]]:
        """The runs of a deployment or of all, oldest first; those that a schedule has planned left out."""
        wanted = [each["id"] for key, each in self.deployments().items() if name in (None, key)]
        found = self.ask(
            "/flow_runs/filter",
            flow_runs={"deployment_id": {"any_": wanted}},
            sort="EXPECTED_START_TIME_DESC",
        )
        return sorted((run for run in found if not run["auto_scheduled"]), key=lambda run: run["created"])

    def ended(self, run: str, seconds: float = 400) -> dict[str, Any]:
        """Wait for a run to end."""
        deadline = time.monotonic() + seconds
        while True:
            found: dict[str, Any] = httpx.get(f"{self.api}/flow_runs/{run}", timeout=120).json()
            if found["state_type"] in ("COMPLETED", "FAILED", "CRASHED", "CANCELLED"):
                return found
            assert time.monotonic() < deadline, f"{found['name']}: {found['state_name']} after {seconds} s"
            time.sleep(0.3)

    def delivered(self, version: str, seconds: float = 400) -> dict[str, Any]:
        """Wait for the newest delivery of a version to end."""
        deadline = time.monotonic() + seconds
        while True:
            runs = self.runs(f"deliver-version/{self.project}.{self.model}")
            mine = [run for run in runs if run["parameters"].get("version") == version]
            if mine:
                return self.ended(mine[-1]["id"], seconds)
            assert time.monotonic() < deadline, f"no delivery of version {version}"
            time.sleep(0.3)

    def logs(self, run: str) -> str:
        found = self.ask("/logs/filter", logs={"flow_run_id": {"any_": [run]}}, limit=200)
        return "\n".join(each["message"] for each in found)


def shell(folder: Path, api: str, **more: str) -> dict[str, str]:
    """The environment of a user's shell: nothing of ours but what is said."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("AME_", "MLFLOW_"))}
    return {
        **{name: value for name, value in kept.items() if not name.startswith("PREFECT_")},
        "PATH": f"{_BIN}:{os.environ['PATH']}",
        "PREFECT_API_URL": api,
        "PREFECT_HOME": str(folder / ".prefect"),
        "PREFECT_WORKER_QUERY_SECONDS": "1",
        "AME_HOME": str(folder / "home"),
        "AME_CLAIM_SECONDS": "6",
        "CHECK_LINGERS": str(folder / "linger"),
        **more,
    }


@contextlib.contextmanager
def workers(site: Site, pools: tuple[str, ...] = POOLS) -> Iterator[dict[str, subprocess.Popen[bytes]]]:
    """One worker a pool, ended with what they run."""
    started: dict[str, subprocess.Popen[bytes]] = {}
    with contextlib.ExitStack() as stack:
        for pool in pools:
            log = stack.enter_context((site.folder / f"{pool}.log").open("wb"))
            started[pool] = subprocess.Popen(
                [_BIN / "prefect", "worker", "start", "--pool", pool],
                cwd=site.folder,
                env=site.env,
                stdin=subprocess.DEVNULL,
                stdout=log,
                stderr=subprocess.STDOUT,
                # A suite that was started in the background has SIGINT ignored, and Prefect ends by it.
                preexec_fn=lambda: signal.signal(signal.SIGINT, signal.default_int_handler),  # noqa: PLW1509
            )
        try:
            yield started
        finally:
            for worker in started.values():
                worker.terminate()
            for worker in started.values():
                try:
                    worker.wait(30)
                except subprocess.TimeoutExpired:
                    worker.kill()


@pytest.fixture(scope="package")
def site(embedded: Embedded, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Site]:
    """A project deployed to the process target by the documented commands; a worker for each pool that it uses."""
    folder = tmp_path_factory.mktemp("deployed")
    api = embedded.servers.prefect
    made = Site(folder, api, embedded.servers.mlflow, shell(folder, api))
    for name, text in {"ame.yml": AME_YML, "make.py": MAKE, "train.py": TRAIN}.items():
        made.write(name, text)
    settings = {"MLFLOW_TRACKING_URI": made.mlflow, "AME_STORE_URI": str(folder / "store")}
    made.run("ame", "blocks", "apply", "--from-env", **settings)
    made.run("ame", "pools", "apply", "--target", "process")
    made.run("ame", "compile", made.project, "--target", "process")
    made.run("prefect", "--no-prompt", "deploy", "--all")
    made.pause("watch-registry/shop.models")
    with workers(made):
        yield made
    shutil.rmtree(folder / "home", ignore_errors=True)


@pytest.fixture
def registry(site: Site) -> Callable[[], Any]:
    """MLflow's client on the deployed project's server."""

    def connect() -> Any:
        from mlflow import MlflowClient

        return MlflowClient(site.mlflow, site.mlflow)

    return connect
