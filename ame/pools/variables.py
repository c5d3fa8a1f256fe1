"""The variables of our Kubernetes work pools: what each one is, and where it stands in the Job.

`PLACES` is the contract that the proof holds every rendered Job against, and the table of
docs/resources.md is held against it.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

__all__ = ["KINDS", "KUBERNETES_VARIABLES", "PLACES", "PREFECT_VARIABLES", "Kind", "default_resources"]

Kind = Literal["control", "cpu", "gpu", "spark"]
KINDS: tuple[Kind, ...] = ("control", "cpu", "gpu", "spark")

_POD = "spec.template.spec"
_CONTAINER = f"{_POD}.containers[0]"

#: Where the Job carries the value of each variable.
PLACES: Mapping[str, tuple[str, ...]] = {
    "name": ("metadata.generateName",),
    "namespace": ("metadata.namespace",),
    "labels": ("metadata.labels", "spec.template.metadata.labels"),
    "annotations": ("metadata.annotations", "spec.template.metadata.annotations"),
    "image": (f"{_CONTAINER}.image",),
    "image_pull_policy": (f"{_CONTAINER}.imagePullPolicy",),
    "image_pull_secrets": (f"{_POD}.imagePullSecrets",),
    "env": (f"{_CONTAINER}.env",),
    "env_from": (f"{_CONTAINER}.envFrom",),
    "requests": (f"{_CONTAINER}.resources.requests",),
    "limits": (f"{_CONTAINER}.resources.limits",),
    "workspace_size": (f"{_POD}.volumes[0].emptyDir.sizeLimit",),
    "shared_memory_size": (f"{_POD}.volumes[1].emptyDir.sizeLimit",),
    "node_selector": (f"{_POD}.nodeSelector",),
    "tolerations": (f"{_POD}.tolerations",),
    "affinity": (f"{_POD}.affinity",),
    "priority_class_name": (f"{_POD}.priorityClassName",),
    "runtime_class_name": (f"{_POD}.runtimeClassName",),
    "service_account_name": (f"{_POD}.serviceAccountName",),
    "termination_grace_period_seconds": (f"{_POD}.terminationGracePeriodSeconds",),
    "active_deadline_seconds": ("spec.activeDeadlineSeconds",),
    "finished_job_ttl": ("spec.ttlSecondsAfterFinished",),
}

#: Prefect's own variables that are kept. The others are read by nobody (stream_output, the two watch
#: timeouts), are replaced by whole objects (cpu_limit, ...), or break runs: a `command` of one's own
#: runs no flow, a `backoff_limit` starts a flow run twice, a Job in another cluster (`cluster_config`)
#: is not observed.
PREFECT_VARIABLES = (
    "name",
    "namespace",
    "labels",
    "annotations",
    "image",
    "image_pull_policy",
    "env",
    "service_account_name",
    "finished_job_ttl",
)

_TEXTS = {"type": "object", "additionalProperties": {"type": "string"}}
_OBJECTS = {"type": "array", "items": {"type": "object"}}
_SECONDS = {"type": "integer", "minimum": 1}

#: Ours, as JSON schemas with what a person reads in Prefect's UI.
KUBERNETES_VARIABLES: Mapping[str, Mapping[str, Any]] = {
    "image_pull_secrets": _OBJECTS
    | {
        "title": "Image Pull Secrets",
        "description": "Secrets that hold the registry's credentials, each as {name: ...}.",
    },
    "env_from": _OBJECTS
    | {
        "title": "Environment From",
        "description": "Secrets and config maps whose keys become environment variables, each as "
        "{secretRef: {name: ...}} or {configMapRef: {name: ...}}.",
    },
    "requests": _TEXTS
    | {
        "title": "Resource Requests",
        "description": "What the scheduler reserves, for example {cpu: '2', memory: 8Gi}. Quantities are "
        "texts. The whole object replaces the pool's.",
    },
    "limits": _TEXTS
    | {
        "title": "Resource Limits",
        "description": "What the container may use, for example {memory: 8Gi, nvidia.com/gpu: '1'}. "
        "Quantities are texts. The whole object replaces the pool's.",
    },
    "workspace_size": {
        "type": "string",
        "title": "Workspace Size",
        "description": "The most that /workspace may hold, for example 30Gi; a pod beyond it is evicted. "
        "If not set, as much as the node has.",
    },
    "shared_memory_size": {
        "type": "string",
        "title": "Shared Memory Size",
        "description": "The size of /dev/shm, for example 8Gi. It counts as memory of the container. "
        "If not set, as much as the container's memory limit.",
    },
    "node_selector": _TEXTS
    | {
        "title": "Node Selector",
        "description": "Labels that a node must have, for example "
        "{nvidia.com/gpu.product: NVIDIA-A100-SXM4-80GB}.",
    },
    "tolerations": _OBJECTS
    | {"title": "Tolerations", "description": "Taints of nodes that the pod may run on all the same."},
    "affinity": {
        "type": "object",
        "title": "Affinity",
        "description": "Which nodes and which other pods the pod wants to be near, as Kubernetes writes it.",
    },
    "priority_class_name": {
        "type": "string",
        "title": "Priority Class",
        "description": "The PriorityClass of the pod: who goes first, and who may evict whom.",
    },
    "runtime_class_name": {
        "type": "string",
        "title": "Runtime Class",
        "description": "The RuntimeClass of the pod, for example nvidia where the cluster needs it for GPUs.",
    },
    "termination_grace_period_seconds": {
        "type": "integer",
        "minimum": 0,
        "default": 60,
        "title": "Termination Grace Period",
        "description": "Seconds between the request to stop and the kill. A flow ends its command within 5.",
    },
    "active_deadline_seconds": _SECONDS
    | {
        "title": "Active Deadline",
        "description": "Seconds after which Kubernetes ends the Job, counted from its creation, so waiting "
        "for a node counts. If not set, never.",
    },
}

_GPU_TOLERATIONS = [
    {"key": key, "operator": "Exists", "effect": "NoSchedule"} for key in ("nvidia.com/gpu", "amd.com/gpu")
]


def default_resources(kind: Kind) -> dict[str, Any]:
    """Values for a deployment that says nothing: modest, bounded in memory, and never a GPU.

    The control pool's runs start others and wait; cpu and gpu run a task that states no resources; spark
    runs the driver of a comparison, a JVM beside the flow's own process.
    There is no CPU limit: it would only slow a task down on a node that has time to spare.
    """
    if kind == "control":
        return {"requests": {"cpu": "250m", "memory": "512Mi"}, "limits": {"memory": "1Gi"}}
    if kind == "cpu":
        return {"requests": {"cpu": "500m", "memory": "1Gi"}, "limits": {"memory": "4Gi"}}
    if kind == "spark":
        return {"requests": {"cpu": "1", "memory": "4Gi"}, "limits": {"memory": "8Gi"}}
    return {
        "requests": {"cpu": "1", "memory": "4Gi"},
        "limits": {"memory": "16Gi"},
        "tolerations": _GPU_TOLERATIONS,
    }
