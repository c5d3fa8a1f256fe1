"""What plays when deliveries are killed at random: servers, workers, people, another machine, readers."""

from __future__ import annotations

import contextlib
import functools
import itertools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psutil
from mlflow import MlflowClient
from mlflow.exceptions import MlflowException

from ame.diagnosis import Refused
from ame.registry import Draft, Entry, Holder, ModelJournal, Registry
from ame.registry.chain import Chain
from ame.registry.journal import predecessors
from tests.deployed.conftest import Site
from tests.deployed.kills import PrefectServer, Victim, Worker, flow_processes
from tests.registry.postgres import postgres_programs
from tests.registry.servers import MlflowServer

REGISTRATIONS = int(os.environ.get("REGISTRATIONS", "8"))
MODELS = [f"model-{number + 1}" for number in range(int(os.environ.get("MODELS", "2")))]
SEED = int(os.environ.get("SEED", time.time_ns() % 2**32))
BACKEND = os.environ.get("BACKEND", "postgres" if postgres_programs() else "sqlite")

CLAIM_SECONDS = "6"
# A long run would otherwise spend most of a small machine on being watched.
_LONG = REGISTRATIONS >= 200
SECONDS_BETWEEN_WATCHES = 60.0 if _LONG else 15.0
SECONDS_BETWEEN_SAMPLES = 0.15 if _LONG else 0.03
SECONDS_BETWEEN_LOOKS = 15.0 if _LONG else 1.0
SECONDS_BETWEEN_KILLS = 3.0 if REGISTRATIONS < 20 else 5.0
_BIN = Path(sys.executable).parent


@dataclass
class Stage:
    """What plays: the servers, the workers, the deployed project, and what the test itself has done.

    Attributes:
        moved: by model, the versions (None for none) that the test has made champion past ame-flows.
    """

    site: Site
    mlflow: MlflowServer
    prefect: PrefectServer
    workers: list[Worker]
    deployments: dict[str, str]
    mark: tuple[str, str]
    moved: dict[str, set[str | None]] = field(default_factory=lambda: {model: set() for model in MODELS})
    did: Counter[str] = field(default_factory=Counter)

    def registry(self) -> Registry:
        return Registry(self.mlflow.uri)

    def start(self, name: str, **parameters: Any) -> None:
        """Start a run of a deployment, unless the server is down."""
        with contextlib.suppress(httpx.HTTPError):
            found = self.deployments[name]
            self.site.ask(f"/deployments/{found}/create_flow_run", parameters=parameters)


def deploy(site: Site) -> None:
    models = "".join(
        f"  - {{name: {model}, promotion: {{strategy: metric, metric: accuracy}}}}\n" for model in MODELS
    )
    site.write("ame.yml", f"name: $project\nmodels:\n{models}")
    settings = {"MLFLOW_TRACKING_URI": site.mlflow, "AME_STORE_URI": str(site.folder / "store")}
    with ThreadPoolExecutor() as side_by_side:
        done = [
            side_by_side.submit(site.run, "ame", "blocks", "apply", "--from-env", **settings),
            side_by_side.submit(site.run, "ame", "pools", "apply", "--target", "process"),
            side_by_side.submit(site.run, "ame", "compile", site.project, "--target", "process"),
        ]
    for each in done:
        each.result()
    site.run("prefect", "--no-prompt", "deploy", "--all")


class Beside:
    """A thread that acts for as long as the block runs."""

    def __init__(self) -> None:
        self.failure: BaseException | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._guarded, name=type(self).__name__, daemon=True)

    def __enter__(self) -> Any:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def stop(self) -> None:
        self._stop.set()
        self._thread.join(600 + 5 * REGISTRATIONS)
        assert not self._thread.is_alive(), self._thread.name
        if self.failure:
            raise self.failure

    def _guarded(self) -> None:
        try:
            self._act()
        except BaseException as failure:  # noqa: BLE001 - told to the test
            self.failure = failure

    def _act(self) -> None:
        raise NotImplementedError


class Sampler(Beside):
    """Reads the champion of every model again and again, as those do who serve it."""

    def __init__(self, stage: Stage) -> None:
        super().__init__()
        self._client = MlflowClient(stage.mlflow.uri, stage.mlflow.uri)
        self.champions: dict[str, list[str | None]] = {model: [] for model in MODELS}
        self.seen = 0

    def _act(self) -> None:
        for model in itertools.cycle(MODELS):
            if self._stop.wait(SECONDS_BETWEEN_SAMPLES):
                return
            try:
                found = self._client.get_registered_model(model).aliases.get("champion")
            except MlflowException:
                continue  # the server was killed
            self.seen += 1
            known = self.champions[model]
            champion = str(found) if found is not None else None
            if known[-1:] != [champion] and (known or champion):
                known.append(champion)


