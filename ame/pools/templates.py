"""Base job templates of the work pools, derived from the one that Prefect's worker ships.

Deriving keeps what Prefect's own code counts on (the container's name, the two misplaced fields of the
pod, labels and environment), so that a new release of the worker changes our templates with it.
"""

from __future__ import annotations

import copy
import hashlib
import json
from collections.abc import Mapping
from typing import Any

from ame import __version__
from ame.diagnosis import Diagnosis, Refused
from ame.pools.variables import KINDS, KUBERNETES_VARIABLES, PREFECT_VARIABLES, Kind, default_resources
from ame.spark.kubernetes import BLOCKS_PORT, DRIVER_PORT

__all__ = [
    "MARK",
    "SPARK_ACCOUNT",
    "WORKSPACE",
    "base_job_template",
    "digest_of",
    "pool_of",
    "process_template",
    "template_files",
]

WORKSPACE = "/workspace"
#: The key of a template that says who made it; Prefect keeps it and reads past it.
MARK = "ame-flows"

#: The service account of infra/kubernetes/spark-rbac.yaml.
SPARK_ACCOUNT = "ame-spark"

#: What a driver has to know of itself, by the variables that `ame.spark` reads.
_DOWNWARD = {"POD_NAME": "metadata.name", "POD_NAMESPACE": "metadata.namespace", "POD_IP": "status.podIP"}
_DRIVER_PORTS = {"spark-driver": DRIVER_PORT, "spark-blocks": BLOCKS_PORT}
_ACCOUNTS = {
    "driver": "The service account of the pod, which has the rights of infra/kubernetes/spark-rbac.yaml: the "
    "pod starts and removes its executors.",
    "task": "The service account of the pod, for example one that is bound to a cloud identity. Its "
    "Kubernetes token is not mounted.",
}
_KEEP_FINISHED_JOBS = 24 * 3600
_USER = 1000


def pool_of(kind: Kind) -> str:
    """The work pool's name, for example `ame-gpu`."""
    return f"ame-{kind}"


def base_job_template(kind: Kind, *, defaults: Mapping[str, Any] | None = None) -> dict[str, Any]:
    """The base job template of one Kubernetes work pool.

    Args:
        kind: which of the pools.
        defaults: values of variables for deployments that do not state them, by name; they win over
            ours, each as a whole.

    Raises:
        Refused: AME-E820 when prefect-kubernetes is not installed.
    """
    template = _shipped()
    template["job_configuration"] = _job_configuration(template["job_configuration"])
    if kind == "spark":
        _drive(template["job_configuration"]["job_manifest"]["spec"]["template"]["spec"])
    properties = template["variables"]["properties"]
    ours: dict[str, Any] = {name: properties[name] for name in PREFECT_VARIABLES}
    ours |= copy.deepcopy(dict(KUBERNETES_VARIABLES))
    _describe(ours, kind)
    for name, value in {**_defaults(kind), **(defaults or {})}.items():
        ours[name]["default"] = copy.deepcopy(value)
    template["variables"] = {
        "type": "object",
        "description": f"What a deployment on {pool_of(kind)} may set.",
        "properties": ours,
    }
    return _marked(template, kind)


def process_template(kind: Kind) -> dict[str, Any]:
    """The template of a pool whose runs are processes beside the worker: Prefect's own, with our mark."""
    from prefect.workers.process import ProcessWorker

    return _marked(copy.deepcopy(ProcessWorker.get_default_base_job_template()), kind)


