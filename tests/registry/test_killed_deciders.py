"""Processes that decide are killed at random, and the server too: the truth stays one."""

from __future__ import annotations

import itertools
import os
import random
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator
from typing import Any, Self

import pytest
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from ame.registry import (
    Holder,
    ModelJournal,
    Registry,
)
from ame.registry.journal import champions, read_entry
from tests.registry.deciders import CONTEXT, decide_until_killed, register
from tests.registry.servers import MlflowServer

_names = itertools.count(1)


@pytest.fixture
def deciders(server: MlflowServer) -> Iterator[Callable[[list[str]], Any]]:
    started: list[Any] = []

    def start(models: list[str]) -> Any:
        process = CONTEXT.Process(target=decide_until_killed, args=(server.uri, models, 2.0), daemon=True)
        process.start()
        started.append(process)
        return process

    yield start
    for process in started:
        process.kill()
    for process in started:
        process.join(30)


@pytest.mark.parametrize("registrations", [int(os.environ.get("REGISTRATIONS", "40"))])
def test_under_kills_every_version_is_decided_once_and_there_is_one_champion(
    server: MlflowServer, deciders: Callable[[list[str]], Any], registrations: int
) -> None:
    """Deciding processes and the server are killed at random; REGISTRATIONS=1000 makes it a long one."""
    seed = int(os.environ.get("SEED", time.time_ns() % 2**32))
    chance = random.Random(seed)  # noqa: S311 - no secret
    client, registry = MlflowClient(server.uri, server.uri), Registry(server.uri)
    models = [f"killed-{next(_names)}" for _ in range(max(3, registrations // 50))]
    for model in models:
        register(client, model, 1)
    registered = Counter(dict.fromkeys(models, 1))
    processes = [deciders(models) for _ in range(4)]
    sampler = Sampler(server.uri, models)
    deadline = time.monotonic() + 300 + registrations * 3
    kills = 0
    with sampler:
        while True:
            time.sleep(chance.uniform(0.1, 0.5))
            if registered.total() < registrations:
                model = chance.choice(models)
                registry.client.create_model_version(model, "s3://bucket/x", await_creation_for=0)
                registered[model] += 1
            elif all(_all_decided(registry, model) for model in models):
                break
            if chance.random() < 0.15:
                victim = chance.randrange(len(processes))
                processes[victim].kill()
                processes[victim] = deciders(models)
                kills += 1
            if chance.random() < 0.01:
                server.restart()
                kills += 1
            assert time.monotonic() < deadline, f"seed {seed}"
    assert kills
    assert sampler.seen > 10 * len(models), "the sampler has hardly looked"
    for process in processes:
        process.kill()
    for model in models:
        _check_truth(ModelJournal(registry, model), sampler.champions[model], registered[model], seed)


def _all_decided(registry: Registry, model: str) -> bool:
    return all(version.journaled for version in registry.versions(model))


def _check_truth(journal: ModelJournal, sampled: list[str], registered: int, seed: int) -> None:
    # The last entry may have been cut off.
    claim = journal.claim(Holder("the test", None, "a test"), over=lambda _: True)
    assert claim
    journal.settle(claim, "the test")
    entries = [read_entry(journal.chain, entry) for entry in journal.entries()]
    decided = Counter(entry.version for entry in entries)
    assert decided == {str(number + 1): 1 for number in range(registered)}, f"seed {seed}"
    assert all(entry.carried_out == "yes" for entry in entries), f"seed {seed}"
    assert [entry.previous for entry in entries] == ["", *(entry.digest for entry in entries[:-1])]
    states = {version.number: version.state for version in journal.registry.versions(journal.model)}
    assert states == {entry.version: entry.state for entry in entries}, f"seed {seed}"
    reigns = [entry.champion for entry in champions(entries)]
    assert journal.registry.champion(journal.model) == reigns[-1], f"seed {seed}"
    # What readers saw is what the journal tells, in its order; a short reign may be missed by them.
    told = iter(reigns)
    assert all(champion in told for champion in sampled), f"seed {seed}: {sampled} in {reigns}"


class Sampler:
    """Reads the champion of every model again and again, as those do who serve it."""

    def __init__(self, uri: str, models: list[str]) -> None:
        self.client = MlflowClient(uri, uri)
        self.models = models
        self.champions: dict[str, list[str]] = {model: [] for model in models}
        self.seen = 0
        self.gaps: list[str] = []
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(60)
        assert not self.gaps

    def _sample(self) -> None:
        for model in itertools.cycle(self.models):
            if self._stop.is_set():
                return
            try:
                found = self.client.get_registered_model(model).aliases.get("champion")
            except MlflowException:
                time.sleep(0.05)  # the server was killed
                continue
            self.seen += 1
            known = self.champions[model]
            if found is None:
                if known:
                    self.gaps.append(f"{model} had no champion after {known[-1]}")
            elif not known or known[-1] != found:
                known.append(str(found))
            self._stop.wait(0.01)