class People(Beside):
    """Moves aliases past ame-flows, and rolls back by it."""

    def __init__(self, stage: Stage, chance: random.Random, seconds: float) -> None:
        super().__init__()
        self._stage, self._chance, self._seconds = stage, chance, seconds
        self._registry = stage.registry()

    def _act(self) -> None:
        while not self._stop.wait(self._chance.uniform(0.3, 1.7) * self._seconds):
            model = self._chance.choice(MODELS)
            deed = self._chance.choice([self._roll_back, self._roll_back, self._move])
            if deed(model):
                self._stage.did[deed.__name__.strip("_")] += 1

    def _move(self, model: str) -> bool:
        champion = self._registry.champion(model)
        others = [each.number for each in self._registry.versions(model) if each.number != champion]
        if champion is None or not others:
            return False
        if self._chance.random() < 0.2:
            self._stage.moved[model].add(None)
            self._registry.client.delete_registered_model_alias(model, "champion")
            return True
        number = self._chance.choice(others)
        self._stage.moved[model].add(number)
        self._registry.client.set_registered_model_alias(model, "champion", number)
        return True

    def _roll_back(self, model: str) -> bool:
        journal = ModelJournal(self._registry, model)
        try:
            journal.by_hand(Holder("ada", None, "a rollback"), _one_back)
        except _NowhereToGo:
            return False
        return True


class _NowhereToGo(Exception):
    """There is no champion before this one."""


def _one_back(told: Sequence[Entry], champion: str | None) -> Draft:
    stack = predecessors(told)
    if champion is None or len(stack) < 2 or stack[-1] != champion:
        raise _NowhereToGo
    return Draft(
        decision="rollback",
        version=champion,
        before=champion,
        after=stack[-2],
        runner_up=stack[-3] if len(stack) > 2 else None,
        state="rolled-back",
        by="ada",
        reason="a test",
    )


class OtherMachine(Beside):
    """`ame run` in another home, against the same servers, one at a time."""

    def __init__(self, stage: Stage, chance: random.Random, seconds: float) -> None:
        super().__init__()
        self._stage, self._chance, self._seconds = stage, chance, seconds
        self._running: subprocess.Popen[bytes] | None = None
        self._killed = False
        self.log = stage.site.folder / "other-machine.log"

    def kill(self) -> bool:
        """SIGKILL to a command that has had the time to begin; False when there is none."""
        running = self._running
        if running is None or running.poll() is not None:
            return False
        if time.time() - psutil.Process(running.pid).create_time() < 5:
            return False
        self._killed = True
        running.send_signal(signal.SIGKILL)
        return True

    def _act(self) -> None:
        env = self._stage.site.env | {
            "AME_HOME": str(self._stage.site.folder / "other-home"),
            "MLFLOW_TRACKING_URI": self._stage.mlflow.uri,
        }
        while not self._stop.wait(self._chance.uniform(0.3, 1.0) * self._seconds):
            self._killed = False
            command = [_BIN / "ame", "run", self._chance.choice(MODELS), "-p", self._stage.site.project]
            with self.log.open("ab") as log:
                self._running = subprocess.Popen(
                    command,
                    cwd=self._stage.site.folder,
                    env=env,
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=subprocess.STDOUT,
                )
            code = self._running.wait(600 + 5 * REGISTRATIONS)
            told = "killed" if self._killed else f"code {code}"
            self._stage.did[f"ame run, {told}"] += 1


def victims(stage: Stage, other: OtherMachine, chance: random.Random) -> dict[str, list[Victim]]:
    holders = functools.partial(_kill_flow_run, stage, chance)
    return {
        "flow run": [Victim(5, holders)],
        "worker": [Victim(0.5, worker.kill_alone, worker) for worker in stage.workers],
        "machine": [Victim(0.5, worker.kill, worker) for worker in stage.workers],
        "MLflow": [Victim(2, stage.mlflow.kill, stage.mlflow)],
        "Prefect": [Victim(1, stage.prefect.kill, stage.prefect)],
        "ame run": [Victim(1, other.kill)],
    }


def _kill_flow_run(stage: Stage, chance: random.Random) -> bool:
    """Kill any process that runs a flow, or wait for one that holds a model: that is when it matters."""
    client = MlflowClient(stage.mlflow.uri, stage.mlflow.uri)
    deadline = time.monotonic() + chance.choice([0.0, 8.0])
    while time.monotonic() < deadline:
        for model in MODELS:
            with contextlib.suppress(MlflowException, Refused):
                link = Chain(client, model).end()
                run = link.claim.told["flowRun"] if link and link.claim else ""
                found = flow_processes(stage.mark).get(run) if run else None
                if found:
                    time.sleep(chance.uniform(0, 0.5))
                    return _killed(found, stage, "holders of a claim killed")
    found = flow_processes(stage.mark)
    return bool(found) and _killed(chance.choice(sorted(found.values(), key=lambda each: each.pid)), stage)


def _killed(process: psutil.Process, stage: Stage, note: str = "others killed") -> bool:
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
        stage.did[note] += 1
        return True
    return False