def digest_of(template: Mapping[str, Any]) -> str:
    """What the mark says of a template that nobody has changed since it was made."""
    content = {name: part for name, part in template.items() if name != MARK}
    canonical = json.dumps(content, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(canonical.encode()).hexdigest()[:16]


def template_files() -> dict[str, str]:
    """The Kubernetes templates as the files that are committed, by file name."""
    return {f"{kind}.json": json.dumps(base_job_template(kind), indent=2) + "\n" for kind in KINDS}


def _shipped() -> dict[str, Any]:
    try:
        import kubernetes_validate  # noqa: F401
        from prefect_kubernetes.worker import KubernetesWorker
    except ModuleNotFoundError as missing:
        raise Refused(
            Diagnosis(
                code="AME-E820",
                what=f"the Python package '{missing.name}' is not installed.",
                why="Jobs are made with the code of Prefect's Kubernetes worker and checked before they run.",
                fix="Run: pip install 'ame-flows[kubernetes]'",
            )
        ) from None
    return copy.deepcopy(KubernetesWorker.get_default_base_job_template())


def _job_configuration(shipped: Mapping[str, Any]) -> dict[str, Any]:
    """Prefect's configuration without what we drop, and the Job with what we add."""
    kept = {name: part for name, part in shipped.items() if name in PREFECT_VARIABLES}
    job = shipped["job_manifest"]
    job["spec"] |= {
        # Another number makes Kubernetes start a flow run again that Prefect has started again.
        "backoffLimit": 0,
        "activeDeadlineSeconds": "{{ active_deadline_seconds }}",
    }
    pod = job["spec"]["template"]["spec"]
    (container,) = pod["containers"]
    del container["args"]  # the worker puts in its own command
    container |= {
        "envFrom": "{{ env_from }}",
        "resources": {"requests": "{{ requests }}", "limits": "{{ limits }}"},
        "workingDir": WORKSPACE,
        "volumeMounts": [
            {"name": "workspace", "mountPath": WORKSPACE},
            {"name": "shared-memory", "mountPath": "/dev/shm"},  # noqa: S108
        ],
        "securityContext": {"allowPrivilegeEscalation": False, "capabilities": {"drop": ["ALL"]}},
    }
    pod |= {
        "imagePullSecrets": "{{ image_pull_secrets }}",
        "nodeSelector": "{{ node_selector }}",
        "tolerations": "{{ tolerations }}",
        "affinity": "{{ affinity }}",
        "priorityClassName": "{{ priority_class_name }}",
        "runtimeClassName": "{{ runtime_class_name }}",
        "terminationGracePeriodSeconds": "{{ termination_grace_period_seconds }}",
        # Cloud identities of a service account come by their own webhook or metadata server; the
        # cluster's own token would be for code that talks to Kubernetes, and no task of ours does.
        "automountServiceAccountToken": False,
        # Else every service of the namespace adds variables, such as MLFLOW_PORT, to the command's.
        "enableServiceLinks": False,
        "securityContext": {
            "runAsNonRoot": True,
            "runAsUser": _USER,
            "runAsGroup": _USER,
            "fsGroup": _USER,
            "seccompProfile": {"type": "RuntimeDefault"},
        },
        "volumes": [
            {"name": "workspace", "emptyDir": {"sizeLimit": "{{ workspace_size }}"}},
            # The container runtime gives 64 MiB, too few for the workers of a data loader.
            {
                "name": "shared-memory",
                "emptyDir": {"medium": "Memory", "sizeLimit": "{{ shared_memory_size }}"},
            },
        ],
    }
    return {**kept, "job_manifest": job}


def _drive(pod: dict[str, Any]) -> None:
    """Make the pod a Spark driver that starts pods of executors: it speaks to Kubernetes and is spoken to."""
    (container,) = pod["containers"]
    pod["automountServiceAccountToken"] = True
    # Prefect's worker puts what `env` holds before what stands here.
    container["env"] = [
        {"name": name, "valueFrom": {"fieldRef": {"fieldPath": path}}} for name, path in _DOWNWARD.items()
    ]
    container["ports"] = [{"name": name, "containerPort": port} for name, port in _DRIVER_PORTS.items()]


def _describe(variables: dict[str, Any], kind: Kind) -> None:
    """Where ours say something else than what Prefect's text says."""
    variables["image"]["description"] = (
        "The image of the container. It holds ame-flows with the version that deployed; "
        "the project's files come from the artifact store."
    )
    variables["image"].pop("examples", None)
    if kind == "spark":
        variables["image"]["description"] += " It holds Java and Spark, also for the executors."
    variables["env"]["description"] = (
        "Environment variables of the container, to be read by everybody: secrets belong into Environment "
        "From. They are added to the pool's, name by name; null removes one."
    )
    variables["service_account_name"]["description"] = _ACCOUNTS["driver" if kind == "spark" else "task"]


def _defaults(kind: Kind) -> dict[str, Any]:
    shared = {"finished_job_ttl": _KEEP_FINISHED_JOBS, **default_resources(kind)}
    if kind == "spark":
        return {
            "image": f"ame-flows-spark:{__version__}",
            "service_account_name": SPARK_ACCOUNT,
            **shared,
        }
    return {"image": f"ame-flows:{__version__}", **shared}


def _marked(template: dict[str, Any], kind: Kind) -> dict[str, Any]:
    return {**template, MARK: {"pool": pool_of(kind), "version": __version__, "digest": digest_of(template)}}
