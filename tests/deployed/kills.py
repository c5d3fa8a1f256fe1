"""Prefect servers and workers that a test may kill and start again, and a thread that does so at random.

    with PrefectServer(folder) as prefect, Worker("first", folder, env) as worker:
        killer = Killer(random.Random(7), {"worker": Victim(3, worker.kill_alone, worker)}, seconds=5)

A server keeps its address over kills. Whatever thread starts them and however the tests end, on Linux servers
and workers end with them.
"""

from __future__ import annotations

import contextlib
import functools
import os
import random
import signal
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Self

import psutil

from tests.registry.servers import ENVIRON, ROOT, Server, _port_of, die_with

__all__ = ["Killer", "PrefectServer", "Victim", "Worker", "flow_processes"]

_BIN = Path(sys.executable).parent


class PrefectServer(Server):
    """A Prefect server on SQLite that keeps slots over restarts, and plans nothing by itself.

    Attributes:
        api: its address, the same after a restart.
        log: what it prints.
    """

    def __init__(self, folder: Path) -> None:
        super().__init__(folder / "prefect.log")
        self._home = folder / "prefect"
        # Bound and never listening, it keeps the port from others and lets clients be refused.
        self._reserved = _port_of(0)
        self._port = int(self._reserved.getsockname()[1])
        self.api = f"http://127.0.0.1:{self._port}/api"

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()
        self._reserved.close()

    def _started(self) -> psutil.Process:
        clean = {name: value for name, value in ENVIRON.items() if not name.startswith(("PREFECT_", "AME_"))}
        settings = {
            "PREFECT_HOME": str(self._home),
            "PREFECT_API_URL": self.api,
            "PREFECT_UI_ENABLED": "false",
            "PREFECT_SERVER_ANALYTICS_ENABLED": "false",
            "PREFECT_SERVER_CONCURRENCY_LEASE_STORAGE": "prefect.server.concurrency.lease_storage.filesystem",
            # The test starts what a schedule would.
            "PREFECT_SERVER_SERVICES_SCHEDULER_ENABLED": "false",
            "PREFECT_SERVER_SERVICES_LATE_RUNS_ENABLED": "false",
        }
        command = [sys.executable, "-m", __name__, str(os.getpid()), "prefect", str(self._port)]
        return _spawned(command, self.log, clean | settings, ROOT)

    def _answers(self) -> bool:
        import httpx

        with contextlib.suppress(httpx.TransportError):
            return httpx.get(f"{self.api}/health", timeout=5, trust_env=False).is_success
        return False


class Worker(Server):
    """A worker of the pool that deliveries run on, two at a time.

    Args:
        folder: where it is started.
        env: of the shell that starts it.
    """

    def __init__(self, name: str, folder: Path, env: Mapping[str, str]) -> None:
        super().__init__(folder / f"worker-{name}.log")
        self._name, self._folder, self._env = name, folder, dict(env)

    def __enter__(self) -> Self:
        self.start()
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill_alone(self) -> None:
        """SIGKILL to it and not to what it runs, which goes on with nobody who looks after it."""
        if self._process and self.lives:
            self._process.kill()
            self._process.wait(30)

    def _started(self) -> psutil.Process:
        # With its type told it starts where Prefect's server is down, too.
        wanted = ["--pool", "ame-control", "--type", "process", "--name", self._name, "--limit", "2"]
        worker = [str(_BIN / "prefect"), "worker", "start", *wanted]
        bound = [sys.executable, "-m", __name__, str(os.getpid()), str(self._folder), *worker]
        # From the repository, where this module is.
        return _spawned(bound, self.log, self._env, ROOT)


def flow_processes(mark: tuple[str, str]) -> dict[str, psutil.Process]:
    """The processes that run flows of deployments, by the flow run's id.

    Args:
        mark: a variable and its value, which workers of this test have in their environment.
    """
    found = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.NoSuchProcess, psutil.AccessDenied):
            environ = process.environ()
            run = environ.get("PREFECT__FLOW_RUN_ID")
            if run and environ.get(mark[0]) == mark[1] and process.status() != psutil.STATUS_ZOMBIE:
                found[run] = process
    return found


