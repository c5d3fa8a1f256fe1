"""What each executor gives a command: an environment of its own, and the programs that belong to it."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from pathlib import Path
from threading import Event

from ame.runtime.environment_cache import Environment
from ame.runtime.environments import bare_environment, environment_from_file
from ame.runtime.locked import pipenv_environment, poetry_environment, uv_environment
from ame.runtime.mlproject import folder_of_mlflow, mlflow_environment
from ame.spec import Task

__all__ = ["environment_of", "variables_of"]

_FROM_FILES = {
    "mlflow": mlflow_environment,
    "pipenv": pipenv_environment,
    "poetry": poetry_environment,
    "uv": uv_environment,
}


def environment_of(
    task: Task, place: Path, *, on_line: Callable[[str], None], stop: Event | None = None
) -> Environment | None:
    """The environment of a task's command, or None when it has none of its own.

    Args:
        place: the workspace, with the files that say what it is to hold.

    Raises:
        Refused: AME-E203, AME-E204, AME-E209 and AME-E220 to AME-E222, when there is none to be had.
    """
    executor, where = task.executor, task.where
    if executor.kind in _FROM_FILES:
        return _FROM_FILES[executor.kind](task, place, on_line=on_line, stop=stop)
    requirements = place / "requirements.txt"
    if executor.kind == "pip" or (executor.kind == "auto" and requirements.exists()):
        return environment_from_file(
            requirements,
            python=executor.python_version,
            private=place / ".venv",
            on_line=on_line,
            where=where,
            stop=stop,
        )
    if executor.python_version:
        return bare_environment(executor.python_version, on_line=on_line, where=where, stop=stop)
    return None


def variables_of(task: Task, environment: Environment | None, path: str) -> Mapping[str, str]:
    """The variables by which a command finds its environment.

    Args:
        path: the PATH behind it.
    """
    folders = [folder_of_mlflow()] if task.executor.kind == "mlflow" else []
    if environment is None:
        return {"PATH": _joined(folders, path)} if folders else {}
    folders += [*environment.programs, environment.python.parent]
    return {
        **environment.variables,
        "VIRTUAL_ENV": str(environment.folder),
        "PATH": _joined(folders, path),
    }


def _joined(folders: list[Path], path: str) -> str:
    return os.pathsep.join([*map(str, folders), path])
