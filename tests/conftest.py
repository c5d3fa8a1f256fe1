"""What all tests share: a clean environment, real servers, and the proof that no process is left behind."""

from __future__ import annotations

import contextlib
import os
import time
import uuid
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import httpx
import psutil
import pytest

from ame.local import Home, Servers, serving

_OURS = ("AME_", "MLFLOW_", "PREFECT_")
_MARK = "TEST_THAT_STARTED_THIS"


def pytest_configure() -> None:
    """The settings of the user's shell are for the user's servers."""
    _forget_settings(pytest.MonkeyPatch())


def _forget_settings(environment: pytest.MonkeyPatch) -> None:
    for name in [name for name in os.environ if name.startswith(_OURS)]:
        environment.delenv(name)


@dataclass(frozen=True)
class Embedded:
    """The servers that all tests share, and where their state is."""

    home: Home
    servers: Servers


@pytest.fixture(scope="session")
def embedded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Embedded]:
    """Real servers, started once: for tests that only need some to be there."""
    home = Home(tmp_path_factory.mktemp("embedded") / ".ame")
    with contextlib.ExitStack() as stack:
        with pytest.MonkeyPatch.context() as environment:
            _forget_settings(environment)
            servers = stack.enter_context(serving(home))
        yield Embedded(home, servers)


@pytest.fixture
def no_servers_of_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """The environment of a user who has no servers, whatever other tests have set."""
    _forget_settings(monkeypatch)


@pytest.fixture
def leaves_no_process(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Fails the test if something that it started, at whatever distance, still lives at its end."""
    mark = uuid.uuid4().hex
    monkeypatch.setenv(_MARK, mark)
    yield
    left = _started_under(mark)
    deadline = time.monotonic() + 10
    while left and time.monotonic() < deadline:
        time.sleep(0.1)
        left = _started_under(mark)
    told = [" ".join(process.cmdline()) for process in left]
    for process in left:
        process.kill()
    assert not told


def _started_under(mark: str) -> list[psutil.Process]:
    found = []
    for process in psutil.process_iter():
        try:
            if process.environ().get(_MARK) == mark and process.status() != psutil.STATUS_ZOMBIE:
                found.append(process)
        except (psutil.NoSuchProcess, psutil.AccessDenied):
            continue
    return found


def post(url: str, body: object, method: str = "POST") -> httpx.Response:
    """A request to a Prefect server, made again while its SQLite is busy (503), as its own clients do."""
    deadline = time.monotonic() + 60
    while True:
        answer = httpx.request(method, url, json=body, timeout=120, trust_env=False)
        if answer.status_code != httpx.codes.SERVICE_UNAVAILABLE or time.monotonic() > deadline:
            return answer
        time.sleep(0.5)


@pytest.fixture
def until() -> Callable[..., None]:
    """Wait for something that another process does: `until(condition)`."""

    def wait(happens: Callable[[], object], seconds: float = 30.0) -> None:
        deadline = time.monotonic() + seconds
        while not happens():
            assert time.monotonic() < deadline, f"not within {seconds} s"
            time.sleep(0.02)

    return wait


@pytest.fixture
def lives() -> Callable[[int], bool]:
    """Whether a process runs; one that nobody has waited for does not."""

    def look(process: int) -> bool:
        try:
            return psutil.Process(process).status() != psutil.STATUS_ZOMBIE
        except psutil.NoSuchProcess:
            return False

    return look


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A folder whose name is as unusual as a user may choose it."""
    made = tmp_path / "100% m#d&l ü"
    made.mkdir()
    return made
