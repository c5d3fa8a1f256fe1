"""A task's secrets: they reach its command, and nothing that Prefect or MLflow keeps."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from prefect.blocks.system import Secret as SecretBlock

from ame.diagnosis import Where
from ame.registry import Registry
from ame.spec import Secret
from flows import _work
from tests.conftest import Embedded, post
from tests.flows.conftest import ORDINARY, Project

Make = Callable[..., Project]
WHERE = Where("ame.yml", 7, 9)
FROM_BLOCK, FROM_VARIABLE = "value-of-the-block", "value-of-the-variable"
AME_YML = """
    name: project-of-$model
    models:
      - name: $model
        training: {task: {taskRef: train}}
        promotion: {strategy: never}
    tasks:
      - {name: show, executor: !custom {command: 'echo "$BLOCK $VARIABLE"; env | grep -c AME_SECRET_; exit 3'}}
      - {name: train, executor: !custom {command: '$python train.py && echo "$BLOCK" > $folder/seen'}}
      - {name: steps, pipeline: [{name: one, executor: !custom {command: 'echo "$VARIABLE" > $folder/seen'}}]}
      - {name: make, executor: !custom {command: 'echo "$BLOCK" > made'}}
      - {name: use, dataSets: [made], executor: !custom {command: 'cp made $folder/seen'}}
    dataSets: [{name: made, path: made, task: {taskRef: make}}]
"""


@pytest.fixture
async def made(project: Make, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project all of whose commands have the same two secrets."""
    found = project(ORDINARY)
    found.write("ame.yml", AME_YML.replace("$folder", str(found.folder)))
    await SecretBlock(value=FROM_BLOCK).save("of-the-tests-x", overwrite=True)
    await SecretBlock(value="not this one").save("other", overwrite=True)
    monkeypatch.setenv("AME_SECRET_OTHER", FROM_VARIABLE)
    give(
        monkeypatch,
        Secret(key="Of.the_tests/X", inject_as="BLOCK", where=WHERE),
        Secret(key="other", inject_as="VARIABLE", where=WHERE),
    )
    return found


def give(monkeypatch: pytest.MonkeyPatch, *secrets: Secret) -> None:
    load = _work.load_project

    def loaded(folder: Path) -> Any:
        found = load(folder)
        tasks = {
            name: task if task.pipeline else replace(task, secrets=secrets)
            for name, task in found.tasks.items()
        }
        return replace(found, tasks=tasks)

    monkeypatch.setattr(_work, "load_project", loaded)


def kept_by(embedded: Embedded, project: Project) -> str:
    """All that the servers tell of the project's runs."""
    prefect, told = embedded.servers.prefect, []
    for what in ("flow_runs", "task_runs", "logs", "artifacts"):
        for offset in range(0, 2000, 200):
            page = post(f"{prefect}/{what}/filter", {"limit": 200, "offset": offset}).text
            told.append(page)
            if page == "[]":
                break
    registry = Registry(embedded.servers.mlflow)
    runs = registry.client.search_runs([each.experiment_id for each in registry.client.search_experiments()])
    return "".join([*told, *(repr(run.to_dictionary()) for run in runs)])


def assert_not_told(text: str) -> None:
    for value in (FROM_BLOCK, FROM_VARIABLE):
        assert value not in text
        assert base64.b64encode(value.encode()).decode() not in text


async def test_they_reach_the_command_and_nothing_else(
    made: Project, embedded: Embedded, capfd: pytest.CaptureFixture[str]
) -> None:
    (shown,) = await asyncio.to_thread(made.run, "show")
    assert "Its last lines:\n    *** ***\n    0" in shown["message"]
    for name, value in {"train": FROM_BLOCK, "steps": FROM_VARIABLE, "use": FROM_BLOCK}.items():
        (made.folder / "seen").unlink(missing_ok=True)
        reports = await asyncio.to_thread(made.run, None if name == "train" else name)
        assert (made.folder / "seen").read_text() == f"{value}\n", reports
    kept = kept_by(embedded, made)
    assert made.model in kept
    assert_not_told(str(shown) + kept + "".join(capfd.readouterr()))


async def test_those_that_are_missing_are_told_before_the_start(
    made: Project, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("VAULT_ADDR", "VAULT_TOKEN"):
        monkeypatch.delenv(name, raising=False)
    give(
        monkeypatch,
        Secret(key="no_where", inject_as="A", where=WHERE),
        Secret(key="path", inject_as="B", where=WHERE, vault="kv"),
    )
    (report,) = await asyncio.to_thread(made.run, "use")
    first = (
        "AME-E225 ame.yml:7:9 secret 'no_where' of task 'make' is not there. Prefect has no block "
        "'secret/no-where', and AME_SECRET_NO_WHERE is not set here. Save a block of the type Secret as "
        "'no-where', or set the variable where the task runs."
    )
    assert first in report["message"]
    assert (
        "AME-E225 ame.yml:7:9 secret 'path' of task 'make' is not there, in vault 'kv'." in report["message"]
    )
    assert not (made.folder / "seen").exists()
