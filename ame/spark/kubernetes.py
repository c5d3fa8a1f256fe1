"""Spark properties of a driver in a pod of Kubernetes whose executors are pods of the same cluster.

The driver is the comparison's own pod (client mode). What its executors share with it (image, nodes,
security context, credentials) is not said a second time: it is read from that pod by the cluster's API,
which also shows before Spark starts whether the pod's service account has its rights.
"""

from __future__ import annotations

import atexit
import json
import os
import shutil
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ame.diagnosis import Diagnosis, Refused
from ame.spark.pods import executor_template, main_container, read_pod
from ame.spark.settings import SparkSettings

__all__ = ["BLOCKS_PORT", "DRIVER_PORT", "kubernetes_conf"]

#: Fixed, so that a network policy can name them; the work pool's template declares the same two.
DRIVER_PORT = 7078
BLOCKS_PORT = 7079

#: Of an executor's memory this share on top, for what is no heap: Spark's own for Python programs that it
#: submits to Kubernetes. In client mode it does not notice Python and would take 0.1.
_OVERHEAD = "0.4"

_ACCOUNT = Path("/var/run/secrets/kubernetes.io/serviceaccount")
_FIX = "Run the comparison on the work pool 'ame-spark', which `ame pools apply` makes."


@dataclass(frozen=True, slots=True)
class _Here:
    """Where this process runs, as Kubernetes and the work pool's template tell it."""

    api: str
    namespace: str
    pod: str
    address: str


def kubernetes_conf(settings: SparkSettings) -> dict[str, str]:
    """The properties for the master `k8s` (the cluster that this process is in) or `k8s://URL`.

    For `k8s` the executors' pod template is written to a file of this process, which is removed when it ends.
    The executors' number and size, which are the same on every master, and `settings.conf` are left to the
    caller.

    Raises:
        Refused: AME-E837 when `k8s` is asked for outside of a pod, or in one that is not told what it needs;
            AME-E838 when the driver's pod cannot be read; AME-E839 when `k8s://URL` has no image.
    """
    shared = {
        "spark.submit.deployMode": "client",
        "spark.kubernetes.memoryOverheadFactor": _OVERHEAD,
        # The driver's ports are open to the whole cluster, and whoever may speak to them runs code there.
        "spark.authenticate": "true",
        "spark.network.crypto.enabled": "true",
        **({"spark.archives": f"{settings.archive}#environment"} if settings.archive else {}),
    }
    if settings.master != "k8s":
        return {**shared, **_elsewhere(settings)}
    here = _here()
    pod = read_pod(here.api, here.namespace, here.pod, account=_ACCOUNT)
    container = main_container(pod)
    account = pod["spec"].get("serviceAccountName")
    return {
        **shared,
        "spark.master": f"k8s://{here.api}",
        "spark.driver.host": here.address,
        "spark.driver.port": str(DRIVER_PORT),
        "spark.blockManager.port": str(BLOCKS_PORT),
        "spark.kubernetes.namespace": here.namespace,
        # Executors belong to this pod, so that Kubernetes removes them with it.
        "spark.kubernetes.driver.pod.name": here.pod,
        **({"spark.kubernetes.authenticate.driver.serviceAccountName": account} if account else {}),
        "spark.kubernetes.container.image": settings.image or container["image"],
        "spark.kubernetes.container.image.pullPolicy": container.get("imagePullPolicy", "IfNotPresent"),
        "spark.kubernetes.executor.podTemplateFile": _written(executor_template(pod)),
        **_PODS_ONLY,
    }


#: Without these Spark also makes a config map, and looks for services and volume claims to remove: rights
#: that the service account then does not need.
_PODS_ONLY = {
    "spark.kubernetes.executor.disableConfigMap": "true",
    "spark.kubernetes.driver.service.deleteOnTermination": "false",
    "spark.kubernetes.driver.ownPersistentVolumeClaim": "false",
}


def _elsewhere(settings: SparkSettings) -> dict[str, str]:
    """A cluster by its address: namespace, rights and the driver's address are the user's own properties."""
    image = settings.image or dict(settings.conf).get("spark.kubernetes.container.image")
    if image is None:
        raise Refused(
            Diagnosis(
                code="AME-E839",
                what=f"the executors on '{settings.master}' have no image.",
                why="Only in a pod of the same cluster (master: k8s) is it the driver's own.",
                fix="Name one that holds Java, Spark and ame-flows: `spark: {image: ...}`.",
            )
        )
    return {
        "spark.master": str(settings.master),
        "spark.kubernetes.container.image": image,
    }


def _here() -> _Here:
    host, port = os.environ.get("KUBERNETES_SERVICE_HOST"), os.environ.get("KUBERNETES_SERVICE_PORT")
    if not host or not port:
        raise Refused(_not_in_a_pod("KUBERNETES_SERVICE_HOST is not set: this process runs in no pod."))
    if not _ACCOUNT.joinpath("token").is_file():
        raise Refused(_not_in_a_pod("The token of a service account is not mounted in this pod."))
    namespace = os.environ.get("POD_NAMESPACE") or _ACCOUNT.joinpath("namespace").read_text().strip()
    told = {name: os.environ.get(name, "") for name in ("POD_NAME", "POD_IP")}
    missing = [name for name, value in told.items() if not value]
    if missing:
        raise Refused(_not_in_a_pod(f"This pod is not told {' and '.join(missing)}."))
    return _Here(
        f"https://{_bracketed(host)}:{port}", namespace, told["POD_NAME"], _bracketed(told["POD_IP"])
    )


def _bracketed(host: str) -> str:
    return f"[{host}]" if ":" in host else host


def _not_in_a_pod(why: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E837",
        what="the Spark master 'k8s' means the cluster that the driver runs in, and it runs in none.",
        why=why,
        fix=f"{_FIX} Elsewhere, name a master: local[*], spark://HOST:PORT or k8s://https://HOST:PORT.",
    )


def _written(template: dict[str, Any]) -> str:
    """Spark reads it again for every executor, so it stays as long as this process does."""
    folder = tempfile.mkdtemp(prefix="ame-spark-")
    atexit.register(shutil.rmtree, folder, ignore_errors=True)
    file = Path(folder, "executor.json")
    file.write_text(json.dumps(template))
    return str(file)
