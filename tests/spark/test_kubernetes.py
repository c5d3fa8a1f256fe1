"""The driver in a pod: its properties, the pods of its executors, and its rights."""

from __future__ import annotations

import json
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kubernetes_validate
import pytest
import yaml

import ame.spark.kubernetes
from ame.compile import Deployment
from ame.diagnosis import Refused, Where
from ame.parameters import FLOWS
from ame.pools import render
from ame.spark import SparkSettings
from ame.spark.kubernetes import kubernetes_conf
from ame.spec import Resources
from tests.spark.pretend_api import Cluster, serving

ROOT = Path(__file__).parents[2]


@pytest.fixture
def driver() -> dict[str, Any]:
    """The pod that Kubernetes makes of the Job of a comparison on the pool `ame-spark`."""
    job = render(
        Deployment(
            name="p.m",
            flow=FLOWS["compare-versions"],
            description="",
            tags=("ame",),
            parameters={},
            pool="ame-spark",
            job_variables={
                "env": {
                    "HOME": "/workspace",
                    "AME_HOME": "/workspace/ame",
                    "AME_MLFLOW_SERVER": "mlflow-server/ame",
                    "AME_ARTIFACT_STORE": "artifact-store/ame",
                    "PREFECT_API_KEY": "pnu_secret",
                },
                "env_from": [{"secretRef": {"name": "ame-credentials"}}],
                "image_pull_secrets": [{"name": "pull"}],
                "node_selector": {"pool": "big"},
                "tolerations": [{"key": "spot", "operator": "Exists"}],
                "labels": {"ame-flows/project": "p", "ame-flows/model": "m"},
                "annotations": {"ame-flows/model": "m"},
            },
            resources=Resources(),
            where=Where("ame.yml"),
            project="p",
            folder=Path("/p"),
        )
    )
    template = job["spec"]["template"]
    pod = {"apiVersion": "v1", "kind": "Pod", **json.loads(json.dumps(template))}
    pod["metadata"] |= {"name": "driver", "namespace": "ml", "uid": "uid-0"}
    pod["metadata"]["labels"]["prefect.io/flow-run-id"] = "3"
    for name in ("parallelism", "completions"):
        del pod["spec"][name]
    sidecar = {"name": "mesh", "image": "mesh:1"}
    pod["spec"]["containers"].insert(0, sidecar)
    return pod


@pytest.fixture
def cluster(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, driver: dict[str, Any]) -> Iterator[Cluster]:
    """This process is the driver's pod."""
    with serving(tmp_path / "cluster") as served:
        served.pods["driver"] = driver
        monkeypatch.setattr(ame.spark.kubernetes, "_ACCOUNT", served.account)
        told = {
            "KUBERNETES_SERVICE_HOST": "127.0.0.1",
            "KUBERNETES_SERVICE_PORT": str(served.port),
            "POD_NAME": "driver",
            "POD_NAMESPACE": "ml",
            "POD_IP": "10.1.2.3",
        }
        for name, value in told.items():
            monkeypatch.setenv(name, value)
        yield served


def refused(settings: SparkSettings) -> str:
    with pytest.raises(Refused) as told:
        kubernetes_conf(settings)
    return str(told.value)


def test_the_properties_in_a_pod(cluster: Cluster) -> None:
    found = kubernetes_conf(SparkSettings(master="k8s"))
    template = found.pop("spark.kubernetes.executor.podTemplateFile")

    assert Path(template).is_file()
    assert found == {
        "spark.master": f"k8s://https://127.0.0.1:{cluster.port}",
        "spark.submit.deployMode": "client",
        "spark.driver.host": "10.1.2.3",
        "spark.driver.port": "7078",
        "spark.blockManager.port": "7079",
        "spark.authenticate": "true",
        "spark.network.crypto.enabled": "true",
        "spark.kubernetes.namespace": "ml",
        "spark.kubernetes.driver.pod.name": "driver",
        "spark.kubernetes.authenticate.driver.serviceAccountName": "ame-spark",
        "spark.kubernetes.container.image": cluster.pods["driver"]["spec"]["containers"][1]["image"],
        "spark.kubernetes.container.image.pullPolicy": "IfNotPresent",
        "spark.kubernetes.memoryOverheadFactor": "0.4",
        "spark.kubernetes.executor.disableConfigMap": "true",
        "spark.kubernetes.driver.service.deleteOnTermination": "false",
        "spark.kubernetes.driver.ownPersistentVolumeClaim": "false",
    }
    assert found["spark.kubernetes.container.image"].startswith("ame-flows-spark:")
    assert cluster.used == {("get", "pods")}


