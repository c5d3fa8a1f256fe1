"""From projects to their deployments: one flow for each kind of work, many deployments of it."""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from ame.compile.deployment import CONTROL_POOL, EVENT_VERSION, SNAPSHOT, Deployment, Target, Trigger
from ame.compile.describe import (
    PAUSED,
    described,
    facts_of_model,
    facts_of_task,
    facts_of_watch,
    said_of_resources,
    said_of_spark,
)
from ame.compile.job_variables import (
    PROCESS_VARIABLES,
    contradictions,
    deadline,
    kubernetes_variables,
    misplaced_gpu,
    on_spark,
    pool_for,
    pool_of_comparison,
    unlabelled_memory,
)
from ame.compile.placeholders import smuggled
from ame.compile.projects import compared, place
from ame.diagnosis import Diagnosis, Refused, Where
from ame.parameters import FLOWS
from ame.spec import AbTestSection, DataSet, Model, Project, Resources, Schedule, Task

__all__ = ["compile_projects"]

_NEW_VERSION = "mlflow.model-version.created"
_WATCH = Schedule(cron="*/10 * * * *", timezone="UTC")


def compile_projects(projects: Sequence[Project], *, target: Target, base: Path) -> tuple[Deployment, ...]:
    """The deployments of all projects, in their order.

    Args:
        base: the folder of the prefect.yaml, which the paths that people read are relative to.

    Raises:
        Refused: AME-E801 to AME-E806, AME-E811 and AME-E812, with all that is wrong.
    """
    problems = list(compared(projects))
    found: list[Deployment] = []
    for project in projects:
        for task in project.tasks.values():
            problems += smuggled(task)
            problems += contradictions(task)
            problems += unlabelled_memory(task.resources, f"task '{task.name}'", task.where)
        for model in project.models.values():
            problems += misplaced_gpu(model)
            if model.ab_test is not None:
                of = f"the A/B test of model '{model.name}'"
                problems += unlabelled_memory(model.ab_test.resources, of, model.ab_test.where)
        file = Path(os.path.relpath(project.file, base)).as_posix()
        found += _Context(project, target, file).deployments()
    problems += _same_name(found)
    if problems:
        raise Refused(*problems)
    return tuple(found)


def _same_name(deployments: Sequence[Deployment]) -> Iterator[Diagnosis]:
    """AME-E803: `a.b` with the task `c` and `a` with the task `b.c` make the same name."""
    first: dict[str, Deployment] = {}
    for deployment in deployments:
        other = first.setdefault(deployment.full_name, deployment)
        if other.project != deployment.project:
            yield Diagnosis(
                code="AME-E803",
                where=deployment.where,
                what=f"this would be the deployment '{deployment.full_name}', which there is already.",
                why=f"The other one is of project '{other.project}', {other.where}.",
                fix="Rename one of them.",
            )


