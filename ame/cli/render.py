"""`ame render`: the Kubernetes Jobs that deployments get, without a cluster."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import click

from ame.cli._console import PROJECT_PATH, as_json, print_json, warn
from ame.diagnosis import Diagnosis, Refused, Where, did_you_mean

if TYPE_CHECKING:
    from ame.compile import Deployment
    from ame.spec import Project

__all__ = ["command"]


@click.command("render")
@click.argument("path", metavar="PROJECT", type=click.Path(path_type=Path))
@click.argument("name", metavar="[NAME]", required=False)
@PROJECT_PATH
@as_json
def command(path: Path, name: str | None, json_wanted: bool) -> None:
    """Print the Jobs that a worker would create for the deployments of PROJECT (a folder or a file).

    NAME is a task, a model or a data set, or a deployment such as run-task/PROJECT.TASK. The Jobs are made
    with Prefect's own code and our base job templates; what a worker and a run add is left out.
    """
    import yaml

    from ame.cli._project import load_project
    from ame.compile import compile_projects
    from ame.pools import render

    class Dumper(yaml.SafeDumper):
        """Writes what is said twice twice, as kubectl shows it."""

        def ignore_aliases(self, data: object) -> bool:  # noqa: ARG002
            return True

    project = load_project(path)
    warn(project.warnings)
    deployments = compile_projects([project], target="kubernetes", base=Path.cwd())
    chosen = deployments if name is None else _chosen(path, project, deployments, name)
    jobs = [(deployment, render(deployment)) for deployment in chosen]
    if json_wanted:
        told = [{"deployment": each.full_name, "pool": each.pool, "job": job} for each, job in jobs]
        print_json({"project": project.name, "jobs": told})
        return
    for deployment, job in jobs:
        click.echo(f"---\n# {deployment.full_name}, on {deployment.pool}")
        click.echo(yaml.dump(job, Dumper=Dumper, sort_keys=False, width=110), nl=False)


def _chosen(path: Path, project: Project, deployments: Sequence[Deployment], name: str) -> list[Deployment]:
    """Those of the name, and those that run the task of that name or its steps."""
    from ame.spec import steps_of

    wanted = {f"run-task/{project.name}.{name}", name}
    if name in project.tasks:
        steps = steps_of(project.tasks[name], project.tasks)
        wanted |= {f"run-task/{project.name}.{step.name}" for step in steps}
    wanted |= {
        f"{flow}/{project.name}.{name}"
        for flow in ("train-model", "deliver-version", "compare-versions")
        if name in project.models
    }
    wanted |= {
        f"train-model/{project.name}.{model.name}"
        for model in project.models.values()
        if model.training == name
    }
    wanted |= {
        f"produce-data-set/{project.name}.{data_set.name}"
        for data_set in project.data_sets.values()
        if name in (data_set.task, data_set.name)
    }
    found = [deployment for deployment in deployments if deployment.full_name in wanted]
    if not found:
        known = [
            *project.tasks,
            *project.models,
            *(each.name for each in project.data_sets.values() if each.task),
        ]
        listed = f"Known names: {', '.join(dict.fromkeys(known))}."
        raise Refused(
            Diagnosis(
                code="AME-E828",
                where=Where(str(path)),
                what=f"no deployment of '{project.name}' is of '{name}'.",
                fix=" ".join(part for part in (listed, did_you_mean(name, known)) if part),
            )
        )
    return found
