"""From ame.yml files to the text of a prefect.yaml, without Prefect: pure, deterministic, checked."""

from ame.compile.deployment import (
    CONTROL_POOL,
    CPU_POOL,
    GPU_POOL,
    JOB_VARIABLES,
    POOLS,
    SPARK_POOL,
    Deployment,
    Target,
    Trigger,
)
from ame.compile.deployments import compile_projects
from ame.compile.prefect_yaml import prefect_yaml

__all__ = [
    "CONTROL_POOL",
    "CPU_POOL",
    "GPU_POOL",
    "JOB_VARIABLES",
    "POOLS",
    "SPARK_POOL",
    "Deployment",
    "Target",
    "Trigger",
    "compile_projects",
    "prefect_yaml",
]
