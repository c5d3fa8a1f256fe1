"""A task's secrets: they reach its command, and nothing that Prefect or MLflow keeps."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Callable

import pytest
from prefect.blocks.system import Secret as SecretBlock

from ame.registry import Registry
from tests.conftest import Embedded, post
from tests.flows.conftest import ORDINARY, Project

Make = Callable[..., Project]
FROM_BLOCK, FROM_VARIABLE = "value-of-the-block", "value-of-the-variable"
AME_YML = """
    name: project-of-$model
    models:
      - name: $model
        training: {task: {taskRef: train}}
        promotion: {strategy: never}
    tasks:
      - name: show
        secrets: &both
          - !ame {key: Of.the_tests/X, injectAs: BLOCK}
          - !ame {key: other, injectAs: VARIABLE}
        executor: !custom {command: 'echo "$BLOCK $VARIABLE"; env | grep -c AME_SECRET_; exit 3'}
      - name: train
        secrets: *both
        executor: !custom {command: '$python train.py && echo "$BLOCK" > $folder/seen'}
      - name: steps
        secrets: *both
        pipeline: [{name: one, executor: !custom {command: 'echo "$VARIABLE" > $folder/seen'}}]
      - {name: make, secrets: *both, executor: !custom {command: 'echo "$BLOCK" > made'}}
      - {name: use, dataSets: [made], executor: !custom {command: 'cp made $folder/seen'}}
    dataSets: [{name: made, path: made, task: {taskRef: make}}]
"""


@pytest.fixture
async def made(project: Make, monkeypatch: pytest.MonkeyPatch) -> Project:
    """A project whose commands have two secrets."""
    found = project(ORDINARY)
    found.write("ame.yml", AME_YML.replace("$folder", str(found.folder)))
    await SecretBlock(value=FROM_BLOCK).save("of-the-tests-x", overwrite=True)
    await SecretBlock(value="not this one").save("other", overwrite=True)
    monkeypatch.setenv("AME_SECRET_OTHER", FROM_VARIABLE)
    return found


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
    file = made.folder / "ame.yml"
    text = file.read_text().replace("key: other", "key: no_where")
    file.write_text(text.replace("!ame {key: Of.the_tests/X", "!vault {vault: kv, key: path"))
    (report,) = await asyncio.to_thread(made.run, "use")
    first = (
        f"AME-E225 {file}:11:9 secret 'no_where' of task 'make' is not there. Prefect has no block "
        "'secret/no-where', and AME_SECRET_NO_WHERE is not set here. Save a block of the type Secret as "
        "'no-where', or set the variable where the task runs."
    )
    assert first in report["message"]
    second = f"AME-E225 {file}:10:9 secret 'path' of task 'make' is not there, in vault 'kv'."
    assert second in report["message"]
    assert not (made.folder / "seen").exists()