@dataclass(frozen=True, slots=True)
class _Context:
    """One project on its way to a target.

    Attributes:
        file: its ame.yml, as people read it.
    """

    project: Project
    target: Target
    file: str

    def deployments(self) -> Iterator[Deployment]:
        for model in self.project.models.values():
            if model.training is not None:
                yield self._train_model(model, self.project.tasks[model.training])
            yield self._deliver_version(model)
            if model.ab_test is not None:
                yield self._compare_versions(model, model.ab_test)
        if self.project.models:
            yield self._watch_registry()
        for task in self.project.tasks.values():
            yield self._run_task(task)
        for data_set in self.project.data_sets.values():
            if data_set.task is not None:
                yield self._produce_data_set(data_set, self.project.tasks[data_set.task])

    def _train_model(self, model: Model, task: Task) -> Deployment:
        return self._deployment(
            "train-model",
            model.name,
            f"Trains the model **{model.name}** and starts the delivery of the version that it registers.",
            facts_of_task(task, model.schedule),
            tag=f"ame:{self.project.name}.{model.name}",
            parameters={"model": model.name},
            marks={"model": model.name, "task": task.name},
            where=model.where,
            task=task,
            schedule=model.schedule,
            # Two trainings of one model at once would register versions that nobody can tell apart.
            concurrency_limit=1,
        )

    def _deliver_version(self, model: Model) -> Deployment:
        """On the control pool, which nothing that it waits for runs on."""
        trigger = Trigger(
            name=f"a new version of {model.name} ({self.project.name})",
            event=_NEW_VERSION,
            resource=f"mlflow.registered-model.{model.name}",
            parameters={"version": EVENT_VERSION},
        )
        return self._deployment(
            "deliver-version",
            model.name,
            f"Decides about one version of the model **{model.name}**. Starts when MLflow has a new one.",
            facts_of_model(model),
            tag=f"ame:{self.project.name}.{model.name}",
            parameters={"model": model.name},
            marks={"model": model.name},
            where=model.where,
            pool=CONTROL_POOL,
            triggers=(trigger,),
            # Deliveries of one model follow each other: each compares with the champion that the one
            # before may have made.
            concurrency_limit=1,
        )

    def _compare_versions(self, model: Model, ab_test: AbTestSection) -> Deployment:
        """Without a limit of its own: only the delivery starts it, which has one."""
        facts = [f"- metric: {ab_test.gate.primary.metric}, with the margin {ab_test.gate.primary.margin:g}"]
        if asked := said_of_resources(ab_test.resources):
            facts.append(f"- resources: {asked}")
        if on_spark(ab_test):
            facts.append(f"- Spark: {said_of_spark(ab_test.spark, ab_test.spark_block)}")
        return self._deployment(
            "compare-versions",
            model.name,
            f"Compares a version of the model **{model.name}** with the champion on **{ab_test.holdout}**.",
            facts,
            tag=f"ame:{self.project.name}.{model.name}",
            parameters={"model": model.name},
            marks={"model": model.name},
            where=ab_test.where,
            resources=ab_test.resources,
            pool=pool_of_comparison(ab_test),
        )

    def _watch_registry(self) -> Deployment:
        """On the control pool, as what it starts.

        Without a limit: a run whose machine was lost would keep its slot, and nobody would watch meanwhile.
        What two of them start twice is decided once. A model called `models` shares the name, and no flow of
        it: Prefect tells them apart by both.
        """
        return self._deployment(
            "watch-registry",
            "models",
            "Finds versions that nobody delivered and deliveries that stand still, and starts them.",
            facts_of_watch(self.project.models, _WATCH),
            tag=f"ame-watch:{self.project.name}",
            parameters={},
            marks={},
            where=place(self.project),
            pool=CONTROL_POOL,
            schedule=_WATCH,
        )

    def _run_task(self, task: Task) -> Deployment:
        """Without a limit: validations of several versions may run at once, each in its own workspace."""
        return self._deployment(
            "run-task",
            task.name,
            f"Runs the {'pipeline' if task.pipeline else 'task'} **{task.name}**.",
            facts_of_task(task, task.schedule),
            tag=f"ame-task:{self.project.name}.{task.name}",
            parameters={"task_name": task.name},
            marks={"task": task.name},
            where=task.where,
            task=task,
            schedule=task.schedule,
        )

    def _produce_data_set(self, data_set: DataSet, task: Task) -> Deployment:
        return self._deployment(
            "produce-data-set",
            data_set.name,
            f"Makes the data set **{data_set.name}** by the task **{task.name}**, if it is not there yet.",
            facts_of_task(task),
            tag=f"ame-data-set:{self.project.name}.{data_set.name}",
            parameters={"data_set": data_set.name},
            marks={"data-set": data_set.name, "task": task.name},
            where=data_set.where,
            task=task,
            # Of two that need it at once the second then finds it made.
            concurrency_limit=1,
        )

    def _deployment(  # noqa: PLR0913  # each is one fact about a deployment
        self,
        flow: str,
        name: str,
        sentence: str,
        facts: Sequence[str],
        *,
        tag: str,
        parameters: Mapping[str, Any],
        marks: Mapping[str, str],
        where: Where,
        task: Task | None = None,
        resources: Resources | None = None,
        pool: str | None = None,
        schedule: Schedule | None = None,
        triggers: tuple[Trigger, ...] = (),
        concurrency_limit: int | None = None,
    ) -> Deployment:
        project = self.project
        paused = [PAUSED] if schedule and not project.enable_triggers else []
        asked = resources or (task.resources if task else Resources())
        return Deployment(
            name=f"{project.name}.{name}",
            flow=FLOWS[flow],
            description=described(sentence, [*facts, *paused], self.file),
            tags=("ame", f"ame-project:{project.name}", tag),
            parameters={"project": SNAPSHOT, **parameters},
            # A pipeline waits for its steps, which have what they ask for themselves.
            pool=pool or (CONTROL_POOL if task and task.pipeline else pool_for(asked)),
            job_variables=self._job_variables(asked, {"project": project.name, **marks}, task),
            resources=asked,
            where=where,
            project=project.name,
            folder=project.folder,
            schedule=schedule,
            active=project.enable_triggers,
            triggers=triggers,
            concurrency_limit=concurrency_limit,
        )

    def _job_variables(
        self, asked: Resources, marks: Mapping[str, str], task: Task | None
    ) -> Mapping[str, Any]:
        if self.target == "process":
            return PROCESS_VARIABLES
        if task is None:
            return kubernetes_variables(asked, marks)
        active_deadline = deadline(self.project, task)
        return kubernetes_variables(asked, marks, section=task.kubernetes, active_deadline=active_deadline)