@dataclass(frozen=True, slots=True)
class Victim:
    """Something to kill.

    Attributes:
        weight: how often it is chosen, beside the others' weights.
        kill: kills it; False when there was nothing to kill.
        back: what comes back after some seconds, or None.
    """

    weight: float
    kill: Callable[[], Any]
    back: Server | None = None


class Killer:
    """Kills at random: each kind once in a random order, then by their weights.

    For as long as the block runs it brings back what is down, killed by it or not, as a supervisor does.

    Attributes:
        kills: how often each kind was killed.
    """

    def __init__(self, chance: random.Random, victims: Mapping[str, list[Victim]], seconds: float) -> None:
        self.kills: Counter[str] = Counter(dict.fromkeys(victims, 0))
        self.told: list[str] = []
        self._chance, self._victims, self._seconds = chance, victims, seconds
        self._first = chance.sample(sorted(victims), len(victims))
        self._down: dict[Server, float] = {}
        self._spares, self._stop = threading.Event(), threading.Event()
        self._thread = threading.Thread(target=self._run, name="killer", daemon=True)
        self._failure: BaseException | None = None

    def __enter__(self) -> Self:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._stop.set()
        self._thread.join(120)
        assert not self._thread.is_alive()
        if self._failure:
            raise self._failure

    def spare(self) -> None:
        """Kill no more."""
        self._spares.set()

    @property
    def satisfied(self) -> bool:
        """Whether something of each kind was killed."""
        assert not self._failure, self._failure
        return all(self.kills.values())

    def _run(self) -> None:
        try:
            next_kill = time.monotonic() + self._seconds
            while not self._stop.wait(0.1):
                self._bring_back(time.monotonic())
                if time.monotonic() >= next_kill and not self._spares.is_set():
                    self._kill()
                    next_kill = time.monotonic() + self._chance.uniform(0.3, 1.7) * self._seconds
        except BaseException as failure:  # noqa: BLE001 - told to the test
            self._failure = failure

    def _kill(self) -> None:
        kinds = sorted(self._victims)
        weights = [sum(victim.weight for victim in self._victims[kind]) for kind in kinds]
        kind = self._first[0] if self._first else self._chance.choices(kinds, weights)[0]
        victim = self._chance.choice(self._victims[kind])
        if victim.back and not victim.back.lives:
            return
        if victim.kill() is False:
            # Nobody to kill now: others of the first round have their turn.
            self._first = self._first[1:] + self._first[:1]
            return
        self.kills[kind] += 1
        self._first = [each for each in self._first if each != kind]
        self.told.append(f"{time.strftime('%H:%M:%S')} killed: {kind}")

    def _bring_back(self, now: float) -> None:
        for server in [victim.back for found in self._victims.values() for victim in found if victim.back]:
            if server.lives:
                continue
            if now >= self._down.setdefault(server, now + self._chance.uniform(1, 5)):
                del self._down[server]
                server.start()


@functools.cache
def _starter() -> ThreadPoolExecutor:
    """The thread that starts: Linux tells a child of the death of a thread, and this one lives as long as we."""
    return ThreadPoolExecutor(1, thread_name_prefix="starter")


def _spawned(command: list[str], log: Path, env: Mapping[str, str], folder: Path) -> psutil.Popen:
    def start() -> psutil.Popen:
        with log.open("ab") as printed:
            return psutil.Popen(
                command,
                cwd=folder,
                env=dict(env),
                stdin=subprocess.DEVNULL,
                stdout=printed,
                stderr=subprocess.STDOUT,
                start_new_session=True,
            )

    return _starter().submit(start).result()


def main(arguments: list[str]) -> None:
    """Serve Prefect, or become a program in a folder: `PARENT prefect PORT`, `PARENT FOLDER PROGRAM ARGUMENTS`."""
    parent, what, *rest = arguments
    die_with(int(parent), signal.SIGKILL)
    # A suite that was started in the background has SIGINT ignored, and Prefect ends by it.
    signal.signal(signal.SIGINT, signal.default_int_handler)
    if what != "prefect":
        os.chdir(what)
        os.execv(rest[0], rest)  # noqa: S606 - no shell is wanted
    import uvicorn
    from prefect.server.api.server import create_app

    config = uvicorn.Config(create_app(final=True), log_level="warning", timeout_keep_alive=30)
    uvicorn.Server(config).run(sockets=[_port_of(int(rest[0]))])


if __name__ == "__main__":
    main(sys.argv[1:])
