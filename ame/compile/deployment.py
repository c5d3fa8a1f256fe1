"""What is deployed, as plain data: one flow with its parameters, where it runs, and what starts it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal

from ame.diagnosis import Where
from ame.parameters import FlowKind
from ame.spec import Resources, Schedule

__all__ = [
    "CONTROL_POOL",
    "CPU_POOL",
    "EVENT_VERSION",
    "GPU_POOL",
    "JOB_VARIABLES",
    "POOLS",
    "SNAPSHOT",
    "SNAPSHOT_VERSION",
    "SPARK_POOL",
    "TEMPLATES",
    "Deployment",
    "Target",
    "Trigger",
]

Target = Literal["kubernetes", "process"]

CONTROL_POOL = "ame-control"
CPU_POOL = "ame-cpu"
GPU_POOL = "ame-gpu"
SPARK_POOL = "ame-spark"
POOLS = (CONTROL_POOL, CPU_POOL, GPU_POOL, SPARK_POOL)

#: The variables of each kind of pool that a deployment may set, with their JSON types. Prefect takes
#: others in silence, so they are held against this list; what is not an integer is never a number.
JOB_VARIABLES: Mapping[Target, Mapping[str, str]] = {
    "kubernetes": {
        "active_deadline_seconds": "integer",
        "affinity": "object",
        "annotations": "object",
        "env": "object",
        "env_from": "array",
        "finished_job_ttl": "integer",
        "image": "string",
        "image_pull_policy": "string",
        "image_pull_secrets": "array",
        "labels": "object",
        "limits": "object",
        "name": "string",
        "namespace": "string",
        "node_selector": "object",
        "priority_class_name": "string",
        "requests": "object",
        "runtime_class_name": "string",
        "service_account_name": "string",
        "shared_memory_size": "string",
        "termination_grace_period_seconds": "integer",
        "tolerations": "array",
        "workspace_size": "string",
    },
    "process": {"env": "object"},
}


#: What the build step of a deployment says of the folder that it has put into the artifact store.
SNAPSHOT = "{{ snapshot.project }}"
SNAPSHOT_VERSION = "{{ snapshot.version }}"
#: Numbers and texts both become texts. The product makes the template fail, which Prefect tells, for an
#: event without a version, where the plain expression would start a run for the version ''.
EVENT_VERSION = "{{ (event.payload.version * 1) | string }}"
#: Every placeholder that may stand in a deployment, with the key below which it does.
TEMPLATES = frozenset({("version", SNAPSHOT_VERSION), ("parameters", SNAPSHOT), ("triggers", EVENT_VERSION)})


@dataclass(frozen=True, slots=True, kw_only=True)
class Trigger:
    """An event that starts a run.

    Attributes:
        name: what Prefect's UI says that a run was started by.
        event: the event's name.
        resource: the exact id of the resource that it is about.
        parameters: of the run, beside the deployment's own; templates of the event.
    """

    name: str
    event: str
    resource: str
    parameters: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True, kw_only=True)
class Deployment:
    """One deployment, `FLOW/NAME` in Prefect.

    Attributes:
        name: `PROJECT.NAME`, for example `flight-delays.train`.
        flow: the flow that it runs.
        description: markdown for people who look at it in Prefect's UI.
        parameters: by name; those that are given when a run starts are missing.
        concurrency_limit: how many of its runs may run at once, or None; further ones wait.
        pool: the work pool.
        job_variables: by name, of those in JOB_VARIABLES; quantities are texts.
        resources: what its task asks for, with places in the file; empty where it has no task.
        where: what the deployment is made of, for diagnoses.
        active: whether its schedule is; else it is deployed paused.
        project: the project's name.
        folder: the project's folder, absolute.
    """

    name: str
    flow: FlowKind
    description: str
    tags: tuple[str, ...]
    parameters: Mapping[str, Any]
    pool: str
    job_variables: Mapping[str, Any]
    resources: Resources
    where: Where
    project: str
    folder: Path
    schedule: Schedule | None = None
    active: bool = True
    triggers: tuple[Trigger, ...] = ()
    concurrency_limit: int | None = None

    @property
    def full_name(self) -> str:
        """As Prefect's commands take it: `run-task/flight-delays.train`."""
        return f"{self.flow.name}/{self.name}"
