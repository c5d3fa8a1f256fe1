"""The environment of a folder with an MLproject, and the `mlflow` that its command finds."""

from __future__ import annotations

import re
import shlex
import sys
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from threading import Event
from typing import Any

import yaml

import ame
from ame.diagnosis import Diagnosis, Refused
from ame.runtime.environment_cache import Environment
from ame.runtime.environments import bare_environment, environment_from_file
from ame.runtime.programs import folder_of_script
from ame.spec import Task

__all__ = ["folder_of_mlflow", "mlflow_environment"]

#: `mlflow run` is that of ame-flows, which tags the run that it makes; everything else is the environment's.
_MLFLOW = """\
if [ "$1" = run ]; then exec {python} -I {run} "$@"; fi
if [ -x "$VIRTUAL_ENV/bin/mlflow" ]; then exec "$VIRTUAL_ENV/bin/mlflow" "$@"; fi
exec {python} -I -m mlflow "$@"
"""
_EXACT_PYTHON = re.compile(r"python\s*={1,2}\s*(\d+(?:\.\d+){1,2})(?:\.\*)?$")


@dataclass(frozen=True, slots=True)
class _Wanted:
    """What an environment is to hold: a version of Python, or None, and lines of requirements."""

    python: str | None
    requirements: tuple[str, ...]


def mlflow_environment(
    task: Task, place: Path, *, on_line: Callable[[str], None], stop: Event | None = None
) -> Environment | None:
    """What the MLproject's python_env, or a conda_env with nothing but a Python and pip's packages, says.

    Returns:
        None when it names no environment, and the executor no Python.

    Raises:
        Refused: AME-E220 and AME-E222 for what the files say, AME-E203 and AME-E204 as for requirements.
    """
    wanted = _wanted(task, place)
    python = task.executor.python_version or wanted.python
    if wanted.requirements:
        # Beside the file that it comes from, which its paths are relative to: the project's folder.
        file = place / f".{uuid.uuid4().hex}.txt"
        file.write_text("\n".join(wanted.requirements) + "\n")
        try:
            return environment_from_file(
                file, python=python, private=place / ".venv", on_line=on_line, where=task.where, stop=stop
            )
        finally:
            file.unlink(missing_ok=True)
    return bare_environment(python, on_line=on_line, where=task.where, stop=stop) if python else None


def folder_of_mlflow() -> Path:
    """A folder with the program `mlflow` for the front of the PATH."""
    run = Path(ame.__file__).parent / "registry" / "project_run.py"
    script = _MLFLOW.format(python=shlex.quote(sys.executable), run=shlex.quote(str(run)))
    return folder_of_script("mlflow", script)


def _wanted(task: Task, place: Path) -> _Wanted:
    project_file = next((path for path in sorted(place.iterdir()) if path.name.lower() == "mlproject"), None)
    project = _mapping(task, project_file or place / "MLproject")
    if "docker_env" in project:
        raise Refused(
            _not_here(
                task,
                "names a docker_env.",
                "A task runs in a process of its own machine or pod.",
                "Name a python_env instead, and the image as `image` in the task's `kubernetes`.",
            )
        )
    conda = project.get("conda_env")
    python = project.get("python_env")
    if python is None and conda is None:
        python = "python_env.yaml" if (place / "python_env.yaml").exists() else None
        conda = "conda.yaml" if python is None and (place / "conda.yaml").exists() else None
    if python is not None:
        return _of_python_env(_mapping(task, place / str(python)))
    if conda is not None:
        return _of_conda(task, str(conda), _mapping(task, place / str(conda)))
    return _Wanted(None, ())


def _of_python_env(said: Mapping[str, Any]) -> _Wanted:
    lines = [*(said.get("build_dependencies") or []), *(said.get("dependencies") or [])]
    return _Wanted(said.get("python") or None, tuple(map(str, lines)))


def _of_conda(task: Task, name: str, said: Mapping[str, Any]) -> _Wanted:
    """A conda environment, as far as nothing in it needs conda."""
    python, lines, others = None, [], []
    for each in said.get("dependencies") or []:
        if isinstance(each, Mapping) and each.keys() == {"pip"}:
            lines += [str(line) for line in each["pip"] or []]
        elif exact := _EXACT_PYTHON.match(str(each)):
            python = exact[1]
        elif not re.match(r"pip\b(?!-)", str(each)):
            others.append(str(each))
    if others:
        raise Refused(
            _not_here(
                task,
                f"has the conda environment {name}, which needs more than pip: {', '.join(others)}.",
                "ame-flows makes environments with uv, from PyPI's packages and an exact `python=3.X`.",
                "Write a python_env.yaml and name it as python_env; or move these below `pip:`.",
            )
        )
    return _Wanted(python, tuple(lines))


def _mapping(task: Task, file: Path) -> Mapping[str, Any]:
    """A YAML file of the project, its scalars as they are written: 3.10 is no 3.1.

    Raises:
        Refused: AME-E220, when it is not there or is no mapping.
    """
    try:
        # Only texts, lists and mappings come out of it.
        found = yaml.load(file.read_text(encoding="utf-8"), Loader=yaml.BaseLoader)  # noqa: S506
        if isinstance(found, dict):
            return found
        why = "It is no mapping."
    except OSError as error:
        why = f"{error.strerror}."
    except (yaml.YAMLError, ValueError) as error:
        why = f"It is no YAML: {' '.join(str(error).split())}."
    raise Refused(
        Diagnosis(
            code="AME-E220",
            where=task.where,
            what=f"task '{task.name}' runs with !mlflow, and its {file.name} cannot be read.",
            why=why,
            fix=f"Put a {file.name} beside the ame.yml, or choose another executor.",
        )
    )


def _not_here(task: Task, what: str, why: str, fix: str) -> Diagnosis:
    return Diagnosis(
        code="AME-E222",
        where=task.where,
        what=f"the MLproject of task '{task.name}' {what}",
        why=why,
        fix=fix,
    )
