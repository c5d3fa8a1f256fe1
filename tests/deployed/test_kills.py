"""Deliveries while what runs them is killed at random: each version is decided on once, with one champion.

The defaults are small; a long one is `REGISTRATIONS=1000 MODELS=20 pytest -s tests/deployed/test_kills.py`.
SEED repeats the choices of an earlier one, as far as the machine is as fast; BACKEND is `sqlite` or `postgres`.
"""

from __future__ import annotations

import contextlib
import itertools
import os
import random
import time
import uuid
from collections import Counter
from collections.abc import Iterator, Sequence
from typing import Any

import httpx
import pytest

from ame.registry import Holder, ModelJournal, Registry, Version
from ame.registry.journal import champions, read_entry
from tests.conftest import _MARK
from tests.deployed.conftest import Site, shell
from tests.deployed.kills import Killer, PrefectServer, Worker, flow_processes
from tests.deployed.stage import (
    BACKEND,
    CLAIM_SECONDS,
    MODELS,
    REGISTRATIONS,
    SECONDS_BETWEEN_KILLS,
    SECONDS_BETWEEN_LOOKS,
    SECONDS_BETWEEN_WATCHES,
    SEED,
    OtherMachine,
    People,
    Sampler,
    Stage,
    deploy,
    victims,
)
from tests.registry.postgres import Postgres
from tests.registry.servers import MlflowServer


@pytest.fixture
def stage(
    tmp_path_factory: pytest.TempPathFactory, leaves_no_process: None, monkeypatch: pytest.MonkeyPatch
) -> Iterator[Stage]:
    """The project deployed by the documented commands, and two workers on their way up."""
    folder = tmp_path_factory.mktemp("kills")
    monkeypatch.setenv("NO_PROXY", "127.0.0.1")
    monkeypatch.setenv("AME_CLAIM_SECONDS", CLAIM_SECONDS)
    with contextlib.ExitStack() as stack:
        prefect = stack.enter_context(PrefectServer(folder))
        backend = f"sqlite:///{folder}/mlflow.db"
        if BACKEND == "postgres":
            backend = stack.enter_context(Postgres(folder)).database("mlflow")
        mlflow = stack.enter_context(MlflowServer(folder, backend))
        prefect.wait_ready()
        env = shell(
            folder, prefect.api, AME_CLAIM_SECONDS=CLAIM_SECONDS, PREFECT_SERVER_ANALYTICS_ENABLED="false"
        )
        site = Site(folder, prefect.api, mlflow.uri, env, model=MODELS[0])
        deploy(site)
        workers = [stack.enter_context(Worker(name, folder, env)) for name in ("first", "second")]
        found = {name: each["id"] for name, each in site.deployments().items()}
        yield Stage(site, mlflow, prefect, workers, found, (_MARK, os.environ[_MARK]))


def test_each_version_is_decided_once_whatever_is_killed(stage: Stage) -> None:
    began = time.monotonic()
    chances = [random.Random(f"{SEED} {what}") for what in range(4)]  # noqa: S311 - no secret
    registry = stage.registry()
    for model in MODELS:
        registry.client.create_registered_model(model)
    pause = 2 * SECONDS_BETWEEN_KILLS
    with (
        Sampler(stage) as sampler,
        OtherMachine(stage, chances[1], pause) as other,
        Killer(chances[2], victims(stage, other, chances[3]), SECONDS_BETWEEN_KILLS) as killer,
    ):
        with People(stage, random.Random(f"{SEED} people"), pause):  # noqa: S311 - no secret
            _register(stage, registry, chances[0])
            _until(lambda: killer.satisfied, stage, 300, "something of each kind was killed")
        killer.spare()
        other.stop()
        storm = time.monotonic() - began
        _until(lambda: not _undecided(registry), stage, 900 + 5 * REGISTRATIONS, "every version is decided")
    _end_well(stage)
    print(_report(stage, killer, registry, storm, time.monotonic() - began))
    assert sampler.seen > 10 * len(MODELS), "the sampler has hardly looked"
    wrong = []
    for model in MODELS:
        try:
            _check_truth(ModelJournal(registry, model), sampler.champions[model], stage.moved[model])
        except AssertionError as error:
            wrong.append(str(error))
    assert not wrong, f"{len(wrong)} of {len(MODELS)} models:\n" + "\n".join(wrong)


