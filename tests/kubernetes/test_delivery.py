"""A training with a GPU and its delivery on the stand-in, by the commands that a platform engineer types.

The champion is there already: each pod costs ten seconds, and the first version of a model is delivered by the same
runs as a challenger, less the comparison.
"""

from __future__ import annotations

import contextlib
import json
import os
import subprocess
import sys
import textwrap
from collections.abc import Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest
from mlflow import MlflowClient

from ame.local import Home, serving
from tests.conftest import Embedded
from tests.kubernetes.prefect_api import Prefect, worker
from tests.kubernetes.stand_in import Running, running

SECRET = "seen-in-no-job"  # noqa: S105 - of the stand-in for S3
POOLS = ("ame-control", "ame-cpu", "ame-gpu")
#: Not the registry watch: its schedule would add jobs every tenth minute of the clock.
DEPLOYED = ("store.cart", "store.check")

AME_YML = """
    name: store
    models:
      - name: cart
        training: {task: {taskRef: train}}
        validation: {task: {taskRef: check}, thresholds: {accuracy: {min: 0.5}}}
        abTest:
          data: {path: rows.csv}
          label: y
          primary: {metric: roc_auc, margin: 0.0}
          scoring: {environment: current}
          resources: {cpu: 2, memory: 2G}
    tasks:
      - name: train
        executor: !custom {command: python train.py}
        env: [{key: FEATURES, val: a}]
        resources: {cpu: 1, memory: 1G, nvidia.com/gpu: 1}
        kubernetes: {nodeSelector: {nvidia.com/gpu.present: "true"}}
      - {name: check, executor: !custom {command: 'test -n "$AME_MODEL_URI"'}, resources: {cpu: 1}}
"""

TRAIN = """
    import os

    import mlflow
    import mlflow.sklearn
    import pandas as pd
    from sklearn.linear_model import LogisticRegression

    data = pd.read_csv("rows.csv")
    features = os.environ["FEATURES"].split()
    model = LogisticRegression().fit(data[features], data["y"])
    signature = mlflow.models.infer_signature(data[features].head(), model.predict(data[features].head()))
    with mlflow.start_run():
        mlflow.log_metric("accuracy", model.score(data[features], data["y"]))
        mlflow.sklearn.log_model(
            model, name="model", registered_model_name="cart", signature=signature, pip_requirements=["mlflow"]
        )
"""


