"""What every flow works with: the project, its state on this machine, and the model registry."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from ame.diagnosis import Diagnosis, Refused, did_you_mean
from ame.local import Home, home_of
from ame.registry import ModelJournal, Registry
from ame.runtime import project_digest
from ame.sources import load_project
from ame.spec import Model, Others, Project
from ame.store import SnapshotStore

__all__ = ["Work", "in_home_of", "open_work", "with_values"]

_HOME: ContextVar[Home | None] = ContextVar("the home of the project for which others work", default=None)


@dataclass(frozen=True, slots=True)
class Work:
    """A project with its home and its registry, and what its runs were started with.

    Attributes:
        origin: the flows' parameter `project`: the folder, or the snapshot that it was made from.
        store: what tasks leave for others.
        env: values for variables that tasks declare; they stand in `project` already.
        source: the digest of the project's files when the first of the runs started.
    """

    project: Project
    origin: str
    home: Home
    store: SnapshotStore
    registry: Registry
    env: Mapping[str, str]
    source: str

    @property
    def holder(self) -> str:
        """Who does this work: the host and the home; at most one of a home's processes cleans up for it."""
        return self.home.holder

    @property
    def parameters(self) -> dict[str, Any]:
        """The parameters that every flow of this work shares."""
        return {"project": self.origin, "env": dict(self.env), "source": self.source}

    def model(self, name: str) -> Model:
        """A model of the project.

        Raises:
            Refused: AME-E701, when the project has no such model.
        """
        found = self.project.models.get(name)
        if found is None:
            raise Refused(
                Diagnosis(
                    code="AME-E701",
                    what=f"project '{self.project.name}' has no model '{name}'.",
                    why=f"Its models: {', '.join(self.project.models) or 'none'}.",
                )
            )
        return found

    def journal(self, model: str) -> ModelJournal:
        """The claims and the journal of a model."""
        return ModelJournal(self.registry, model)

    def forget_data_sets(self) -> None:
        """Let every data set in the home be made again by the next task that needs it."""
        shutil.rmtree(self.home.store / "data-sets", ignore_errors=True)

    def version_tag(self, model: str, version: str) -> str:
        """The tag that all runs of one model version carry."""
        return f"ame:{self.project.name}.{model}:{version}"


@contextmanager
def in_home_of(work: Work) -> Iterator[None]:
    """Let the runs of other projects that the block starts in this process keep their state with this work.

    What one project needs of another is made once for it, and nothing is written into the other's folder.
    """
    before = _HOME.set(work.home)
    try:
        yield
    finally:
        _HOME.reset(before)


def open_work(
    project: str,
    env: Mapping[str, str] | None = None,
    source: str | None = None,
    *,
    origin: str | None = None,
    home: Home | None = None,
    store: SnapshotStore | None = None,
    others: Others | None = None,
) -> Work:
    """Load the project in the folder `project`; the registry is the server that MLFLOW_TRACKING_URI names.

    Args:
        env: values for variables that tasks declare.
        source: the digest of the project's files; taken now when it is not given.
        origin: what the flows call the project; the folder when it is not given.
        home, store: the folder's own when they are not given.
        others: where the projects are that it refers to; found by this process when it is not given.

    Raises:
        Refused: AME-E1xx for the file, AME-E602 when no server is named, AME-E710 for a variable that no
            task declares.
    """
    uri = os.environ.get("MLFLOW_TRACKING_URI", "")
    if not uri:
        raise Refused(
            Diagnosis(
                code="AME-E602",
                what="MLFLOW_TRACKING_URI names no MLflow server.",
                fix="Start the work with `ame run`, or set it where the flows run.",
            )
        )
    loaded = load_project(Path(project), others)
    home = home or _HOME.get() or home_of(loaded.folder, loaded.name)
    given = dict(env or {})
    return Work(
        project=with_values(loaded, given),
        origin=origin or str(loaded.folder),
        home=home,
        store=store or SnapshotStore(home.store),
        registry=Registry(uri),
        env=given,
        source=source or project_digest(loaded),
    )


def with_values(project: Project, env: Mapping[str, str]) -> Project:
    """The project with other values for variables that its tasks declare.

    Raises:
        Refused: AME-E710 for a variable that no task declares.
    """
    declared = {name for task in project.tasks.values() for name in task.env}
    unknown = sorted(set(env) - declared)
    if unknown:
        raise Refused(
            Diagnosis(
                code="AME-E710",
                what=f"no task of project '{project.name}' declares the variable {', '.join(unknown)}.",
                why=f"A value can be given to declared ones: {', '.join(sorted(declared)) or 'none'}.",
                fix=did_you_mean(unknown[0], declared) or "Declare it in the task's `env` in the ame.yml.",
            )
        )
    tasks = {
        name: replace(task, env={key: env.get(key, value) for key, value in task.env.items()})
        for name, task in project.tasks.items()
    }
    return replace(project, tasks=tasks)