def _register(stage: Stage, registry: Registry, chance: random.Random) -> None:
    """Register versions, now and then several at once, with no event, one or two for each."""
    experiment = registry.client.create_experiment("trainings")
    left, watched = REGISTRATIONS, 0.0
    while left:
        model = chance.choice(MODELS)
        for _ in range(min(left, chance.choice([1, 1, 1, 3]))):
            left -= 1
            run = registry.client.create_run(experiment).info.run_id
            # Later ones tend to be better, or after a few hardly any would be promoted.
            registry.client.log_metric(
                run, "accuracy", round(chance.random() + 0.01 * (REGISTRATIONS - left), 4)
            )
            made = registry.client.create_model_version(
                model, "s3://bucket/x", run_id=run, await_creation_for=0
            )
            event = _event(model, str(made.version))
            for again in range(chance.choice([0, 0, 1, 1, 1, 2])):
                repeat = event if chance.random() < 0.5 else event | {"id": str(uuid.uuid4())}
                with contextlib.suppress(httpx.HTTPError):
                    httpx.post(f"{stage.site.api}/events", json=[repeat if again else event], timeout=10)
        if time.monotonic() - watched > SECONDS_BETWEEN_WATCHES:
            watched = time.monotonic()
            stage.start("watch-registry/shop.models")
        time.sleep(chance.uniform(0.5, 1.5) * 3)


def _event(model: str, version: str) -> dict[str, Any]:
    return {
        "occurred": time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime()),
        "event": "mlflow.model-version.created",
        "resource": {"prefect.resource.id": f"mlflow.registered-model.{model}"},
        "payload": {"model": model, "version": version},
        "id": str(uuid.uuid4()),
    }


def _until(happens: Any, stage: Stage, seconds: float, what: str) -> None:
    deadline, watched = time.monotonic() + seconds, 0.0
    while not happens():
        assert time.monotonic() < deadline, f"seed {SEED}: not within {seconds} s: {what}; {_standing(stage)}"
        if time.monotonic() - watched > SECONDS_BETWEEN_WATCHES:
            watched = time.monotonic()
            stage.start("watch-registry/shop.models")
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _undecided(registry: Registry) -> list[Version]:
    return [each for model in MODELS for each in registry.versions(model) if not each.journaled]


def _end_well(stage: Stage) -> None:
    """End the workers; what they run ends by itself."""
    for worker in stage.workers:
        worker.kill_alone()
    deadline = time.monotonic() + 120
    while left := flow_processes(stage.mark):
        assert time.monotonic() < deadline, f"seed {SEED}: these do not end: {sorted(left)}"
        time.sleep(0.5)


def _standing(stage: Stage) -> str:
    """What still waits, and the runs that Prefect takes for living ones."""
    waiting = [f"{each.model} v{each.number}" for each in _undecided(stage.registry())]
    over = ("COMPLETED", "FAILED", "CRASHED", "CANCELLED")
    alive = [run for run in _all_runs(stage.site) if run["state_type"] not in over]
    told = [
        f"{run['name']} {run['id'][:8]} {run['state_name']} since {run['state']['timestamp']}"
        for run in alive
    ]
    return f"undecided: {waiting}; alive for Prefect: {told}"


def _report(stage: Stage, killer: Killer, registry: Registry, storm: float, whole: float) -> str:
    states = Counter(run["state_name"] for run in _all_runs(stage.site))
    return (
        f"\nseed {SEED} on {BACKEND}: {sum(len(registry.versions(model)) for model in MODELS)} versions of "
        f"{len(MODELS)} models, {killer.kills.total()} kills {dict(killer.kills)}, {dict(stage.did)}, "
        f"{states.total()} flow runs {dict(states)}, "
        f"{sum(len(ModelJournal(registry, model).entries()) for model in MODELS)} entries; "
        f"{storm / 60:.1f} minutes of kills, {whole / 60:.1f} in all"
    )