def test_an_image_and_an_archive_of_ones_own(cluster: Cluster) -> None:
    found = kubernetes_conf(SparkSettings(master="k8s", image="mine:1", archive="s3://b/env.tar.gz"))

    assert found["spark.kubernetes.container.image"] == "mine:1"
    assert found["spark.archives"] == "s3://b/env.tar.gz#environment"


def test_addresses_of_the_sixth_version_stand_in_brackets(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("POD_IP", "fd00::7")

    assert kubernetes_conf(SparkSettings(master="k8s"))["spark.driver.host"] == "[fd00::7]"


def test_an_executor_is_made_in_the_likeness_of_its_driver(cluster: Cluster, driver: dict[str, Any]) -> None:
    conf = kubernetes_conf(SparkSettings(master="k8s"))
    template = json.loads(Path(conf["spark.kubernetes.executor.podTemplateFile"]).read_text())

    assert template == {
        "apiVersion": "v1",
        "kind": "Pod",
        "metadata": {
            "labels": {"ame-flows/project": "p", "ame-flows/model": "m"},
            "annotations": {"ame-flows/model": "m"},
        },
        "spec": {
            "serviceAccountName": "ame-spark",
            "automountServiceAccountToken": False,
            "enableServiceLinks": False,
            "securityContext": {
                "runAsNonRoot": True,
                "runAsUser": 1000,
                "runAsGroup": 1000,
                "fsGroup": 1000,
                "seccompProfile": {"type": "RuntimeDefault"},
            },
            "imagePullSecrets": [{"name": "pull"}],
            "nodeSelector": {"pool": "big"},
            "tolerations": [{"key": "spot", "operator": "Exists"}],
            "containers": [
                {
                    "name": "executor",
                    "workingDir": "/workspace",
                    "env": [
                        {"name": "HOME", "value": "/workspace"},
                        {"name": "AME_HOME", "value": "/workspace/ame"},
                    ],
                    "envFrom": [{"secretRef": {"name": "ame-credentials"}}],
                    "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
                    "volumeMounts": [
                        {"name": "workspace", "mountPath": "/workspace"},
                        {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108
                    ],
                }
            ],
            "volumes": [
                {"name": "workspace", "emptyDir": {}},
                {"name": "shared-memory", "emptyDir": {"medium": "Memory"}},
            ],
        },
    }
    kubernetes_validate.validate(template, kubernetes_validate.latest_version(), strict=True)


def test_outside_of_a_pod_it_says_where_to_run(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    what = (
        "AME-E837 the Spark master 'k8s' means the cluster that the driver runs in, and it runs in none. {} "
        "Run the comparison on the work pool 'ame-spark', which `ame pools apply` makes. "
        "Elsewhere, name a master: local[*], spark://HOST:PORT or k8s://https://HOST:PORT."
    )
    monkeypatch.delenv("POD_IP")
    assert refused(SparkSettings(master="k8s")) == what.format("This pod is not told POD_IP.")
    (cluster.account / "token").unlink()
    assert refused(SparkSettings(master="k8s")) == what.format(
        "The token of a service account is not mounted in this pod."
    )
    monkeypatch.delenv("KUBERNETES_SERVICE_HOST")
    assert refused(SparkSettings(master="k8s")) == what.format(
        "KUBERNETES_SERVICE_HOST is not set: this process runs in no pod."
    )


def test_an_account_without_rights_is_told_what_to_apply(cluster: Cluster) -> None:
    cluster.refuse = True

    assert refused(SparkSettings(master="k8s")) == (
        "AME-E838 the Spark driver's own pod 'ml/driver' cannot be read. "
        'Kubernetes answers 403: pods is forbidden: cannot get resource "pods" '
        "Give its service account the rights of infra/kubernetes/spark-rbac.yaml: "
        "kubectl apply -n ml -f spark-rbac.yaml"
    )


def test_an_api_that_does_not_answer_is_told(cluster: Cluster, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KUBERNETES_SERVICE_PORT", "1")

    assert refused(SparkSettings(master="k8s")) == (
        "AME-E838 the Spark driver's own pod 'ml/driver' cannot be read. "
        "https://127.0.0.1:1 does not answer: [Errno 111] Connection refused. "
        "See that a network policy lets the pod reach the cluster's API."
    )


def test_a_cluster_by_its_address_needs_an_image() -> None:
    master = "k8s://https://cluster.example:6443"

    assert refused(SparkSettings(master=master)) == (
        f"AME-E839 the executors on '{master}' have no image. Only in a pod of the same cluster (master: k8s) "
        "is it the driver's own. Name one that holds Java, Spark and ame-flows: `spark: {image: ...}`."
    )
    assert kubernetes_conf(SparkSettings(master=master, image="mine:1")) == {
        "spark.master": master,
        "spark.submit.deployMode": "client",
        "spark.authenticate": "true",
        "spark.network.crypto.enabled": "true",
        "spark.kubernetes.memoryOverheadFactor": "0.4",
        "spark.kubernetes.container.image": "mine:1",
    }


JOB = """
import ame.spark.kubernetes, sys
from pathlib import Path
from ame.spark import SparkSettings, open_session

account = Path(sys.argv[1])
ame.spark.kubernetes._ACCOUNT = account
conf = {
    # Elsewhere Spark finds the account where Kubernetes mounts it.
    "spark.kubernetes.authenticate.caCertFile": str(account / "ca.crt"),
    "spark.kubernetes.authenticate.oauthTokenFile": str(account / "token"),
    # The driver and its executor share one address here.
    "spark.driver.port": "0", "spark.blockManager.port": "0", "spark.ui.enabled": "false",
    "spark.pyspark.python": sys.executable,
}
settings = SparkSettings(master="k8s", executors=1, cores=1, memory="600Mi", conf=tuple(conf.items()))
with open_session(settings) as spark:
    import os
    own = os.getpid()
    rows = spark.sparkContext.parallelize(range(4), 2).map(lambda each: (os.getppid() != own, each * each))
    print("RESULT", sorted(rows.collect()))
"""


def test_a_driver_starts_an_executor_uses_it_and_removes_it_with_the_rights_that_it_has(
    cluster: Cluster, monkeypatch: pytest.MonkeyPatch, driver: dict[str, Any]
) -> None:
    """Real Spark against a pretend API; the executor's pod is a process that executor.sh starts."""
    monkeypatch.setenv("POD_IP", "127.0.0.1")
    monkeypatch.setenv("PATH", f"{Path(sys.executable).parent}:/usr/bin:/bin")
    cluster.command = ["sh", str(ROOT / "infra/docker/executor.sh")]

    done = subprocess.run(
        [sys.executable, "-c", JOB, cluster.account], capture_output=True, text=True, timeout=400, check=False
    )

    logs = "\n".join(log.read_text() for log in cluster.folder.glob("*/log"))
    assert "RESULT [(True, 0), (True, 1), (True, 4), (True, 9)]" in done.stdout, done.stderr + logs
    (pod,) = cluster.created
    kubernetes_validate.validate(pod, kubernetes_validate.latest_version(), strict=True)
    container = pod["spec"]["containers"][0]
    assert container["args"] == ["executor"]
    # What the restricted Pod Security Standard asks for.
    assert container["securityContext"] == {
        "allowPrivilegeEscalation": False,
        "capabilities": {"drop": ["ALL"]},
    }
    assert pod["spec"]["securityContext"] == driver["spec"]["securityContext"]
    assert not [label for label in pod["metadata"]["labels"] if label.startswith("prefect.io/")]
    assert container["resources"] == {
        "requests": {"cpu": "1", "memory": "984Mi"},
        "limits": {"memory": "984Mi"},
    }
    assert container["image"] == driver["spec"]["containers"][1]["image"]
    assert pod["metadata"]["ownerReferences"][0]["uid"] == "uid-0"
    assert pod["spec"]["serviceAccountName"] == "ame-spark"
    assert pod["spec"]["automountServiceAccountToken"] is False
    assert list(cluster.pods) == ["driver"]
    (rules,) = [
        each["rules"]
        for each in yaml.safe_load_all((ROOT / "infra/kubernetes/spark-rbac.yaml").read_text())
        if each["kind"] == "Role"
    ]
    allowed = {(verb, name) for rule in rules for name in rule["resources"] for verb in rule["verbs"]}
    assert cluster.used <= allowed
