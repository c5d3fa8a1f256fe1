"""Trainings that start because files have changed, by the runs that a real Prefect server knows."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import replace
from typing import Any
from uuid import uuid4

import pytest
from prefect import get_client
from prefect.client.schemas.schedules import CronSchedule
from prefect.states import Failed, Running

from ame.diagnosis import Refused
from flows import _on_change
from flows._on_change import train_on_change
from flows.training import train_model
from tests.conftest import Embedded, post
from tests.flows.conftest import Project

Make = Callable[..., Project]


@pytest.fixture
async def work(project: Make, monkeypatch: pytest.MonkeyPatch) -> Any:
    """A project as a deployed run sees it, with the deployment of its training, which nobody works on."""
    monkeypatch.setattr(_on_change, "deployed", lambda: True)
    monkeypatch.setenv("PREFECT__RUNTIME__FLOW_RUN__ID", str(uuid4()))
    opened = project().work()
    (model,) = opened.project.models.values()
    loaded = replace(opened.project, models={model.name: replace(model, on_change=True)})
    found = replace(opened, project=loaded, origin="snapshot:p/1", source="1")
    async with get_client() as client:
        await client.create_deployment(
            flow_id=await client.create_flow(train_model),
            name=f"{loaded.name}.{model.name}",
            parameters={"project": "snapshot:p/1", "model": model.name},
        )
    return found


def model_of(work: Any) -> str:
    return next(iter(work.project.models))


def trainings(embedded: Embedded, work: Any) -> list[dict[str, Any]]:
    name = f"{work.project.name}.{model_of(work)}"
    asked = {"deployments": {"name": {"any_": [name]}}}
    found: list[dict[str, Any]] = post(f"{embedded.servers.prefect}/flow_runs/filter", asked).json()
    return found


def deployed_again(work: Any, digest: str) -> Any:
    return replace(work, origin=f"snapshot:p/{digest}", source=digest)


async def test_it_starts_once_for_the_same_files(work: Any, embedded: Embedded) -> None:
    started = await asyncio.gather(*(train_on_change(work, model_of(work)) for _ in range(2)))
    assert any(started)
    (run,) = trainings(embedded, work)
    assert run["name"] == f"train {model_of(work)}"
    assert run["parameters"] == {
        "project": "snapshot:p/1",
        "model": model_of(work),
        "env": {},
        "source": "1",
    }
    async with get_client() as client:
        await client.set_flow_run_state(run["id"], Running(), force=True)
        await client.set_flow_run_state(run["id"], Failed(), force=True)
    assert not await train_on_change(work, model_of(work))

    assert await train_on_change(deployed_again(work, "2"), model_of(work))
    assert not await train_on_change(deployed_again(work, "2"), model_of(work))
    # As it was before: what these files make is known.
    assert not await train_on_change(work, model_of(work))
    assert len(trainings(embedded, work)) == 2


async def test_a_training_that_somebody_has_started_counts_and_a_planned_one_does_not(
    work: Any, embedded: Embedded, until: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(_on_change, "_PAGE", 2)
    async with get_client() as client:
        name = f"train-model/{work.project.name}.{model_of(work)}"
        deployment = await client.read_deployment_by_name(name)
        await client.create_deployment_schedules(
            deployment.id, [(CronSchedule(cron="0 3 * * *", timezone="UTC"), True)]
        )
        await asyncio.to_thread(until, lambda: len(trainings(embedded, work)) > 2, 60)
        assert not await _on_change._was_started(work, model_of(work))
        await client.create_flow_run_from_deployment(deployment.id)
    assert await _on_change._was_started(work, model_of(work))
    assert not await train_on_change(work, model_of(work))


async def test_without_the_word_or_with_triggers_off_nothing_starts(work: Any, embedded: Embedded) -> None:
    model = work.project.models[model_of(work)]
    for other in (
        replace(work.project, models={model.name: replace(model, on_change=False)}),
        replace(work.project, models={model.name: replace(model, training=None)}),
        replace(work.project, enable_triggers=False),
    ):
        assert not await train_on_change(replace(work, project=other), model.name)
    assert trainings(embedded, work) == []


async def test_a_training_that_is_not_deployed_is_told(work: Any) -> None:
    other = replace(work, project=replace(work.project, name="another"))
    with pytest.raises(Refused, match="AME-E711"):
        await train_on_change(other, model_of(work))
