"""`ame run`: the same flows as in a cluster, in this process, with nothing to start first."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from ame.cli._console import PROJECT, as_json, print_json, say, warn
from ame.diagnosis import Diagnosis, Refused

if TYPE_CHECKING:
    from mlflow.exceptions import MlflowException

    from flows._outcome import Outcome
    from flows._work import Work

__all__ = ["Report", "command", "run_names"]

#: One entry of `runs` in the JSON of `ame run`.
Report = dict[str, Any]


@click.command("run")
@click.argument("name", required=False, metavar="[MODEL|TASK]")
@PROJECT
@click.option(
    "--env",
    "-e",
    "pairs",
    multiple=True,
    metavar="KEY=VALUE",
    help="Another value for a variable that tasks declare.",
)
@click.option("--refresh", is_flag=True, help="Make data sets again, even if nothing has changed.")
@as_json
def command(name: str | None, folder: Path, pairs: tuple[str, ...], refresh: bool, json_wanted: bool) -> None:
    """Finish every version that has no decision, then train and deliver.

    Without a name, all models are run. The state stays in .ame/ beside the ame.yml.
    """
    from ame.cli._outcomes import print_reports
    from ame.cli._project import load_project
    from ame.cli._session import session
    from flows._work import with_values

    env = _variables(pairs)
    project = load_project(folder)
    warn(project.warnings)
    with_values(project, env)
    names = _names(name, project.models, project.tasks)
    with session(project, env) as (_, work):
        if refresh:
            work.forget_data_sets()
        reports = run_names(work, names)
        if json_wanted:
            print_json({"project": project.name, "runs": reports})
        else:
            print_reports(reports, work)
    if any(report["failed"] for report in reports):
        raise SystemExit(1)


def run_names(work: Work, names: list[tuple[str, str]]) -> list[Report]:
    """Run models and tasks, given as (kind, name), one after another; failures are reported, not raised.

    Raises:
        Refused: AME-E605, when a server stops answering in the middle.
    """
    from ame.cli._loop import run_beside
    from ame.cli._lost import losing_servers, server_lost
    from ame.local import failure_of

    def check_servers() -> None:
        # A call to a server that has gone is tried again for minutes before it fails by itself.
        failure = failure_of(work.home)
        if failure:
            raise Refused(server_lost(work.home, failure))

    with losing_servers(work.home):
        return run_beside(_run_names(work, names), check_servers)


async def _run_names(work: Work, names: list[tuple[str, str]]) -> list[Report]:
    from mlflow.exceptions import MlflowException

    reports: list[Report] = []
    for kind, name in names:
        try:
            if kind == "model":
                with _alone(work, name):
                    await _run_model(work, name, reports)
            else:
                reports.append(await _run_task(work, name))
        except (MlflowException, Refused) as error:
            # What has become of the others is still to be told.
            reports.append(_failure(kind, name, _message(work, error)))
    return reports


async def _run_model(work: Work, model: str, reports: list[Report]) -> None:
    """Run a model, and add to the reports what has become of each of its versions."""
    from flows._dispatch import run_step
    from flows.delivery import deliver_version, undelivered
    from flows.training import train_model

    waiting = undelivered(work, model)
    for version in waiting:
        say(f"version {version.number} of '{model}' has no decision yet: delivering it first")
        ended = await run_step(deliver_version, work, model, model=model, version=version.number)
        reports.append(_model_report(work, model, ended, version.number))
    if work.model(model).training:
        ended = await run_step(train_model, work, model, model=model)
        reports.append(_model_report(work, model, ended))
    elif not waiting:
        say(f"model '{model}' has no training, and no version that waits for a decision")


async def _run_task(work: Work, task: str) -> Report:
    from flows._dispatch import run_step
    from flows.task import run_task

    ended = await run_step(run_task, work, task, task_name=task)
    return {
        "kind": "task",
        "name": task,
        "state": ended.state,
        "flowRunId": ended.flow_run,
        "failed": ended.failed,
        "message": ended.message,
        "model": None,
    }


def _model_report(work: Work, model: str, ended: Outcome, delivered: str | None = None) -> Report:
    from mlflow.exceptions import MlflowException

    from ame.cli._outcomes import version_outcome

    number = ended.version or delivered
    try:
        outcome = version_outcome(work.registry, model, number) if number else None
    except (MlflowException, Refused) as error:
        # For example deleted while it was delivered.
        told = _message(work, error)
        message = ended.message if told in ended.message else f"{ended.message} {told}".lstrip()
        return _failure("model", model, message, ended.flow_run)
    return {
        "kind": "model",
        "name": model,
        "state": ended.state,
        "flowRunId": ended.flow_run,
        "failed": ended.failed,
        "message": ended.message,
        "model": outcome,
    }


def _failure(kind: str, name: str, message: str, flow_run: str | None = None) -> Report:
    return {
        "kind": kind,
        "name": name,
        "state": "Failed",
        "flowRunId": flow_run,
        "failed": True,
        "message": message,
        "model": None,
    }


def _message(work: Work, error: MlflowException | Refused) -> str:
    """What a failure that concerns one model means; that of a server which is lost is raised."""
    from ame.registry import diagnosis_of, is_unreachable

    if isinstance(error, Refused):
        return str(error)
    if is_unreachable(error):
        raise error
    return str(diagnosis_of(error, work.registry.uri))


@contextlib.contextmanager
def _alone(work: Work, model: str) -> Iterator[None]:
    """Wait until no other command of this home trains or delivers the model."""
    from ame.local import file_lock

    lock = work.home.model_lock(model)
    with file_lock(lock, wait=False) as mine:
        if mine:
            yield
            return
    say(f"another ame command is at work on model '{model}': waiting for it to end ...")
    with file_lock(lock):
        yield


def _names(name: str | None, models: Mapping[str, Any], tasks: Mapping[str, Any]) -> list[tuple[str, str]]:
    if name is None:
        if models:
            return [("model", model) for model in models]
        steps = {name for task in tasks.values() for group in task.pipeline for name in group}
        alone = [task for task in tasks if task not in steps]
        if len(alone) == 1:
            return [("task", alone[0])]
        raise Refused(
            Diagnosis(
                code="AME-E706",
                what="the project has no model to run.",
                why=f"Its tasks: {', '.join(tasks) or 'none'}.",
                fix="Name one: `ame run TASK`." if tasks else "Give it a model or a task.",
            )
        )
    if name in models:
        return [("model", name)]
    if name in tasks:
        return [("task", name)]
    from ame.diagnosis import did_you_mean

    raise Refused(
        Diagnosis(
            code="AME-E707",
            what=f"the project has neither a model nor a task called '{name}'.",
            why=f"Models: {', '.join(models) or 'none'}. Tasks: {', '.join(tasks) or 'none'}.",
            fix=did_you_mean(name, [*models, *tasks]),
        )
    )


def _variables(pairs: tuple[str, ...]) -> dict[str, str]:
    variables = {}
    for pair in pairs:
        key, separator, value = pair.partition("=")
        if not separator or not key.isidentifier():
            raise click.BadParameter(f"'{pair}' is not KEY=VALUE", param_hint="--env")
        variables[key] = value
    return variables
