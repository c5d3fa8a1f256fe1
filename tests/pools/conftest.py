"""Deployments as the compiler makes them, without an ame.yml."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any

import pytest

from ame.compile import Deployment
from ame.diagnosis import Where
from ame.parameters import FLOWS
from ame.spec import Resources


@pytest.fixture
def deployment() -> Callable[..., Deployment]:
    """One that runs a task; `line` is where the task stands in its ame.yml."""

    def make(
        name: str = "p.train",
        /,
        *,
        pool: str = "ame-cpu",
        resources: Resources | None = None,
        line: int = 7,
        flow: str = "run-task",
        **job_variables: Any,
    ) -> Deployment:
        return Deployment(
            name=name,
            flow=FLOWS[flow],
            description="",
            tags=("ame",),
            parameters={"project": "p", "task_name": name.partition(".")[2]},
            pool=pool,
            job_variables=job_variables,
            resources=resources or Resources(),
            where=Where("ame.yml", line, 5),
            project="p",
            folder=Path("/p"),
        )

    return make


@pytest.fixture
def gpu_resources() -> Resources:
    return Resources(
        cpu="4",
        memory="10G",
        extended={"nvidia.com/gpu": "2"},
        places={
            key: Where("ame.yml", line, 9)
            for line, key in enumerate(("cpu", "memory", "storage", "nvidia.com/gpu"), 20)
        },
    )


@pytest.fixture
def gpu_variables() -> Mapping[str, Any]:
    """What the compiler makes of `gpu_resources`."""
    quantities = {"cpu": "4", "memory": "10G", "nvidia.com/gpu": "2"}
    return {
        "env": {"HOME": "/workspace", "AME_ARTIFACT_STORE": "artifact-store/ame"},
        "requests": {**quantities, "ephemeral-storage": "30G"},
        "limits": quantities,
        "workspace_size": "30G",
        "tolerations": [{"key": "nvidia.com/gpu", "operator": "Exists", "effect": "NoSchedule"}],
        "labels": {"ame-flows/project": "p", "ame-flows/task": "train"},
        "annotations": {"ame-flows/task": "a task / with any text"},
    }