def _all_runs(site: Site) -> Iterator[dict[str, Any]]:
    for offset in itertools.count(0, 200):
        page = site.ask("/flow_runs/filter", offset=offset, limit=200)
        yield from page
        if len(page) < 200:
            return


def _check_truth(journal: ModelJournal, sampled: Sequence[str | None], moved: set[str | None]) -> None:
    where = f"seed {SEED}, {journal.model}"
    # The last entry may have been cut off, and an alias moved after it.
    claim = journal.claim(Holder("the test", None, "a test"), over=lambda _: True)
    assert claim
    journal.settle(claim, "the test")
    entries = [read_entry(journal.chain, entry) for entry in journal.entries()]
    assert [entry.previous for entry in entries] == ["", *(entry.digest for entry in entries[:-1])][
        : len(entries)
    ]
    assert [entry.sequence for entry in entries] == list(range(1, len(entries) + 1)), where
    assert all(entry.carried_out for entry in entries), where

    effective = [entry for entry in entries if not entry.void]
    versions = journal.registry.versions(journal.model)
    decided = Counter(entry.version for entry in effective if entry.decision not in ("rollback", "observe"))
    # Whom somebody made champion before a decision, the journal has noted so, and nothing more is decided.
    noted = {entry.version for entry in effective if entry.decision == "observe"}
    assert noted <= {*moved, None}, where
    assert not [number for number, times in decided.items() if times > 1], f"{where}: {decided}"
    assert {version.number for version in versions} - decided.keys() <= noted, f"{where}: {decided}"

    states: dict[str | None, str | None] = {}
    for entry in effective:
        if entry.state is not None:
            states[entry.version] = entry.state
        if entry.decision == "rollback":
            states[entry.after] = "promoted"
    assert {version.number: version.state for version in versions} == states, where

    reigns = [entry.champion for entry in champions(entries)]
    assert journal.registry.champion(journal.model) == (reigns[-1] if reigns else None), where
    assert _explained(sampled, reigns, moved), f"{where}: {sampled} in {reigns}; moved {moved}"


def _explained(sampled: Sequence[str | None], reigns: Sequence[str | None], moved: set[str | None]) -> bool:
    """Whether what readers saw is what the journal tells, in its order.

    A short reign may be missed by readers, and by the journal a short one of somebody whom the test set. What
    readers saw last was the champion before, set again by the test while the process that had moved the alias
    was killed before it could say so: then the next one moves it again, as it must where the alias was never
    moved, and the same champion is seen twice.
    """
    reached = {0}  # how many of the reigns may be over
    last: str | None = None
    for champion in sampled:
        after = {
            number + 1
            for start in reached
            for number, reign in enumerate(reigns)
            if number >= start and reign == champion
        }
        if last in moved:
            after |= {
                over
                for over in reached
                if over and reigns[over - 1] == champion and last == (reigns[over - 2] if over > 1 else None)
            }
        reached = after | reached if champion in moved else after
        last = champion
    return bool(reached)


@pytest.mark.parametrize(
    ("sampled", "reigns", "moved", "explained"),
    [
        (["1", "3"], ["1", "2", "3"], set(), True),
        (["1", "3", "2"], ["1", "2", "3"], set(), False),
        (["1", "7", "2"], ["1", "2"], {"7"}, True),
        (["1", "7", None, "1", "2"], ["1", "2"], {"7", None}, True),
        (["1", "7", "1", "2"], ["1", "2"], {"7"}, False),
        (["1", "2", "7", "1", "2"], ["1", "2"], {"7", "1"}, True),
        (["1", None, "2"], ["1", "2"], set(), False),
    ],
)
def test_what_readers_see_is_held_against_the_journal(
    sampled: list[str | None], reigns: list[str | None], moved: set[str | None], explained: bool
) -> None:
    assert _explained(sampled, reigns, moved) is explained
