"""The environment variables that a command of the user sees."""

from __future__ import annotations

import os
from collections.abc import Mapping

from ame.local.home import cache_folder

__all__ = ["inherited_variables", "own_matplotlib_folder", "task_variables"]

#: What configures us or our interpreter is not the command's; credentials and proxies are, but for the one
#: that opens the vault with everybody's secrets: a task gets those that it names.
_OURS = {
    "MLFLOW_EXPERIMENT_ID",
    "MLFLOW_EXPERIMENT_NAME",
    "MLFLOW_REGISTRY_URI",
    "MLFLOW_RUN_CONTEXT",
    "MLFLOW_RUN_ID",
    "PYTHONHOME",
    "PYTHONPATH",
    "PYTHONSAFEPATH",
    "VAULT_TOKEN",
    "VIRTUAL_ENV",
    "__PYVENV_LAUNCHER__",
}


def inherited_variables() -> dict[str, str]:
    """The variables of this process, without those that belong to ame-flows, Prefect and its interpreter."""
    return {
        name: value
        for name, value in os.environ.items()
        if name not in _OURS
        and not name.startswith(("PREFECT_", "AME_"))
        and (name, value) != own_matplotlib_folder()
    }


def own_matplotlib_folder() -> tuple[str, str]:
    """The variable that keeps our own matplotlib in the cache; a command keeps the user's."""
    return "MPLCONFIGDIR", str(cache_folder() / "matplotlib")


def task_variables(
    *,
    project: str,
    task: str,
    mlflow: str,
    own: Mapping[str, str],
    secrets: Mapping[str, str],
    extra: Mapping[str, str],
) -> dict[str, str]:
    """All variables of a task's command.

    Args:
        mlflow: the address of the MLflow server.
        own: the task's `env`.
        secrets: the values of its `secrets`, by variable.
        extra: what the step gives it, for example the model version under validation.
    """
    return {
        "MLFLOW_DISABLE_TELEMETRY": "true",
        "GIT_PYTHON_REFRESH": "quiet",
        **inherited_variables(),
        "PYTHONUNBUFFERED": "1",
        "MLFLOW_TRACKING_URI": mlflow,
        "MLFLOW_EXPERIMENT_NAME": project,
        **own,
        **secrets,
        "AME_PROJECT": project,
        "AME_TASK": task,
        **extra,
    }
