"""Run one task on this machine: workspace, data sets, environment, command, results."""

from __future__ import annotations

import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from threading import Event

from ame.diagnosis import Diagnosis, Refused
from ame.local import Home
from ame.runtime.changed import changed_files, state_of
from ame.runtime.command import Ended, run_command
from ame.runtime.executors import environment_of, variables_of
from ame.runtime.handing import Handed, place_of_step
from ame.runtime.keeping import Artifact, keep_artifacts, keep_data_sets, refuse_in_the_way, refuse_missing
from ame.runtime.variables import task_variables
from ame.runtime.workspace import refusing_file_errors, workspace
from ame.secrets import Masker, masking_refusals, secret_values
from ame.spec import DataSet, Project, Task
from ame.store import Kept, SnapshotStore

__all__ = ["TaskInputs", "execute_task"]


@dataclass(frozen=True, slots=True, kw_only=True)
class TaskInputs:
    """What a task gets besides its definition.

    Attributes:
        mlflow: the address of the MLflow server.
        extra: variables of the step, which the task may not define itself.
        data_set_keys: store keys of the data sets that tasks make.
        handed: of a step, where its files come from and go to; else it has the project's files.
        secrets: the values of its `secrets`, by variable: given by the process that runs the command, in no
            parameter of a flow or of a Prefect task.
    """

    mlflow: str
    extra: Mapping[str, str] = field(default_factory=dict)
    data_set_keys: Mapping[str, str] = field(default_factory=dict)
    handed: Handed | None = None
    secrets: Mapping[str, str] = field(default_factory=dict, repr=False)


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

    The values of its secrets, and of variables whose names say that they are secret, appear as `***` in its
    lines and in diagnoses.

    Args:
        name: of the workspace; unique among what runs at the same time.
        on_line: called with each line of output.
        makes: data sets that the command leaves in the workspace; they are kept under their keys.
        store: of data sets and artifacts; the home's own when it is not given.

    Returns:
        What is kept of the task's `artifacts`, under `artifacts/TASK/NAME/PATH`, and, where it asks for
        that, of all that it made or changed.

    Raises:
        Refused: AME-E201 when the command fails, AME-E202 on its timeout, AME-E203, AME-E204 and AME-E220
            to AME-E222 when it gets no environment, AME-E205 and AME-E206 when a data set is missing before
            or after it, AME-E208 when files cannot be read or written, AME-E210 when an artifact is missing,
            AME-E214 when the project has files where another project's data set is to stand, AME-E84x when
            the store cannot be used.
    """
    store = store or SnapshotStore(home.store)
    secrets = inputs.secrets
    masked = Masker(
        secret_values({**os.environ, **task.env, **inputs.extra, **secrets}), declared=secrets.values()
    )

    def on_masked_line(line: str) -> None:
        on_line(masked(line))

    with (
        masking_refusals(masked),
        refusing_file_errors(f"task '{task.name}' cannot read or write its files.", task.where),
        (
            place_of_step(project, home.work, name, inputs.handed, store)
            if inputs.handed
            else workspace(project, home.work, name)
        ) as place,
    ):
        for needed in task.data_sets:
            key = inputs.data_set_keys.get(needed)
            _, data_set = project.data_set(needed)
            if key:
                refuse_in_the_way(project, needed)
                store.restore(key, place / data_set.path)
            else:
                refuse_missing(project, data_set)
        environment = environment_of(task, place, on_line=on_masked_line, stop=stop)
        before = state_of(place) if task.save_changed else {}
        variables = task_variables(
            project=project.name,
            task=task.name,
            mlflow=inputs.mlflow,
            own=task.env,
            secrets=secrets,
            extra=inputs.extra,
        )
        variables |= variables_of(task, environment, variables.get("PATH", ""))
        on_masked_line(f"$ {task.executor.command_line}")
        ended = run_command(
            task.executor.command_line,
            folder=place,
            env=variables,
            on_line=on_line,
            timeout=task.timeout,
            stop=stop,
            masked=masked,
        )
        if ended.timed_out or ended.code:
            raise Refused(_failure(task, ended))

        def keep(key: str, path: str) -> Kept | None:
            left = place / path
            return store.save(key, left) if left.exists() else None

        def keep_changed(key: str) -> Kept | None:
            files = changed_files(place, before)
            return store.save_files(key, place, files) if files else None

        keep_data_sets([(made, inputs.data_set_keys[made.name]) for made in makes], task, keep)
        return keep_artifacts(task, name, store, keep, keep_changed)


def _failure(task: Task, ended: Ended) -> Diagnosis:
    last = "\n".join(f"    {line}" for line in ended.last_lines if line.strip())
    why = f"Its last lines:\n{last}" if last else "It printed nothing."
    if ended.timed_out:
        return Diagnosis(
            code="AME-E202",
            where=task.where,
            what=f"task '{task.name}' was ended: `{task.executor.command_line}` ran longer than its timeout "
            f"of {task.timeout:g} s.",
            why=why,
        )
    hint = ""
    if ended.code == 127:
        hint = "\nCode 127 says that a program was not found: give the executor a pythonVersion, or use !pip."
    how = f"with code {ended.code}" if ended.code > 0 else f"by signal {-ended.code}"
    return Diagnosis(
        code="AME-E201",
        where=task.where,
        what=f"task '{task.name}' failed: `{task.executor.command_line}` ended {how}.",
        why=why + hint,
    )
