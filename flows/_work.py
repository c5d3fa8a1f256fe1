"""What every flow works with: the project, its state on this machine, and the model registry."""

from __future__ import annotations

import os
import socket
from dataclasses import dataclass
from pathlib import Path

from ame.diagnosis import Diagnosis, Refused
from ame.local import Home, home_of
from ame.registry import Registry
from ame.spec import Model, Project, load_project

__all__ = ["Work", "open_work"]


@dataclass(frozen=True, slots=True)
class Work:
    """A project with its home and its registry."""

    project: Project
    home: Home
    registry: Registry

    @property
    def holder(self) -> str:
        """Who does this work: the host and the home; at most one of a home's processes cleans up for it."""
        return f"{socket.gethostname()}:{self.home.root}"

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

    def version_tag(self, model: str, version: str) -> str:
        """The tag that all runs of one model version carry."""
        return f"ame:{self.project.name}.{model}:{version}"


def open_work(project: str) -> Work:
    """Load the project in the folder `project`; the registry is the server that MLFLOW_TRACKING_URI names.

    Raises:
        Refused: AME-E1xx for the file, AME-E602 when no server is named.
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
    loaded = load_project(Path(project))
    return Work(loaded, home_of(loaded.folder, loaded.name), Registry(uri))