@dataclass(frozen=True)
class Site:
    """A deployed project: its servers, its cluster, and a user's shell beside its prefect.yaml."""

    folder: Path
    prefect: Prefect
    cluster: Running
    env: dict[str, str]

    def run(self, *command: str) -> str:
        program, *rest = command
        done = subprocess.run(
            [Path(sys.executable).with_name(program), *rest],
            cwd=self.folder,
            env=self.env,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    def train(self, **env: str) -> str:
        """Start a training from its deployment; returns the run's id."""
        found = self.prefect.get("/deployments/name/train-model/store.cart")["id"]
        made = self.prefect.post(f"/deployments/{found}/create_flow_run", parameters={"env": env})
        return str(made["id"])

    def states(self) -> list[tuple[str, str]]:
        """All runs by name, with their states, in the order in which they were made."""
        runs = self.prefect.post("/flow_runs/filter", sort="EXPECTED_START_TIME_ASC")
        return [(run["name"], run["state_name"]) for run in runs]

    def settled(self, count: int) -> bool:
        """Whether so many runs have ended, or one ended badly: then no other follows."""
        types = [run["state_type"] for run in self.prefect.post("/flow_runs/filter")]
        return types.count("COMPLETED") == count or bool({"FAILED", "CRASHED", "CANCELLED"} & set(types))

    def told(self) -> str:
        """The ends of all logs, for a test that fails."""
        logs = [f"{file}:\n{file.read_text()[-3000:]}" for file in sorted(self.cluster.folder.glob("*/log"))]
        return "\n".join([str(self.states()), *logs])


@pytest.fixture
def site(
    embedded: Embedded,
    leaves_no_process: None,
    tmp_path: Path,
    s3_endpoint: str,
    monkeypatch: pytest.MonkeyPatch,
) -> Iterator[Site]:
    """A Prefect server of its own, because the pools' names are everybody's; MLflow's is that of all tests."""
    monkeypatch.setenv("MLFLOW_TRACKING_URI", embedded.servers.mlflow)
    mark = {name: value for name, value in os.environ.items() if name.startswith("TEST_")}
    with contextlib.ExitStack() as stack:
        servers = stack.enter_context(serving(Home(tmp_path / ".ame")))
        cluster = stack.enter_context(
            running(tmp_path / "cluster", gpus=1, taints=("nvidia.com/gpu",), image_env=mark)
        )
        made = Site(
            tmp_path / "site",
            Prefect(servers.prefect),
            cluster,
            _shell(tmp_path, servers.prefect, s3_endpoint),
        )
        _write_project(made.folder / "store")
        commands = [
            ("ame", "blocks", "apply", "--from-env"),
            ("ame", "pools", "apply", "--image", "registry/ame-flows:1", "--namespace", "ame"),
            ("ame", "compile", "store"),
        ]
        with ThreadPoolExecutor() as shells:
            champion = shells.submit(_make_champion, embedded.servers.mlflow, made.folder / "store")
            list(shells.map(lambda command: made.run(*command), commands))
            champion.result()
        for pool in POOLS:
            stack.enter_context(worker(servers.prefect, cluster, pool, tmp_path / "workers"))
        names = [option for name in DEPLOYED for option in ("--name", name)]
        made.run("prefect", "--no-prompt", "deploy", *names)
        yield made


def _shell(folder: Path, prefect: str, s3: str) -> dict[str, str]:
    return dict(os.environ) | {
        "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
        "PREFECT_API_URL": prefect,
        "PREFECT_HOME": str(folder / "user"),
        "AME_STORE_URI": "s3://ame-store/here",
        "AWS_ENDPOINT_URL_S3": s3,
        "AWS_REGION": "us-east-1",
        "AWS_ACCESS_KEY_ID": "someone",
        "AWS_SECRET_ACCESS_KEY": SECRET,
    }


def _write_project(folder: Path) -> None:
    """The project, and the training's data: `a` says little of the label and `b` much."""
    import numpy as np

    random = np.random.default_rng(7)
    rows = random.normal(size=(1000, 2))
    label = (0.6 * rows[:, 0] + 1.6 * rows[:, 1] + random.normal(size=1000) > 0).astype(int)
    lines = [f"{a:.4f},{b:.4f},{y}" for (a, b), y in zip(rows, label, strict=True)]
    folder.mkdir(parents=True)
    (folder / "rows.csv").write_text("\n".join(["a,b,y", *lines]) + "\n")
    (folder / "ame.yml").write_text(textwrap.dedent(AME_YML))
    (folder / "train.py").write_text(textwrap.dedent(TRAIN))


def _make_champion(mlflow_server: str, folder: Path) -> None:
    """Version 1, as an earlier delivery left it."""
    command = [sys.executable, "train.py"]
    env = dict(os.environ) | {"MLFLOW_TRACKING_URI": mlflow_server, "FEATURES": "a"}
    subprocess.run(command, cwd=folder, env=env, check=True, capture_output=True)
    client = MlflowClient(mlflow_server, mlflow_server)
    client.set_model_version_tag("cart", "1", "ame.state", "promoted")
    client.set_registered_model_alias("cart", "champion", "1")


def test_each_run_is_a_job_of_its_own_and_the_gpu_reaches_the_training_alone(
    site: Site, until: Callable[..., None]
) -> None:
    until(lambda: all(site.prefect.get(f"/work_pools/{pool}")["status"] == "READY" for pool in POOLS), 120)
    run = site.train(FEATURES="a b")
    until(lambda: site.settled(4), 300)
    assert site.states() == [
        ("train cart", "Trained"),
        ("deliver cart v2", "Promoted"),
        ("run check", "Completed"),
        ("compare cart v2 with v1", "Promote"),
    ], site.told()
    assert site.prefect.message(run).startswith("version 2 of 'cart'; its delivery is the flow run ")

    until(lambda: {pod["status"]["phase"] for pod in site.cluster.pods()} == {"Succeeded"})
    jobs, pods = site.cluster.jobs(), site.cluster.pods()
    assert [_placed(job, pods) for job in jobs] == [
        ("train-model", "ame-gpu", "gpu-0", {"cpu": "1", "memory": "1G", "nvidia.com/gpu": "1"}),
        ("deliver-version", "ame-control", "cpu-0", {"memory": "1Gi"}),
        ("run-task", "ame-cpu", "cpu-0", {"cpu": "1"}),
        ("compare-versions", "ame-cpu", "cpu-0", {"cpu": "2", "memory": "2G"}),
    ]
    assert {job["metadata"]["namespace"] for job in jobs} == {"ame"}
    assert SECRET not in json.dumps([jobs, pods]) + (site.folder / "prefect.yaml").read_text()
    for pod in pods:
        written = (site.cluster.folder / pod["metadata"]["name"] / "workspace").iterdir()
        assert {"ame", ".prefect"} <= {found.name for found in written}


def _placed(job: dict[str, Any], pods: list[dict[str, Any]]) -> tuple[str, str, str, dict[str, str]]:
    labels = job["metadata"]["labels"]
    (pod,) = [pod for pod in pods if pod["metadata"]["labels"]["job-name"] == job["metadata"]["name"]]
    (container,) = pod["spec"]["containers"]
    return (
        labels["prefect.io/flow-name"],
        labels["prefect.io/work-pool-name"],
        pod["spec"]["nodeName"],
        container["resources"]["limits"],
    )
