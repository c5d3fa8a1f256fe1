"""The registry, to be read: through a server that runs, else straight from the home's database."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ame.cli._console import say
from ame.diagnosis import Diagnosis, Refused, did_you_mean
from ame.local import home_of, running_servers

if TYPE_CHECKING:
    from ame.local import Home
    from ame.registry import Registry
    from ame.spec import Project

__all__ = ["not_run_yet", "refuse_other_models", "registry_to_read"]


def registry_to_read(project: Project) -> tuple[Registry | None, Home]:
    """The project's registry, None when nothing was run yet, and its home.

    A home's database is opened directly when no server owns it: a server takes ten seconds to start.
    """
    from ame.registry import Registry

    home = home_of(project.folder, project.name)
    own = os.environ.get("MLFLOW_TRACKING_URI")
    uri = own or running_servers(home).get("mlflow")
    if not uri:
        if not home.registry_database.exists():
            return None, home
        say("reading the registry ...")
        os.environ.setdefault("MLFLOW_DISABLE_TELEMETRY", "true")
        uri = f"sqlite:///{home.registry_database}"
    return Registry(uri), home


def not_run_yet(project: Project, home: Home) -> Diagnosis:
    return Diagnosis(
        code="AME-E708",
        what=f"project '{project.name}' has not been run yet: {home.root} holds no registry.",
        fix="Run it: `ame run`.",
    )


def refuse_other_models(project: Project, model: str) -> None:
    """Refuse, with AME-E701, a model that the project does not have."""
    if model in project.models:
        return
    raise Refused(
        Diagnosis(
            code="AME-E701",
            what=f"project '{project.name}' has no model '{model}'.",
            why=f"Its models: {', '.join(project.models) or 'none'}.",
            fix=did_you_mean(model, project.models),
        )
    )
