"""Run one task on this machine: workspace, data sets, environment, command, results."""

from __future__ import annotations

import os
import posixpath
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from ame.diagnosis import Diagnosis, Refused
from ame.local import Home
from ame.runtime.command import Ended, run_command
from ame.runtime.environments import Environment, bare_environment, environment_from_file
from ame.runtime.variables import task_variables
from ame.runtime.workspace import refusing_file_errors, workspace
from ame.secrets import Masker, masking_refusals, secret_values
from ame.spec import DataSet, Project, Task
from ame.store import Kept, SnapshotStore

__all__ = ["Artifact", "TaskInputs", "execute_task"]


@dataclass(frozen=True, slots=True, kw_only=True)
class Artifact:
    """A file or folder that a task left and that is kept.

    Attributes:
        path: as the task names it.
        store: the artifact store, for people to find it.
        kept: its key, how many files it has and how large it is.
    """

    path: str
    store: str
    kept: Kept


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInputs:
    """What a task gets besides its definition.

    Attributes:
        mlflow: the address of the MLflow server.
        extra: variables of the step, which the task may not define itself.
        data_set_keys: store keys of the data sets that tasks make.
    """

    mlflow: str
    extra: Mapping[str, str] = field(default_factory=dict)
    data_set_keys: Mapping[str, str] = field(default_factory=dict)


def execute_task(
    project: Project,
    task: Task,
    inputs: TaskInputs,
    *,
    home: Home,
    name: str,
    on_line: Callable[[str], None],
    stop: Event | None = None,
    makes: tuple[DataSet, ...] = (),
    store: SnapshotStore | None = None,
) -> tuple[Artifact, ...]:
    """Run the task's command once, in a clean workspace.

    Values of variables whose names say that they are secret appear as `***` in its lines and in diagnoses.

    Args:
        name: of the workspace; unique among what runs at the same time.
        on_line: called with each line of output.
        makes: data sets that the command leaves in the workspace; they are kept under their keys.
        store: of data sets and artifacts; the home's own when it is not given.

    Returns:
        What is kept of the task's `artifacts`, under `artifacts/TASK/NAME/PATH`.

    Raises:
        Refused: AME-E201 when the command fails, AME-E202 on its timeout, AME-E203 and AME-E204 when it
            gets no environment, AME-E205 and AME-E206 when a data set is missing before or after it,
            AME-E208 when files cannot be read or written, AME-E210 when an artifact is missing, AME-E84x
            when the store cannot be used.
    """
    store = store or SnapshotStore(home.store)
    masked = Masker(secret_values({**os.environ, **task.env, **inputs.extra}))

    def on_masked_line(line: str) -> None:
        on_line(masked(line))

    with (
        masking_refusals(masked),
        refusing_file_errors(f"task '{task.name}' cannot read or write its files.", task.where),
        workspace(project, home.work, name) as place,
    ):
        for needed in task.data_sets:
            _place_data_set(project, project.data_sets[needed], inputs, store, place)
        environment = _environment(task, place, on_masked_line, stop)
        variables = task_variables(
            project=project.name,
            task=task.name,
            mlflow=inputs.mlflow,
            own=task.env,
            extra=inputs.extra,
        )
        if environment:
            variables["VIRTUAL_ENV"] = str(environment.folder)
            variables["PATH"] = f"{environment.python.parent}:{variables.get('PATH', '')}"
        on_masked_line(f"$ {task.executor.command}")
        ended = run_command(
            task.executor.command,
            folder=place,
            env=variables,
            on_line=on_line,
            timeout=task.timeout,
            stop=stop,
            masked=masked,
        )
        if ended.timed_out or ended.code:
            raise Refused(_failure(task, ended))
        for made in makes:
            _keep_data_set(made, task, inputs, store, place)
        return tuple(_keep_artifact(path, task, name, store, place) for path in task.artifacts)


def _environment(
    task: Task, place: Path, on_line: Callable[[str], None], stop: Event | None
) -> Environment | None:
    executor, where = task.executor, task.where
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


def _place_data_set(
    project: Project, data_set: DataSet, inputs: TaskInputs, store: SnapshotStore, place: Path
) -> None:
    key = inputs.data_set_keys.get(data_set.name)
    if key:
        store.restore(key, place / data_set.path)
    elif not (project.folder / data_set.path).exists():
        raise Refused(
            Diagnosis(
                code="AME-E205",
                where=data_set.where,
                what=f"data set '{data_set.name}' is not there: {data_set.path} does not exist.",
                fix="Put the files there, or name the task that makes them.",
            )
        )


def _keep_data_set(
    data_set: DataSet, task: Task, inputs: TaskInputs, store: SnapshotStore, place: Path
) -> None:
    made = place / data_set.path
    if not made.exists():
        raise Refused(
            Diagnosis(
                code="AME-E206",
                where=data_set.where,
                what=f"task '{task.name}' ended well but left no {data_set.path}, the path of data set "
                f"'{data_set.name}'.",
                fix="Let the task write it there, relative to the folder that it starts in.",
            )
        )
    store.save(inputs.data_set_keys[data_set.name], made)


def _keep_artifact(path: str, task: Task, name: str, store: SnapshotStore, place: Path) -> Artifact:
    left = place / path
    if not left.exists():
        raise Refused(
            Diagnosis(
                code="AME-E210",
                where=task.where,
                what=f"task '{task.name}' ended well but left no {path}, which is one of its artifacts.",
                fix="Let the task write it there, relative to the folder that it starts in.",
            )
        )
    key = posixpath.normpath(f"artifacts/{task.name}/{name}/{path}")
    return Artifact(path=path, store=str(store), kept=store.save(key, left))


def _failure(task: Task, ended: Ended) -> Diagnosis:
    last = "\n".join(f"    {line}" for line in ended.last_lines if line.strip())
    why = f"Its last lines:\n{last}" if last else "It printed nothing."
    if ended.timed_out:
        return Diagnosis(
            code="AME-E202",
            where=task.where,
            what=f"task '{task.name}' was ended: `{task.executor.command}` ran longer than its timeout of "
            f"{task.timeout:g} s.",
            why=why,
        )
    hint = ""
    if ended.code == 127:
        hint = "\nCode 127 says that a program was not found: give the executor a pythonVersion, or use !pip."
    how = f"with code {ended.code}" if ended.code > 0 else f"by signal {-ended.code}"
    return Diagnosis(
        code="AME-E201",
        where=task.where,
        what=f"task '{task.name}' failed: `{task.executor.command}` ended {how}.",
        why=why + hint,
    )
