"""Environments as uv, Poetry and Pipenv make them, from what a project's own files say and lock.

A project that installs files of its own, itself among them, gets an environment in its workspace; every other
environment stays in the cache, by what these files hold.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shutil
import sys
import tomllib
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from threading import Event
from typing import Any

from ame.diagnosis import Diagnosis, Refused
from ame.runtime.command import run_command
from ame.runtime.environment_cache import (
    Environment,
    cached_environment,
    installing_variables,
    interpreter,
    new_environment,
    running_python,
)
from ame.runtime.environments import tool_environment
from ame.runtime.own_packages import (
    has_files,
    has_files_for_poetry,
    has_files_for_uv,
    is_package_of_poetry,
    is_package_of_uv,
    python_for_uv,
)
from ame.runtime.programs import folder_of_program
from ame.spec import Task

__all__ = ["pipenv_environment", "poetry_environment", "uv_environment"]

_POETRY, _PIPENV = "poetry>=2.1,<3", "pipenv>=2025,<2027"


@dataclass(frozen=True, slots=True, kw_only=True)
class _Making:
    """An environment on its way.

    Attributes:
        place: the workspace.
        files: the project's files that it depends on, of those that are there.
        lock: of these the one that the program writes when it is not there.
        private: whether it installs files of the project.
        python: a version, or None: it is the program's choice.
        empty: whether the program wants to be given an environment, and makes none itself.
        command: installs into the environment.
        variables: of this command, for an environment in a folder.
        fix: what to do when it fails.
    """

    task: Task
    place: Path
    on_line: Callable[[str], None]
    stop: Event | None
    files: tuple[str, ...]
    lock: str
    private: bool
    python: str | None
    empty: bool
    command: Sequence[str]
    variables: Callable[[Path], Mapping[str, str]]
    fix: str

    def made(self) -> Environment:
        if self.private:
            venv = self.place / ".venv"
            self._make(venv, [])
            return Environment(venv)
        made_of = {
            "executor": self.task.executor.kind,
            "files": {name: _digest(self.place / name) for name in self.files},
            "python": self.python,
            "platform": [sys.platform, platform.machine()],
        }
        return cached_environment(
            made_of, f"{self.task.executor.kind}, {self.files[0]}", self._make, on_line=self.on_line
        )

    def _make(self, venv: Path, holds: Sequence[int]) -> None:
        if self.empty:
            new_environment(
                venv,
                self.python,
                on_line=self.on_line,
                where=self.task.where,
                stop=self.stop,
                holds=holds,
            )
        else:
            shutil.rmtree(venv, ignore_errors=True)
        lock = self.place / self.lock
        locked = lock.exists()
        variables = {**installing_variables(), **self.variables(venv)}
        try:
            ended = run_command(
                self.command,
                folder=self.place,
                env=variables,
                on_line=self.on_line,
                stop=self.stop,
                holds=holds,
            )
        finally:
            if not locked:
                # It is none of what the command leaves; with a cached environment nobody would write it.
                lock.unlink(missing_ok=True)
        if ended.code:
            shutil.rmtree(venv, ignore_errors=True)
            raise Refused(self._failure(ended.last_lines))

    def _failure(self, last_lines: Sequence[str]) -> Diagnosis:
        shown = " ".join([Path(self.command[0]).name, *self.command[1:]])
        said = "\n".join(f"    {line}" for line in last_lines if line.strip())
        return Diagnosis(
            code="AME-E221",
            where=self.task.where,
            what=f"task '{self.task.name}' got no environment: `{shown}` failed.",
            why=f"It said:\n{said}" if said else "It said nothing.",
            fix=f"{self.fix} See that the package index answers.",
        )


def uv_environment(
    task: Task, place: Path, *, on_line: Callable[[str], None], stop: Event | None = None
) -> Environment:
    """What uv.lock says, or what uv resolves of pyproject.toml when there is none.

    Raises:
        Refused: AME-E220, AME-E221, and AME-E209 when there is no place for it.
    """
    from uv import find_uv_bin

    project = _table(task, place, "pyproject.toml")
    locked = _table(task, place, "uv.lock") if (place / "uv.lock").exists() else {}
    program = Path(find_uv_bin())
    python = task.executor.python_version or python_for_uv(project, place)
    chosen = ["--python", interpreter(python)] if python else []
    made = _Making(
        task=task,
        place=place,
        on_line=on_line,
        stop=stop,
        files=("pyproject.toml", "uv.lock", "uv.toml", ".python-version"),
        lock="uv.lock",
        private=is_package_of_uv(project) or has_files_for_uv(project, locked),
        python=python,
        empty=False,
        command=[str(program), "sync", "--quiet", *(["--frozen"] if locked else []), *chosen],
        variables=lambda venv: {"UV_PROJECT_ENVIRONMENT": str(venv)},
        fix="Correct pyproject.toml or pythonVersion, or lock again with `uv lock`.",
    ).made()
    variables = {"UV_PROJECT_ENVIRONMENT": str(made.folder), "UV_NO_SYNC": "1"}
    return replace(made, programs=(folder_of_program(program),), variables=variables)


def poetry_environment(
    task: Task, place: Path, *, on_line: Callable[[str], None], stop: Event | None = None
) -> Environment:
    """What poetry.lock says, or what Poetry resolves of pyproject.toml when there is none.

    Raises:
        Refused: AME-E220, AME-E221, AME-E204 when there is no such Python or no Poetry, and AME-E209 when
            there is no place for it.
    """
    project = _table(task, place, "pyproject.toml")
    locked = _table(task, place, "poetry.lock") if (place / "poetry.lock").exists() else {}
    program = _tool(_POETRY, "poetry", task, on_line, stop)
    package = is_package_of_poetry(project, place)
    install = [str(program), "install", "--no-interaction", "--no-ansi", *([] if package else ["--no-root"])]
    # Poetry takes an active environment, unless conda's own base is.
    ours = {"CONDA_DEFAULT_ENV": ""}
    made = _Making(
        task=task,
        place=place,
        on_line=on_line,
        stop=stop,
        files=("pyproject.toml", "poetry.lock", "poetry.toml"),
        lock="poetry.lock",
        private=package or has_files_for_poetry(project, locked),
        python=task.executor.python_version or running_python(),
        empty=True,
        command=install,
        variables=lambda venv: {**_active(venv), **ours},
        fix="Correct pyproject.toml or pythonVersion, or lock again with `poetry lock`.",
    ).made()
    return replace(made, programs=(folder_of_program(program),), variables=ours)


def pipenv_environment(
    task: Task, place: Path, *, on_line: Callable[[str], None], stop: Event | None = None
) -> Environment:
    """What Pipfile.lock says, or what Pipenv resolves of the Pipfile when there is none.

    Raises:
        Refused: AME-E220, AME-E221, AME-E204 when there is no such Python or no Pipenv, and AME-E209 when
            there is no place for it.
    """
    pipfile = _table(task, place, "Pipfile")
    program = _tool(_PIPENV, "pipenv", task, on_line, stop)
    locked = (place / "Pipfile.lock").exists()
    wanted = pipfile.get("requires", {})
    ours = {
        "PIPENV_IGNORE_VIRTUALENVS": "0",
        "PIPENV_NOSPIN": "1",
        "PIPENV_PIPFILE": str(place / "Pipfile"),
        "PIPENV_VERBOSITY": "-1",
        "PIPENV_YES": "1",
    }
    made = _Making(
        task=task,
        place=place,
        on_line=on_line,
        stop=stop,
        files=("Pipfile", "Pipfile.lock"),
        lock="Pipfile.lock",
        private=has_files(pipfile),
        python=(
            task.executor.python_version
            or wanted.get("python_full_version")
            or wanted.get("python_version")
            or running_python()
        ),
        empty=True,
        command=[str(program), "sync" if locked else "install"],
        variables=lambda venv: {**_active(venv), **ours},
        fix="Correct the Pipfile or pythonVersion, or lock again with `pipenv lock`.",
    ).made()
    return replace(made, programs=(folder_of_program(program),), variables=ours)


def _tool(
    requirement: str, name: str, task: Task, on_line: Callable[[str], None], stop: Event | None
) -> Path:
    return tool_environment(requirement, on_line=on_line, where=task.where, stop=stop).folder / "bin" / name


def _active(venv: Path) -> dict[str, str]:
    return {"VIRTUAL_ENV": str(venv), "PATH": f"{venv / 'bin'}:{os.environ.get('PATH', os.defpath)}"}


def _table(task: Task, place: Path, name: str) -> dict[str, Any]:
    """A file of the project in TOML.

    Raises:
        Refused: AME-E220, when it is not there or is none.
    """
    try:
        return tomllib.loads((place / name).read_text(encoding="utf-8"))
    except OSError as error:
        why = f"{error.strerror}."
    except ValueError as error:
        why = f"It is no TOML: {str(error).removesuffix('.')}."
    raise Refused(
        Diagnosis(
            code="AME-E220",
            where=task.where,
            what=f"task '{task.name}' runs with !{task.executor.kind}, and its {name} cannot be read.",
            why=why,
            fix=f"Put a {name} beside the ame.yml, or choose another executor.",
        )
    )


def _digest(file: Path) -> str | None:
    return hashlib.sha256(file.read_bytes()).hexdigest() if file.is_file() else None
