"""Prefect's own Kubernetes worker, unchanged, on the stand-in: what becomes of a flow run whose pod ...

All runs are started at once and each test waits for its own: Prefect takes half a minute before it calls a run
crashed.
"""

from __future__ import annotations

import json
import textwrap
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.conftest import Embedded
from tests.kubernetes.prefect_api import Prefect, worker
from tests.kubernetes.stand_in import Running

FLOW = """
    import json, os, time
    from pathlib import Path
    from prefect import flow

    @flow
    async def probe(folder: str, name: str, wait: bool = False):
        part = Path(folder, name + ".part")
        part.write_text(json.dumps({"process": os.getpid(), "env": dict(os.environ)}))
        part.rename(Path(folder, name))
        while wait and not Path(folder, name + ".go").exists():
            time.sleep(0.1)
"""


@dataclass(frozen=True)
class Runs:
    """Flow runs by name, and the folder in which their flow tells that it runs and is told to end."""

    prefect: Prefect
    cluster: Running
    folder: Path
    deployment: str
    ids: dict[str, str]

    def submit(self, name: str, *, wait: bool = False, **variables: Any) -> None:
        made = self.prefect.post(
            f"/deployments/{self.deployment}/create_flow_run",
            name=name,
            state={"type": "SCHEDULED"},
            parameters={"folder": str(self.folder), "name": name, "wait": wait},
            job_variables=variables,
        )
        self.ids[name] = made["id"]

    def state(self, name: str) -> str:
        return self.prefect.state(self.ids[name])

    def pods(self, name: str) -> list[dict[str, Any]]:
        run = self.ids[name]
        return [
            pod
            for pod in self.cluster.pods()
            if pod["metadata"]["labels"].get("prefect.io/flow-run-id") == run
        ]

    def told(self, name: str) -> dict[str, Any]:
        told: dict[str, Any] = json.loads((self.folder / name).read_text())
        return told


@pytest.fixture(scope="module")
def runs(embedded: Embedded, cluster: Running, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Runs]:
    folder = tmp_path_factory.mktemp("runs")
    (folder / "probe_flow.py").write_text(textwrap.dedent(FLOW))
    prefect = Prefect(embedded.servers.prefect)
    prefect.post("/work_pools/", name="stand-in", type="kubernetes", base_job_template=_template_with_gpu())
    flow = prefect.post("/flows/", name="probe")["id"]
    env = {"PYTHONPATH": str(folder), "PREFECT_HOME": "/workspace/.prefect", "NO_PROXY": "127.0.0.1"}
    deployment = prefect.post(
        "/deployments/",
        name="probe",
        flow_id=flow,
        entrypoint="probe_flow.probe",
        work_pool_name="stand-in",
        pull_steps=[],
        job_variables={"env": env, "image": "any"},
    )["id"]

    started = Runs(prefect, cluster, folder, deployment, {})
    with worker(prefect.url, cluster, "stand-in", folder):
        started.submit("dies", command="python -c 'import os; os._exit(9)'")
        started.submit("out of memory", annotations={"stand-in/fate": "oom"})
        started.submit("first", wait=True, gpu=1)
        started.submit("cancelled", wait=True)
        yield started


def _template_with_gpu() -> dict[str, Any]:
    """Prefect's default template and a GPU: the one thing that it lacks for these tests."""
    from prefect_kubernetes.worker import KubernetesWorker

    template: dict[str, Any] = KubernetesWorker.get_default_base_job_template()
    template["variables"]["properties"]["gpu"] = {
        "anyOf": [{"type": "integer"}, {"type": "null"}],
        "default": None,
    }
    container = template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"]["containers"][0]
    container["resources"]["limits"]["nvidia.com/gpu"] = "{{ gpu }}"
    return template


def test_asks_for_a_gpu_that_is_taken_waits_and_then_runs(runs: Runs, until: Callable[..., None]) -> None:
    until((runs.folder / "first").exists, 120)
    runs.submit("second", gpu=1)
    until(lambda: runs.pods("second") and runs.pods("second")[0]["status"]["conditions"], 60)
    (pod,) = runs.pods("second")
    assert (
        pod["status"]["conditions"][0]["message"] == "0/2 nodes are available: 2 Insufficient nvidia.com/gpu."
    )
    until(lambda: runs.state("second") == "InfrastructurePending")
    (runs.folder / "first.go").touch()
    until(lambda: runs.state("first") == "Completed", 120)
    until(lambda: runs.state("second") == "Completed", 120)
    assert [pod["spec"]["nodeName"] for name in ("first", "second") for pod in runs.pods(name)] == [
        "gpu-0"
    ] * 2


def test_completes_has_run_with_the_pods_environment(runs: Runs, until: Callable[..., None]) -> None:
    until((runs.folder / "first").exists, 120)
    (pod,) = runs.pods("first")
    workspace = f"{runs.cluster.folder}/{pod['metadata']['name']}/workspace"
    env = runs.told("first")["env"]
    assert (env["HOME"], env["PREFECT_HOME"]) == (workspace, f"{workspace}/.prefect")
    assert env["PREFECT_API_URL"] == runs.prefect.url
    assert not {"KUBECONFIG", "VIRTUAL_ENV", "PYTEST_CURRENT_TEST"} & env.keys()


def test_is_cancelled_while_it_runs_ends_with_it(
    runs: Runs, until: Callable[..., None], lives: Callable[[int], bool]
) -> None:
    until((runs.folder / "cancelled").exists, 120)
    process = runs.told("cancelled")["process"]
    assert lives(process)
    runs.prefect.post(f"/flow_runs/{runs.ids['cancelled']}/set_state", state={"type": "CANCELLING"})
    until(lambda: runs.state("cancelled") == "Cancelled", 120)
    until(lambda: not lives(process))
    until(lambda: runs.pods("cancelled")[0]["status"]["phase"] != "Running")


@pytest.mark.parametrize(("name", "code"), [("dies", 9), ("out of memory", 137)])
def test_dies_before_it_connects_is_crashed(
    runs: Runs, until: Callable[..., None], name: str, code: int
) -> None:
    until(lambda: runs.state(name) == "Crashed", 150)
    (pod,) = runs.pods(name)
    assert pod["status"]["containerStatuses"][0]["state"]["terminated"]["exitCode"] == code
